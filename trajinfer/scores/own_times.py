"""Draws at times of the series themselves where something is missing, series after series."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.data.filled_table import filled_table
from trajinfer.metrics import crps

Drawn: TypeAlias = tuple[Array, Array]
"""Rows (R,) of the data and draws (n, R, C) there."""


def rows_with_gaps(data: IrregularSeries, *, whole: bool) -> list[Array]:
    """Rows (R,) of every series at which something is missing, and its first.

    Cost and memory of draws follow what is missing. A constant channel shows its first value.

    Args:
        data: the series.
        whole: all rows, of laws that bind the times of a series to each other.
    """
    asked = np.full(len(data.flat_times), whole)
    asked |= np.isnan(data.flat_values).any(axis=1)
    asked[data.layout.starts] = True
    places = np.split(np.arange(len(asked)), data.layout.ends[:-1])
    return [own[asked[own]] for own in places]


def filled_from(
    draws: Iterable[Drawn], data: IrregularSeries, smooth: list[bool], level: float
) -> pd.DataFrame:
    """The table of series with gaps filled by means, of channels that are not smooth by medians.

    Args:
        draws: rows (R,) of the data and draws (n, R, C) there, all rows with a gap among them.
        data: the series.
        smooth: of every channel.
        level: of the intervals.
    """
    tail = 50 * (1 - level)
    ends, answers = [tail, 50, 100 - tail], np.stack([data.flat_values] * 3)
    for rows, drawn in draws:
        low, middle, high = np.percentile(drawn, ends, axis=0, method="inverted_cdf")
        answers[:, rows] = np.where(smooth, drawn.mean(axis=0), middle), low, high
    return filled_table(data, *answers)


def crps_of_hidden(
    draws: Iterable[Drawn], data: IrregularSeries, hidden: Array, scale: Array
) -> float:
    """Mean CRPS of the hidden values (N, C) of series, over a scale (C,), by draws at rows."""
    errors = [
        crps((drawn / scale)[:, hidden[rows]], (data.flat_values[rows] / scale)[hidden[rows]])
        for rows, drawn in draws
    ]
    return float(np.mean(np.concatenate(errors)))
