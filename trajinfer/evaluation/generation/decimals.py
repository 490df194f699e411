"""How many decimals the values of a channel have: a classifier of their sizes cannot see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from trajinfer._core.checks import Array

_ROUNDING = 4 * float(np.finfo(np.float64).eps)
_SINGLE = 4 * float(np.finfo(np.float32).eps)
_RESOLUTION = 1e-9
_SHARP = 0.02


def decimal_properties(columns: list[Array]) -> Iterator[Callable[[Array], bool]]:
    """Tests of a series for decimals that no real series shows.

    Real values that all are multiples of a power of ten, as far as single precision shows it, have
    none between; where every real series has values between the multiples of a power of ten, one
    whose values all are multiples was rounded. Decimals below a twenty-millionth of the spread
    are not seen: they tell how a path was computed and nothing of its law.

    Args:
        columns: the known values of every real series.
    """
    known = [values for values in columns if len(values)]
    if not known:
        return
    size = max(float(np.abs(values).max()) for values in known)
    if not 0 < size < np.inf:
        return
    units = 10.0 ** np.arange(np.floor(np.log10(size)), np.log10(size) - 16, -1.0)
    shown = [unit for unit in units if _SINGLE * size < _SHARP * unit]
    for unit in shown:
        if all(_multiples(values, unit, _SINGLE * size) for values in known):
            yield partial(_has_more, unit=unit, error=_SINGLE * size)
            break
    error = max(_ROUNDING * size, _RESOLUTION * float(np.concatenate(known).std()))
    held = [unit for unit in units if error < _SHARP * unit]
    for unit in reversed(held):
        if not any(_multiples(values, unit, error) for values in known):
            yield partial(_is_rounded, unit=unit, error=error)
            break


def _has_more(values: Array, unit: float, error: float) -> bool:
    return not _multiples(values, unit, error)


def _is_rounded(values: Array, unit: float, error: float) -> bool:
    return len(values) > 0 and _multiples(values, unit, error)


def _multiples(values: Array, unit: float, error: float) -> bool:
    """Whether all values are multiples of a unit, up to an error."""
    return bool((np.abs(values - np.round(values / unit) * unit) <= error).all())
