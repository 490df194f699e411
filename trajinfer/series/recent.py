"""Features of the end of a series: the last observations of every channel and their ages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer.paths import linear_path
from trajinfer.series.series_batch import SeriesBatch


@dataclass(frozen=True)
class Recent:
    """The end of a batch of series.

    Attributes:
        last: (B, C) last observed values; 0, the mean, where nothing was observed.
        features: (B, F) last values, slopes between the last two observations, ages, gaps between
            these two, and the way from the values at some lags before the end to the last ones; the
            statics stand at the end.
    """

    last: Tensor
    features: Tensor

    @staticmethod
    def width(n_channels: int, n_lags: int) -> int:
        """F for C channels, without the statics."""
        return (4 + n_lags) * n_channels


def recent(batch: SeriesBatch, n_lags: int, lag: float) -> Recent:
    """Features of the end of every series.

    Slopes are those of observed pairs, not of a path: a path stands still after the last
    observation, and its slope there says nothing.

    Args:
        batch: the series.
        n_lags: number of lags.
        lag: time between them.
    """
    seen, clock = batch.mask, batch.times[:, :, None].expand_as(batch.values)
    places = torch.arange(seen.shape[1])[None, :, None]
    latest = torch.where(seen, places, -1).amax(1, keepdim=True)
    earlier = torch.where(seen & (places < latest), places, -1).amax(1, keepdim=True)
    values = torch.nan_to_num(batch.values)
    last, t_last = _at(values, latest), _at(clock, latest)
    before, t_before = _at(values, earlier), _at(clock, earlier)
    has_pair, has_one = (earlier >= 0)[:, 0], (latest >= 0)[:, 0]
    last = torch.where(has_one, last, 0.0)
    gap = torch.where(has_pair, t_last - t_before, 0.0)
    floor = max(lag, 1e-9) * 1e-3
    slope = torch.where(has_pair, (last - before) / gap.clamp(min=floor), 0.0)
    age = torch.where(has_one, batch.end[:, None] - t_last, 1.0)
    back = torch.arange(1, n_lags + 1, dtype=torch.float64) * lag
    path = linear_path(batch.times, batch.values).held()
    window = path.evaluate(batch.end[:, None] - back) - last[:, None]
    parts = [last, lag * slope, age / lag / 10, gap / lag / 10, window.flatten(1), batch.statics]
    return Recent(last, torch.cat([part.to(values) for part in parts], dim=1))


def _at(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(1, index.clamp(min=0))[:, 0]
