"""The estimator: an SDE driven by fractional noise, with learned Hurst index, fitted to series."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.archive import save_archive
from trajinfer._core.checks import Array, require_finite, require_integer
from trajinfer._core.errors import ExtrapolationWarning, InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data import Forecast, IrregularSeries, Trajectories
from trajinfer.data.input import as_series
from trajinfer.data.irregular_series import fits_columns
from trajinfer.data.time_axis import TimeAxis
from trajinfer.fractional.nodes import default_nodes
from trajinfer.fractional.normalization import FbmType, as_horizon, as_hurst, check_type
from trajinfer.long_memory.fractional_grid import FractionalGrid, merged_grid
from trajinfer.long_memory.fractional_linear import LinearInference, LinearParameters
from trajinfer.long_memory.fractional_variational import Settings, VariationalInference
from trajinfer.metrics import crps

Drift = Literal["linear", "mlp"]
Inference = Literal["auto", "exact", "variational"]
Likelihood = Literal["gaussian", "student_t"]
_WORDS = {
    "drift": ("linear", "mlp"),
    "inference": ("auto", "exact", "variational"),
    "likelihood": ("gaussian", "student_t"),
}
_REACH = 1.5
_FEWEST = 4
_SCORED_SHARE = 0.2


@dataclass(eq=False, repr=False)
class FractionalSDE(BaseEstimator):  # type: ignore[misc]
    r"""A neural SDE driven by fractional Brownian motion, $dX = b(X)\,dt + \sigma\,dB_H$.

    The noise is the Markov approximation of type I or II with unit variance at time 1, one Hurst
    index per channel; observations are X plus noise. With the linear drift $\theta(m - X)$ and
    Gaussian noise the evidence is exact (a Kalman filter over the nodes). A drift network or
    Student noise is fitted by variational inference: the posterior follows the exact smoother of
    the linear part, which a network corrects, and the memory $Y$ is part of the state, also at the
    start and beyond the last observation.

    Args:
        hurst: "learn", a number, or one per channel (C,).
        n_ou: number of Ornstein-Uhlenbeck nodes.
        fbm_type: 1 for stationary increments, 2 for Riemann-Liouville.
        drift: "linear", or "mlp" for a network added to it.
        likelihood: "gaussian" or "student_t" noise of learned size.
        inference: "exact" (linear and Gaussian only), "variational", or "auto", which is exact
            where it can be.
        latent_dim: None for one process per channel; else d processes behind a linear decoder.
        horizon: the longest duration forecasts will reach from the start of a series; None takes
            1.5 times the longest series.
        hidden: width of the networks.
        max_epochs, batch_size, lr: of the variational training.
        step: largest step of the variational solve, in units of the data; None takes the median
            time between observations.
        random_state: seed of the training and of draws; sampling calls can override it.
        verbose: 1 shows progress.

    Attributes:
        hurst_: (C,) Hurst indices, of the latent processes where there is a latent_dim.
        hurst_interval_: (C, 2) 95 % intervals from the curvature of the joint likelihood with
            theta and the noise; 0 or 1 where the data do not bound the index. For a fit by
            variational inference that of the linear model it starts from.
        elbo_: log-evidence (exact) or its lower bound, of all observations, in units of the data.
        theta_, mean_, volatility_, noise_: (C,) parameters of the linear part.
        stationary_: (C,) bool, whether the process was taken for stationary from the first time on;
            else X has a law of its own there (tracks from an origin, experiments from rest). One
            series alone always is; of several the likelier holds (BIC).
        converged_, history_: of the search or the training.

    Raises:
        InputError: for settings or data that cannot be used, before any work.

    References:
        Daems, Opper, Crevecoeur, Birdal, "Variational Inference for SDEs Driven by Fractional
        Noise", ICLR 2024, arXiv 2310.12975.

    Example:
        >>> from trajinfer.fractional import simulate_fractional_ou
        >>> paths = simulate_fractional_ou(0.7, 1.0, np.arange(0, 6, 0.2), 4, random_state=0)
        >>> series = IrregularSeries.from_arrays(paths.ts, paths.values)
        >>> model = FractionalSDE(random_state=0).fit(series)
        >>> model.forecast(series, [6.5, 7.0], n=10).samples.shape
        (4, 10, 2, 1)
    """

    hurst: Literal["learn"] | float | Sequence[float] = "learn"
    _: KW_ONLY
    n_ou: int = 12
    fbm_type: FbmType = 1
    drift: Drift = "linear"
    likelihood: Likelihood = "gaussian"
    inference: Inference = "auto"
    latent_dim: int | None = None
    horizon: float | None = None
    hidden: int = 32
    max_epochs: int = 100
    batch_size: int = 16
    lr: float = 5e-3
    step: float | None = None
    random_state: RandomState = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to series.

        Args:
            X: `IrregularSeries`, or an array (B, T, C) at unit steps, NaN = not observed.
            y: ignored.

        Raises:
            InputError: for settings or data that cannot be used.
        """
        series = as_series(X)
        self._check_settings()
        _check_data(series)
        self._seed = seed_from(self.random_state)
        self.axis_, self.channels_ = series.axis, series.channels
        self.center_ = np.nanmean(series.values, axis=(0, 1))
        self.spread_ = np.nanstd(series.values, axis=(0, 1))
        longest = float((series.last_times - series.times[:, 0]).max())
        self.horizon_ = _REACH * longest if self.horizon is None else as_horizon(self.horizon)
        if self.horizon_ < longest:
            raise InputError(
                f"horizon {self.horizon_:g} is shorter than the longest series, {longest:g}; it is "
                "the duration from the start of a series that forecasts will reach"
            )
        self._linear = self._inference()
        if hasattr(self, "step_"):
            del self.step_  # of an earlier fit
        if self._is_exact:
            self._fit_exact(series)
        else:
            self._fit_variational(series)
        return self

    def _check_settings(self) -> None:
        for name, known in _WORDS.items():
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"{name}={value!r} is unknown; {nearest(str(value), known)}")
        check_type(self.fbm_type)
        for name in ("n_ou", "hidden", "max_epochs", "batch_size"):
            require_integer(getattr(self, name), name, least=1)
        if self.latent_dim is not None:
            require_integer(self.latent_dim, "latent_dim", least=1)
        if not self.lr > 0 or (self.step is not None and not self.step > 0):
            raise InputError(f"lr and step must be positive, got {self.lr} and {self.step}")
        conjugate = self.drift == "linear" and self.likelihood == "gaussian"
        if self.inference == "exact" and not (conjugate and self.latent_dim is None):
            raise InputError(
                "inference='exact' needs drift='linear', likelihood='gaussian' and no latent_dim; "
                "take inference='auto'"
            )

    @property
    def _is_exact(self) -> bool:
        simple = self.drift == "linear" and self.likelihood == "gaussian"
        return self.inference != "variational" and simple and self.latent_dim is None

    def _inference(self) -> LinearInference:
        nodes = torch.as_tensor(default_nodes(self.n_ou, 1.0, self.fbm_type))
        return LinearInference(nodes, self.fbm_type, 1.0)

    def _fixed_hurst(self, n: int) -> Array | None:
        if isinstance(self.hurst, str):
            if self.hurst != "learn":
                raise InputError(f"hurst must be 'learn', a number or (C,), got {self.hurst!r}")
            return None
        given = np.atleast_1d(as_hurst(self.hurst).detach().numpy())
        if given.shape not in {(1,), (n,)}:
            raise InputError(f"hurst must have one value or {n}, got {len(given)}")
        return np.broadcast_to(given, (n,)).copy()

    def _fit_exact(self, series: IrregularSeries) -> None:
        grid = self._grid(series)
        found = self._linear.fit(grid, self._fixed_hurst(len(self.channels_)))
        self._keep_linear(found.parameters)
        self.hurst_interval_ = found.interval
        self.elbo_ = found.log_evidence - self._log_unit(series)
        self.converged_ = found.converged
        self.history_: list[dict[str, Any]] = [{"seed": self._seed, "elbo": self.elbo_}]

    def _fit_variational(self, series: IrregularSeries) -> None:
        n_processes = self.latent_dim or len(self.channels_)
        fixed = self._fixed_hurst(n_processes)
        self._variational = VariationalInference(self._linear, self._settings())
        report = self._variational.fit(self._grid(series, refined=True), fixed)
        self._keep_linear(self._variational.linear_parameters())
        self.hurst_interval_ = report.interval
        self.elbo_ = report.elbo - self._log_unit(series)
        self.converged_, self.history_ = report.converged, report.history

    def _settings(self) -> Settings:
        return Settings(
            drift=self.drift,
            likelihood=self.likelihood,
            latent_dim=self.latent_dim,
            hidden=self.hidden,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            seed=self._seed,
            verbose=self.verbose,
        )

    def _keep_linear(self, parameters: LinearParameters) -> None:
        """Learned numbers, back in units of the data where a process is a channel."""
        self._parameters = parameters
        p = parameters.arrays()
        spread = self.spread_ if self.latent_dim is None else np.ones(self.latent_dim)
        center = self.center_ if self.latent_dim is None else np.zeros(self.latent_dim)
        self.hurst_ = p["hurst"]
        self.theta_ = p["theta"] / self.horizon_
        self.mean_ = center + spread * p["mean"]
        self.volatility_ = spread * p["volatility"] * self.horizon_ ** -p["hurst"]
        self.noise_ = spread * p["noise"]
        self.stationary_ = np.isnan(p["start_sd"])

    def _log_unit(self, series: IrregularSeries) -> float:
        """What standardising adds to a log-density."""
        return float((series.mask.sum(axis=(0, 1)) * np.log(self.spread_)).sum())

    def _grid(
        self, series: IrregularSeries, queries: Array | None = None, *, refined: bool = False
    ) -> FractionalGrid:
        """Standardised values at times since the start of each series, in units of the horizon."""
        start = series.times[:, :1]
        values = (series.values - self.center_) / self.spread_
        asked = None if queries is None else (queries - start) / self.horizon_
        largest = self._largest_step(series) / self.horizon_ if refined else None
        return merged_grid((series.times - start) / self.horizon_, values, asked, largest)

    def _largest_step(self, series: IrregularSeries) -> float:
        if not hasattr(self, "step_"):
            gaps = np.diff(series.times, axis=1)
            self.step_ = float(np.median(gaps[gaps > 0])) if self.step is None else self.step
        return self.step_

    def forecast(
        self, series: Any, ts: Any, n: int = 100, *, random_state: RandomState = None
    ) -> Forecast:
        """Draw what will be observed after the last time of each series.

        The memory of the noise at the last observation is carried on.

        Args:
            series: what was seen, `IrregularSeries` or as for `fit`.
            ts: (Q,) times or (B, Q), not before the last time of a series; or a duration, which is
                cut into 20 steps from there.
            n: number of paths.
            random_state: None takes the estimator's.

        Raises:
            InputError: if a time is not after the last of its series, or channels differ.

        Warns:
            ExtrapolationWarning: beyond the horizon of the fit.
        """
        check_is_fitted(self, "hurst_")
        history = self._known(series)
        if np.ndim(ts) == 0:
            steps = np.linspace(0, 1, 21)[1:] * self._durations([ts])
            asked = history.last_times[:, None] + steps
        else:
            asked = self._queries(ts, len(history))
        if (asked < history.last_times[:, None]).any():
            raise InputError(
                "ts must not lie before the last time of a series; use interpolate for times "
                "between observations"
            )
        return self._predicted(history, asked, ts, n, random_state)

    def interpolate(
        self, series: Any, ts: Any, n: int = 100, *, random_state: RandomState = None
    ) -> Forecast:
        """Draw what would have been observed at any times from the start of each series on.

        Args:
            series: what was seen.
            ts: (Q,) times or (B, Q).
            n: number of paths.
            random_state: None takes the estimator's.

        Raises:
            InputError: if a time lies before the first of its series, or channels differ.
        """
        check_is_fitted(self, "hurst_")
        history = self._known(series)
        asked = self._queries(ts, len(history))
        if (asked < history.times[:, :1]).any():
            raise InputError("ts must not lie before the first time of a series")
        return self._predicted(history, asked, ts, n, random_state)

    def predict(self, series: Any, ts: Any, n: int = 100) -> Array:
        """Mean of `forecast`, (B, Q, C)."""
        return self.forecast(series, ts, n).mean()

    def sample(self, n: int, ts: Any, *, random_state: RandomState = None) -> Trajectories:
        """Draw n new series of X (without observation noise) at times (T,) from 0 on.

        They count from the start of a series: numbers, or durations where the data have datetimes.

        Raises:
            InputError: if times decrease or are negative.
        """
        check_is_fitted(self, "hurst_")
        n = require_integer(n, "n", least=1)
        seed = self._seed if random_state is None else seed_from(random_state)
        times = self._durations(ts)
        if (times < 0).any() or (np.diff(times) < 0).any():
            raise InputError("ts must be durations since the start of a series, not decreasing")
        at = torch.as_tensor(times / self.horizon_)
        source = self._linear if self._is_exact else self._variational
        drawn = source.prior(at, self._parameters, n, seed).numpy()
        values = self.center_ + self.spread_ * drawn
        return Trajectories(times, values, features=self.channels_, axis=self.axis_.since_start())

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the CRPS, in standard deviations, of forecasts of the last fifth of each series."""
        check_is_fitted(self, "hurst_")
        series = self._known(X)
        cut = np.maximum((series.lengths * (1 - _SCORED_SHARE)).astype(int), 1) - 1
        cutoff = series.times[np.arange(len(series)), cut]
        later = series.times > cutoff[:, None]
        asked = np.where(later, series.times, cutoff[:, None])
        seen = later[..., None] & series.mask
        if not seen.any():
            raise InputError(
                "nothing is observed in the last fifth of the series, so that no forecast can be "
                "scored; give longer series"
            )
        drawn = self.forecast(series.until(series.axis.decode(cutoff)), asked, 100).samples
        members = np.moveaxis(drawn, 1, 0)[:, seen]
        spread = np.broadcast_to(self.spread_, seen.shape)[seen]
        return -float(np.mean(np.asarray(crps(members, series.values[seen])) / spread))

    def _predicted(
        self, history: IrregularSeries, asked: Array, ts: Any, n: int, random_state: RandomState
    ) -> Forecast:
        if (asked - history.times[:, :1]).max() > self.horizon_ * (1 + 1e-9):
            warnings.warn(
                f"times beyond the horizon {self.horizon_:g} since the start of a series: the "
                "memory of the noise was not fitted there; give horizon= to the estimator",
                ExtrapolationWarning,
                stacklevel=3,
            )
        seed = self._seed if random_state is None else seed_from(random_state)
        path_seed, noise_seed = spawn(seed, 2)
        grid = self._grid(history, asked, refined=not self._is_exact)
        n = require_integer(n, "n", least=1)
        if self._is_exact:
            drawn = self._linear.draws(grid, self._parameters, n, path_seed).numpy()
            normal = np.random.default_rng(noise_seed).standard_normal(drawn.shape)
            drawn = drawn + self._parameters.arrays()["noise"] * normal
        else:
            drawn = self._variational.draws(grid, n, path_seed).numpy()
        shared = bool((asked == asked[:1]).all())
        return Forecast(
            self.center_ + self.spread_ * drawn,
            asked[0] if shared else asked,
            self.channels_,
            history.ids,
            history.axis,
            history,
        )

    def _known(self, series: Any) -> IrregularSeries:
        """Series on the axis of the fit.

        Raises:
            InputError: if the channels are others.
        """
        known = as_series(series).on_axis(self.axis_)
        if known.shape[2] != len(self.channels_):
            raise InputError(
                f"the series have {known.shape[2]} channels, the model {len(self.channels_)}"
            )
        if not fits_columns(known.channels, self.channels_):
            raise InputError(
                f"the series have the channels {known.channels}, the model {self.channels_}; give "
                "them by these names, in this order"
            )
        return known

    def _queries(self, ts: Any, n: int) -> Array:
        asked = self.axis_.encode(np.ravel(ts)).reshape(np.shape(ts))
        require_finite(asked, "ts")
        if not asked.size:
            raise InputError("ts is empty; give the times that are asked for")
        if asked.ndim not in (1, 2) or (asked.ndim == 2 and len(asked) != n):
            raise InputError(f"ts must be (Q,) or ({n}, Q), got {asked.shape}")
        if (np.diff(asked, axis=-1) < 0).any():
            raise InputError("ts must not decrease; sort the times first")
        return np.broadcast_to(asked, (n, asked.shape[-1])).copy()

    def _durations(self, ts: Any) -> Array:
        """Times since the start of a series, (T,)."""
        times = self.axis_.since_start().encode(ts)
        if times.ndim != 1 or not times.size:
            raise InputError(f"ts must be one row of times, got shape {times.shape}")
        require_finite(times, "ts")
        return times

    def save(self, path: str | Path) -> Path:
        """Write the fitted model to a folder that `trajinfer.load` reads."""
        check_is_fitted(self, "hurst_")
        hurst = (
            self.hurst if isinstance(self.hurst, (str, float)) else np.ravel(self.hurst).tolist()
        )
        state = self.random_state if isinstance(self.random_state, int) else None
        settings = {**self.get_params(), "hurst": hurst, "random_state": state}
        config = {
            "estimator": "FractionalSDE",
            "settings": settings,
            "seed": self._seed,
            "axis": self.axis_.to_config(),
            "channels": list(self.channels_),
            "values": {k: getattr(self, k) for k in _VALUES if hasattr(self, k)},
        }
        tensors = {k: torch.as_tensor(getattr(self, k)) for k in _ARRAYS}
        for name in LinearParameters.__annotations__:
            tensors[f"linear.{name}"] = getattr(self._parameters, name)
        if not self._is_exact:
            tensors |= self._variational.tensors()
        return save_archive(path, config, tensors)

    @classmethod
    def _from_archive(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        model = cls(**config["settings"])
        model._seed = config["seed"]
        model.axis_ = TimeAxis.from_config(config["axis"])
        model.channels_ = tuple(config["channels"])
        for name, value in config["values"].items():
            setattr(model, name, value)
        for name in _ARRAYS:
            setattr(model, name, tensors[name].numpy())
        names = LinearParameters.__annotations__
        parameters = LinearParameters(*(tensors[f"linear.{name}"] for name in names))
        model._linear = model._inference()
        model._keep_linear(parameters)
        if not model._is_exact:
            model._variational = VariationalInference(model._linear, model._settings())
            model._variational.restore(len(model.channels_), parameters, tensors)
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "hurst_")


_VALUES = ("horizon_", "elbo_", "converged_", "history_", "step_")
_ARRAYS = ("center_", "spread_", "hurst_interval_")


def _check_data(series: IrregularSeries) -> None:
    """Refuse series from which nothing can be learned.

    Raises:
        InputError: for one observation, a constant or an empty channel.
    """
    for c, name in enumerate(series.channels):
        values = series.values[..., c][series.mask[..., c]]
        if len(values) < _FEWEST:
            raise InputError(
                f"channel {name} has {len(values)} observations, at least {_FEWEST} are needed"
            )
        if np.ptp(values) == 0:
            raise InputError(f"channel {name} is constant; drop it, its noise has no index")
    if not (series.last_times > series.times[:, 0]).any():
        raise InputError("every series has a single time; a process needs at least two")
