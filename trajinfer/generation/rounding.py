"""The last digit of rounded readings."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array

_FINE = (1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001)
_MOST = 30
_NEARLY_ALL = 0.98
_DIGITS = 9


def quantum(column: Array) -> float:
    """The coarsest number nearly all values are multiples of, 0 for none.

    A few values may be others, such as those filled in for missing ones.

    >>> quantum(np.array([0.3, 1.5, 0.45, 2.1])), quantum(np.array([0.1234567, 2.0]))
    (0.15, 0.0)
    """
    for fine in _FINE:
        multiples = column / fine
        whole = np.round(multiples)
        if _nearly_all(np.abs(multiples - whole) < 1e-3):
            factors = range(_MOST, 0, -1)
            return round(fine * next(m for m in factors if _nearly_all(whole % m == 0)), 6)
    return 0.0


def _nearly_all(holds: Array) -> bool:
    return bool(holds.mean() >= _NEARLY_ALL)


def unit_of(values: Array) -> float:
    """The quantum of values (N,), unless they hardly differ by as much; 0 for none."""
    unit = quantum(values)
    return unit if unit < values.std() else 0.0


def rounded(x: Array, unit: float) -> Array:
    """Values moved to the nearest multiple of a unit, with no digits behind its own; 0 for none.

    >>> rounded(np.array([0.26, 0.34]), 0.1)
    array([0.3, 0.3])
    """
    return np.round(np.round(x / unit) * unit, _DIGITS) if unit > 0 else x
