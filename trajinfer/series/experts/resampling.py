"""Values of series at even times, by straight lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.paths import filled, linear_path

_TOGETHER = 0.25


def linear_interpolation(series: IrregularSeries, ts: Any) -> Array:
    """Straight lines between the observations of each channel, level before and after them.

    Args:
        series: B series.
        ts: (Q,) or (B, Q) times.

    Returns:
        (B, Q, C); 0 for a channel that was never observed.
    """
    queries = query_grid(series, ts)
    times = torch.tensor(series.times)
    path = linear_path(times, filled(times, torch.tensor(series.values)))
    ends = (times[:, :1], times[:, -1:])
    return np.asarray(path.evaluate(torch.tensor(queries).clamp(*ends)).numpy())


def resampled(
    series: IrregularSeries, n_points: int, window: tuple[float, float] | None = None
) -> Array:
    """Each series at `n_points` equidistant times of a window, by straight lines.

    Without a window, and for a series less than half of which lies in it (one of another year),
    the times are those of its own span.

    Returns:
        (B, n_points, C); level before the first and after the last observation.
    """
    share = np.linspace(0, 1, n_points)
    first, last = series.first_times, series.last_times
    if window is not None:
        common = np.minimum(last, window[1]) - np.maximum(first, window[0])
        inside = (common >= 0) & (2 * common >= last - first)
        first = np.where(inside, window[0], first)
        last = np.where(inside, window[1], last)
    return linear_interpolation(series, first[:, None] + share * (last - first)[:, None])


def shared_window(series: IrregularSeries) -> tuple[float, float] | None:
    """When series begin and end, where most begin and end together, else None.

    Together means that of the first and of the last times the eight tenths in the middle, the ends
    of which are the window, lie within a quarter of the median span. A series that is stretched
    over its own span loses when things happened: with values missing at its ends it is shifted
    against the others.
    """
    first, last = series.first_times, series.last_times
    span = float(np.median(last - first))
    begins, ends = (np.quantile(times, [0.1, 0.9]) for times in (first, last))
    if not span > 0 or max(np.ptp(begins), np.ptp(ends)) > _TOGETHER * span:
        return None
    return float(begins[0]), float(ends[1])


def query_grid(series: IrregularSeries, ts: Any) -> Array:
    """Times (B, Q) from one row for all series or one row each.

    Raises:
        InputError: if they are neither.
    """
    queries = np.atleast_1d(as_array(ts, "ts"))
    if queries.ndim > 2 or (queries.ndim == 2 and len(queries) != len(series)):
        raise InputError(
            f"ts must be (Q,) or (B, Q) for {len(series)} series, got shape {queries.shape}"
        )
    return np.broadcast_to(queries, (len(series), queries.shape[-1]))
