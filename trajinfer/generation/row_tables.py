"""Series as tables of rows: values of every series, and the gaps between rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries


def rows_of(series: IrregularSeries, kept: Sequence[int]) -> list[Array]:
    """Rows (T_i, K) of every series, NaN where missing."""
    values = np.asarray(series.flat_values)[:, list(kept)]
    return list(np.split(values, np.cumsum(series.lengths)[:-1]))


def stacked(rows: Sequence[Array]) -> Array:
    """Rows of all series (B, T, K), NaN after the end of each."""
    whole = np.full((len(rows), max(map(len, rows)), rows[0].shape[1]), np.nan)
    for i, part in enumerate(rows):
        whole[i, : len(part)] = part
    return whole


def filled_by_lines(rows: Array) -> Array:
    """Rows (B, T, D) whose missing values lie on straight lines, constant beyond the known ones.

    What a series never shows is at the mean of the channel.
    """
    whole = np.array(rows)
    row = np.arange(rows.shape[1])
    for c in np.flatnonzero(np.isnan(rows).any(axis=(0, 1))):
        known = ~np.isnan(rows[:, :, c])
        mean = float(rows[:, :, c][known].mean()) if known.any() else 0.0
        for i in np.flatnonzero(~known.all(axis=1)):
            there = known[i]
            whole[i, :, c] = np.interp(row, row[there], rows[i, there, c]) if there.any() else mean
    return whole


def gaps_of(series: IrregularSeries) -> tuple[float, list[Array] | None]:
    """The step that all series share and None, or 0 and the gap before every row."""
    parts = np.split(np.asarray(series.flat_times), np.cumsum(series.lengths)[:-1])
    gaps = [np.diff(part) for part in parts]
    whole = np.concatenate(gaps)
    step = float(np.median(whole)) if len(whole) else 1.0
    if len(whole) and np.abs(whole - step).max() <= 1e-6 * step:
        return step, None
    return 0.0, [np.concatenate([gap[:1], gap]) if len(gap) else np.ones(1) for gap in gaps]
