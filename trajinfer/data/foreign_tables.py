"""Tables of series as sktime and others lay them out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.errors import InputError
from trajinfer.data.irregular_series import IrregularSeries


def read(table: pd.DataFrame) -> IrregularSeries:
    """Series from a table that says by itself which column is which.

    Args:
        table: its cells are series (a row per series, a column per channel), or its index has two
            levels, series and time.

    Raises:
        InputError: for any other table.
    """
    if len(table) and all(_is_series(cell) for cell in table.iloc[0]):
        return _nested(table)
    if table.index.nlevels == 2:
        plain = table.set_axis(table.index.set_names(["id", "time"]))
        return IrregularSeries.from_frame(plain, id="id", time="time")
    raise InputError(
        "a table does not say which column is which; read it with "
        "IrregularSeries.from_frame(df, id=..., time=...)"
    )


def _is_series(cell: Any) -> bool:
    return isinstance(cell, (pd.Series, np.ndarray)) and np.ndim(cell) == 1


def _nested(table: pd.DataFrame) -> IrregularSeries:
    """The index of a cell is its time; channels of a series may have times of their own."""
    rows = [
        pd.DataFrame({str(name): pd.Series(cell) for name, cell in row.items()}).sort_index()
        for _, row in table.iterrows()
    ]
    return IrregularSeries.from_arrays(
        [row.index for row in rows],
        [row.to_numpy(dtype=np.float64) for row in rows],
        channels=[str(name) for name in table.columns],
        ids=list(table.index),
    )
