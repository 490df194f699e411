"""What is known about a pair of a cut and a later time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.calendar import CalendarCycles
from trajinfer.forecasting.history import History, LeadUnits
from trajinfer.forecasting.observations import Channel, Observations

SEASONAL = 5
_PAST_SEASONS = 6
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Questions:
    r"""P questions: the values of C channels at a time after a cut.

    Attributes:
        history: of each cut.
        lead: (P,) time since the cut.
        own_lead: (P, C) time since the last value of each channel.
        size: (P, C) expected size of the increments, $\sqrt{v(h)}$; the standard
            deviation of a channel without a past.
        seasonal: (P, C, 5) increments that past seasons suggest; NaN where there are none.
        seasons: (P, G) per channel, what the smoothings add at this phase; (P, 0) without one.
        extra: (P, K) calendar and known inputs.
    """

    history: History
    lead: Array
    own_lead: Array
    size: Array
    seasonal: Array
    seasons: tuple[Array, ...]
    extra: Array

    def __len__(self) -> int:
        return len(self.lead)

    def __getitem__(self, index: Array) -> Questions:
        return Questions(
            self.history[index],
            self.lead[index],
            self.own_lead[index],
            self.size[index],
            self.seasonal[index],
            tuple(season[index] for season in self.seasons),
            self.extra[index],
        )


def questions(
    data: Observations,
    past: History,
    cut: Array,
    series: Array,
    times: Array,
    units: LeadUnits,
    calendar: CalendarCycles,
    known: Array | None = None,
) -> Questions:
    """Questions at times (P,) after cuts.

    Args:
        data: the series.
        past: of each question's cut.
        cut, series: (P,) rows of the cuts, and their series.
        times: (P,) of what is asked.
        units, calendar: measures of the training data.
        known: (P, K) inputs known ahead, standardised; None: none.
    """
    lead = times - past.time
    own_lead = lead[:, None] + past.age
    seen = ~np.isnan(own_lead)
    size = np.stack(
        [
            np.where(
                seen[:, c],
                np.sqrt(units.variograms[c](np.nan_to_num(own_lead[:, c]))),
                units.scale[c],
            )
            for c in range(units.n_channels)
        ],
        axis=1,
    )
    own_lead = np.where(seen, own_lead, lead[:, None] + units.horizon)
    size = np.maximum(size, 1e-9 * units.scale)
    asked = _Asked(data, past, cut, series, times)
    seasonal = np.stack(
        [_seasonal(asked, c, float(units.periods[c])) for c in range(units.n_channels)],
        axis=1,
    )
    extra = [calendar.features(times), calendar.features(past.time)]
    extra += [] if known is None else [known]
    seasons = tuple(
        _smoothed_season(asked, c, float(units.periods[c])) for c in range(units.n_channels)
    )
    return Questions(past, lead, own_lead, size, seasonal, seasons, np.concatenate(extra, axis=1))


@dataclass(frozen=True)
class _Asked:
    """P times after cuts, and what was known there.

    Attributes:
        data: the series.
        past: of each cut.
        cut, series: (P,) rows of the cuts, and their series.
        times: (P,) of what is asked.
    """

    data: Observations
    past: History
    cut: Array
    series: Array
    times: Array

    def of(self, index: int) -> tuple[Channel, Array, Array]:
        """A channel, the last of its rows (P,) before the cuts, and the times of these."""
        channel = self.data.channel(index)
        last = np.searchsorted(channel.rows, self.cut, side="right") - 1
        return channel, last, self.past.time - self.past.age[:, index]


def _seasonal(asked: _Asked, index: int, period: float) -> Array:
    """Increments (P, 5) that past seasons suggest."""
    past, times = asked.past, asked.times
    result = np.full((len(times), SEASONAL), np.nan)
    if period <= 0:
        return result
    channel, last, last_time = asked.of(index)
    here = past.last[:, index]
    whole = _whole_periods(times - past.time, period)
    # a time that rounding puts behind the last value is that of the last value
    times = np.minimum(times, last_time + whole * period)
    then, start = (
        np.stack(
            [
                _value_at(channel, asked.series, when - (whole + k) * period, last, period / 4)
                for k in range(_PAST_SEASONS)
            ],
            axis=1,
        )
        for when in (times, last_time)
    )
    return _past_seasons(here, whole, then, start)


def _smoothed_season(asked: _Asked, index: int, period: float) -> Array:
    """Smoothed seasons (P, G) a whole number of periods before the times asked about."""
    times = asked.times
    of_values = asked.past.states[index].seasonal.season
    if not of_values.size:
        return np.full((len(times), of_values.shape[1]), np.nan)
    channel, last, last_time = asked.of(index)
    whole = _whole_periods(times - last_time, period)
    then = np.minimum(times - whole * period, last_time)
    left, right, share, gap = channel.between(asked.series, then, last)
    found = of_values[left] + share[:, None] * (of_values[right] - of_values[left])
    return np.where((gap <= period / 4)[:, None], found, np.nan)


def _whole_periods(lead: Array, period: float) -> Array:
    """Periods to go back to where something was observed; times may be rounded."""
    return np.asarray(np.ceil(lead / period - _ROUNDING))


def _value_at(channel: Channel, series: Array, times: Array, last: Array, widest: float) -> Array:
    """Values at times, NaN where the neighbours are farther apart than `widest`."""
    value, gap = channel.at(series, times, last)
    return np.where(gap <= widest, value, np.nan)


def _past_seasons(here: Array, whole: Array, then: Array, start: Array) -> Array:
    """Increments (P, 5) by what was at the same phases in K past seasons.

    Args:
        here: (P,) last values.
        whole: (P,) number of seasons back to the first of them.
        then: (P, K) values at the phase that is asked about.
        start: (P, K) values at the phase of the last value.
    """
    moved = then - start
    known = ~np.isnan(moved)
    older = known.sum(axis=1) - 1
    oldest = np.maximum(np.where(known, np.arange(known.shape[1]), 0).max(axis=1), 1)[:, None]
    # growth per season: of the phase asked about where there are two of them, and of the last one
    of_start = (here - start[:, 0]) / np.maximum(whole, 1)
    both = [
        (then[:, 0] - np.take_along_axis(then, oldest, axis=1)[:, 0]) / oldest[:, 0],
        (here - np.take_along_axis(start, oldest, axis=1)[:, 0]) / (whole + oldest[:, 0]),
    ]
    growth = np.where(older > 0, np.mean(both, axis=0), of_start)
    count = np.maximum(known.sum(axis=1), 1)
    found = np.column_stack(
        [
            then[:, 0] - here,
            np.where(known, then, 0.0).sum(axis=1) / count - here,
            then[:, 0] + whole * growth - here,
            moved[:, 0],
            np.where(known, moved, 0.0).sum(axis=1) / count,
        ]
    )
    return np.where(known[:, :1], found, np.nan)
