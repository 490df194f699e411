"""Forecasts by a network: a driven state runs on past the last observation and is read there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from trajinfer._core.checks import Array
from trajinfer._core.devices import home_of
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.data.channel_kinds import ChannelKinds, extremes
from trajinfer.data.time_order import TimeOrder
from trajinfer.series.encoder import Encoding
from trajinfer.series.forecast_examples import Examples
from trajinfer.series.likelihood import coverage_factors, known_losses
from trajinfer.series.objective import TrainingPass
from trajinfer.series.recent import Recent, recent
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.series.series_model import SeriesModel, compacted
from trajinfer.training import Loss

_CHUNK = 512
_WEIGHT_OF_NLL = 0.1


@dataclass(frozen=True)
class Targets:
    """Values after the cutoffs, standardised.

    Attributes:
        times: (B, Q) rescaled, from the cutoff.
        values: (B, Q, C), NaN = not observed.
    """

    times: Tensor
    values: Tensor

    @classmethod
    def of(cls, examples: Examples, scaling: Scaling) -> Targets:
        """The futures of examples."""
        later = scaling.batch(examples.future, origin=examples.cutoff)
        return cls(later.times, later.values)

    def rows(self, index: Tensor) -> Targets:
        """Some of the series."""
        return Targets(self.times[index], self.values[index])


@packable
@dataclass(frozen=True, eq=False)
class IncrementScale:
    """Units in which the network sees the end of a series and answers.

    Attributes:
        lag: time between the lags of the window, rescaled.
        n_lags: length of the window.
        increment: (C,) typical size of the increments.
        lead: the horizon, rescaled.
    """

    lag: float
    n_lags: int
    increment: Array
    lead: float

    @property
    def width(self) -> int:
        """Number of features of the end of a series, without statics."""
        return Recent.width(len(self.increment), self.n_lags)

    def recent(self, batch: SeriesBatch) -> Recent:
        """Features of the end of every series."""
        return recent(batch, self.n_lags, self.lag)

    def increments(self, values: Tensor, last: Tensor) -> Tensor:
        """Values (B, Q, C) as increments on the last ones (B, C), in units of the typical size."""
        return (values - last[:, None]) / self._size(values)

    def law(self, increments: Normal, last: Tensor) -> Normal:
        """The law of standardised values from that of increments."""
        size = self._size(increments.mean)
        mean = last[:, None].to(increments.mean.device) + size * increments.mean
        return Normal(mean, size * increments.stddev, validate_args=False)

    def _size(self, like: Tensor) -> Tensor:
        return torch.as_tensor(self.increment).to(like)


@packable
@dataclass(frozen=True, eq=False)
class NetworkForecast:
    """A fitted forecaster.

    Attributes:
        series: the network and its inputs.
        scale: units of increments.
        horizon: duration that the training aimed at.
        window: duration of the past that is used.
        calibration: (C,) factors on the standard deviations.
        kinds: values that the channels can take; None of models of version 0.1.
    """

    series: SeriesModel
    scale: IncrementScale
    horizon: float
    window: float
    calibration: Array
    kinds: ChannelKinds | None = None

    @property
    def axis(self) -> TimeAxis:
        """The axis of the fit."""
        return self.series.axis

    @property
    def channel_scale(self) -> Array:
        """(C,) standard deviations of the training values."""
        return self.series.scaling.values.scale

    def require(self, series: IrregularSeries) -> None:
        """Refuse series with other columns than those of the fit."""
        self.series.scaling.require(series)

    def mean(self, past: IrregularSeries, later: Array) -> Array:
        """Means (B, Q, C) in the units of the data."""
        order = TimeOrder.of(later)
        law = self.law(past, order.times)
        means = self.series.scaling.in_units(law.mean.mean(0))
        if self.kinds is not None:
            seen = extremes(past.flat_values, past.layout.starts)
            means = self.kinds.reaching(*seen).inside(means)
        return order.restore(means, axis=1)

    def samples(self, past: IrregularSeries, later: Array, n: int, seed: int) -> Array:
        """Draws (B, n, Q, C) in the units of the data.

        Args:
            past: B series.
            later: (B, Q) times in any order, not before the last ones.
            n: draws per series.
            seed: of the draws.
        """
        n_paths, order = min(n, self.series.n_paths), TimeOrder.of(later)
        law = self.law(past, order.times, n=n_paths, seed=seed, common_noise=False)
        path = torch.arange(n) % len(law.mean)
        generator = torch_generator(spawn(seed, 1)[0])
        noise = torch.randn((n, *law.mean.shape[1:]), generator=generator)
        samples = self.series.scaling.in_units(law.mean[path] + law.stddev[path] * noise)
        if self.kinds is not None:
            seen = extremes(past.flat_values, past.layout.starts)
            samples = self.kinds.reaching(*seen).attainable(samples)
        return order.restore(samples.transpose(1, 0, 2, 3), axis=2)

    def law(
        self,
        past: IrregularSeries,
        later: Array,
        *,
        n: int | None = None,
        seed: int | None = None,
        common_noise: bool = True,
    ) -> Normal:
        """Standardised laws (n, B, Q, C) along paths of noise."""
        cutoff, scaling = past.last_times, self.series.scaling
        if np.isfinite(self.window):
            past = past.after(cutoff - self.window)
        batch = scaling.batch(compacted(past), end=cutoff, origin=cutoff)
        times = torch.as_tensor((later - cutoff[:, None]) / scaling.time_scale)
        calibration = torch.as_tensor(self.calibration).float().to(home_of(self.series.network))

        def read(encoding: Encoding, rows: Tensor) -> Tensor:
            end = self.scale.recent(batch.rows(rows))
            law = read_increments(self.series, self.scale, encoding, end, times[rows])
            values = self.scale.law(law, end.last)
            return torch.stack([values.mean, calibration * values.stddev], dim=1)

        answers = self.series.answers(
            batch, read, queries=times, n=n, seed=seed, common_noise=common_noise
        )
        mean, std = answers.unbind(2)
        return Normal(mean, std, validate_args=False)

    def calibrated(self, examples: Examples) -> NetworkForecast:
        """The same forecaster with standard deviations that held-out examples ask for."""
        plain = replace(self, calibration=np.ones(len(self.calibration)))
        later = Targets.of(examples, self.series.scaling)
        law = plain.law(examples.past, examples.future.times, n=1, seed=self.series.seeds.noise)
        first = Normal(law.mean[0], law.stddev[0], validate_args=False)
        factors = coverage_factors(first, later.values)
        return replace(self, calibration=factors.double().numpy())


def read_increments(
    series: SeriesModel | TrainingPass,
    scale: IncrementScale,
    encoding: Encoding,
    end: Recent,
    times: Tensor,
) -> Normal:
    """Law of the increments (B, Q, C), in units of those of training."""
    lead = (times / scale.lead).to(encoding.last)
    law: Normal = series.network.head(encoding.asked, end.features.to(lead), lead)
    return law


@dataclass(frozen=True)
class Forecasting:
    """Squared error of the increments, and the likelihood of their standard deviations.

    Attributes:
        passes: through the network in training.
        batch: the pasts.
        targets: their futures.
        scale: units of the increments.
        held: rows kept for validation.
        weight: (B,) of the examples.
    """

    passes: TrainingPass
    batch: SeriesBatch
    targets: Targets
    scale: IncrementScale
    held: Tensor
    weight: Tensor

    def objective(self, index: Tensor, step: int) -> Loss:
        """Loss of thinned pasts."""
        part = self.batch.rows(index).thinned(self.passes.thinning)
        target = self.targets.rows(index)
        end = self.scale.recent(part)
        encoding = self.passes.encode(part, target.times)
        law = read_increments(self.passes, self.scale, encoding, end, target.times)
        change = self.scale.increments(target.values, end.last).to(law.mean)
        known = ~change.isnan()
        weight = _of_each(self.weight[index], known)
        square = (weight * (change - law.mean)[known].square()).mean()
        # the mean follows the squared error alone, so that no point is given up as noisy
        spread = Normal(law.mean.detach(), law.stddev, validate_args=False)
        nll = (weight * known_losses(spread, change)).mean()
        loss = square + _WEIGHT_OF_NLL * nll
        return self.passes.loss(loss, encoding, step, squared_error=square)

    def validate(self) -> float:
        """Squared error of the increments of the series kept aside."""
        part, target = self.batch.rows(self.held), self.targets.rows(self.held)
        end = self.scale.recent(part)
        encoding = self.passes.validation(part, target.times)
        law = read_increments(self.passes, self.scale, encoding, end, target.times)
        error = self.scale.increments(target.values, end.last).to(law.mean) - law.mean
        known = ~error.isnan()
        weight = _of_each(self.weight[self.held], known)
        return float((weight * error[known].square()).sum() / weight.sum().clamp(min=1e-12))


def _of_each(weight: Tensor, known: Tensor) -> Tensor:
    """Weights (P,) of the P known values (b, Q, C) of examples that have those (b,)."""
    every = weight.to(known.device)[:, None, None].expand(known.shape)
    return every[known]
