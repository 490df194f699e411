"""The estimator: series with times of their own, by a denoiser."""

from __future__ import annotations

import warnings
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import ExtrapolationWarning, InputError, nearest
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, Seeds, seed_from
from trajinfer.data import Forecast, IrregularSeries, Trajectories
from trajinfer.data.channel_kinds import Bounds, ChannelKinds
from trajinfer.data.input import as_series
from trajinfer.data.scaling import Standardisation, is_constant
from trajinfer.data.time_order import TimeOrder
from trajinfer.generation.schema import schema_of
from trajinfer.metrics import crps
from trajinfer.scores.correction import Learned, Schedule
from trajinfer.scores.knot_fit import Seen, fit_complete, fit_incomplete, knots_of
from trajinfer.scores.mixture_choice import levels_for
from trajinfer.scores.observation import LinearObservation, Reward
from trajinfer.scores.series_learning import learn_series, require_short
from trajinfer.scores.series_score_model import SeriesScoreModel

_FEWEST = 20
_GRID = 20
_MEAN_DRAWS = 200


@dataclass(eq=False, repr=False)
class ScoreSeries(Estimator):
    r"""The law of irregular series: draws, gaps, forecasts, likelihoods, anomalies, conditions.

    The law in closed form is that of values at knots, with lines between them. Where all series
    share their times and miss nothing, it is a mixture of Gaussians of whole series, with as many
    parts as foretell hidden values best; else a mixture fitted to series with times and holes of
    their own, with as many parts as make held-out series likeliest.

    With `model="network"` a network with attention between the entries of a series moves its
    denoiser, so that it learns what the closed form does not hold. It is trained on series of which
    everything, some values, some times or the end are hidden. Training ends when the held-out loss,
    every noise level counting alike, gets no better, or when draws come nearer to training series
    than held-out ones do. A network that does not help is left out.

    One model generates, fills in and forecasts, and all draws are paths: their values at several
    times belong together. Channels keep what they can be (whole numbers, positive, levels such as
    0/1, bounds).

    Args:
        model: "mixture", the law in closed form alone, which takes seconds; or "network", which
            takes minutes.
        n_components: parts of the mixture, "auto" by held-out series.
        bounds: lowest and highest value of channels by name, None = as the values show.
        hide: share of the values that `score` hides.
        hidden: width of the network, a multiple of four.
        layers: of attention.
        n_evaluations: evaluations of the denoiser per draw, with a network.
        churn: noise of the sampler; 0 is an ODE.
        max_epochs, batch_size, lr, patience: of the training, see `ScoreDensity`.
        validation: share of the series held out.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed; drawing verbs can override it.
        verbose: 1 shows a bar, 2 logs.

    Attributes:
        model_: the fitted law.
        losses_, memorisation_: as of `ScoreDensity`.
        channel_kinds_, bounds_: kind and bounds of every channel by name, as found from the values.
        n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as everywhere.

    References:
        Tashiro et al., arXiv 2107.03502 (training by hiding); Karras et al., arXiv 2206.00364.

    Example:
        >>> walks = np.random.default_rng(0).normal(size=(60, 8, 1)).cumsum(axis=1)
        >>> series = IrregularSeries.from_arrays(np.arange(8.0), walks)
        >>> model = ScoreSeries(random_state=0).fit(series)
        >>> model.forecast(series[:2].until(4.0), [6.0, 7.0], n=50)
        Forecast(2 series, 50 paths, 2 times, 1 channels)
    """

    model: Literal["mixture", "network"] = "mixture"
    _: KW_ONLY
    n_components: int | Literal["auto"] = "auto"
    bounds: Bounds | None = None
    hide: float = 0.5
    hidden: int = 32
    layers: int = 2
    n_evaluations: int = 10
    churn: float = 0.0
    max_epochs: int = 200
    batch_size: int = 32
    lr: float = 1e-3
    patience: int = 4
    validation: float = 0.15
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the law of series.

        Args:
            X: at least 20 series: an `IrregularSeries`, or what `as_series` takes.
            y: ignored.

        Raises:
            InputError: for settings or series that cannot be used, before any work.
        """
        self._check_settings()
        data = self._read(X)
        if self.model == "network":
            require_short(data)
        seed = once("seed", seed_from, self.random_state)
        seeds = Seeds.of(seed)
        schema = schema_of(data, self.bounds)
        shown = np.stack([k.forward(data.values[..., c]) for c, k in enumerate(schema)], axis=-1)
        scaling = Standardisation.of(shown)
        grid = _grid(data)
        order = np.random.default_rng(seeds.split).permutation(len(data))
        n_held = max(3, round(self.validation * len(data)))
        held, rows = order[:n_held], order[n_held:]
        model = SeriesScoreModel(
            None,  # type: ignore[arg-type]
            None,
            (1.0, 0.5),
            schema,
            scaling,
            data.channels,
            data.axis,
            grid,
            len(data),
            seeds.draws,
        )
        pasts = model.pasts(data)
        parts = [pasts[i] for i in rows], [pasts[i] for i in held]
        if _is_complete(data):
            latent = scaling.apply(shown)
            known = latent[rows], latent[held]
            knots = once("mixture", fit_complete, grid, *known, self.n_components, seeds.weights)
        else:
            times = knots_of(np.asarray(data.flat_times))
            knots = once(
                "mixture",
                fit_incomplete,
                *parts,
                times,
                len(data.channels),
                self.n_components,
                seeds.weights,
            )
        model = replace(model, knots=knots, levels=levels_for(knots.mixture))
        learned = None
        if self.model == "network":
            sizes = {"hidden": int(self.hidden), "layers": int(self.layers)}
            network, learned = learn_series(model.law, *parts, sizes, self._schedule(), seeds)
            model = replace(model, network=network if learned.helps else None)
        self._keep(model, learned, seed)
        return self

    def _keep(self, model: SeriesScoreModel, learned: Learned | None, seed: int) -> None:
        self.model_ = model
        self.n_features_in_ = len(model.channels)
        self.feature_names_in_ = np.array(model.channels, dtype=object)
        self.losses_: dict[str, Array] = {}
        self.memorisation_ = float("nan")
        if learned is None:
            self._conclude(seed=seed, n_iter=0, converged=True, history=[])
            return
        self.losses_ = {"rho": learned.rhos, "loss": learned.by_level}
        self.memorisation_ = learned.memorisation
        self._conclude(
            seed=seed,
            n_iter=learned.report.history[-1]["epoch"],
            converged=learned.report.n_skipped == 0,
            history=learned.report.history,
        )

    def sample(
        self, n: int | None = None, ts: Any = None, *, random_state: RandomState = None
    ) -> Trajectories:
        """Draw n series.

        Args:
            n: number of series; None draws as many as were fitted.
            ts: times (T,) or one time, in any order; None takes those of the training series where
                they share them, else 20 equal steps over their range.
            random_state: None uses the estimator's.

        Warns:
            ExtrapolationWarning: for times outside those of the training series.
        """
        check_is_fitted(self)
        model = self.model_
        n = model.n_series if n is None else require_integer(n, "n", least=1)
        asked = model.grid[None] if ts is None else model.axis.queries(ts, 1)
        times, index = np.unique(asked[0], return_inverse=True)
        self._warn_outside(times)
        values = model.sample(n, times, self._seed(random_state), **self._settings())
        places = index.reshape(-1)
        return Trajectories(
            times[places], values[:, places], features=model.channels, axis=model.axis
        )

    def interpolate(
        self, X: Any, ts: Any, n: int = 100, *, random_state: RandomState = None
    ) -> Forecast:
        """Coherent paths at any times given the observations, which are kept.

        Args:
            X: the observations.
            ts: times, one row for all series or one each, or one time; in any order.
            n: number of paths per series.
            random_state: None uses the estimator's.

        Warns:
            ExtrapolationWarning: for times outside those of the training series.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=1)
        data = self._asked(X)
        asked = self.model_.axis.queries(ts, len(data))
        self._warn_outside(asked)
        return self._paths(data, asked, n, random_state)

    def forecast(
        self,
        X: Any,
        ts: Any = None,
        *,
        horizon: Any = None,
        n: int = 100,
        random_state: RandomState = None,
    ) -> Forecast:
        """Coherent paths after the last observation of each series.

        Beyond the times of the training series they go on as Brownian motion.

        Args:
            X: the observations.
            ts: times, as for `interpolate`, none before the last time of a series.
            horizon: instead of ts a duration ahead of each series' last time, in 20 even steps.
            n: number of paths per series.
            random_state: None uses the estimator's.

        Raises:
            InputError: unless exactly one of `ts` and `horizon` is given.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=1)
        data = self._asked(X)
        axis, last = self.model_.axis, data.last_times
        if (ts is None) == (horizon is None):
            raise InputError("give either ts, the times, or horizon, a duration")
        if ts is not None:
            asked = axis.queries(ts, len(data), after=last)
        else:
            steps = np.arange(1, _GRID + 1) / _GRID * axis.duration(horizon)
            asked = last[:, None] + steps
        return self._paths(data, asked, n, random_state)

    def predict(self, X: Any, ts: Any) -> Array:
        """Means over paths at any times, (B, T, C); the same draws for every series."""
        check_is_fitted(self)
        data = self._asked(X)
        order = TimeOrder.of(self.model_.axis.queries(ts, len(data)))
        self._warn_outside(order.times)
        seeds = [self.model_.seed] * len(data)
        means = [
            self._drawn(past, times, _MEAN_DRAWS, seed).mean(axis=0)
            for past, times, seed in zip(self.model_.pasts(data), order.times, seeds, strict=True)
        ]
        return order.restore(np.stack(means), axis=1)

    def condition(
        self,
        X: Any,
        observation: LinearObservation | Reward,
        ts: Any,
        n: int = 100,
        *,
        random_state: RandomState = None,
    ) -> Forecast:
        """Paths given an observation or tilted by a reward of their values at ts; no retraining.

        By sequential Monte Carlo, see `trajinfer.scores.condition`.

        Args:
            X: the observations.
            observation: of the values at ts (T C,), time after time, in the unit of the data; of
                channels that are modelled as they are (see `channel_kinds_`: "real"), since in
                others it is not linear in what is modelled.
            ts: times (T,) for all series, distinct.
            n: number of paths per series.
            random_state: None uses the estimator's.

        Raises:
            InputError: for another width, or channels of another kind.
            NotConverged: if the particles collapse.
        """
        check_is_fitted(self)
        data = self._asked(X)
        model = self.model_
        other = [
            name for name, kind in self.channel_kinds_.items() if kind not in ("real", "levels")
        ]
        if other:
            raise InputError(
                f"channel {other[0]!r} is {self.channel_kinds_[other[0]]}: an observation of it is "
                "not linear in what is modelled"
            )
        order = TimeOrder.of(model.axis.queries(ts, len(data)))
        if (np.diff(order.times, axis=1) <= 0).any() or (np.diff(order.rank, axis=1) < 0).any():
            raise InputError("ts must rise, each time once, in the order of the observation")
        drawn = [
            model.conditioned(past, times, observation, n, seed)
            for past, times, seed in zip(
                model.pasts(data),
                order.times,
                model.seeds(self._seed(random_state), len(data)),
                strict=True,
            )
        ]
        chosen = np.stack(drawn)
        return Forecast(chosen, order.times, model.channels, data.ids, model.axis, data)

    def log_likelihood(self, X: Any) -> Array:
        """Log-density of the observed values of every series, nats, (B,).

        Exact for the law in closed form, else by the probability flow. Of channels that are not
        "real" it is the density of the continuous value that is modelled.
        """
        check_is_fitted(self)
        data = self._asked(X)
        slopes: Array = np.nansum(self.model_.log_slope(data.values), axis=(1, 2))
        parts = [self.model_.log_density(past) for past in self.model_.pasts(data)]
        return slopes + parts

    def anomaly(self, X: Any) -> Array:
        """How surprising every value is given all others of its series, (B, T, C).

        Minus the log-density in standard units under the law in closed form, NaN where nothing was
        observed. A value in its usual place has about 1 or less; 10 is 4 standard deviations off.
        """
        check_is_fitted(self)
        data = self._asked(X)
        answer = np.full(data.values.shape, np.nan)
        for i, past in enumerate(self.model_.pasts(data)):
            rows = np.searchsorted(data.times[i, : data.lengths[i]], past.times)
            answer[i, rows, past.channels] = self.model_.surprise(past)
        return answer

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean CRPS of values hidden for the occasion, in training deviations."""
        check_is_fitted(self)
        data = self._asked(X)
        shown = data.drop_observations(self.hide, self.model_.seed)
        hidden = data.mask & ~shown.mask
        if not hidden.any():
            raise InputError("nothing can be hidden from these series; give more observations")
        drawn = self._paths(shown, data.times, 100, None).samples.transpose(1, 0, 2, 3)
        scale = np.where(self.scale_ > 0, self.scale_, 1.0)
        return -float(np.mean(crps((drawn / scale)[:, hidden], (data.values / scale)[hidden])))

    @property
    def scale_(self) -> Array:
        """(C,) standard deviations of what is modelled, in the unit of "real" channels."""
        check_is_fitted(self)
        scale: Array = self.model_.scaling.scale
        return scale

    @property
    def channel_kinds_(self) -> dict[str, str]:
        """Kind of every channel, as found from the values."""
        check_is_fitted(self)
        return {n: k.kind for n, k in zip(self.model_.channels, self.model_.schema, strict=True)}

    @property
    def bounds_(self) -> dict[str, tuple[float, float]]:
        """Bounds of every channel."""
        check_is_fitted(self)
        return {
            n: (k.low, k.high)
            for n, k in zip(self.model_.channels, self.model_.schema, strict=True)
        }

    def _paths(
        self, data: IrregularSeries, asked: Array, n: int, random_state: RandomState
    ) -> Forecast:
        model, order = self.model_, TimeOrder.of(asked)
        seeds = model.seeds(self._seed(random_state), len(data))
        drawn = [
            self._drawn(past, times, n, seed)
            for past, times, seed in zip(model.pasts(data), order.times, seeds, strict=True)
        ]
        samples = order.restore(np.stack(drawn), axis=2)
        return Forecast(samples, asked, model.channels, data.ids, model.axis, data)

    def _drawn(self, past: Seen, times: Array, n: int, seed: int) -> Array:
        return self.model_.draws(past, times, n, seed, **self._settings())

    def _settings(self) -> dict[str, Any]:
        return {"n_evaluations": int(self.n_evaluations), "churn": float(self.churn)}

    def _seed(self, random_state: RandomState) -> int:
        return self.model_.seed if random_state is None else seed_from(random_state)

    def _asked(self, X: Any) -> IrregularSeries:
        data = as_series(X).on_axis(self.model_.axis)
        if data.channels != self.model_.channels:
            raise InputError(
                f"X must have the channels {self.model_.channels}, got {data.channels}"
            )
        return data

    def _warn_outside(self, times: Array) -> None:
        first, last = self.model_.knots.knots[[0, -1]]
        if times.min() < first or times.max() > last:
            warnings.warn(
                f"times outside those of the training series, {first:g} to {last:g}: paths go on "
                "there as Brownian motion",
                ExtrapolationWarning,
                stacklevel=3,
            )

    def _read(self, X: Any) -> IrregularSeries:
        data = as_series(X)
        if len(data) < _FEWEST:
            raise InputError(
                f"a law cannot be learned from n_samples={len(data)} series, at least {_FEWEST} "
                "are needed; cut a long series into windows first"
            )
        missing = np.isnan(data.flat_values).all(axis=0)
        if missing.any():
            raise InputError(
                f"channel {data.channels[int(missing.argmax())]!r} is never observed; drop it"
            )
        constant = is_constant(data.flat_values)
        if constant.any():
            raise InputError(
                f"channel {data.channels[int(constant.argmax())]!r} is constant (sd 0): drop it or "
                "add it after sampling"
            )
        ChannelKinds.of(np.asarray(data.flat_values), data.channels, self.bounds)
        return data.compact()

    def _schedule(self) -> Schedule:
        return Schedule(
            int(self.max_epochs),
            int(self.batch_size),
            float(self.lr),
            int(self.patience),
            int(self.verbose),
        )

    def _check_settings(self) -> None:
        if self.model not in ("network", "mixture"):
            raise InputError(
                f"no model {self.model!r}; {nearest(str(self.model), ('network', 'mixture'))}"
            )
        for name in ("hidden", "layers", "n_evaluations", "max_epochs", "batch_size", "patience"):
            require_integer(getattr(self, name), name, least=1)
        if self.hidden % 4:
            raise InputError(f"hidden must be a multiple of four, got {self.hidden}")
        if self.n_components != "auto":
            if isinstance(self.n_components, str):
                raise InputError(
                    f"n_components must be 'auto' or a number, got {self.n_components!r}"
                )
            require_integer(self.n_components, "n_components", least=1)
        for name in ("hide", "validation"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} must lie in (0, 1), got {getattr(self, name)!r}")
        if not (self.churn >= 0 and np.isfinite(self.churn)):
            raise InputError(f"churn must be a number >= 0, got {self.churn!r}; 0 is the ODE")


def _is_complete(data: IrregularSeries) -> bool:
    """Whether all series share their times and miss nothing."""
    lengths = data.lengths
    return bool(
        (lengths == lengths[0]).all()
        and not np.isnan(data.flat_values).any()
        and (data.times == data.times[0]).all()
    )


def _grid(data: IrregularSeries) -> Array:
    """The times of the series where they share them, else even steps over their range."""
    same = (data.lengths == data.lengths[0]).all() and (data.times == data.times[0]).all()
    if same:
        return np.asarray(data.times[0])
    times = data.flat_times
    return np.linspace(times.min(), times.max(), _GRID)
