"""Forecasts of irregular series."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.seeding import RandomState, Seeds, seed_from
from trajinfer._core.words import renamed, renamed_settings
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.data.input import as_series
from trajinfer.metrics import crps
from trajinfer.series.forecast_examples import Examples, examples_of, holdout_split, query_times
from trajinfer.series.format_1 import forecaster_of
from trajinfer.series.network import Shape
from trajinfer.series.network_forecast import (
    Forecasting,
    IncrementScale,
    NetworkForecast,
    Targets,
)
from trajinfer.series.recent import recent
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.series.series_estimator import SeriesEstimator, split
from trajinfer.series.series_model import SeriesModel, compacted
from trajinfer.training import Report

_FEWEST_TO_REHEARSE = 10


@renamed_settings(noise="stochastic")
@dataclass(eq=False, repr=False)
class NeuralSDEForecaster(SeriesEstimator):
    r"""Forecasts at any later times, with uncertainty, of series with holes and times of their own.

    A latent state is driven along the observations and runs on past the last one with the control
    path held. At a query, a head reads the state and what is known at the end (last values, slopes
    of observed pairs, their ages and gaps, a window of lags) and adds an increment to the last
    observation: $x(t_n + \tau) = x_n + s\,(\mu(\tau) + \varsigma(\tau)\,\varepsilon)$, where s is
    the spread of the increments in training. The mean is fitted by squared error, the spread
    $\varsigma$ by its likelihood, and then calibrated on held-out series.

    Args:
        dynamics, parameterization, hidden, layers, interpolation, control, stochastic, step,
            max_epochs, batch_size, lr, weight_decay, kl_weight, validation, patience,
            regularization, callbacks, random_state, device, verbose: as for
            `NeuralSDEClassifier`. Validation holds out whole series.
        n_samples: noise paths of the latent state per series for predictions.
        thinning: in training, a random share up to this of the past observations is hidden.
        horizon: duration the training aims at; None: a quarter of the median span.
        window: duration of the past that is used; None: all of it.
        cutoffs: forecasts to learn from per series, made at even spaces; None: one where there
            are 200 series or more, and as many as make 200 otherwise.
        n_lags: length of the window of lags.

    Attributes:
        horizon_: duration the training aimed at.
        model_, n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as for
            `NeuralSDEClassifier`.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989.
    """

    _: KW_ONLY
    thinning: float = 0.0
    horizon: Any = None
    window: Any = None
    cutoffs: int | None = None
    n_lags: int = 8

    @renamed(series="X")
    def fit(self, X: Any, y: Any = None, *, held_out: Any = None) -> Self:
        """Fit on forecasts of the later parts of series from the earlier ones.

        Args:
            X: an `IrregularSeries`, or what `as_series` takes.
            y: not used.
            held_out: series on which the spreads are calibrated; None: those of `validation`, or,
                where there are too few to keep some aside, the later part of the examples, on which
                a network that was trained on the earlier ones is tried (twice the time;
                `validation=0` does without).

        Raises:
            InputError: for series or settings that cannot be used, such as a horizon that leaves
                no series both a past and a future.
        """
        self._check_settings()
        require_integer(self.n_lags, "n_lags", least=1)
        data = compacted(as_series(X))
        median_span = float(np.median(data.times[:, -1] - data.times[:, 0])) or 1.0
        axis = data.axis
        horizon = 0.25 * median_span if self.horizon is None else axis.duration(self.horizon)
        window = np.inf if self.window is None else axis.duration(self.window, "window")
        examples = examples_of(data, horizon, window, self.cutoffs)
        seed = seed_from(self.random_state)
        training = self._training(data, examples, horizon, window, Seeds.of(seed))
        learned, held = split(examples.rows, self.validation, training.seeds.split)
        rehearsed = None
        if held_out is None and not len(held) and self.validation > 0:
            rehearsed = self._rehearsed_calibration(training, examples, horizon)
        model, report = self._trained(training, learned, held)
        if held_out is not None:
            other = compacted(as_series(held_out).on_axis(axis))
            training.scaling.require(other)
            model = model.calibrated(examples_of(other, horizon, window, self.cutoffs))
        elif len(held):
            model = model.calibrated(examples.subset(held))
        elif rehearsed is not None:
            model = replace(model, calibration=rehearsed)
        self.model_ = model
        self._keep_features(data)
        self._conclude_training(report, seed)
        return self

    @property
    def horizon_(self) -> float:
        """Duration that the training aimed at, in the unit of the times."""
        return self.model_.horizon

    @renamed(series="X")
    def forecast(
        self, X: Any, ts: Any, n: int = 100, *, random_state: RandomState = None
    ) -> Forecast:
        """Sample paths after the last time of each series.

        Args:
            X: the past; nothing else is used.
            ts: times (T,) or (B, T), not before the last one of a series; or one duration, which
                stands for 20 even steps up to it.
            n: number of sample paths.
            random_state: None uses the estimator's.

        Returns:
            Samples (B, n, T, C).

        Raises:
            InputError: for times before the last one of a series.
        """
        require_integer(n, "n", least=1)
        past, later = self._asked(X, ts)
        seeds = self.model_.series.seeds
        seed = seeds.draws if random_state is None else seed_from(random_state)
        samples = self.model_.samples(past, later, n, seed)
        return Forecast(samples, later, past.channels, past.ids, past.axis, past)

    @renamed(series="X")
    def predict(self, X: Any, ts: Any) -> Array:
        """Means of the forecasts, (B, T, C), free of the scatter of a finite number of samples."""
        return self.model_.mean(*self._asked(X, ts))

    @renamed(series="X")
    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean CRPS of forecasts of the last horizon of every series from the rest.

        In standard deviations of the training values of each channel.
        """
        check_is_fitted(self)
        model = self.model_
        data = model.series.series(X)
        examples = examples_of(data, model.horizon, model.window, 1)
        future = examples.future
        drawn = self.forecast(examples.past, future.times, 100).samples.transpose(1, 0, 2, 3)
        scale = model.series.scaling.values.scale
        known = future.mask
        return -float(np.mean(crps((drawn / scale)[:, known], (future.values / scale)[known])))

    def _asked(self, X: Any, ts: Any) -> tuple[IrregularSeries, Array]:
        check_is_fitted(self)
        series = self.model_.series
        past = as_series(X).on_axis(series.axis)
        series.scaling.require(past)
        return past, query_times(ts, past.last_times, series.axis)

    def _training(
        self,
        data: IrregularSeries,
        examples: Examples,
        horizon: float,
        window: float,
        seeds: Seeds,
    ) -> Training:
        """The examples as inputs, and the figures that their network is built from."""
        past, cutoff = examples.past, examples.cutoff
        duration = float(np.median(cutoff - past.times[:, 0])) or horizon
        scaling = Scaling.of(data, time_origin=0.0, time_scale=duration)
        batch = scaling.batch(past, end=cutoff, origin=cutoff)
        gaps = np.diff(past.times, axis=1)
        lag = (float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.1) / duration
        targets = Targets.of(examples, scaling)
        changes = targets.values - recent(batch, 1, lag).last[:, None]
        lead = horizon / scaling.time_scale
        scale = IncrementScale(lag, self.n_lags, _typical_size(changes).numpy(), lead)
        return Training(data, batch, targets, scaling, scale, horizon, window, seeds)

    def _trained(
        self, training: Training, rows: Array, held: Array, *, callbacks: bool = True
    ) -> tuple[NetworkForecast, Report]:
        """A network trained on rows of the examples."""
        seeds, scale, scaling = training.seeds, training.scale, training.scaling
        shape = Shape.of(training.batch, self._scaled_step(scaling))
        n_channels, n_known = shape.n_channels, scale.width + shape.n_statics
        width = 2 * self._widths()[0]
        plan = self._plan(shape, "query", n_known=n_known, n_channels=n_channels, width=width)
        network = plan.build(seeds.weights)
        passes = self._training_pass(network, seeds)
        task = Forecasting(passes, training.batch, training.targets, scale, torch.as_tensor(held))
        report = self._recipe(seeds, callbacks=callbacks).fit(
            network, task.objective, rows, task.validate if len(held) else None
        )
        series = SeriesModel(network.cpu(), scaling, training.data.axis, seeds, self.n_samples)
        ones = np.ones(n_channels)
        return NetworkForecast(series, scale, training.horizon, training.window, ones), report

    def _rehearsed_calibration(
        self, training: Training, examples: Examples, horizon: float
    ) -> Array | None:
        """Factors on the spreads from forecasts that a first training has not seen."""
        early, late = holdout_split(examples, horizon, training.seeds.split)
        if len(early) < _FEWEST_TO_REHEARSE or len(late) < _FEWEST_TO_REHEARSE:
            return None
        model, _ = self._trained(training, early, early[:0], callbacks=False)
        return model.calibrated(examples.subset(late)).calibration

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The forecaster that version 0.1 wrote."""
        estimator, model = forecaster_of(cls, config, tensors)
        estimator.model_ = model
        return estimator


@dataclass(frozen=True)
class Training:
    """Examples as inputs of a network.

    Attributes:
        data: the series that they were cut from.
        batch: the pasts.
        targets: the futures.
        scaling: from data to inputs.
        scale: units of the increments.
        horizon, window: durations of the futures and the pasts.
        seeds: of the fit.
    """

    data: IrregularSeries
    batch: SeriesBatch
    targets: Targets
    scaling: Scaling
    scale: IncrementScale
    horizon: float
    window: float
    seeds: Seeds


def _typical_size(changes: Tensor) -> Tensor:
    """Root mean square (C,) of the changes (B, Q, C) that are known; 1 where there is none."""
    known = ~changes.isnan()
    total = torch.where(known, changes.square(), 0.0).sum((0, 1))
    size = (total / known.sum((0, 1)).clamp(min=1)).sqrt()
    return torch.where(size > 1e-6, size, 1.0)
