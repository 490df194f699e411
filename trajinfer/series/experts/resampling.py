"""Values of series at even times, by straight lines."""

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
    queries = query_grid(series, ts)
    times = torch.tensor(series.times)
    path = linear_path(times, filled(times, torch.tensor(series.values)))
    ends = (times[:, :1], times[:, -1:])
    return np.asarray(path.evaluate(torch.tensor(queries).clamp(*ends)).numpy())


def resampled(series: IrregularSeries, n_points: int) -> Array:
    """Each series stretched over `n_points` equidistant times of its own span, by straight lines.

    Returns:
        (B, n_points, C).
    """
    share = np.linspace(0, 1, n_points)
    first, last = series.times[:, :1], series.last_times[:, None]
    return linear_interpolation(series, first + share * (last - first))


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
