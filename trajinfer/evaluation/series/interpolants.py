"""Values at asked times without any model: straight lines, the last value, the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.paths import filled, linear_path


def linear_interpolation(series: IrregularSeries, ts: Any) -> Array:
    """Straight lines between the observations of each channel, level before and after them.

    Args:
        series: B series.
        ts: (Q,) or (B, Q) times.

    Returns:
        (B, Q, C); 0 for a channel that was never observed.
    """
    queries = _queries(series, ts)
    times = torch.tensor(series.times)
    path = linear_path(times, filled(times, torch.tensor(series.values)))
    ends = (times[:, :1], times[:, -1:])
    return np.asarray(path.evaluate(torch.tensor(queries).clamp(*ends)).numpy())


def persistence(series: IrregularSeries, ts: Any) -> Array:
    """The last observed value of each channel, at all times.

    Args:
        series: B series.
        ts: (Q,) or (B, Q) times.

    Returns:
        (B, Q, C); 0 for a channel that was never observed.
    """
    last = linear_interpolation(series, series.last_times[:, None])
    return np.repeat(last, _queries(series, ts).shape[1], axis=1)


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
    return np.repeat(means[:, None], _queries(series, ts).shape[1], axis=1)


def resampled(series: IrregularSeries, n_points: int) -> Array:
    """Each series stretched over `n_points` equidistant times of its own span, by straight lines.

    Returns:
        (B, n_points, C).
    """
    share = np.linspace(0, 1, n_points)
    first, last = series.times[:, :1], series.last_times[:, None]
    return linear_interpolation(series, first + share * (last - first))


def _queries(series: IrregularSeries, ts: Any) -> Array:
    queries = np.atleast_1d(as_array(ts, "ts"))
    if queries.ndim > 2 or (queries.ndim == 2 and len(queries) != len(series)):
        raise InputError(
            f"ts must be (Q,) or (B, Q) for {len(series)} series, got shape {queries.shape}"
        )
    return np.broadcast_to(queries, (len(series), queries.shape[-1]))
