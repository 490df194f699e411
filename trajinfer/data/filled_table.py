"""The table of series with its gaps filled in, and where that was done."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer.data.irregular_series import IrregularSeries


def filled_table(series: IrregularSeries, answers: Array, low: Array, high: Array) -> pd.DataFrame:
    """The table of the series with answers where nothing was observed.

    Args:
        series: B series at T times with C channels.
        answers: (B, T, C) for what is not known.
        low, high: (B, T, C) ends of their intervals.

    Returns:
        The columns of `series.to_frame()`, and per channel `<channel>_filled`, which says where the
        value was filled in, `<channel>_low` and `<channel>_high`.

    Example:
        >>> series = IrregularSeries.from_arrays([0.0, 1.0], [[[5.0], [np.nan]]], channels=["x"])
        >>> whole = np.full((1, 2, 1), 6.0)
        >>> filled_table(series, whole, whole - 1, whole + 1)["x"].tolist()
        [5.0, 6.0]
    """
    table = series.with_values(np.where(series.mask, series.values, answers)).to_frame()
    present = series.present
    for c, name in enumerate(series.channels):
        table[f"{name}_filled"] = ~series.mask[present][:, c]
        table[f"{name}_low"], table[f"{name}_high"] = low[present][:, c], high[present][:, c]
    return table
