"""What a fitted fractional process is asked: forecasts, gaps, new series, scores."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import ExtrapolationWarning, InputError
from trajinfer._core.estimator import Estimator, of_model
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer._core.words import renamed
from trajinfer.data import Forecast, IrregularSeries, Trajectories, as_series
from trajinfer.data.grouping import similar_lengths
from trajinfer.data.lead_times import lead_times
from trajinfer.data.names import fits_columns
from trajinfer.data.time_order import TimeOrder
from trajinfer.data.written_draws import written_draws
from trajinfer.data.written_forecasts import written_forecasts
from trajinfer.data.written_predictions import mean_path, written_predictions
from trajinfer.long_memory.held_back import last_fifth
from trajinfer.long_memory.model import FractionalModel
from trajinfer.metrics import crps

_SCORED_DRAWS = 100


class FractionalVerbs(Estimator):
    """Verbs and views of an estimator whose fit is a `FractionalModel`.

    Attributes:
        model_: the fitted model.
        seed_: of the fit.
    """

    model_: FractionalModel
    seed_: int

    hurst_ = of_model("hurst")
    hurst_interval_ = of_model("interval")
    elbo_ = of_model("elbo")
    theta_ = of_model("theta")
    mean_ = of_model("mean")
    volatility_ = of_model("volatility")
    noise_ = of_model("noise")
    stationary_ = of_model("stationary")
    horizon_ = of_model("span")
    step_ = of_model("largest_step")
    axis_ = of_model("axis")
    channels_ = of_model("channels")

    @renamed(series="X")
    def forecast(
        self,
        X: Any,
        ts: Any = None,
        n: int = 100,
        *,
        horizon: Any = None,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Forecast | Path:
        """Draw what will be observed after the last time of each series.

        The memory of the noise at the last observation is carried on. Draws of different series
        are independent; with exact inference those of a series depend on the seed and its name.

        Args:
            X: the histories, `IrregularSeries` or as for `fit`.
            ts: one time, times (Q,) or a row per series (B, Q), in any order, none before the last
                time of its series.
            n: number of paths.
            horizon: in place of times, a duration ahead of the last time of each series, which is
                cut into 20 steps; by default the horizon of the fit.
            random_state: None takes the seed of the fit.
            out: folder to write tables to (`Forecast.to_frame`, in parquet), some series at a time
                as the memory of an open table allows, with a seed of their own; a call that was
                killed goes on. Times are then common to all series, or a horizon.

        Returns:
            Samples (B, n, Q, C); the folder where there is an `out`.

        Raises:
            InputError: if a time lies before the last of its series, or channels differ.

        Warns:
            ExtrapolationWarning: beyond the horizon of the fit.
        """
        check_is_fitted(self)
        seed = self._seed(random_state)
        if out is not None:
            question = {"ts": ts, "n": n, "horizon": horizon}
            return written_forecasts(out, X, self.model_, seed, question, self.forecast)
        history = self._known(X)
        return self._drawn(history, lead_times(history, ts, horizon, self._ahead), n, seed)

    @renamed(series="X")
    def interpolate(
        self,
        X: Any,
        ts: Any,
        n: int = 100,
        *,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Forecast | Path:
        """Draw what would have been observed at any times from the start of each series on.

        Args:
            X: the observations, `IrregularSeries` or as for `fit`.
            ts: one time, times (Q,) or a row per series (B, Q), in any order.
            n: number of paths.
            random_state: None takes the seed of the fit.
            out: as for `forecast`.

        Raises:
            InputError: if a time lies before the first of its series, or channels differ.
        """
        check_is_fitted(self)
        seed = self._seed(random_state)
        if out is not None:
            question = {"ts": ts, "n": n}
            return written_forecasts(out, X, self.model_, seed, question, self.interpolate)
        history = self._known(X)
        first = history.first_times
        asked = history.axis.queries(
            ts, len(history), after=first, since="the first time of the series"
        )
        return self._drawn(history, asked, n, seed)

    @renamed(series="X")
    def predict(
        self, X: Any, ts: Any = None, *, horizon: Any = None, out: str | Path | None = None
    ) -> Array | Path:
        """Mean (B, Q, C) of the observations that `forecast` draws.

        It is exact where inference is; else a mean of 200 paths that depend on the seed of the fit
        only. The mean of a series does not depend on the others.

        Args:
            X: the histories.
            ts: as for `forecast`.
            horizon: as for `forecast`.
            out: folder to write tables to (id, time, channel, mean), as for `forecast`.

        Raises:
            InputError: as for `forecast`.

        Warns:
            ExtrapolationWarning: beyond the horizon of the fit.
        """
        check_is_fitted(self)
        if out is None:
            return self._means(X, ts, horizon).samples[:, 0]
        asked = {"ts": ts, "horizon": horizon}
        return written_predictions(out, X, self.model_, asked, self._means)

    def _means(self, X: Any, ts: Any, horizon: Any) -> Forecast:
        history = self._known(X)
        asked = lead_times(history, ts, horizon, self._ahead)
        self._warn_beyond(history, asked)
        return mean_path(self.model_.means(history, asked), history, asked)

    def sample(
        self,
        n: int | None = None,
        ts: Any = None,
        *,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Trajectories | Path:
        """Draw new series of X, without observation noise.

        Args:
            n: how many; by default as many as were fitted.
            ts: times since the start of a series, in any order: numbers, or durations where the
                data have datetimes; by default 20 equal steps as far as the longest series went.
            random_state: None takes the seed of the fit.
            out: folder to write tables to (`Trajectories.to_frame`, in parquet), 10 000 paths at a
                time, each with a seed of its own; a call that was killed goes on.

        Returns:
            The series; the folder where there is an `out`.

        Raises:
            InputError: if times are negative or not finite.
        """
        check_is_fitted(self)
        model = self.model_
        n = require_integer(model.n_series if n is None else n, "n", least=1)
        seed = self._seed(random_state)
        if out is not None:
            return written_draws(out, model, n, seed, {"ts": ts}, self.sample)
        grid = model.longest * np.arange(21) / 20
        times = grid if ts is None else model.axis.durations(ts)
        order = TimeOrder.of(times[None])
        values = model.sample(order.times[0], n, seed)[:, order.rank[0]]
        return Trajectories(times, values, features=model.channels, axis=model.axis.since_start())

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the CRPS of forecasts of the last fifth of each series.

        The unit is one standard deviation of the channel in the data of the fit.

        Raises:
            InputError: if nothing is observed in the last fifth of the series.
        """
        check_is_fitted(self)
        series = self._known(X)
        errors = np.concatenate(
            [self._errors(series[rows]) for rows in similar_lengths(series.lengths)]
        )
        if not len(errors):
            raise InputError(
                "nothing is observed in the last fifth of the series, so that no forecast can be "
                "scored; give longer series"
            )
        return -float(errors.mean())

    def _errors(self, series: IrregularSeries) -> Array:
        """CRPS (P,) of the P values known in the last fifth, in deviations of their channels."""
        history, asked, values = last_fifth(series)
        known = ~np.isnan(values)
        if not known.any():
            return np.empty(0)
        drawn = self.model_.draws(history, asked, _SCORED_DRAWS, self.seed_)
        scale = np.broadcast_to(self.model_.scaling.scale, known.shape)[known]
        members = np.moveaxis(drawn, 1, 0)[:, known]
        return np.asarray(crps(members, values[known]) / scale)

    @property
    def _ahead(self) -> float:
        """Longest duration of forecasts."""
        return self.model_.span - self.model_.longest

    def _seed(self, random_state: RandomState) -> int:
        return self.seed_ if random_state is None else seed_from(random_state)

    def _drawn(self, history: IrregularSeries, asked: Array, n: int, seed: int) -> Forecast:
        self._warn_beyond(history, asked)
        n = require_integer(n, "n", least=1)
        shared = bool((asked == asked[:1]).all())
        return Forecast(
            self.model_.draws(history, asked, n, seed),
            asked[0] if shared else asked,
            self.channels_,
            history.ids,
            history.axis,
            history,
        )

    def _warn_beyond(self, history: IrregularSeries, asked: Array) -> None:
        since_start = float((asked - history.first_times[:, None]).max())
        if since_start > self.model_.span * (1 + 1e-9):
            warnings.warn(
                f"times beyond the horizon, {self._ahead:g} ahead of series as long as those of "
                f"the fit or {self.model_.span:g} since the start of a series: the memory of the "
                "noise was not fitted there; give a longer horizon= to the estimator",
                ExtrapolationWarning,
                stacklevel=4,
            )

    def _known(self, X: Any) -> IrregularSeries:
        """Series on the axis of the fit.

        Raises:
            InputError: if the channels are others.
        """
        known = as_series(X).on_axis(self.axis_)
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
