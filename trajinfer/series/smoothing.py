"""The laws of linear smoothers and the surroundings of times, for series of several channels."""

from __future__ import annotations

import numpy as np
import torch
from torch.distributions import Normal

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.filling.cross_channel import Surroundings
from trajinfer.filling.linear_prior import PriorFamily
from trajinfer.filling.linear_smoother import left_out, smooth
from trajinfer.filling.tracks import Tracks
from trajinfer.series.series_batch import Scaling

_LEAST_STD = 1e-6


def smoothed(
    data: IrregularSeries, weights: Array, times: Array, scaling: Scaling, family: PriorFamily
) -> Normal:
    """Standardised law (B, Q, C) of the smoother, which has a prior per channel and series."""
    n_channels = data.shape[2]
    law = smooth(tracks_of(data, weights, scaling), np.repeat(times, n_channels, axis=0), family)
    return _normal(*(_by_series(part, n_channels) for part in (law.mean, law.std)))


def smoothed_from_others(
    data: IrregularSeries, weights: Array, scaling: Scaling, family: PriorFamily
) -> Normal:
    """Standardised law (B, T, C) of every observation, given all others of its channel."""
    law = left_out(tracks_of(data, weights, scaling), family)
    observed = data.mask.transpose(0, 2, 1)
    mean, std = np.zeros(observed.shape), np.ones(observed.shape)
    # tracks hold the observations alone, in the order of the times
    packed = np.arange(law.mean.shape[1]) < observed.sum(2, keepdims=True)
    mean[observed] = law.mean.reshape(packed.shape)[packed]
    std[observed] = law.std.reshape(packed.shape)[packed]
    return _normal(mean.transpose(0, 2, 1), std.transpose(0, 2, 1))


def surroundings(
    data: IrregularSeries, times: Array, scaling: Scaling, *, places: bool
) -> Surroundings:
    """Neighbours of times (B, Q), standardised; with `places`, the times and the statics."""
    return Surroundings.of(
        (data.times - scaling.time_origin) / scaling.time_scale,
        scaling.values.apply(data.values),
        (times - scaling.time_origin) / scaling.time_scale,
        scaling.standardised_statics(data).double().numpy() if places else None,
    )


def tracks_of(data: IrregularSeries, weights: Array, scaling: Scaling) -> Tracks:
    """The channels of the series, one after the other."""
    values = scaling.values.apply(data.values)
    return Tracks.of(
        np.repeat(data.times, values.shape[2], axis=0),
        *(part.transpose(0, 2, 1).reshape(-1, values.shape[1]) for part in (values, weights)),
    )


def _by_series(values: Array, n_channels: int) -> Array:
    """(B, Q, C) of (B C, Q)."""
    return values.reshape(-1, n_channels, values.shape[1]).transpose(0, 2, 1)


def _normal(mean: Array, std: Array) -> Normal:
    spread = torch.as_tensor(np.maximum(std, _LEAST_STD))
    return Normal(torch.as_tensor(mean.copy()), spread, validate_args=False)
