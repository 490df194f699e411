"""Seasons: the calendar where times are dates, and periods that the values show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data import TimeAxis
from trajinfer.forecasting.observations import Channel, Observations
from trajinfer.forecasting.repeated_changes import repeated_period

_DAY = 86_400.0
_SECONDS = {"D": _DAY, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_YEAR = 365.2425 * _DAY
_MOST_LAGS = 600
_MOST_ROWS = 1500
_CLEAR = 0.6
_FEWEST_PERIODS = 3
_LEAVES = 1.5


@packable
@dataclass(frozen=True)
class CalendarCycles:
    """Sine and cosine of the hour of the day, the day of the week and the day of the year.

    Attributes:
        periods: in units of the axis.
        offset: what is added to times, so that 0 is a midnight, a Monday and a new year.
    """

    periods: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()

    @classmethod
    def of(cls, data: Observations, axis: TimeAxis) -> CalendarCycles:
        """The cycles that the data resolve and span; none where times are no dates."""
        if axis.kind != "datetime" or axis.origin is None:
            return cls()
        second = 1 / _SECONDS[axis.unit or "D"]
        steps = np.diff(data.times)[np.diff(data.series) == 0]
        if not len(steps):
            return cls()
        gap, span = float(np.median(steps)) / second, float(np.ptp(data.times)) / second
        origin = axis.origin.tz_localize(None)
        year = origin.normalize().replace(month=1, day=1)
        since = {
            _DAY: (origin - origin.normalize()).total_seconds(),
            7 * _DAY: (origin - origin.normalize()).total_seconds() + origin.dayofweek * _DAY,
            _YEAR: (origin - year).total_seconds(),
        }
        chosen = [p for p in since if gap < 0.75 * p and span > (1.5 if p < _YEAR else 0.75) * p]
        return cls(tuple(p * second for p in chosen), tuple(since[p] * second for p in chosen))

    def features(self, times: Array) -> Array:
        """(P, 4 n) at times (P,): two harmonics of each of n cycles."""
        columns = [
            wave(2 * np.pi * k * (times + zero) / period)
            for period, zero in zip(self.periods, self.offset, strict=True)
            for k in (1, 2)
            for wave in (np.sin, np.cos)
        ]
        return np.column_stack(columns) if columns else np.zeros((len(times), 0))


def shown_period(channel: Channel, span: float) -> float:
    """The lag at which a channel comes back to itself, or its changes do; 0 where neither does.

    Args:
        channel: the values.
        span: longest time that a series covers.
    """
    return _returning_period(channel, span) or repeated_period(channel)


def _returning_period(channel: Channel, span: float) -> float:
    """The lag at which the values come back; 0 where they do not.

    Mean squares of changes over lags are computed, their drift taken out, with straight lines
    between observations. A period is the lag of a local minimum that lies below a share of what
    shorter lags reach, and of what lags up to half as long again reach: what comes back must leave
    again. The share is .6 where the period fits many times into the longest series and .3 where it
    does three times, the fewest. Of several minima within a fifth of each other it is the shortest.
    """
    steps = np.diff(channel.times)
    steps = steps[steps > 0]
    if len(channel.values) < 24 or not len(steps):
        return 0.0
    gap = float(np.median(steps))
    n_lags = span / 2 / gap
    if n_lags < 4:
        return 0.0
    every, some = (
        np.arange(1, min(n_lags, _MOST_LAGS // 2) + 1),
        np.geomspace(1, n_lags, _MOST_LAGS),
    )
    lags = gap * np.union1d(every, np.round(some[some > every[-1]]))
    rows = np.linspace(0, len(channel.values) - 1, min(_MOST_ROWS, len(channel.values))).astype(int)
    series = np.searchsorted(channel.starts, rows, side="right") - 1
    mean, square = np.array([_change(channel, rows, series, lag, 3 * gap) for lag in lags]).T
    known = ~np.isnan(mean)
    lags, mean, square = lags[known], mean[known], square[known]
    drift = float(lags @ mean / (lags @ lags)) if len(lags) else 0.0
    size = square - 2 * drift * lags * mean + (drift * lags) ** 2
    return _first_return(lags, size, span)


def _change(
    channel: Channel, rows: Array, series: Array, lag: float, widest: float
) -> tuple[float, float]:
    """Mean of the change over a lag and of its square; NaN where few rows have one."""
    before, gap = channel.at(series, channel.times[rows] - lag, rows)
    usable = gap <= widest
    if usable.sum() < max(12, 0.1 * len(rows)):
        return np.nan, np.nan
    change = (channel.values[rows] - before)[usable]
    return float(change.mean()), float(np.mean(change**2))


def _first_return(lags: Array, size: Array, span: float) -> float:
    if len(lags) < 4:
        return 0.0
    reached = np.maximum.accumulate(size)
    inner = np.flatnonzero((size[1:-1] <= size[:-2]) & (size[1:-1] <= size[2:])) + 1
    later = np.searchsorted(lags, _LEAVES * lags[inner], side="right")
    left = np.array([size[k:end].max() for k, end in zip(inner, later, strict=True)])
    away = np.minimum(reached[inner], left)
    share = _CLEAR * (1 - 0.5 * _FEWEST_PERIODS * lags[inner] / span)
    clear = inner[(size[inner] < share * away) & (lags[inner] <= span / _FEWEST_PERIODS)]
    if not len(clear):
        return 0.0
    depth = size[clear] / reached[clear]
    return float(lags[clear[depth <= 1.2 * depth.min() + 0.02][0]])
