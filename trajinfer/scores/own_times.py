"""Draws at the times of the series themselves, one series after the other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.data.filled_table import filled_table
from trajinfer.metrics import crps


def filled_from(
    draws: Iterable[Array], data: IrregularSeries, smooth: list[bool], level: float
) -> pd.DataFrame:
    """The table of series with gaps filled by means, of channels that are not smooth by medians.

    Args:
        draws: (n, T, C) of every series at its own times.
        data: the series.
        smooth: of every channel.
        level: of the intervals.
    """
    tail = 50 * (1 - level)
    ends, answers = [tail, 50, 100 - tail], []
    for drawn in draws:
        low, middle, high = np.percentile(drawn, ends, axis=0, method="inverted_cdf")
        answers.append((np.where(smooth, drawn.mean(axis=0), middle), low, high))
    return filled_table(data, *(np.concatenate(part) for part in zip(*answers)))


def crps_of_hidden(
    draws: Iterable[Array], data: IrregularSeries, hidden: Array, scale: Array
) -> float:
    """Mean CRPS of the hidden values (N, C) of series, over a scale (C,)."""
    ends = data.layout.ends[:-1]
    parts = zip(draws, np.split(data.flat_values, ends), np.split(hidden, ends), strict=True)
    errors = [
        crps((drawn / scale)[:, here], (values / scale)[here]) for drawn, values, here in parts
    ]
    return float(np.mean(np.concatenate(errors)))
