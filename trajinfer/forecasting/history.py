"""Features of the past of a series at a cut, for all cuts at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.common_curve import CommonCurve
from trajinfer.forecasting.mixed_model import MEMORIES, independent_rows, sums_so_far
from trajinfer.forecasting.observations import (
    Channel,
    Observations,
    segment_scan,
    segment_search,
)
from trajinfer.forecasting.range_maximum import RangeMaximum
from trajinfer.forecasting.recent_steps import recent_steps
from trajinfer.forecasting.smoothing import SEASONS, TRENDS, Smoothed, smoothed
from trajinfer.forecasting.structural_filter import filtered
from trajinfer.forecasting.structures import StructuralStates, Structures
from trajinfer.forecasting.variogram import Variogram

_WINDOWS = (0.25, 0.5, 1.0, 2.0)
_RECENT = 8
_DISTANCES = 3
_SHORTEST = 0.2
_DEPTH, _DEEPEST = 8, 60


@packable
@dataclass(frozen=True)
class LeadUnits:
    """The measures of the training data that features are counted in.

    Attributes:
        center, scale: (C,) mean and standard deviation of each channel.
        gap: (C,) median time between two values of a channel.
        horizon: longest lead.
        variograms: one per channel.
        window: duration of the past that is used; infinite for all of it.
        lags: slopes reach this many values back.
        periods: (C,) of the seasons, 0 = none.
        curves: that the series have in common, one per channel; None where none is asked for.
        structures: that a series may be made of, one per channel; None where none is asked for.
    """

    center: Array
    scale: Array
    gap: Array
    horizon: float
    variograms: tuple[Variogram, ...]
    window: float
    lags: tuple[int, ...]
    periods: Array
    curves: tuple[CommonCurve | None, ...]
    structures: tuple[Structures | None, ...]

    @property
    def depth(self) -> int:
        """Even steps back that autoregressions see: past the seasons, where these are not long."""
        steps = np.round(self.periods / self.gap).astype(int)
        return max(_DEPTH, *(int(k) for k in steps if k <= _DEEPEST), 0)

    @property
    def n_channels(self) -> int:
        """C."""
        return len(self.center)


@dataclass(frozen=True)
class ChannelStates:
    """What the continuations of one channel start from, at R cuts.

    Attributes:
        steps_back: (R, D + 1) values 1 to D + 1 usual gaps before the last one, minus it.
        reached: (R,) how many of these steps lie within the past.
        trend, seasonal: smoothed levels minus the last value, slopes, and seasons; the last one is
            of all values of the channel, and all of `seasonal` is (., 0) where there is no period.
        structural: states of all structures; no answer where none is asked for.
        first: (R,) time of the first value.
        sums: (R, M, 2, p + 1) of the past as `sums_so_far` has them; 0 where nothing was observed,
            and (R, 0, 2, 1) where there is no common curve.
    """

    steps_back: Array
    reached: Array
    trend: Smoothed
    seasonal: Smoothed
    structural: StructuralStates
    first: Array
    sums: Array


@dataclass(frozen=True)
class History:
    """The pasts of R cuts.

    Attributes:
        time: (R,) of the cuts.
        last: (R, C) last values; the training mean where nothing was observed.
        age: (R, C) time since then; NaN where nothing was observed.
        mean: (R, C) of the past; the training mean where nothing was observed.
        drift: (R, C) slope from the first to the last value of the past; 0 where it has one time.
        moves: (R, C, M) slopes and distances, in units of the channel: features that are zero where
            a series stands still.
        state: (R, K) all other features, those of each channel first.
        n_common: number of features at the end of `state` that belong to no channel.
        states: of the cuts, each once, per channel.
        row: (R,) row of each cut in `states`.
    """

    time: Array
    last: Array
    age: Array
    mean: Array
    drift: Array
    moves: Array
    state: Array
    n_common: int
    states: tuple[ChannelStates, ...]
    row: Array

    @property
    def recent(self) -> Array:
        """(R, C) mean over the last two horizons minus the last value, in units of the channel."""
        return self.moves[:, :, -_DISTANCES - 1]

    def __getitem__(self, index: Array) -> History:
        return History(
            self.time[index],
            self.last[index],
            self.age[index],
            self.mean[index],
            self.drift[index],
            self.moves[index],
            self.state[index],
            self.n_common,
            self.states,
            self.row[index],
        )


def history(data: Observations, rows: Array, units: LeadUnits) -> History:
    """Features of everything up to and with each of the rows (R,), ascending."""
    series = np.searchsorted(data.starts, rows, side="right") - 1
    time = data.times[rows]
    parts = [
        _channel(data.channel(c), series, rows, time, units, c) for c in range(units.n_channels)
    ]
    *parts, states = zip(*parts, strict=True)
    last, age, mean, drift, moves, state = (np.stack(part, axis=1) for part in parts)
    first = data.starts[series]
    if np.isfinite(units.window):
        first = segment_search(data.times, first, rows + 1, time - units.window) + 1
    common = np.column_stack(
        [
            np.log1p(rows - first),
            np.log1p((time - data.times[first]) / units.horizon),
            np.nan_to_num(data.statics[series]),
        ]
    )
    state = np.concatenate([state.reshape(len(rows), -1), common], axis=1)
    every = np.arange(len(rows))
    return History(time, last, age, mean, drift, moves, state, common.shape[1], states, every)


@dataclass(frozen=True)
class _Past:
    """The values of one channel before R cuts, as indices into the channel.

    Attributes:
        x: (n,) all values in units of the channel.
        times: (n,).
        first, at: (R,) first value that is used and last one; 0 where there is none.
        seen: (R,) whether there is any.
    """

    x: Array
    times: Array
    first: Array
    at: Array
    seen: Array

    def where_seen(self, values: Array) -> Array:
        return np.where(self.seen, values, 0.0)


def _channel(
    channel: Channel, series: Array, rows: Array, time: Array, units: LeadUnits, index: int
) -> tuple[Any, ...]:
    """Fields of `History` for one channel, and its states."""
    center, scale = units.center[index], units.scale[index]
    past = _past(channel, series, rows, time, units, index)
    total = segment_scan(past.x, channel.starts, np.add)
    last, last_time = past.where_seen(past.x[past.at]), past.times[past.at]
    count = past.at - past.first + 1
    mean = past.where_seen(_sums(total, past.x, past.first, past.at) / count)
    age = np.where(past.seen, time - last_time, np.nan)
    places, order = _ranks(past.x)
    top = order[RangeMaximum.of(places)(past.first, past.at)]
    bottom = order[len(order) - 1 - RangeMaximum.of(len(order) - 1 - places)(past.first, past.at)]
    highest, lowest = past.x[top], past.x[bottom]
    moves = [*_slopes(past, units, index), *_window_means(channel, series, past, total, units)]
    moves += [past.where_seen(v - last) for v in (mean, highest, lowest)]
    gap = units.gap[index]
    state = [past.where_seen(v) for v in (last, mean, highest, lowest)]
    state.append(past.where_seen(np.log1p((last_time - past.times[top]) / gap)))
    state += [past.where_seen(v) for v in _restlessness(channel, past, units, index)]
    state += [np.log1p(np.nan_to_num(age, nan=10 * gap) / gap), np.log1p(past.where_seen(count))]
    return (
        center + scale * last,
        age,
        center + scale * mean,
        scale * past.where_seen(_drift(past)),
        np.stack(moves, axis=1),
        np.stack(state, axis=1),
        _states(channel, series, past, units, index),
    )


def _states(
    channel: Channel, series: Array, past: _Past, units: LeadUnits, index: int
) -> ChannelStates:
    """Smoothing knows no window: it has no answer where there is one."""
    gap, period = float(units.gap[index]), float(units.periods[index])
    back, reached = np.zeros((len(past.at), units.depth + 1)), np.zeros(len(past.at), dtype=int)
    if len(channel.values):
        back, reached = recent_steps(channel, series, past.first, past.at, gap, units.depth + 1)
    made = []
    for of, grid in ((0.0, TRENDS), (period, SEASONS[: len(SEASONS) * (period > 0)])):
        shape = (len(past.at), len(grid))
        if not len(grid) or not len(channel.values) or np.isfinite(units.window):
            none = np.full((len(channel.values), len(grid)), np.nan)
            made.append(Smoothed(np.full(shape, np.nan), np.zeros(shape), none))
            continue
        states = smoothed(channel, gap, of)
        level = states.level[past.at] - channel.values[past.at, None]
        level = np.where(past.seen[:, None], level, 0.0 if of == 0 else np.nan)
        slope = np.where(past.seen[:, None], states.slope[past.at], 0.0)
        made.append(Smoothed(level, slope, states.season))
    trend, seasonal = made
    return ChannelStates(
        np.where(past.seen[:, None], back, 0.0),
        np.where(past.seen, reached, 0),
        trend,
        seasonal,
        _structural(channel, past, units, index),
        past.times[past.first],
        _sums_of_curve(channel, past, units, index),
    )


def _structural(channel: Channel, past: _Past, units: LeadUnits, index: int) -> StructuralStates:
    structures = units.structures[index]
    if structures is None or not len(channel.values):
        return StructuralStates.none(len(past.at))
    gap, period = float(units.gap[index]), float(units.periods[index])
    return filtered(channel, structures, gap, period).at(past.at, past.seen)


def _sums_of_curve(channel: Channel, past: _Past, units: LeadUnits, index: int) -> Array:
    curve = units.curves[index]
    if curve is None:
        return np.zeros((len(past.at), 0, 2, 1))
    if not len(channel.values):
        return np.zeros((len(past.at), len(MEMORIES), 2, curve.width + 1))
    rows, _ = independent_rows(channel, curve, float(units.gap[index]))
    sums = sums_so_far(rows, channel.starts)[past.at]
    return np.where(past.seen[:, None, None, None], sums, 0.0)


def _past(
    channel: Channel, series: Array, rows: Array, time: Array, units: LeadUnits, index: int
) -> _Past:
    first = channel.starts[series]
    at = np.searchsorted(channel.rows, rows, side="right") - 1
    if np.isfinite(units.window):
        first = segment_search(channel.times, first, at + 1, time - units.window) + 1
    seen = at >= first
    if not len(channel.values):
        channel = Channel(np.zeros(1), units.center[index : index + 1], rows[:1], channel.starts)
    x = (channel.values - units.center[index]) / units.scale[index]
    return _Past(x, channel.times, np.where(seen, first, 0), np.where(seen, at, 0), seen)


def _sums(total: Array, x: Array, first: Array, at: Array) -> Array:
    """Sums of x[first..at] from sums along the segments."""
    return total[at] - total[first] + x[first]


def _slopes(past: _Past, units: LeadUnits, index: int) -> list[Array]:
    """Slopes per usual gap to earlier values; 0 where there are none."""
    slopes = []
    for k in units.lags:
        back = np.maximum(past.at - k, past.first)
        moved = past.seen & (back < past.at)
        # values read at nearly the same time say little about the slope
        steps = np.maximum((past.times[past.at] - past.times[back]) / units.gap[index], _SHORTEST)
        slopes.append(np.where(moved, (past.x[past.at] - past.x[back]) / steps, 0.0))
    return slopes


def _drift(past: _Past) -> Array:
    """Slope per unit of time from the first to the last value."""
    span = past.times[past.at] - past.times[past.first]
    return (past.x[past.at] - past.x[past.first]) / np.where(span > 0, span, np.inf)


def _window_means(
    channel: Channel, series: Array, past: _Past, total: Array, units: LeadUnits
) -> list[Array]:
    """Mean over the last stretches of time minus the last value."""
    means = []
    for width in _WINDOWS:
        begin = past.times[past.at] - width * units.horizon
        left = np.clip(channel.until(series, begin) + 1, past.first, past.at)
        inside = _sums(total, past.x, left, past.at) / (past.at - left + 1)
        means.append(past.where_seen(inside - past.x[past.at]))
    return means


def _ranks(x: Array) -> tuple[Array, Array]:
    """Rank of every value, later ones higher where values are equal, and the index of each rank."""
    order = np.argsort(x, kind="stable")
    ranks = np.empty(len(x), dtype=np.int64)
    ranks[order] = np.arange(len(x))
    return ranks, order


def _restlessness(channel: Channel, past: _Past, units: LeadUnits, index: int) -> list[Array]:
    """Logarithms of the size of recent and of all changes beside what the variogram expects."""
    step = np.diff(past.x, prepend=past.x[:1]) * units.scale[index]
    gap = np.diff(past.times, prepend=past.times[:1])
    inner = np.ones(len(past.x), dtype=bool)
    inner[channel.starts[channel.starts < len(past.x)]] = False
    expected = units.variograms[index](np.where(inner, gap, units.gap[index]))
    square = np.where(inner, step**2 / np.maximum(expected, 1e-300), 0.0)
    total = segment_scan(square, channel.starts, np.add)
    sizes = []
    for k in (_RECENT, len(past.x)):
        back = np.maximum(past.at - k, past.first)
        n = past.at - back
        size = (total[past.at] - total[back] + 1.0) / (n + 1.0)  # one usual step is assumed
        sizes.append(0.5 * np.log(np.maximum(size, 1e-4)))
    return sizes
