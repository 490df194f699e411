"""Values at asked times without any model: straight lines, the last value, the mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.series.experts.resampling import linear_interpolation, query_grid, resampled

__all__ = ["channel_means", "linear_interpolation", "persistence", "resampled"]


def persistence(series: IrregularSeries, ts: Any) -> Array:
    """The last observed value of each channel, at all times.

    Args:
        series: B series.
        ts: (Q,) or (B, Q) times.

    Returns:
        (B, Q, C); 0 for a channel that was never observed.
    """
    last = linear_interpolation(series, series.last_times[:, None])
    return np.repeat(last, query_grid(series, ts).shape[1], axis=1)


def channel_means(series: IrregularSeries, ts: Any) -> Array:
    """The mean of the observations of each channel of each series, at all times.

    Args:
        series: B series.
        ts: (Q,) or (B, Q) times.

    Returns:
        (B, Q, C); 0 for a channel that was never observed.
    """
    counts = np.maximum(series.mask.sum(axis=1), 1)
    means = np.nansum(series.values, axis=1) / counts
    return np.repeat(means[:, None], query_grid(series, ts).shape[1], axis=1)
