"""Forecasts of irregular series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.devices import device_of
from trajinfer._core.errors import InputError
from trajinfer._core.estimator import fitted_attributes
from trajinfer._core.seeding import RandomState, Seeds, seed_from
from trajinfer._core.words import renamed, renamed_settings
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.data.channel_kinds import Bounds, ChannelKinds
from trajinfer.data.input import as_series, series_to_learn
from trajinfer.data.lead_times import lead_times, values_ahead
from trajinfer.data.written_forecasts import written_forecasts
from trajinfer.data.written_predictions import mean_path, written_predictions
from trajinfer.forecasting import LawSettings, LeadForecast, NetworkSettings
from trajinfer.metrics import crps
from trajinfer.series.forecast_examples import default_horizon, examples_of
from trajinfer.series.format_1 import forecaster_of
from trajinfer.series.labels import series_that_count
from trajinfer.series.latent_forecaster import LatentForecaster
from trajinfer.series.lead_findings import LeadFindings
from trajinfer.series.network import Dynamics
from trajinfer.series.network_forecast import NetworkForecast
from trajinfer.series.number_settings import check_numbers
from trajinfer.series.series_estimator import SeriesEstimator
from trajinfer.series.series_model import compacted

_LEAD: dict[str, Any] = {
    "hidden": 96,
    "max_epochs": 10,
    "batch_size": 256,
    "lr": 4e-3,
    "weight_decay": 0.05,
    "validation": 0.25,
    "patience": None,
}
_LATENT: dict[str, Any] = {
    name: SeriesEstimator.__dataclass_fields__[name].default for name in _LEAD
}
_OF_LEAD = ("future",)


@renamed_settings(noise="stochastic")
@dataclass(eq=False, repr=False)
class NeuralSDEForecaster(LeadFindings, SeriesEstimator):
    r"""Forecasts at any later times, with uncertainty, of series with holes and times of their own.

    With `dynamics="lead"`, the law of a channel is a stochastic process in the lead h since its
    last value,

    $$y(h) = y_{last} + m(h) + s(h)\,Q(Z_h), \qquad dZ = -Z\,du + \sqrt{2\,du}\;dB,
    \quad u = \gamma \log h + \theta h.$$

    The mean m is a convex mixture of simple experts (persistence, slopes, means, seasons),
    exponential smoothing, an autoregression, a structural model, a ridge, boosted trees and a
    network, with the shares that predict held-out series best. Positive channels are modelled by
    their logarithms where an autoregression of these is clearly the more likely. The scale s is
    that of the network or of the held-out errors, Q maps to their quantiles, and the memory
    $\gamma, \theta$ of Z and the correlation of the channels are those of the held-out errors.
    Paths are paths: more query times change nothing in law, and they start at the last
    observation, up to the noise of measurement. Bounds and whole numbers are found in the data
    and kept.

    With one of the latent dynamics, a latent state is driven along the observations and runs on
    past the last one; a head reads it at every query, and the noise of different times is
    independent.

    Args:
        dynamics: "lead", or a latent one as for `NeuralSDEClassifier`.
        parameterization, interpolation, control, stochastic, step, kl_weight, regularization: of
            the latent dynamics, as for `NeuralSDEClassifier`.
        hidden, layers, max_epochs, batch_size, lr, weight_decay, patience, callbacks, checkpoint,
            random_state, device, verbose: as for `NeuralSDEClassifier`; None takes what suits the
            dynamics: 96 units and 10 epochs of 256 pairs for "lead". Callbacks follow the first
            network.
        validation: share of the series held out. "lead" holds out as many disjoint parts as fit,
            and averages what is learned without each of them; of fewer than 12 series the parts are
            blocks in time where these are long, and of one or two short ones what comes later.
            None: .25 for "lead" and .15 otherwise.
        n_samples: noise paths of the latent state per series for predictions.
        thinning: of the latent dynamics: in training, a random share up to this of the past
            observations is hidden.
        horizon: duration the training aims at; None: a quarter of the median span, or
            the median gap between rows where that is longer.
        window: duration of the past that is used; None: all of it.
        cutoffs: the most forecasts to learn from per series, made at even spaces. None: for "lead"
            every row of every series; otherwise one where there are 200 series or more, and as many
            as make 200 otherwise.
        n_lags: values back that slopes reach; length of the window of lags of latent dynamics.
        bounds: (lower, upper) by name of a channel, None = no bound. Channels that are not named
            are judged by their values; samples never leave the bounds.
        future: names of channels whose later values are known and given to `forecast`; of "lead".

    Attributes:
        horizon_: duration the training aimed at.
        bounds_, channel_kinds_: bounds and kinds of the channels, by name.
        report_: held-out errors by horizon and by age of the series, a row each; of "lead".
        shares_: shares of the experts, within the times of the fit and, where series of one time
            share their shocks, beyond them; of "lead".
        calibration_: factors by which held-out errors widen the intervals, by third of the horizon
            and channel.
        is_rough_: whether the intervals rest on fewer than 30 independent stretches of a horizon.
        model_, n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as for
            `NeuralSDEClassifier`.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989 (the latent dynamics).
    """

    dynamics: Dynamics | Literal["lead"] = "lead"  # type: ignore[assignment]
    _: KW_ONLY
    hidden: int | Sequence[int] | None = None  # type: ignore[assignment]
    max_epochs: int | None = None  # type: ignore[assignment]
    batch_size: int | None = None  # type: ignore[assignment]
    lr: float | None = None  # type: ignore[assignment]
    weight_decay: float | None = None  # type: ignore[assignment]
    validation: float | None = None  # type: ignore[assignment]
    patience: int | None = None
    thinning: float = 0.0
    horizon: Any = None
    window: Any = None
    cutoffs: int | None = None
    n_lags: int = 8
    bounds: Bounds | None = None
    future: Sequence[str] = ()

    accepts = replace(SeriesEstimator.accepts, weights=True)

    @renamed(series="X")
    def fit(
        self, X: Any, y: Any = None, *, held_out: Any = None, sample_weight: Any = None
    ) -> Self:
        """Fit on forecasts of the later parts of series from the earlier ones.

        Args:
            X: an `IrregularSeries`, or what `as_series` takes.
            y: not used.
            held_out: further series on which the spreads are calibrated. None: with "lead", the
                series of each held-out part; otherwise those of `validation`, or, where there are
                too few to keep some aside, the later part of the examples, on which a network that
                was trained on the earlier ones is tried (twice the time; `validation=0` does
                without).
            sample_weight: (B,) weights: 2 counts a series twice, 0 leaves it out; scales and
                seasons of the channels are those of all series alike.

        Raises:
            InputError: for series, weights or settings that cannot be used, such as a horizon that
                leaves no series both a past and a future.
        """
        data, weights = series_that_count(series_to_learn(X), sample_weight)
        if self.dynamics != "lead":
            return self._fit_latent(data, weights, held_out)
        return self._fit_lead(data, weights, held_out)

    @property
    def coherent_paths(self) -> bool:
        """Whether samples are paths along the query times, not only right at each of them."""
        return bool(self._valid_setting("dynamics") == "lead")

    @property
    def horizon_(self) -> float:
        """Duration that the training aimed at, in the unit of the times."""
        return self.model_.horizon

    @renamed(series="X")
    def forecast(
        self,
        X: Any,
        ts: Any = None,
        n: int = 100,
        *,
        horizon: Any = None,
        future: Any = None,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Forecast | Path:
        """Sample paths after the last time of each series.

        Args:
            X: the past; nothing else is used.
            ts: one time, times (T,), or a row per series (B, T), in any order, none before the last
                time of its series.
            n: number of sample paths.
            horizon: in place of times, a duration ahead, cut into 20 steps; by default the horizon
                of the fit.
            future: values (B, T, K) of the channels named by the setting `future` at these times.
            random_state: None uses the estimator's. With "lead", the draws of a series depend on it
                and on the name of the series.
            out: folder to write tables to (`Forecast.to_frame`, in parquet), some series at a time
                as the memory of an open table allows; a call that was killed goes on. Times are
                then common to all series, or a horizon.

        Returns:
            Samples (B, n, T, C); the folder where there is an `out`.

        Raises:
            InputError: for times before the last one of a series, or an `out` of another call.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=1)
        seed = Seeds.of(self.seed_).draws if random_state is None else seed_from(random_state)
        if out is None:
            return self._drawn(X, ts, n, seed, horizon, future)
        if future is not None:
            raise InputError("out= takes no future=; leave one of them out")
        asked, by_name = {"ts": ts, "n": n, "horizon": horizon}, self.coherent_paths
        return written_forecasts(
            out, X, self.model_, seed, asked, self.forecast, seeded_by_name=by_name
        )

    def _drawn(
        self, X: Any, ts: Any, n: int, seed: int, horizon: Any = None, future: Any = None
    ) -> Forecast:
        past, later = self._asked(X, ts, horizon)
        known = self._known(future, later)
        samples = self.model_.samples(past, later, n, seed, **known)
        return Forecast(samples, later, past.channels, past.ids, past.axis, past)

    @renamed(series="X")
    def predict(
        self,
        X: Any,
        ts: Any = None,
        *,
        horizon: Any = None,
        future: Any = None,
        out: str | Path | None = None,
    ) -> Array | Path:
        """Means of the forecasts, (B, T, C), free of the scatter of a finite number of samples.

        Args and errors are those of `forecast`; its tables hold id, time, channel and mean.
        """
        if out is None:
            return self._means(X, ts, horizon, future).samples[:, 0]
        check_is_fitted(self)
        if future is not None:
            raise InputError("out= takes no future=; leave one of them out")
        asked = {"ts": ts, "horizon": horizon}
        return written_predictions(out, X, self.model_, asked, self._means)

    def _means(self, X: Any, ts: Any, horizon: Any, future: Any = None) -> Forecast:
        past, later = self._asked(X, ts, horizon)
        return mean_path(self.model_.mean(past, later, **self._known(future, later)), past, later)

    @renamed(series="X")
    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean CRPS of forecasts of the last horizon of every series from the rest.

        In standard deviations of the training values of each channel.
        """
        check_is_fitted(self)
        model = self.model_
        data = compacted(as_series(X).on_axis(model.axis))
        examples = examples_of(data, model.horizon, model.window, 1)
        future = examples.future
        ahead = (
            future.values[:, :, self._known_channels()] if self._valid_setting("future") else None
        )
        draws = Seeds.of(self.seed_).draws
        drawn = self._drawn(examples.past, future.times, 100, draws, future=ahead).samples
        known, scale = future.mask, model.channel_scale
        drawn = (drawn.transpose(1, 0, 2, 3) / scale)[:, known]
        return -float(np.mean(crps(drawn, (future.values / scale)[known])))

    def _fit_lead(self, data: IrregularSeries, weights: Array | None, held_out: Any) -> Self:
        self._check_lead()
        axis = data.axis
        spans = data.last_times - data.first_times
        horizon = default_horizon(data) if self.horizon is None else axis.duration(self.horizon)
        if spans.max() < horizon:
            raise InputError(
                f"no series has observations both before and within horizon={horizon:g} after a "
                f"cut, {horizon:g} before its end; the longest covers {spans.max():g}; ask for a "
                "shorter horizon or give longer series"
            )
        value = self._value
        settings = LawSettings(
            horizon,
            np.inf if self.window is None else axis.duration(self.window, "window"),
            self.cutoffs,
            tuple(1 << k for k in range(int(self.n_lags).bit_length())),
            int(np.clip(round(1 / value("validation")), 2, 10)),
            self.bounds,
            tuple(self.future),
            NetworkSettings(
                widths=self._lead_widths(),
                max_epochs=value("max_epochs"),
                batch_size=value("batch_size"),
                lr=value("lr"),
                weight_decay=value("weight_decay"),
                patience=self.patience,
                callbacks=self.callbacks,
                verbose=self.verbose,
                device=self.device,
            ),
        )
        seed = once("seed", seed_from, self.random_state)
        model, history = LeadForecast.fit(data, settings, seed, weights)
        if held_out is not None:
            other = as_series(held_out).on_axis(axis)
            model.require(other)
            model = model.recalibrated(other, self.cutoffs, seed)
        self.model_ = model
        self._keep_kinds(model.law.kinds, model.channels)
        self._keep_features(data)
        epochs = max((row["epoch"] for row in history), default=0)
        self._conclude(seed=seed, n_iter=epochs, converged=True, history=history)
        return self

    def _fit_latent(self, data: IrregularSeries, weights: Array | None, held_out: Any) -> Self:
        for name in _OF_LEAD:
            if getattr(self, name):
                raise InputError(
                    f'{name} has no effect on latent dynamics; leave it out or take dynamics="lead"'
                )
        elsewhere = {*_OF_LEAD, "bounds"}
        kinds = ChannelKinds.of(data.flat_values, data.channels, self.bounds)
        settings = {k: v for k, v in self.get_params(deep=False).items() if k not in elsewhere}
        values = {name: self._value(name) for name in _LATENT}
        latent = LatentForecaster(**settings | values)
        latent.fit(data, held_out=held_out, sample_weight=weights)
        for name, value in fitted_attributes(latent).items():
            setattr(self, name, value)
        model: NetworkForecast = latent.model_
        self.model_ = replace(model, kinds=kinds)
        self._keep_kinds(kinds, data.channels)
        return self

    def _keep_kinds(self, kinds: ChannelKinds, channels: Sequence[str]) -> None:
        self.channel_kinds_ = dict(zip(channels, kinds.names, strict=True))
        self.bounds_ = dict(zip(channels, kinds.bounds, strict=True))

    def _value(self, name: str) -> Any:
        """A setting, or what suits the dynamics where it is None."""
        value = getattr(self, name)
        defaults = _LEAD if self.dynamics == "lead" else _LATENT
        return defaults.get(name) if value is None else value

    def _check_lead(self) -> None:
        check_numbers(self._value)
        require_integer(self.n_lags, "n_lags", least=1)
        if self.cutoffs is not None:
            require_integer(self.cutoffs, "cutoffs", least=1)
        if isinstance(self.future, str):
            raise InputError(f"future must list names of channels; try future=[{self.future!r}]")
        share = self._value("validation")
        if not 0 < share <= 0.5:
            raise InputError(
                f'validation must lie in (0, 0.5] for dynamics="lead", got {share!r}; the shares '
                "and the spreads are those of held-out series"
            )
        device_of(self.device)

    def _lead_widths(self) -> tuple[int, ...]:
        hidden: Any = self._value("hidden")
        return (hidden,) * self.layers if np.ndim(hidden) == 0 else tuple(hidden)

    def _asked(self, X: Any, ts: Any, horizon: Any) -> tuple[IrregularSeries, Array]:
        check_is_fitted(self)
        model = self.model_
        past = as_series(X).on_axis(model.axis)
        model.require(past)
        return past, lead_times(past, ts, horizon, model.horizon)

    def _known_channels(self) -> list[int]:
        channels = self._lead_model().channels
        return [channels.index(name) for name in self._valid_setting("future")]

    def _known(self, future: Any, later: Array) -> dict[str, Array]:
        """Values of the channels that are known ahead, as `future=`, where there are such."""
        names = self._valid_setting("future")
        if future is None and not names:
            return {}
        if future is None or not names:
            raise InputError(
                f"the model was fitted with future={tuple(names)!r}; forecast needs future= "
                "where that names channels, and takes none where it does not"
            )
        return {"future": values_ahead(future, (*later.shape, len(names)))}

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The forecaster that version 0.1 wrote."""
        estimator, model = forecaster_of(cls, config, tensors)
        estimator.model_ = model
        return estimator
