"""Forecasts of irregular series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.data.input import as_series
from trajinfer.metrics import crps
from trajinfer.series.encoder import Encoding
from trajinfer.series.forecast_examples import (
    Examples,
    duration,
    examples_of,
    query_times,
    rehearsal,
)
from trajinfer.series.heads import QueryHead
from trajinfer.series.recent import Recent, recent
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.series.series_estimator import SeriesEstimator, compacted
from trajinfer.training import Loss

_LOG_SPREAD = (-6.0, 3.0)
_CHUNK = 512
_FEWEST_TO_REHEARSE = 10


@dataclass(frozen=True)
class Targets:
    """What followed, standardised.

    Attributes:
        times: (B, Q) rescaled, from the cutoff.
        values: (B, Q, C), NaN = not observed.
    """

    times: Tensor
    values: Tensor

    def rows(self, index: Tensor) -> Targets:
        """Some of the series."""
        return Targets(self.times[index], self.values[index])


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
        dynamics, parameterization, hidden, layers, interpolation, control, noise, step,
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
        network_, scaling_, history_: as for `NeuralSDEClassifier`.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989.
    """

    _: KW_ONLY
    thinning: float = 0.0
    horizon: Any = None
    window: Any = None
    cutoffs: int | None = None
    n_lags: int = 8

    def fit(self, series: Any, y: Any = None, *, held_out: Any = None) -> Self:
        """Fit on forecasts of the later parts of series from the earlier ones.

        Args:
            series: an `IrregularSeries`, or what `as_series` takes.
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
        data = compacted(as_series(series))
        self.n_features_in_, self.axis_ = data.values.shape[2], data.axis
        median_span = float(np.median(data.times[:, -1] - data.times[:, 0])) or 1.0
        self.horizon_ = (
            0.25 * median_span if self.horizon is None else duration(self.horizon, data.axis)
        )
        self.window_ = np.inf if self.window is None else duration(self.window, data.axis)
        examples = examples_of(data, self.horizon_, self.window_, self.cutoffs)
        past, cutoff = examples.past, examples.cutoff
        scale = float(np.median(cutoff - past.times[:, 0])) or self.horizon_
        self.scaling_ = Scaling.of(data, time_origin=0.0, time_scale=scale)
        batch = self.scaling_.batch(past, end=cutoff, origin=cutoff)
        self._begin(batch, self.n_features_in_, batch.statics.shape[1])
        gaps = np.diff(past.times, axis=1)
        self.shape_["lag"] = (float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.1) / scale
        targets = self._targets(examples)
        changes = targets.values - recent(batch, 1, self.shape_["lag"]).last[:, None]
        self.shape_["increment"] = _typical_size(changes).tolist()
        self._fit_examples(batch, targets, examples, rehearse=held_out is None)
        if held_out is not None:
            other = compacted(as_series(held_out).on_axis(data.axis))
            self.scaling_.require(other)
            examples = examples_of(other, self.horizon_, self.window_, self.cutoffs)
            cut = examples.cutoff
            batch = self.scaling_.batch(examples.past, end=cut, origin=cut)
            self._calibrate(batch, self._targets(examples))
        return self

    def forecast(
        self, series: Any, ts: Any, n: int = 100, *, random_state: RandomState = None
    ) -> Forecast:
        """Sample paths after the last time of each series.

        Args:
            series: the past; nothing else is used.
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
        past, later, seed = self._asked(series, ts, random_state)
        mean, spread = self._moments(past, later, min(n, self.n_samples), seed)
        path = torch.arange(n) % len(mean)
        generator = torch_generator(spawn(seed, 1)[0])
        noise = torch.randn((n, *mean.shape[1:]), generator=generator)
        samples = self._in_units(mean[path] + spread[path] * noise)
        return Forecast(
            samples.transpose(1, 0, 2, 3), later, past.channels, past.ids, self.axis_, past
        )

    def predict(self, series: Any, ts: Any, *, random_state: RandomState = None) -> Array:
        """Means of the forecasts, (B, T, C), free of the scatter of a finite number of samples."""
        past, later, seed = self._asked(series, ts, random_state)
        return self._in_units(self._moments(past, later, self.n_samples, seed)[0].mean(0))

    def score(self, series: Any, y: Any = None) -> float:
        """Minus the mean CRPS of forecasts of the last horizon of every series from the rest."""
        self._check_fitted()
        data = as_series(series).on_axis(self.axis_)
        examples = examples_of(compacted(data), self.horizon_, self.window_, 1)
        future = examples.future
        drawn = self.forecast(examples.past, future.times, 100).samples
        known = future.mask
        return -float(np.mean(crps(drawn.transpose(1, 0, 2, 3)[:, known], future.values[known])))

    def _targets(self, examples: Examples) -> Targets:
        """What followed the cutoffs, standardised."""
        later = self.scaling_.batch(examples.future, origin=examples.cutoff)
        return Targets(later.times, later.values)

    def _asked(
        self, series: Any, ts: Any, random_state: RandomState
    ) -> tuple[IrregularSeries, Array, int]:
        self._check_fitted()
        past = as_series(series).on_axis(self.axis_)
        self.scaling_.require(past)
        later = query_times(ts, past.last_times, self.axis_)
        seed = spawn(self.seed_, 5)[4] if random_state is None else seed_from(random_state)
        return past, later, seed

    def _moments(
        self, past: IrregularSeries, later: Array, n: int, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Standardised means and spreads (n, B, Q, C) along n noise paths of every series."""
        cutoff, pieces = past.last_times, []
        if np.isfinite(self.window_):
            past = past.after(cutoff - self.window_)
        batch = self.scaling_.batch(compacted(past), end=cutoff, origin=cutoff)
        times = torch.as_tensor((later - cutoff[:, None]) / self.scaling_.time_scale)
        paths = spawn(seed, n if self.is_noisy else 1)
        with torch.no_grad():
            for rows in torch.arange(len(batch)).split(_CHUNK):
                part = batch.rows(rows)
                drawn = [self._read(part, times[rows], seed=one) for one in paths]
                pieces.append([torch.stack(parts) for parts in zip(*drawn)])
        mean, spread = (torch.cat(parts, dim=1) for parts in zip(*pieces))
        return mean, spread

    def _read(self, batch: SeriesBatch, times: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Standardised means and calibrated spreads (B, Q, C) along one noise path."""
        end = recent(batch, self.n_lags, self.shape_["lag"])
        encoding = self.network_.encoder(batch, times, seed=seed)
        increment, log_spread = self._answer(encoding, end, times)
        scale = torch.tensor(self.shape_["increment"])
        calibrated = scale * torch.tensor(self.calibration_)
        return end.last[:, None] + scale * increment, calibrated * log_spread.exp()

    def _answer(self, encoding: Encoding, end: Recent, times: Tensor) -> tuple[Tensor, Tensor]:
        """Increments and log-spreads, in units of the increments of training."""
        lead = times.to(encoding.last) * (self.scaling_.time_scale / self.horizon_)
        increment, spread = self.network_.head(encoding.asked, end.features, lead)
        return increment, spread.clamp(*_LOG_SPREAD)

    def _fit_examples(
        self, batch: SeriesBatch, targets: Targets, examples: Examples, *, rehearse: bool
    ) -> None:
        kept, held = self._split(examples.rows)
        self.calibration_ = [1.0] * self.n_features_in_
        scale = torch.tensor(self.shape_["increment"])

        def objective(index: Tensor, step: int) -> Loss:
            part, target = batch.rows(index).thinned(self.thinning), targets.rows(index)
            end = recent(part, self.n_lags, self.shape_["lag"])
            encoding = self._encode(part, step, target.times)
            mean, log_spread = self._answer(encoding, end, target.times)
            error = (target.values - end.last[:, None]) / scale - mean
            seen = ~error.isnan()
            square = error[seen].square()
            surprise = 0.5 * square.detach() * (-2 * log_spread[seen]).exp() + log_spread[seen]
            loss = square.mean() + 0.1 * surprise.mean()
            return self._with_penalties(loss, encoding, step, squared_error=square.mean())

        rows = torch.as_tensor(held)
        held_out = batch.rows(rows) if len(held) else batch
        wanted = targets.rows(rows) if len(held) else targets

        def validate() -> float:
            mean, _ = self._read(held_out, wanted.times, seed=self._noise_seed)
            error = (wanted.values - mean) / scale
            return float(error[~error.isnan()].square().mean())

        if rehearse and not len(held) and self.validation > 0:
            self._rehearse(objective, batch, targets, examples)
        self._train(objective, kept, validate if len(held) else None)
        if len(held):
            self._calibrate(held_out, wanted)

    def _rehearse(
        self,
        objective: Callable[[Tensor, int], Loss],
        batch: SeriesBatch,
        targets: Targets,
        examples: Examples,
    ) -> None:
        """Calibrate the spreads on forecasts that a first training has not seen."""
        early, late = rehearsal(examples, self.horizon_, self.seed_)
        if len(early) < _FEWEST_TO_REHEARSE or len(late) < _FEWEST_TO_REHEARSE:
            return
        self._train(objective, early, None, watched=False)
        rows = torch.as_tensor(late)
        self._calibrate(batch.rows(rows), targets.rows(rows))

    def _calibrate(self, batch: SeriesBatch, targets: Targets) -> None:
        """Stretch the spreads until nine of ten held-out values lie within +/- 1.645 of them."""
        with torch.no_grad():
            mean, spread = self._read(batch, targets.times, seed=self._noise_seed)
        size = ((targets.values - mean) / spread).abs().flatten(0, 1)
        factors = torch.nanquantile(size, 0.9, dim=0) / 1.645
        self.calibration_ = torch.nan_to_num(factors, nan=1.0).clamp(0.1, 10.0).tolist()

    def _in_units(self, values: Tensor) -> Array:
        """Standardised values in the units of the data."""
        whole = values.double().numpy() * self.scaling_.spread + self.scaling_.center
        return np.asarray(whole)

    def _head(self) -> nn.Module:
        n_channels = self.shape_["n_channels"]
        n_known = Recent.width(n_channels, self.n_lags) + self.shape_["n_statics"]
        return QueryHead(self.hidden, n_known, n_channels, 2 * self.hidden)

    def _learned(self) -> dict[str, Any]:
        return {
            "horizon": self.horizon_,
            "window": None if np.isinf(self.window_) else self.window_,
            "calibration": self.calibration_,
        }

    def _set_learned(self, learned: dict[str, Any]) -> None:
        self.horizon_, self.calibration_ = learned["horizon"], learned["calibration"]
        self.window_ = np.inf if learned["window"] is None else learned["window"]
        self.n_features_in_ = self.shape_["n_channels"]


def _typical_size(changes: Tensor) -> Tensor:
    """Root mean square (C,) of the changes (B, Q, C) that are known; 1 where there is none."""
    known = ~changes.isnan()
    total = torch.where(known, changes.square(), 0.0).sum((0, 1))
    size = (total / known.sum((0, 1)).clamp(min=1)).sqrt()
    return torch.where(size > 1e-6, size, 1.0)
