"""A smoother's law at query times, moved and stretched by a driven network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.data import IrregularSeries
from trajinfer.data.channel_kinds import ChannelKinds
from trajinfer.series.cross_channel import CrossChannel, Surroundings
from trajinfer.series.encoder import Encoding
from trajinfer.series.hidden_values import HiddenValues
from trajinfer.series.likelihood import coverage_factors, draws, known_losses, mean_nll
from trajinfer.series.linear_smoother import left_out, smooth
from trajinfer.series.objective import TrainingPass
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.series.series_model import SeriesModel
from trajinfer.training import Loss

_SHARES = (0.0, 0.25, 0.5, 1.0)
_MOST_QUERIES = 64
_LEAST_STD = 1e-6


@packable
@dataclass(frozen=True, eq=False)
class CorrectedSmoother:
    r"""A fitted interpolator: $m(t) + s(t)\,(a\,\mu(z_t) + e^{a \varsigma(z_t)}\,\varepsilon)$.

    Attributes:
        series: the network and its inputs.
        share: a, the weight of the correction.
        calibration: (C,) factors on the standard deviations.
        cross_channel: moves the smoother's law by the other channels and the neighbours in time;
            None in models of version 0.1.
        kinds: values that the channels can take; None in models of version 0.1, which also drew
            anew what was observed.
    """

    series: SeriesModel
    share: float
    calibration: Array
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
        return np.where(np.isnan(known), self.kinds.attainable(samples), known)

    def mean(self, data: IrregularSeries, weights: Array, times: Array) -> Array:
        """Means (B, Q, C) in the units of the data."""
        law = self.law(data, weights, times, self.series.seeds.draws)
        means = self.series.scaling.in_units(law.mean)
        if self.kinds is None:
            return means
        known = observed_at(data, times)
        return np.where(np.isnan(known), self.kinds.inside(means), known)

    def law(self, data: IrregularSeries, weights: Array, times: Array, seed: int) -> Normal:
        """Standardised law (B, Q, C) of new observations."""
        scaling = self.series.scaling
        base = smoothed(data, weights, times, scaling)
        if self.cross_channel is not None:
            base = self.cross_channel(surroundings(data, times, scaling), base)
        queries = torch.as_tensor((times - scaling.time_origin) / scaling.time_scale)
        return self.corrected(scaling.batch(data), queries, base, seed)

    def corrected(self, batch: SeriesBatch, queries: Tensor, base: Normal, seed: int) -> Normal:
        """The smoother's law, moved and stretched by the share of the correction."""
        mean, std = base.mean, base.stddev
        if self.share > 0:
            head = self.series.network.head

            def read(encoding: Encoding, rows: Tensor) -> Tensor:
                law = head(encoding.asked, std[rows].float())
                return torch.stack([law.mean, law.stddev.log()], dim=1)

            inside = torch.maximum(queries, batch.times[:, :1])
            paths = self.series.answers(until_start(batch), read, seed=seed, queries=inside)
            shift, stretch = paths.mean(0).unbind(1)
            mean = mean + self.share * std * shift
            std = std * (self.share * stretch).exp()
        return Normal(mean, std * torch.as_tensor(self.calibration), validate_args=False)

    def chosen(self, hidden: HiddenValues) -> CorrectedSmoother:
        """With the share that predicts other hidden values best, and calibrated on them.

        The share is 0 unless another one lowers the loss by more than its standard error.
        """
        base = Normal(hidden.mean.double(), hidden.std.double(), validate_args=False)
        laws = {}
        for share in _SHARES:
            model = replace(self, share=share, calibration=np.ones(len(self.calibration)))
            laws[share] = model.corrected(
                hidden.context, hidden.context.times, base, self.series.seeds.noise
            )
        values = hidden.values.double()
        best = min(laws, key=lambda share: float(mean_nll(laws[share], values)))
        gain = known_losses(laws[0.0], values) - known_losses(laws[best], values)
        if len(gain) and gain.mean() <= gain.std(correction=0) / len(gain) ** 0.5:
            best = 0.0
        factors = coverage_factors(laws[best], values)
        return replace(self, share=best, calibration=factors.numpy())


@dataclass(frozen=True)
class Correction:
    """Likelihood of hidden values under the corrected law.

    Attributes:
        passes: through the network in training.
        hidden: the examples to learn from.
        held: other examples, for validation.
    """

    passes: TrainingPass
    hidden: HiddenValues
    held: HiddenValues

    def objective(self, index: Tensor, step: int) -> Loss:
        """Negative log-likelihood of hidden values of some series."""
        part, times = self.hidden.rows(index, _MOST_QUERIES)
        context = until_start(part.context.thinned(self.passes.thinning))
        encoding = self.passes.encode(context, times)
        return self.passes.loss(self._nll(part, encoding), encoding, step)

    def validate(self) -> float:
        """Negative log-likelihood of the values kept aside."""
        context = until_start(self.held.context)
        encoding = self.passes.validation(context, self.held.context.times)
        return float(self._nll(self.held, encoding))

    def _nll(self, part: HiddenValues, encoding: Encoding) -> Tensor:
        law = self.passes.network.head(encoding.asked, part.std.to(encoding.asked))
        return mean_nll(law, ((part.values - part.mean) / part.std).to(law.mean))


def smoothed(data: IrregularSeries, weights: Array, times: Array, scaling: Scaling) -> Normal:
    """Standardised law (B, Q, C) of the smoother, which has a prior per channel and series."""
    mean = np.zeros((*times.shape, data.shape[2]))
    std = np.ones_like(mean)
    for row, channel, _, known in _channels(data, weights, scaling):
        law = smooth(*known, times[row])
        mean[row, :, channel], std[row, :, channel] = law.mean, law.std
    return _normal(mean, std)


def smoothed_from_others(data: IrregularSeries, weights: Array, scaling: Scaling) -> Normal:
    """Standardised law (B, T, C) of every observation, given all others of its channel."""
    mean = np.zeros(data.shape)
    std = np.ones_like(mean)
    for row, channel, observed, known in _channels(data, weights, scaling):
        law = left_out(*known)
        mean[row, observed, channel], std[row, observed, channel] = law.mean, law.std
    return _normal(mean, std)


def _channels(
    data: IrregularSeries, weights: Array, scaling: Scaling
) -> Iterator[tuple[int, int, Array, tuple[Array, Array, Array]]]:
    """Every channel with an observation: places (T,), and times, values and weights there."""
    values = scaling.values.apply(data.values)
    times = data.times
    for row, channel in np.ndindex(len(values), values.shape[2]):
        observed = ~np.isnan(values[row, :, channel])
        if observed.any():
            known = (values[row, observed, channel], weights[row, observed, channel])
            yield row, channel, observed, (times[row, observed], *known)


def _normal(mean: Array, std: Array) -> Normal:
    spread = torch.as_tensor(np.maximum(std, _LEAST_STD))
    return Normal(torch.as_tensor(mean), spread, validate_args=False)


def surroundings(data: IrregularSeries, times: Array, scaling: Scaling) -> Surroundings:
    """Neighbours of times (B, Q) in every channel, standardised."""
    return Surroundings.of(
        (data.times - scaling.time_origin) / scaling.time_scale,
        scaling.values.apply(data.values),
        (times - scaling.time_origin) / scaling.time_scale,
    )


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
