"""Forecasts of irregular series by a latent state that runs on past the last observation."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.seeding import Seeds, seed_from
from trajinfer.data import IrregularSeries
from trajinfer.data.input import as_series
from trajinfer.series.forecast_examples import (
    Examples,
    default_horizon,
    examples_of,
    holdout_split,
)
from trajinfer.series.labels import series_that_count
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


@dataclass(eq=False, repr=False)
class LatentForecaster(SeriesEstimator):
    r"""The latent dynamics of `NeuralSDEForecaster`, which says what the settings mean.

    A latent state is driven along the observations and runs on past the last one with the control
    path held. At a query, a head reads the state and what is known at the end (last values, slopes
    of observed pairs, their ages and gaps, a window of lags) and adds an increment to the last
    observation: $x(t_n + \tau) = x_n + s\,(\mu(\tau) + \varsigma(\tau)\,\varepsilon)$, where s is
    the spread of the increments in training. The mean is fitted by squared error, the spread
    $\varsigma$ by its likelihood, and then calibrated on held-out series.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989.
    """

    _: KW_ONLY
    thinning: float = 0.0
    horizon: Any = None
    window: Any = None
    cutoffs: int | None = None
    n_lags: int = 8

    def fit(
        self, X: Any, y: Any = None, *, held_out: Any = None, sample_weight: Any = None
    ) -> Self:
        """Fit on forecasts of the later parts of series from the earlier ones.

        Args:
            X: an `IrregularSeries`, or what `as_series` takes.
            y: not used.
            held_out: series on which the spreads are calibrated; None: those of `validation`, or,
                where there are too few to keep some aside, the later part of the examples, on which
                a network that was trained on the earlier ones is tried (twice the time;
                `validation=0` does without).
            sample_weight: (B,) weights of the series in the loss; 0 leaves one out.

        Raises:
            InputError: for series or settings that cannot be used, such as a horizon that leaves
                no series both a past and a future.
        """
        self._check_settings()
        require_integer(self.n_lags, "n_lags", least=1)
        data, weights = series_that_count(compacted(as_series(X)), sample_weight)
        axis = data.axis
        horizon = default_horizon(data) if self.horizon is None else axis.duration(self.horizon)
        window = np.inf if self.window is None else axis.duration(self.window, "window")
        examples = examples_of(data, horizon, window, self.cutoffs)
        seed = once("seed", seed_from, self.random_state)
        weights = np.ones(len(data)) if weights is None else weights
        training = self._training(data, weights, examples, horizon, window, Seeds.of(seed))
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

    def _training(
        self,
        data: IrregularSeries,
        weights: Array,
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
        weight = torch.as_tensor(weights[examples.rows], dtype=torch.float32)
        return Training(data, batch, targets, weight, scaling, scale, horizon, window, seeds)

    def _trained(
        self, training: Training, rows: Array, held: Array, *, callbacks: bool = True
    ) -> tuple[NetworkForecast, Report]:
        """A network trained on rows of the examples."""
        seeds, scale, scaling = training.seeds, training.scale, training.scaling
        shape = Shape.of([training.batch], self._scaled_step(scaling))
        n_channels, n_known = shape.n_channels, scale.width + shape.n_statics
        width = 2 * self._widths()[0]
        plan = self._plan(shape, "query", n_known=n_known, n_channels=n_channels, width=width)
        network = plan.build(seeds.weights)
        passes = self._training_pass(network, seeds)
        held_rows = torch.as_tensor(held)
        task = Forecasting(
            passes, training.batch, training.targets, scale, held_rows, training.weight
        )
        report = self._recipe(seeds, callbacks=callbacks).fit(
            network, task.objective, rows, task.validate if len(held) else None
        )
        series = SeriesModel(network, scaling, training.data.axis, seeds, self.n_samples)
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


@dataclass(frozen=True)
class Training:
    """Examples as inputs of a network.

    Attributes:
        data: the series that they were cut from.
        batch: the pasts.
        targets: the futures.
        weight: (E,) of the examples.
        scaling: from data to inputs.
        scale: units of the increments.
        horizon, window: durations of the futures and the pasts.
        seeds: of the fit.
    """

    data: IrregularSeries
    batch: SeriesBatch
    targets: Targets
    weight: Tensor
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
