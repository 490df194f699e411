"""The curve that the series of a panel have in common, as a few columns of the time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.observations import Channel

_MOST_KNOTS, _FEWEST_SERIES = 12, 3


@packable
@dataclass(frozen=True)
class CommonCurve:
    r"""Columns $1, a, (a - k_1)_+, \dots, \cos(2\pi t / S), \sin(2\pi t / S)$ of the clock a.

    The clock is the age, the time since the first value of a series, or the time itself, in units
    of a typical span; S is the season of the channel, where it shows one. Beyond the knots k the
    curve goes on straight.

    Attributes:
        by_age: whether the clock is the age.
        origin: time at which the clock of the time shows 0.
        unit: duration in which it moves by 1.
        knots: (K,) k.
        period: S; 0 = none.
    """

    by_age: bool
    origin: float
    unit: float
    knots: Array
    period: float

    @property
    def width(self) -> int:
        """Number p of columns."""
        return 2 + len(self.knots) + 2 * (self.period > 0)

    @property
    def bends(self) -> Array:
        """(p,) which columns are bends."""
        place = np.arange(self.width)
        return np.asarray((place >= 2) & (place < 2 + len(self.knots)))

    def clock(self, times: Array, first: Array) -> Array:
        """What the clock shows (n,) at times (n,) of series that began at times (n,)."""
        return np.asarray((times - (first if self.by_age else self.origin)) / self.unit)

    def __call__(self, times: Array, first: Array) -> Array:
        """(n, p) at times (n,) of series that began at times (n,)."""
        clock = self.clock(times, first)
        columns = [np.ones(len(times)), clock, *np.maximum(clock - self.knots[:, None], 0.0)]
        if self.period > 0:
            turn = 2 * np.pi * (times - self.origin) / self.period
            columns += [np.cos(turn), np.sin(turn)]
        return np.stack(columns, axis=1)

    @classmethod
    def of(cls, channel: Channel, period: float) -> CommonCurve:
        """The clock that explains more of the changes within the series, with knots at quantiles.

        There are at most six, and two fewer than different times. Of two series and fewer the curve
        is a straight line.
        """
        lengths = np.diff(channel.starts)
        series = np.repeat(np.arange(len(lengths)), lengths)
        if not len(series):
            return cls(True, 0.0, 1.0, np.zeros(0), 0.0)
        first = channel.times[channel.starts[series]]
        several = lengths > 1
        ends = channel.times[channel.starts[1:][several] - 1]
        spans = ends - channel.times[channel.starts[:-1][several]]
        straight = cls(
            True,
            float(np.median(channel.times)),
            float(np.median(spans)) if several.any() else 1.0,
            np.zeros(0),
            period,
        )
        most = _MOST_KNOTS if np.count_nonzero(several) >= _FEWEST_SERIES else 0
        made = [straight._bent(channel.times, first, by_age, most) for by_age in (True, False)]
        left = [_unexplained(one(channel.times, first), channel.values, series) for one in made]
        return made[int(np.argmin(left))]

    def _bent(self, times: Array, first: Array, by_age: bool, most: int) -> CommonCurve:
        """With a clock and at most so many knots at quantiles of what it shows."""
        clock = replace(self, by_age=by_age).clock(times, first)
        count = max(min(most, len(np.unique(np.round(clock, 9))) - 2), 0)
        ranks = np.arange(1, count + 1) / (count + 1)
        return replace(self, by_age=by_age, knots=np.unique(np.quantile(clock, ranks)))


def _unexplained(columns: Array, values: Array, series: Array) -> float:
    """Squares that a common curve leaves of values around the mean of their series."""
    count = np.maximum(np.bincount(series), 1)

    def within(x: Array) -> Array:
        return np.asarray(x - (np.bincount(series, x) / count)[series])

    x = np.stack([within(column) for column in columns.T[1:]], axis=1)
    y = within(values)
    weights, *_ = np.linalg.lstsq(x, y, rcond=1e-8)
    return float(np.sum((y - x @ weights) ** 2))
