"""Values between observations from the neighbours in time and the other channels at that time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.distributions import Normal

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.regression import KernelRidge, RidgeMap, fit_kernel_ridge, fit_ridge
from trajinfer.regression.mixture import mixture_of_numbers

EXPERTS = ("smoother", "lines", "ridge", "kernel")
_MOST_POINTS = 3000
_FEWEST_POINTS = 20
_LONGEST_GAP = 2.0
_LEAST_FACTOR, _LARGEST_FACTOR = 0.2, 5.0


@dataclass(frozen=True)
class Surroundings:
    """Neighbours of query times in every channel, without what was observed at the time itself.

    Attributes:
        line: (..., C) straight line between the neighbours, level beyond them; 0 without any.
        before, after: (..., C) values of the neighbours.
        gaps: (..., 2 C) logarithms of 1 + the distance to them.
        now: (..., C) value observed at the time; NaN = none.
        place: (..., P) the time, the time since the start, and what is known of the series: what a
            course common to several series depends on; P = 0 for a series alone.
    """

    line: Array
    before: Array
    after: Array
    gaps: Array
    now: Array
    place: Array

    @classmethod
    def of(
        cls, times: Array, values: Array, queries: Array, statics: Array | None = None
    ) -> Surroundings:
        """Look up neighbours.

        Args:
            times: (B, T) rescaled.
            values: (B, T, C) standardised, NaN = not observed.
            queries: (B, Q) rescaled.
            statics: (B, S) standardised; None: a course common to the series is not looked for.
        """
        n_channels = values.shape[2]
        shape = (*queries.shape, n_channels)
        before, after, now = np.zeros(shape), np.zeros(shape), np.full(shape, np.nan)
        behind, ahead = np.full(shape, np.inf), np.full(shape, np.inf)
        for row, channel in np.ndindex(len(values), n_channels):
            known = ~np.isnan(values[row, :, channel])
            if not known.any():
                continue
            own, x, t = times[row, known], values[row, known, channel], queries[row]
            first, last = np.searchsorted(own, t, "left"), np.searchsorted(own, t, "right")
            here = last > first
            now[row, here, channel] = x[first[here]]
            left, right = first - 1, last
            has = left >= 0
            before[row, has, channel], behind[row, has, channel] = (
                x[left[has]],
                t[has] - own[left[has]],
            )
            has = right < len(own)
            after[row, has, channel], ahead[row, has, channel] = (
                x[right[has]],
                own[right[has]] - t[has],
            )
        only_before, only_after = np.isinf(ahead), np.isinf(behind)
        before = np.where(only_after, after, before)
        after = np.where(only_before, before, after)
        finite_behind = np.where(only_after, 1.0, behind)
        whole = finite_behind + np.where(only_before, 1.0, ahead)
        share = np.where(
            only_after | only_before, 0.5, finite_behind / np.where(whole > 0, whole, 1)
        )
        gaps = np.concatenate(
            [np.log1p(np.minimum(g, _LONGEST_GAP)) for g in (behind, ahead)], axis=2
        )
        line = before + share * (after - before)
        return cls(line, before, after, gaps, now, _place(times, queries, statics))

    def flat(self) -> Surroundings:
        """Those of all queries of all series end to end."""
        parts = (getattr(self, f.name) for f in fields(self))
        return Surroundings(
            *(part.reshape(part.shape[0] * part.shape[1], part.shape[2]) for part in parts)
        )

    @classmethod
    def joined(cls, parts: Sequence[Surroundings]) -> Surroundings:
        """Several ones, one after the other."""
        names = [f.name for f in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def features(self, channel: int, mean: Array) -> Array:
        """(..., F) for one channel, whose own value at the time is not among them.

        Args:
            channel: the channel.
            mean: (..., C) of the smoother.
        """
        n_channels = mean.shape[-1]
        others = np.delete(np.arange(n_channels), channel)
        observed = ~np.isnan(self.now)
        level = np.where(observed, self.now, self.line)
        surprise = np.where(observed, self.now - self.line, 0.0)
        parts = [
            mean[..., [channel]],
            self.line[..., [channel]],
            self.before[..., [channel]],
            self.after[..., [channel]],
            self.gaps[..., [channel, channel + n_channels]],
            level[..., others],
            surprise[..., others],
            observed[..., others].astype(float),
            self.place,
        ]
        return np.concatenate(parts, axis=-1)


def _place(times: Array, queries: Array, statics: Array | None) -> Array:
    """(B, Q, P) what a course common to series depends on."""
    if statics is None:
        return np.zeros((*queries.shape, 0))
    own = np.broadcast_to(statics[:, None], (*queries.shape, statics.shape[1]))
    clock = np.stack([queries, queries - times[:, :1]], axis=2)
    return np.concatenate([clock, own], axis=2)


@packable
@dataclass(frozen=True, eq=False)
class ChannelMixture:
    """The mixture of one channel.

    Attributes:
        ridge, kernel: of what the smoother misses, in standard deviations of training; None where
            there was too little to learn from.
        shares: (4,) of smoother, lines, ridge and kernel; they sum to 1.
        factor: on the standard deviation of the smoother.
    """

    ridge: RidgeMap | None
    kernel: KernelRidge | None
    shares: Array
    factor: float

    def shift(self, features: Array, mean: Array, line: Array) -> Array:
        """What is added to the mean of the smoother, (P,), for features (P, F)."""
        shift = self.shares[1] * (line - mean)
        for share, expert in zip(self.shares[2:], (self.ridge, self.kernel), strict=True):
            if expert is not None and share > 0:
                shift = shift + share * expert(features)[:, 0]
        return np.asarray(shift)


@packable
@dataclass(frozen=True, eq=False)
class CrossChannel:
    """Mixtures of all channels.

    Attributes:
        channels: one mixture each.
        places: whether the experts know the times and the statics of the series.
    """

    channels: tuple[ChannelMixture, ...]
    places: bool

    def __call__(self, around: Surroundings, base: Normal) -> Normal:
        """The law (B, Q, C) of the smoother, moved and stretched."""
        mean, std = base.mean.double().numpy(), base.stddev.double().numpy()
        moved, stretched = mean.copy(), std.copy()
        for c, channel in enumerate(self.channels):
            features = around.features(c, mean)
            shift = channel.shift(
                features.reshape(-1, features.shape[2]),
                mean[:, :, c].ravel(),
                around.line[:, :, c].ravel(),
            )
            moved[:, :, c] += shift.reshape(mean.shape[:2])
            stretched[:, :, c] *= channel.factor
        return Normal(torch.as_tensor(moved), torch.as_tensor(stretched), validate_args=False)


def fit_cross_channel(
    around: Surroundings, base: Normal, hidden: Array, n_draws: int, seed: int
) -> CrossChannel:
    """Learn from hidden values what the smoother misses.

    Every expert is weighed by its leave-one-out predictions of the hidden values.

    Args:
        around: of N times, those of one draw of what is hidden, then of the next one.
        base: law (N, C) of the smoother there.
        hidden: (N, C) standardised values, NaN where nothing was hidden.
        n_draws: number of draws.
        seed: of the choice of points.
    """
    mean, std = base.mean.double().numpy(), base.stddev.double().numpy()
    mixtures = []
    for c, child in enumerate(spawn(seed, hidden.shape[1])):
        points = _points(hidden[:, c], n_draws, child)
        mixtures.append(
            _channel(
                around.features(c, mean)[points],
                (hidden - mean)[points, c],
                (around.line - mean)[points, c],
                std[points, c],
                child,
            )
        )
    return CrossChannel(tuple(mixtures), around.place.shape[1] > 0)


def _points(hidden: Array, n_draws: int, seed: int) -> Array:
    """Places in (N,) of hidden values, each observation in one draw only, at most 3000.

    A value that is hidden in two draws would be held out from itself.
    """
    rng = np.random.default_rng(seed)
    drawn = ~np.isnan(hidden).reshape(n_draws, -1)
    chosen = np.where(drawn, rng.random(drawn.shape), 2.0).argmin(0)
    places = np.flatnonzero(drawn.any(0))
    return rng.permutation(chosen[places] * drawn.shape[1] + places)[:_MOST_POINTS]


def _channel(
    features: Array, missed: Array, to_line: Array, std: Array, seed: int
) -> ChannelMixture:
    """The mixture of one channel from P hidden values."""
    if len(missed) < _FEWEST_POINTS:
        return ChannelMixture(None, None, np.eye(len(EXPERTS))[0], 1.0)
    weights = np.ones(len(missed))
    ridge, first = fit_ridge(features, missed[:, None], weights)
    kernel, second = fit_kernel_ridge(features, missed[:, None], weights, seed)
    answers = np.stack([np.zeros(len(missed)), to_line, first[:, 0], second[:, 0]])
    shares = mixture_of_numbers(answers, missed, weights)
    error = (missed - shares @ answers) / std
    size = float(np.sqrt(np.mean(np.minimum(error**2, 25.0))))
    factor = float(np.clip(size, _LEAST_FACTOR, _LARGEST_FACTOR))
    return ChannelMixture(ridge, kernel, shares, factor)
