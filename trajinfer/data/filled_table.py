"""The table of series with its gaps filled in, and where that was done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.series_tables import with_types


def filled_table(series: IrregularSeries, answers: Array, low: Array, high: Array) -> pd.DataFrame:
    """The table of the series with answers where nothing was observed.

    Args:
        series: series of N entries and C channels.
        answers: (N, C) for what is not known.
        low, high: (N, C) ends of their intervals.

    Returns:
        The columns of `series.to_frame()`, and per column of values `<name>_filled`, which says
        where the value was filled in, `<name>_low` and `<name>_high`. A long table has one such
        column and a row for every time and channel.

    Example:
        >>> series = IrregularSeries.from_arrays([0.0, 1.0], [[[5.0], [np.nan]]], channels=["x"])
        >>> whole = np.full((2, 1), 6.0)
        >>> filled_table(series, whole, whole - 1, whole + 1)["x"].tolist()
        [5.0, 6.0]
    """
    filled = np.isnan(series.flat_values)
    whole = replace(series, flat_values=np.where(filled, answers, series.flat_values))
    table, names, parts = whole.to_frame(), list(series.channels), [filled, low, high]
    if series.table is not None and series.table.value is not None:
        kept = ~np.isnan(whole.flat_values)
        parts, names = [part[kept][:, None] for part in parts], [series.table.value]
    ends: dict[str, Any] = {}
    for c, name in enumerate(names):
        for word, part in zip(("filled", "low", "high"), parts, strict=True):
            table[f"{name}_{word}"] = part[:, c]
        ends |= dict.fromkeys((f"{name}_low", f"{name}_high"), table[name].dtype)
    return with_types(table, ends)
