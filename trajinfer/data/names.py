"""Names of columns."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from trajinfer._core.checks import as_rows
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


def listed(given: Any, name: str) -> tuple[Hashable, ...]:
    """Names from whatever lists them; () where none are given.

    Raises:
        InputError: for one text, whose letters would be names, and for what is no row of names.
    """
    if given is None:
        return ()
    rows = None if isinstance(given, (str, bytes)) else as_rows(given, name)
    if rows is None or getattr(given, "ndim", 1) > 1:
        raise InputError(f"{name} must be a list of names, got {given!r:.60}; write ['a', 'b']")
    if not all(isinstance(row, Hashable) for row in rows):
        raise InputError(f"{name} must be text or numbers, got {rows!r:.60}")
    return tuple(rows)


def feature_names(given: Any) -> tuple[str, ...] | None:
    """Names of coordinates as text; None where none are given."""
    return None if given is None else tuple(map(str, listed(given, "features")))


def column_names(given: Sequence[str], n: int, letter: str, kind: str) -> tuple[str, ...]:
    """Names of n columns: those given, or a letter with the number of the column.

    Raises:
        InputError: if they repeat or there are not n of them.
    """
    names = tuple(map(str, given)) if len(given) else tuple(f"{letter}{i}" for i in range(n))
    if len(names) != n or len(set(names)) != n:
        raise InputError(f"{n} different {kind} names are needed, got {names}")
    return names
