"""A smoother's law at query times, moved and stretched by a driven network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.data import IrregularSeries
from trajinfer.data.channel_kinds import ChannelKinds, extremes
from trajinfer.data.grouping import similar_lengths
from trajinfer.filling.cross_channel import CrossChannel
from trajinfer.filling.linear_prior import PriorFamily
from trajinfer.filling.share_of_network import Comparison
from trajinfer.series.encoder import Encoding
from trajinfer.series.hidden_values import HiddenValues
from trajinfer.series.likelihood import coverage_factors, draws
from trajinfer.series.series_batch import SeriesBatch
from trajinfer.series.series_model import SeriesModel
from trajinfer.series.smoothing import smoothed, surroundings

_JUDGES_OF_A_PRIOR = 20


@packable
@dataclass(frozen=True, eq=False)
class CorrectedSmoother:
    r"""A fitted interpolator: $m(t) + s(t)\,(a\,\mu(z_t) + e^{b \varsigma(z_t)}\,\varepsilon)$.

    Attributes:
        series: the network and its inputs.
        share: (2, C) a and b, the weights of the correction.
        calibration: (C,) factors on the standard deviations.
        cross_channel: moves the smoother's law by the other channels and the neighbours in time;
            None in models of version 0.1.
        family: priors of the smoother.
        kinds: values that the channels can take; None in models of version 0.1, which also drew
            anew what was observed.
    """

    series: SeriesModel
    share: Array
    calibration: Array
    family: PriorFamily
    cross_channel: CrossChannel | None = None
    kinds: ChannelKinds | None = None

    def samples(
        self, data: IrregularSeries, weights: Array, times: Array, n: int, seed: int
    ) -> Array:
        """Draws (B, n, Q, C) of new observations in the units of the data.

        Args:
            data: B series.
            weights: (B, T, C) relative variances of their measurements.
            times: (B, Q) in ascending order.
            n: draws.
            seed: of the noise.
        """
        law = self.law(data, weights, times, seed)
        generator = torch_generator(spawn(seed, 1)[0])
        samples = self.series.scaling.in_units(draws(law, n, generator)).transpose(1, 0, 2, 3)
        if self.kinds is None:
            return samples
        known = observed_at(data, times)[:, None]
        seen = (part[:, None] for part in extremes(data.flat_values, data.layout.starts))
        return np.where(np.isnan(known), self.kinds.reaching(*seen).attainable(samples), known)

    def mean(self, data: IrregularSeries, weights: Array, times: Array) -> Array:
        """Means (B, Q, C) in the units of the data."""
        law = self.law(data, weights, times, self.series.seeds.draws)
        means = self.series.scaling.in_units(law.mean)
        if self.kinds is None:
            return means
        known = observed_at(data, times)
        seen = extremes(data.flat_values, data.layout.starts)
        return np.where(np.isnan(known), self.kinds.reaching(*seen).inside(means), known)

    def law(self, data: IrregularSeries, weights: Array, times: Array, seed: int) -> Normal:
        """Standardised law (B, Q, C) of new observations, found in groups of similar length."""
        n_asked = 1 + (times < times[:, -1:]).sum(1)
        sizes = np.maximum(data.lengths, n_asked)
        # models of version 0.1 take their steps by the place in the batch
        whole = self.series.network.plan.by_batch
        groups = [np.arange(len(data))] if whole else similar_lengths(sizes)
        mean = torch.empty((*times.shape, data.shape[2]), dtype=torch.float64)
        std = torch.empty_like(mean)
        for group in groups:
            part, n = data[group], n_asked[group]
            own = weights[group, : part.times.shape[1]]
            law = self._law(part, own, times[group, : n.max()], seed)
            # the last time of a series is repeated in longer ones
            places = np.minimum(np.arange(times.shape[1]), n[:, None] - 1)
            rows = np.arange(len(group))[:, None]
            mean[group], std[group] = law.mean[rows, places], law.stddev[rows, places]
        return Normal(mean, std, validate_args=False)

    def _law(self, data: IrregularSeries, weights: Array, times: Array, seed: int) -> Normal:
        scaling = self.series.scaling
        base = smoothed(data, weights, times, scaling, self.family)
        if self.cross_channel is not None:
            places = self.cross_channel.places
            base = self.cross_channel(surroundings(data, times, scaling, places=places), base)
        if self.share.any():
            queries = torch.as_tensor((times - scaling.time_origin) / scaling.time_scale)
            moves = self._moves(scaling.batch(data), queries, base.stddev, seed)
            base = corrected(base, moves, torch.as_tensor(self.share))
        stretched = base.stddev * torch.as_tensor(self.calibration)
        return Normal(base.mean, stretched, validate_args=False)

    def _moves(self, batch: SeriesBatch, queries: Tensor, std: Tensor, seed: int) -> Tensor:
        """Shift and stretch (2, B, Q, C) by the network, in units of a standard deviation."""
        head = self.series.network.head

        def read(encoding: Encoding, rows: Tensor) -> Tensor:
            law = head(encoding.asked, std[rows].to(encoding.asked))
            return torch.stack([law.mean, law.stddev.log()], dim=1)

        inside = torch.maximum(queries, batch.times[:, :1])
        paths = self.series.answers(until_start(batch), read, seed=seed, queries=inside)
        return paths.mean(0).transpose(0, 1).double()

    def judged(self, judges: Sequence[HiddenValues]) -> CorrectedSmoother:
        """With the share per channel that judges allow the network, and calibrated on them.

        Args:
            judges: hidden values that neither experts nor network were asked for in training.
        """
        noise = self.series.seeds.noise
        moves = [self._moves(part.context, part.context.times, part.std, noise) for part in judges]
        comparison = Comparison.joined([part.compared(m) for part, m in zip(judges, moves)])
        share = torch.as_tensor(comparison.shares())
        law = corrected(comparison.law, comparison.moves, share)
        n_judges = (~comparison.values.isnan()).sum(0)
        trust = n_judges / (n_judges + _JUDGES_OF_A_PRIOR)
        factors = coverage_factors(law, comparison.values) ** trust
        return replace(self, share=share.numpy(), calibration=factors.numpy())


def corrected(base: Normal, moves: Tensor, share: Tensor) -> Normal:
    """A law (..., C), moved and stretched by shares (2, C) of moves (2, ..., C)."""
    shift, stretch = moves
    mean = base.mean + share[0] * base.stddev * shift
    return Normal(mean, base.stddev * (share[1] * stretch).exp(), validate_args=False)


def observed_at(data: IrregularSeries, times: Array) -> Array:
    """(B, Q, C) values observed at exactly the times (B, Q), NaN where none was."""
    places = np.stack([np.searchsorted(own, asked) for own, asked in zip(data.times, times)])
    places = np.minimum(places, data.times.shape[1] - 1)
    exact = np.take_along_axis(data.times, places, axis=1) == times
    values = np.take_along_axis(data.values, places[:, :, None], axis=1)
    return np.where(exact[:, :, None], values, np.nan)


def until_start(batch: SeriesBatch) -> SeriesBatch:
    """The same series, read from their first time on: all queries then lie behind their end."""
    return replace(batch, end=batch.times[:, 0])
