"""How a column becomes numbers, in words that work when they are followed."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

_COMMA = re.compile(r"\s*[-+]?\d+(,\d+)?\s*")
_CODE = re.compile(r"\s*[-+]?0\d+\s*")


def conversion(column: pd.Series, name: Any) -> str:
    """What to do with a column that is no numbers, as Python that acts on a table `df`.

    >>> conversion(pd.Series(["1,5", "2"]), "x")
    "convert it: df['x'].str.replace(',', '.').astype(float)"
    """
    types, there = pd.api.types, f"df[{name!r}]"
    if not column.notna().any():
        return "it has no values; leave it out"
    if types.is_datetime64_any_dtype(column):
        unit = "pandas.Timedelta('1h')"
        return f"say the unit you mean: ({there} - {there}.min()) / {unit}, or leave it out"
    if types.is_timedelta64_dtype(column):
        return f"say the unit you mean: {there} / pandas.Timedelta('1h'), or leave it out"
    if are_written_numbers(column):
        return f"convert it: {there}.astype(float)"
    if have_decimal_commas(column):
        return f"convert it: {there}.str.replace(',', '.').astype(float)"
    if pd.to_numeric(column.astype(object), errors="coerce").notna().any():
        return (
            "correct the cell, or mark what is no number as missing: "
            f"pandas.to_numeric({there}, errors='coerce')"
        )
    dummies = f"pandas.get_dummies(df, columns=[{name!r}])"
    return f"make columns of 0 and 1 of it: {dummies}; or leave it out"


def are_written_numbers(column: pd.Series) -> bool:
    """Whether all cells are numbers, written as text or held as categories; 007 is a name."""
    types = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    known = column.dropna()
    if not len(known) or types.is_bool_dtype(known) or types.is_complex_dtype(known):
        return False
    if not types.is_numeric_dtype(known) and not _are_texts(known):
        return False
    numbers = pd.to_numeric(known, errors="coerce").notna().all()
    return bool(numbers) and not any(_CODE.fullmatch(str(cell)) for cell in known)


def have_decimal_commas(column: pd.Series) -> bool:
    """Whether all cells are numbers written with decimal commas."""
    known = column.dropna()
    if not len(known) or not _are_texts(known):
        return False
    return all(map(_COMMA.fullmatch, known)) and any("," in cell for cell in known)


def _are_texts(known: pd.Series) -> bool:
    return all(isinstance(cell, str) for cell in known)
