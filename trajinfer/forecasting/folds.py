"""Held-out parts: whole series, blocks in time, or what comes later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.common_times import CommonOrigins
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import Pairs

_ENOUGH_SERIES = 8
_FEWEST_SERIES = 3
_FIRST_ORIGIN = 0.25
_ORIGINS = 8


@dataclass(frozen=True)
class WholeSeries:
    """A partition of the series; the law averages what was learned without each part.

    Attributes:
        count: number K of parts.
        group: (B,) part of each series.
    """

    count: int
    group: Array
    averaged = slice(None)

    def held(self, data: Observations, pairs: Pairs) -> Array:
        """(P,) the part that each pair is held out in."""
        return np.asarray(self.group[pairs.series])

    def trains(self, data: Observations, pairs: Pairs, part: int) -> Array:
        """(P,) whether a pair may be learned from where a part is held out."""
        return np.asarray(self.group[pairs.series] != part)

    def weight(self, held: Array) -> Array:
        """(P,) of the pairs held out in these parts: all alike."""
        return np.ones(len(held))


@dataclass(frozen=True)
class Blocks:
    """Blocks in time of every series, for few but long ones; the law averages as above.

    Attributes:
        count: number K of parts.
        gap: time after a block whose cuts are left out of training.
    """

    count: int
    gap: float
    averaged = slice(None)

    def held(self, data: Observations, pairs: Pairs) -> Array:
        """(P,) the part that each pair is held out in."""
        share = _shares(data, pairs.series, data.times[pairs.target])
        return np.asarray(np.clip((self.count * share).astype(int), 0, self.count - 1))

    def trains(self, data: Observations, pairs: Pairs, part: int) -> Array:
        """(P,) whether a pair may be learned from where a part is held out."""
        first, last = _ends(data, pairs.series)
        width = (last - first) / self.count
        begin = first + part * width
        gap = np.minimum(self.gap, width)
        before = data.times[pairs.target] < begin
        return np.asarray(before | (data.times[pairs.cut] > begin + width + gap))

    def weight(self, held: Array) -> Array:
        """(P,) of the pairs held out in these parts: all alike."""
        return np.ones(len(held))


@dataclass(frozen=True)
class LaterTimes:
    """Eight origins: every stretch after the first quarter is predicted from what came before it.

    Where few values say which expert to trust, a part in the middle would be predicted from both
    sides and make means of everything look better than they will be. The last part holds nothing
    out: the law keeps what was learned from all pairs.
    """

    count = _ORIGINS + 1
    averaged = slice(-1, None)

    def held(self, data: Observations, pairs: Pairs) -> Array:
        """(P,) the part that each pair is held out in; -1 for cuts in the first quarter."""
        share = _shares(data, pairs.series, data.times[pairs.cut])
        part = np.floor(_ORIGINS * (share - _FIRST_ORIGIN) / (1 - _FIRST_ORIGIN)).astype(int)
        return np.asarray(np.clip(part, -1, _ORIGINS - 1))

    def trains(self, data: Observations, pairs: Pairs, part: int) -> Array:
        """(P,) whether a pair may be learned from where a part is held out."""
        if part == _ORIGINS:
            return np.ones(len(pairs), dtype=bool)
        begin = _FIRST_ORIGIN + (1 - _FIRST_ORIGIN) * part / _ORIGINS
        return np.asarray(_shares(data, pairs.series, data.times[pairs.target]) < begin)

    def weight(self, held: Array) -> Array:
        """(P,) of the pairs held out in these parts: the square of the share learned from.

        What was learned from little says less of what will be learned from all.
        """
        return np.asarray((_FIRST_ORIGIN + (1 - _FIRST_ORIGIN) * held / _ORIGINS) ** 2)


Folds = WholeSeries | Blocks | LaterTimes | CommonOrigins


def folds_of(
    data: Observations, n_usable: int, horizon: float, count: int, seed: int, *, rich: bool
) -> Folds:
    """Parts that are held out.

    They are whole series where eight or more have pairs, two in each of four parts. Of fewer, rich
    ones are cut into blocks in time, with a gap of one horizon: series of one time share its
    shocks, which the others would tell. Three or more short ones are held out whole, as the curve
    that they share is learned from others. One or two are learned from earlier times and tried on
    later ones.

    Args:
        data: the series.
        n_usable: number of series with pairs.
        horizon: longest lead.
        count: number of parts.
        seed: of the parts of whole series.
        rich: whether there is enough to learn from with a block in time left out.
    """
    if n_usable >= _ENOUGH_SERIES or (n_usable >= _FEWEST_SERIES and not rich):
        count = min(count, data.n_series)
        group = np.random.default_rng(seed).permutation(np.arange(data.n_series) % count)
        return WholeSeries(count, group)
    return Blocks(count, horizon) if rich else LaterTimes()


def _ends(data: Observations, series: Array) -> tuple[Array, Array]:
    first = data.times[data.starts[:-1].clip(max=len(data.times) - 1)]
    last = data.times[data.starts[1:] - 1]
    return first[series], last[series]


def _shares(data: Observations, series: Array, times: Array) -> Array:
    """Times as shares of the span of their series."""
    first, last = _ends(data, series)
    return np.asarray((times - first) / np.where(last > first, last - first, 1.0))
