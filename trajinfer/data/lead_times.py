"""Times of a forecast: asked for, or an even grid up to a horizon."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array
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

    Raises:
        InputError: if both are given, a time lies before the last one of its series, or they are no
            times of the axis.
    """
    if ts is not None and horizon is not None:
        raise InputError("give ts=, the times, or horizon=, how far to go; got both")
    last = series.last_times
    if ts is not None:
        return series.axis.queries(ts, len(series), after=last)
    reach = longest if horizon is None else series.axis.duration(horizon)
    return np.asarray(last[:, None] + reach * np.arange(1, _N_STEPS + 1) / _N_STEPS)
