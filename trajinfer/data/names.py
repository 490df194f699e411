"""Names of columns."""

from __future__ import annotations

from collections.abc import Sequence

from trajinfer._core.errors import InputError


def fits_columns(given: Sequence[str], fitted: Sequence[str], letter: str = "x") -> bool:
    """Whether columns may stand for those of a fit: the same ones, or never named on either side.

    Args:
        given: names of the columns.
        fitted: names at the fit, as many.
        letter: what unnamed columns are called, with their number.
    """
    unnamed = [f"{letter}{i}" for i in range(len(given))]
    named = unnamed not in (list(given), list(fitted)) or sorted(given) == sorted(fitted)
    return list(given) == list(fitted) or not named


def column_names(given: Sequence[str], n: int, letter: str, kind: str) -> tuple[str, ...]:
    """Names of n columns: those given, or a letter with the number of the column.

    Raises:
        InputError: if they repeat or there are not n of them.
    """
    names = tuple(map(str, given)) if len(given) else tuple(f"{letter}{i}" for i in range(n))
    if len(names) != n or len(set(names)) != n:
        raise InputError(f"{n} different {kind} names are needed, got {names}")
    return names
