"""Sources of paths behind estimators of series: what goes on from their past, on their clock."""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries, TimeAxis, Trajectories
from trajinfer.data.input import as_series
from trajinfer.functionals.dynamics import PathSource
from trajinfer.generation import DirectedChainGenerator
from trajinfer.long_memory import FractionalSDE
from trajinfer.scores import ScoreSeries
from trajinfer.series import NeuralSDEForecaster

_HIDDEN = "the process behind the observations is asked, without the noise of observation"


class _Forecaster(Protocol):
    n_features_in_: int

    def forecast(self, X: Any, ts: Any, *, n: int, random_state: Any) -> Any: ...


def of_forecaster(process: NeuralSDEForecaster) -> PathSource:
    """Forecasts of series, which are paths where the forecaster says so."""
    check_is_fitted(process, "model_")
    axis = process.model_.axis

    def draw(starts: Any, times: Array, n: int, seed: int) -> Array:
        return _ahead(process, starts, axis, times, n, seed)

    return PathSource(
        draw,
        type(process).__name__,
        int(process.n_features_in_),
        _names(process),
        axis,
        coherent=bool(process.coherent_paths),
        goes_on=True,
        anew=False,
    )


def of_score_series(process: ScoreSeries) -> PathSource:
    """New series from the first time of those fitted, or what goes on from those given."""
    check_is_fitted(process)
    model = process.model_
    axis = model.axis

    def draw(starts: Any, times: Array, n: int, seed: int) -> Array:
        if starts is not None:
            return _ahead(process, starts, axis, times, n, seed)
        drawn = process.sample(n, float(np.min(model.grid)) + times, random_state=seed)
        return cast(Trajectories, drawn).values[None]

    name, dim = type(process).__name__, int(process.n_features_in_)
    return PathSource(draw, name, dim, _names(process), axis, goes_on=True)


def of_fractional(process: FractionalSDE) -> PathSource:
    """New series, or what goes on from those given: paths of X, without noise of observation."""
    check_is_fitted(process)
    axis, model = process.axis_, process.model_

    def draw(starts: Any, times: Array, n: int, seed: int) -> Array:
        if starts is None:
            drawn = cast(Trajectories, process.sample(n, times, random_state=seed))
            return drawn.values[None]
        series = as_series(starts).on_axis(axis)
        asked = series.last_times[:, None] + times
        return model.draws(series, asked, n, seed, noisy=False)

    return PathSource(
        draw,
        "FractionalSDE",
        int(process.n_features_in_),
        _names(process),
        axis,
        goes_on=True,
        notes=(_HIDDEN,),
    )


def of_generator(process: DirectedChainGenerator) -> PathSource:
    """New series, from their first time on."""
    check_is_fitted(process)
    model = process.model_
    if model.engine.own_times:
        raise InputError(
            "series of this generator are rows with times of their own, between which nothing is "
            "known; fit one with transform='standard', a law in continuous time"
        )

    grid = model.engine.grid()
    first = 0.0 if model.engine.from_start else float(np.min(grid))

    def draw(starts: Any, times: Array, n: int, seed: int) -> Array:
        if starts is not None:
            raise InputError("a generator draws its own starts; leave x0 out (None)")
        drawn = model.sample(n, first + times, None, spawn(seed, 1)[0])
        return np.asarray(drawn.values[None])

    return PathSource(
        draw,
        "DirectedChainGenerator",
        int(process.n_features_in_),
        _names(process),
        model.axis,
        times=None if model.engine.any_time else grid - grid[0],
    )


def _ahead(
    process: _Forecaster, starts: Any, axis: TimeAxis, times: Array, n: int, seed: int
) -> Array:
    """Paths (B, n, T, C) that begin with the last observed values, at durations `times` (T,)."""
    if starts is None:
        raise InputError(
            f"a {type(process).__name__} goes on from series; give x0, the series observed so far"
        )
    series = as_series(starts).on_axis(axis)
    asked = series.last_times[:, None] + times[1:]
    samples = process.forecast(series, asked, n=n, random_state=seed).samples
    first = _last_values(series)
    start = np.broadcast_to(first[:, None, None, :], (len(series), n, 1, first.shape[1]))
    return np.concatenate([start, samples], axis=2)


def _last_values(series: IrregularSeries) -> Array:
    """The last observed value of every channel, (B, C).

    Raises:
        InputError: for a series of which a channel was never observed.
    """
    values, mask = series.values, series.mask
    places = np.where(mask, np.arange(values.shape[1])[None, :, None], -1).max(axis=1)
    if (places < 0).any():
        row, channel = np.argwhere(places < 0)[0]
        raise InputError(
            f"channel {series.channels[channel]!r} of series {series.ids[row]!r} was never "
            "observed, so its path has no start; leave that series out"
        )
    return np.asarray(np.take_along_axis(values, places[:, None], axis=1)[:, 0])


def _names(process: Any) -> tuple[str, ...] | None:
    names = getattr(process, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))
