"""Columns of text as numbers and back: categories of a table whose other columns are numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer.data.columns import is_number

_MOST = 50
_FEWEST_EACH = 3


@dataclass(frozen=True)
class CategoryCodes:
    """The labels of a column in their order, and the type it has.

    Attributes:
        labels: (K,) the code of a label is its place.
        dtype: of the column.
    """

    labels: tuple[Any, ...]
    dtype: Any

    @classmethod
    def of(cls, column: pd.Series) -> CategoryCodes:
        """Labels sorted by value; those of a categorical column in its own order."""
        if isinstance(column.dtype, pd.CategoricalDtype):
            return cls(tuple(column.cat.categories), column.dtype)
        return cls(tuple(pd.factorize(column, sort=True)[1]), column.dtype)

    def encode(self, column: pd.Series) -> pd.Series:
        """Codes, NaN where there is no label."""
        codes = pd.Index(self.labels).get_indexer(column).astype(np.float64)
        return pd.Series(np.where(codes < 0, np.nan, codes), index=column.index)

    def decode(self, codes: Array) -> pd.Series:
        """Labels of the nearest codes, in the type of the column."""
        known = np.isfinite(codes)
        place = np.clip(np.round(np.where(known, codes, 0)), 0, len(self.labels) - 1).astype(int)
        labels = pd.Series(np.array(self.labels, dtype=object)[place])
        return labels.where(known).astype(self.dtype)


def text_categories(
    frame: pd.DataFrame, taken: Collection[Any], wanted: Collection[Any]
) -> dict[Any, CategoryCodes]:
    """Columns of text or truth values whose entries repeat, with their codes.

    Args:
        frame: the table.
        taken: columns that have another meaning.
        wanted: columns that are looked at; empty looks at all.
    """
    found = {}
    for name in frame.columns:
        column = frame[name]
        if name in taken or (wanted and name not in wanted) or is_number(column):
            continue
        if pd.api.types.is_datetime64_any_dtype(column) or column.isna().all():
            continue
        if any(_is_a_number(entry) for entry in column.dropna().unique()[: 4 * _MOST]):
            continue
        codes = CategoryCodes.of(column)
        if 1 <= len(codes.labels) <= min(_MOST, column.notna().sum() / _FEWEST_EACH):
            found[name] = codes
    return found


def _is_a_number(entry: Any) -> bool:
    """Whether text is a number: such a column has unreadable cells and is no category."""
    try:
        float(entry)
    except (TypeError, ValueError):
        return False
    return not isinstance(entry, bool | np.bool_)
