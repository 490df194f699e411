"""Times of a forecast: asked for, or an even grid up to a horizon."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data.irregular_series import IrregularSeries

_N_STEPS = 20


def lead_times(series: IrregularSeries, ts: Any, horizon: Any, longest: float) -> Array:
    """Times (B, Q) at which series are forecast, in the order asked.

    Args:
        series: the histories.
        ts: times of the axis of the series, none before the last time of a series; or None.
        horizon: duration ahead of the last time of each series, cut into 20 equal steps; or None.
        longest: the horizon where neither is given.

    Warns:
        FutureWarning: if `ts` is one value that can only be a duration, which it then is.

    Raises:
        InputError: if both are given, a time lies before the last one of its series, or they are no
            times of the axis.
    """
    if ts is not None and horizon is not None:
        raise InputError("give ts=, the times, or horizon=, how far to go; got both")
    last = series.last_times
    if ts is not None and _is_duration(ts, series):
        warnings.warn(
            f"ts is one time or several; {ts!r} cannot be a time after these series and is taken "
            f"as a duration ahead, as version 0.1 did; write horizon={ts!r}",
            FutureWarning,
            stacklevel=4,
        )
        ts, horizon = None, ts
    if ts is not None:
        return series.axis.queries(ts, len(series), after=last)
    reach = longest if horizon is None else series.axis.duration(horizon)
    return np.asarray(last[:, None] + reach * np.arange(1, _N_STEPS + 1) / _N_STEPS)


def _is_duration(ts: Any, series: IrregularSeries) -> bool:
    """Whether a single value cannot be a time that is forecast, but can be a duration."""
    if np.ndim(ts) != 0 or isinstance(ts, (str, bool)):
        return False
    if isinstance(ts, (timedelta, np.timedelta64)):
        return series.axis.kind == "datetime"
    number = isinstance(ts, (int, float, np.number))
    return number and bool(0 < ts < series.last_times.max())


def values_ahead(given: Any, expected: tuple[int, ...]) -> Array:
    """Values (B, Q, K) of channels that are known ahead, NaN = not known.

    Raises:
        InputError: for another shape, or what are no numbers.
    """
    values = as_array(given, "future")
    if values.shape != expected:
        raise InputError(f"future must hold values (B, T, K) = {expected}, got {values.shape}")
    return values
