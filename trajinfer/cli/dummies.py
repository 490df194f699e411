"""Columns of text as columns of 0 and 1, for models that take numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trajinfer._core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_MOST = 10


def with_dummies(
    frame: pd.DataFrame, names: Sequence[str]
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The table with every named column of text in 0 and 1; a missing cell stays missing.

    Categories are compared with the first of them in the order of the alphabet: `sex` of f and m
    becomes `sex=m`.

    Args:
        frame: the table.
        names: columns; those of numbers, and those that are not there, stay as they are.

    Returns:
        The table, the columns that stand for those named, and the Python that makes them.

    Raises:
        InputError: for a column of one category, or of more than ten.
    """
    import pandas as pd

    chosen: list[str] = []
    script: list[str] = []
    for name in names:
        if name not in frame.columns or pd.api.types.is_numeric_dtype(frame[name]):
            chosen.append(name)
            continue
        for category in _categories(frame, name)[1:]:
            dummy, column = f"{name}={category}", frame[name]
            is_it = (column == category).where(column.notna()).astype(float)
            frame = frame.assign(**{dummy: is_it})
            told = f"(frame[{name!r}] == {category!r}).where(frame[{name!r}].notna())"
            script.append(f"frame[{dummy!r}] = {told}.astype(float)")
            chosen.append(dummy)
    return frame, chosen, script


def _categories(frame: pd.DataFrame, name: str) -> list[str]:
    found = sorted(frame[name].dropna().unique(), key=str)
    if len(found) < 2:
        told = f"{found[0]!r} wherever it is known" if found else "nowhere known"
        raise InputError(f"covariate '{name}' is {told}, which tells nothing; leave it out")
    if len(found) > _MOST:
        raise InputError(
            f"covariate '{name}' has {len(found)} categories, such as {found[0]!r} and "
            f"{found[1]!r}; join them to at most {_MOST}, or name a column of numbers"
        )
    return found
