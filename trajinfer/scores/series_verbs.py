"""What a fitted law of series is asked: draws, gaps, forecasts, likelihoods, anomalies."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array, require_fraction, require_integer
from trajinfer._core.errors import ExtrapolationWarning, InputError
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import Forecast, IrregularSeries, Trajectories
from trajinfer.data.input import as_series
from trajinfer.data.time_order import TimeOrder
from trajinfer.data.written_draws import written_draws
from trajinfer.data.written_forecasts import written_forecasts
from trajinfer.data.written_predictions import mean_path, written_predictions
from trajinfer.diffusion.observation import LinearObservation, Reward
from trajinfer.scores.own_times import Drawn, crps_of_hidden, filled_from, rows_with_gaps
from trajinfer.scores.seen import Seen
from trajinfer.scores.series_score_model import SeriesScoreModel
from trajinfer.scores.surprise import Oddness

_STEPS_AHEAD = 20
_MEAN_DRAWS = 200


class SeriesVerbs(Estimator):
    """Verbs of an estimator whose fit is a `SeriesScoreModel`.

    Attributes:
        hide: share of the values that `score` hides.
        n_evaluations, churn: of the sampler.
        model_: the fitted law.
    """

    hide: float
    n_evaluations: int
    churn: float
    model_: SeriesScoreModel

    def sample(
        self,
        n: int | None = None,
        ts: Any = None,
        *,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Trajectories | Path:
        """Draw n series.

        Args:
            n: number of series; None draws as many as were fitted.
            ts: times (T,) or one time, in any order; None takes those of the training series where
                they share them, else 20 equal steps over their range.
            random_state: None uses the estimator's.
            out: folder to write tables to (`Trajectories.to_frame`, in parquet), 10 000 paths at a
                time, each with a seed of its own; a call that was killed goes on.

        Returns:
            The series; the folder where there is an `out`.

        Warns:
            ExtrapolationWarning: for times outside those of the training series.
        """
        check_is_fitted(self)
        model = self.model_
        n = model.n_series if n is None else require_integer(n, "n", least=1)
        if out is not None:
            seed, settings = self._seed(random_state), self._settings()
            return written_draws(out, model, n, seed, {"ts": ts}, self.sample, settings=settings)
        asked = model.grid[None] if ts is None else model.axis.queries(ts, 1)
        times, index = np.unique(asked[0], return_inverse=True)
        self._warn_outside(times)
        values = model.sample(n, times, self._seed(random_state), **self._settings())
        places = index.reshape(-1)
        return Trajectories(
            times[places], values[:, places], features=model.channels, axis=model.axis
        )

    def interpolate(
        self,
        X: Any,
        ts: Any,
        n: int = 100,
        *,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Forecast | Path:
        """Coherent paths at any times given the observations, which are kept.

        Args:
            X: the observations.
            ts: times, one row for all series or one each, or one time; in any order.
            n: number of paths per series.
            random_state: None uses the estimator's.
            out: folder to write tables to (`Forecast.to_frame`, in parquet), some series at a time
                as the memory of an open table allows, with a seed of their own; a call that was
                killed goes on. Times are then common to all series.

        Returns:
            Samples (B, n, T, C); the folder where there is an `out`.

        Warns:
            ExtrapolationWarning: for times outside those of the training series.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=1)
        if out is not None:
            return self._written(out, X, random_state, {"ts": ts, "n": n}, self.interpolate)
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
        out: str | Path | None = None,
    ) -> Forecast | Path:
        """Coherent paths after the last observation of each series.

        Beyond the times of the training series they go on as Brownian motion.

        Args:
            X: the observations.
            ts: times, as for `interpolate`, none before the last time of a series.
            horizon: instead of ts a duration ahead of each series' last time, in 20 even steps.
            n: number of paths per series.
            random_state: None uses the estimator's.
            out: as for `interpolate`; times common to all series, or a horizon.

        Returns:
            Samples (B, n, T, C); the folder where there is an `out`.

        Raises:
            InputError: unless exactly one of `ts` and `horizon` is given.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=1)
        if (ts is None) == (horizon is None):
            raise InputError("give either ts, the times, or horizon, a duration")
        if out is not None:
            question = {"ts": ts, "n": n, "horizon": horizon}
            return self._written(out, X, random_state, question, self.forecast)
        data = self._asked(X)
        axis, last = self.model_.axis, data.last_times
        if ts is not None:
            asked = axis.queries(ts, len(data), after=last)
        else:
            steps = np.arange(1, _STEPS_AHEAD + 1) / _STEPS_AHEAD * axis.duration(horizon)
            asked = last[:, None] + steps
        return self._paths(data, asked, n, random_state)

    def predict(self, X: Any, ts: Any, *, out: str | Path | None = None) -> Array | Path:
        """Means over paths at any times, (B, T, C); the same draws for every series.

        With `out`, tables of id, time, channel and mean are written there, as by `forecast`.
        """
        check_is_fitted(self)
        if out is None:
            return self._means(X, ts).samples[:, 0]
        settings = self._settings()
        return written_predictions(out, X, self.model_, {"ts": ts}, self._means, settings=settings)

    def _means(self, X: Any, ts: Any) -> Forecast:
        data = self._asked(X)
        order = TimeOrder.of(self.model_.axis.queries(ts, len(data)))
        self._warn_outside(order.times)
        seeds = [self.model_.seed] * len(data)
        means = [
            self._drawn(past, times, _MEAN_DRAWS, seed).mean(axis=0)
            for past, times, seed in zip(self.model_.pasts(data), order.times, seeds, strict=True)
        ]
        times = order.restore(order.times, axis=1)
        return mean_path(order.restore(np.stack(means), axis=1), data, times)

    def fill(self, X: Any, *, level: float = 0.9, random_state: RandomState = None) -> pd.DataFrame:
        """The table of the series with its gaps filled; what was observed is kept.

        Means over 200 paths; of channels that are whole numbers or have levels the median.

        Args:
            X: the observations.
            level: of the intervals.
            random_state: None uses the estimator's.

        Returns:
            The columns of `X.to_frame()`, and per channel `<channel>_filled`, which says where the
            value was filled in, `<channel>_low` and `<channel>_high`, the ends of its interval.

        Raises:
            InputError: if `level` does not lie in (0, 1).
        """
        check_is_fitted(self)
        require_fraction(level, "level")
        data = self._asked(X)
        smooth = [kind in ("real", "positive") for kind in self.channel_kinds_.values()]
        return filled_from(self._along(data, _MEAN_DRAWS, random_state), data, smooth, level)

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

        By sequential Monte Carlo, see `trajinfer.diffusion.condition`, under the mixture.

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

        Exact for the law in closed form, by particles where innovations have sizes, by the flow of
        a network. Of channels that are not "real" it is that of the continuous value.
        """
        check_is_fitted(self)
        data = self._asked(X)
        by_time = np.nansum(self.model_.log_slope(data.flat_values), axis=1)
        slopes: Array = np.add.reduceat(by_time, data.layout.starts)
        parts = [self.model_.log_density(past) for past in self.model_.pasts(data)]
        return slopes + parts

    def anomaly(self, X: Any) -> Array:
        """How surprising every value is given all others of its series, (B, T, C).

        Minus the log-density in standard units under the law in closed form, NaN where nothing was
        observed. A value in its usual place has about 1 or less; 10 is 4 standard deviations off,
        or further where a law of few series does not know them well: beyond what the law says,
        values spread as those of series that stay out of its fit, by Student's t.
        """
        return self.oddness(X).score

    def p_values(self, X: Any) -> Array:
        """Chance of a value as far out, given all others of its series, or further, (B, T, C).

        Two-sided, under the law of `anomaly`, NaN where nothing was observed. Of values of series
        that were not learned, and are as those that were, one in twenty has .05 or less.
        """
        return self.oddness(X).p_value

    def oddness(self, X: Any) -> Oddness:
        """`anomaly` and `p_values`, the fields `score` and `p_value`, for the work of one."""
        check_is_fitted(self)
        data = self._asked(X)
        answer = Oddness(*np.full((2, *data.shape), np.nan))
        for i, past in enumerate(self.model_.pasts(data)):
            if not len(past.values):
                continue
            rows = np.searchsorted(data.times[i, : data.lengths[i]], past.times)
            for whole, own in zip(answer, self.model_.oddness(past), strict=True):
                whole[i, rows, past.channels] = own
        return answer

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean CRPS of values hidden for the occasion, in training deviations."""
        check_is_fitted(self)
        data = self._asked(X)
        shown = data.drop_observations(self._valid_setting("hide"), self.model_.seed)
        hidden = ~np.isnan(data.flat_values) & np.isnan(shown.flat_values)
        if not hidden.any():
            raise InputError("nothing can be hidden from these series; give more observations")
        scale = np.where(self.scale_ > 0, self.scale_, 1.0)
        return -crps_of_hidden(self._along(shown, 100, None), data, hidden, scale)

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

    def _along(self, data: IrregularSeries, n: int, random_state: RandomState) -> Iterator[Drawn]:
        """Rows (R,) with gaps of one series after the other, and draws (n, R, C) there."""
        seeds = self.model_.seeds(self._seed(random_state), len(data))
        asked = rows_with_gaps(data, whole=self.model_.ties_times)
        for past, rows, seed in zip(self.model_.pasts(data), asked, seeds, strict=True):
            yield rows, self._drawn(past, data.flat_times[rows], n, seed)

    def _written(
        self,
        out: str | Path,
        X: Any,
        random_state: RandomState,
        asked: dict[str, Any],
        verb: Callable[..., Forecast | Path],
    ) -> Path:
        seed, settings = self._seed(random_state), self._settings()
        return written_forecasts(out, X, self.model_, seed, asked, verb, settings=settings)

    def _drawn(self, past: Seen, times: Array, n: int, seed: int) -> Array:
        return self.model_.draws(past, times, n, seed, **self._settings())

    def _settings(self) -> dict[str, Any]:
        settings = self._valid_settings()
        return {
            "n_evaluations": int(settings["n_evaluations"]),
            "churn": float(settings["churn"]),
        }

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
