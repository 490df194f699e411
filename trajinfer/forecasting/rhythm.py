"""The rhythm in which series were observed: even steps, months, hours and days of a week, days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.time_axis import TimeAxis

_N_EVEN, _MOST = 20, 60
_MOST_SLOTS = 2000  # five minutes of a week
_WEEK, _MONDAY = 7 * 86_400, pd.Timestamp("1970-01-05").as_unit("s")
_FEWEST_STEPS, _FEWEST_WEEKS = 4, 3
_USUAL = 0.8  # share of the steps, or of the times in a week, from which there is a rhythm
_STRAY = 0.05  # share of the times that may lie outside of it, such as a Saturday worked
_WHOLE = 1e-3  # from a whole number of steps
_ROUNDING = 1e-9  # of a horizon or a step


class Rhythm(Protocol):
    """When a series is observed next."""

    def after(self, last: float, reach: float) -> Array:
        """Times (T,) in (last, last + reach]."""
        ...


def times_ahead(series: IrregularSeries, horizon: Any) -> Array:
    """Times up to a horizon at which series would be observed next, in their own rhythm.

    A rhythm is a step that most observations keep, a number of months, or the days and hours of a
    week at which there are any: of prices on weekdays no time falls on a weekend. Where there is
    none but all steps are whole numbers of the shortest, such as a day, it is that one. Without
    any, and where it has no time within the horizon, the horizon is cut into 20 equal steps.

    Args:
        series: B series; a rhythm is that of all of them together.
        horizon: duration ahead of the last time of each.

    Returns:
        Times (B, T) on the axis of the series, at most 60 for each; of a longer horizon every so
        many are left out.

    Raises:
        InputError: if the horizon is no positive duration.

    Example:
        >>> days = pd.bdate_range("2024-01-01", periods=25)  # until Friday
        >>> prices = IrregularSeries.from_arrays(days, np.ones((1, 25)))
        >>> [str(day.date()) for day in prices.axis.decode(times_ahead(prices, "4D")[0])]
        ['2024-02-05', '2024-02-06']
    """
    reach = series.axis.duration(horizon)
    rhythm, last = rhythm_of(series), series.last_times
    rows = [] if rhythm is None else [rhythm.after(float(t), reach) for t in last]
    count = min((len(row) for row in rows), default=0)
    if count == 0:
        return np.asarray(last[:, None] + reach * np.arange(1, _N_EVEN + 1) / _N_EVEN)
    every = -(-count // _MOST)
    chosen = np.arange(count - 1, -1, -every)[::-1]
    return np.stack([row[chosen] for row in rows])


def rhythm_of(series: IrregularSeries) -> Rhythm | None:
    """The rhythm of all series together; None for times that have none."""
    steps = np.diff(series.flat_times)[np.diff(series.layout.series) == 0]
    if len(steps) < _FEWEST_STEPS:
        return None
    if series.axis.kind == "datetime":
        found = _Months.of(series, steps) or _Week.of(series)
        if found is not None:
            return found
    return _EvenSteps.of(steps) or _EvenSteps.dividing(steps)


@dataclass(frozen=True)
class _EvenSteps:
    size: float

    @classmethod
    def of(cls, steps: Array) -> _EvenSteps | None:
        """The usual step, where all others are whole numbers of it."""
        size = float(np.median(steps))
        number = steps / size
        whole = np.abs(number - np.round(number)) < _WHOLE
        usual = whole & (np.round(number) == 1)
        return cls(size) if whole.mean() >= 1 - _STRAY and usual.mean() >= _USUAL else None

    @classmethod
    def dividing(cls, steps: Array) -> _EvenSteps | None:
        """The shortest step, where all others are whole numbers of it."""
        size = float(steps.min())
        number = steps / size
        return cls(size) if (np.abs(number - np.round(number)) < _WHOLE).all() else None

    def after(self, last: float, reach: float) -> Array:
        count = int(np.floor(reach / self.size * (1 + _ROUNDING)))
        return last + self.size * np.arange(1, count + 1)


@dataclass(frozen=True)
class _Months:
    """The same day of every month, or of every so many; `day` 31 is the last one."""

    number: int
    day: int
    axis: TimeAxis

    @classmethod
    def of(cls, series: IrregularSeries, steps: Array) -> _Months | None:
        """The number of months between days of one number, of which few are left out."""
        if np.median(steps) < series.axis.duration("27D"):
            return None
        dates = _on_the_clock(series.axis, series.flat_times)
        if dates.is_month_end.all():
            day = 31
        elif (dates.day == dates.day[0]).all():
            day = int(dates.day[0])
        else:
            return None
        within = np.diff(series.layout.series) == 0
        months = np.diff(12 * dates.year.to_numpy() + dates.month.to_numpy())[within]
        number = int(np.median(months))
        usual = np.mean(months == number)
        return cls(number, day, series.axis) if number and usual >= _USUAL else None

    def after(self, last: float, reach: float) -> Array:
        end = _on_the_clock(self.axis, np.array([last, last + reach]))
        many = 12 * (end[1].year - end[0].year) + end[1].month - end[0].month
        first = end[0] - pd.Timedelta(days=end[0].day - 1)
        starts = [
            first + pd.DateOffset(months=k) for k in range(self.number, many + 1, self.number)
        ]
        dates = [s + pd.Timedelta(days=min(self.day, s.days_in_month) - 1) for s in starts]
        times = _as_numbers(self.axis, pd.DatetimeIndex(dates))
        return _within(times, last, reach)


@dataclass(frozen=True)
class _Week:
    """Seconds since Monday at which there are observations in most weeks."""

    slots: Array
    axis: TimeAxis

    @classmethod
    def of(cls, series: IrregularSeries) -> _Week | None:
        """The times of a week at which most weeks have an observation, not evenly apart."""
        times = np.unique(series.flat_times)
        seconds = _seconds(_on_the_clock(series.axis, times))
        n_weeks = float(np.ptp(seconds)) / _WEEK
        slots, slot, count = np.unique(seconds % _WEEK, return_inverse=True, return_counts=True)
        often = count >= n_weeks / 2
        if n_weeks < _FEWEST_WEEKS or not 1 < often.sum() <= _MOST_SLOTS:
            return None
        regular = often[slot].mean() >= 1 - _STRAY
        full = count[often].mean() >= _USUAL * n_weeks
        kept = slots[often]
        apart = np.diff([*kept, kept[0] + _WEEK])
        even = bool((apart == apart[0]).all())
        return cls(kept, series.axis) if regular and full and not even else None

    def after(self, last: float, reach: float) -> Array:
        ends = _seconds(_on_the_clock(self.axis, np.array([last, last + reach])))
        weeks = np.arange(ends[0] // _WEEK, ends[1] // _WEEK + 1) * _WEEK
        seconds = (weeks[:, None] + self.slots).ravel().astype(np.int64)
        dates = _MONDAY + pd.to_timedelta(seconds, unit="s")
        times = np.unique(_as_numbers(self.axis, dates))
        return _within(times, last, reach)


def _within(times: Array, last: float, reach: float) -> Array:
    """Those after the last one, up to the reach."""
    rounding = _ROUNDING * reach
    return times[(times > last + rounding) & (times <= last + reach + rounding)]


def _on_the_clock(axis: TimeAxis, times: Array) -> pd.DatetimeIndex:
    """Dates as clocks on the spot show them."""
    return pd.DatetimeIndex(axis.decode(times)).tz_localize(None)


def _as_numbers(axis: TimeAxis, clock: pd.DatetimeIndex) -> Array:
    """Times of the axis of what clocks show; an hour that is skipped is the next that there is."""
    zone = axis.origin.tz  # type: ignore[union-attr]
    twice = np.ones(len(clock), dtype=bool)  # an hour that comes twice is the first one
    return axis.encode(clock.tz_localize(zone, ambiguous=twice, nonexistent="shift_forward"))


def _seconds(clock: pd.DatetimeIndex) -> Array:
    """Whole seconds since a Monday."""
    return np.asarray((clock.as_unit("s") - _MONDAY).asi8, dtype=np.float64)
