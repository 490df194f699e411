"""Examples from everywhere: cuts of every series with later rows within the horizon."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.observations import Observations, segment_scan, segment_search

_TARGETS_PER_CUT = 4


@dataclass(frozen=True)
class Pairs:
    """P pairs of a cut, the last row that is known, and a later row, sorted by both.

    Attributes:
        cut, target: (P,) rows of the table.
        series: (P,) the series of each.
    """

    cut: Array
    target: Array
    series: Array

    def __len__(self) -> int:
        return len(self.cut)

    def __getitem__(self, index: Array) -> Pairs:
        return Pairs(self.cut[index], self.target[index], self.series[index])

    def counted(self, weights: Array, most: int, rng: np.random.Generator) -> Pairs:
        """Every pair as often as its series counts, whole cuts at a time.

        Weights that are multiples of the least one give exactly as many copies, others one more or
        less by chance. Where these would be more than `most`, they are thinned at random.

        Args:
            weights: (B,) of the series, positive.
            most: about the most pairs in all.
            rng: source of the draws.
        """
        copies = (weights / weights.min())[self.series]
        copies *= min(1.0, max(most, len(self)) / max(copies.sum(), 1.0))
        first = np.flatnonzero(np.diff(self.cut, prepend=-1))
        # the same fraction for all cuts of a series: their copies differ by one at most
        fraction = rng.random(len(weights))[self.series[first]]
        place = np.arange(len(first)) - np.searchsorted(self.series[first], self.series[first])
        below, above = (np.floor((place + k) * copies[first] + fraction) for k in (0, 1))
        often = (above - below).astype(int)
        size = np.diff(np.append(first, len(self)))
        begin = np.repeat(first, often)
        length = np.repeat(size, often)
        start = np.repeat(begin - (np.cumsum(length) - length), length)
        return self[start + np.arange(length.sum())]


@dataclass(frozen=True)
class PairSource:
    """All pairs of a table, counted but not listed.

    Attributes:
        count: (N,) number of later rows within the horizon of every row; 0 where no cut is made.
        starts: (B + 1,) first row of each series.
    """

    count: Array
    starts: Array

    @classmethod
    def of(cls, data: Observations, horizon: float, cutoffs: int | None = None) -> PairSource:
        """Count the later rows within the horizon of every row.

        Args:
            data: the series.
            horizon: longest lead.
            cutoffs: the most cuts of a series, at even spaces of rows; None: every row.
        """
        series = data.series
        reach = data.times + horizon * (1 + 1e-9)
        last = segment_search(data.times, data.starts[series], data.starts[series + 1], reach)
        count = last - np.arange(len(data.times))
        if cutoffs is not None:
            count = np.where(_evenly(data.starts, count, cutoffs), count, 0)
        return cls(count, data.starts)

    @property
    def per_series(self) -> Array:
        """(B,) number of pairs."""
        total = np.concatenate([[0], np.cumsum(self.count)])
        return np.diff(total[self.starts])

    def __len__(self) -> int:
        return int(self.count.sum())

    def stretches(self, data: Observations, horizon: float) -> float:
        """Number of stretches of a horizon that hold pairs: errors so far apart are independent."""
        spans = data.spans[self.per_series > 0]
        return float(np.maximum(spans / horizon, 1.0).sum())

    def draw(self, rng: np.random.Generator, per_series: int, in_all: int) -> Pairs:
        """Random cuts with up to four later rows each, or with all where these are few enough.

        Args:
            rng: source of the draws.
            per_series: the most pairs of one series.
            in_all: about the most pairs of all series together.
        """
        series = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        total = self.per_series
        dense = (total <= per_series) & (total.sum() <= in_all)
        taken = np.where(dense[series], self.count, np.minimum(self.count, _TARGETS_PER_CUT))
        share = min(1.0, in_all / max(1, np.minimum(total, per_series).sum()))
        wanted = share * np.minimum(total, per_series)
        order = np.lexsort((rng.random(len(series)), series))
        so_far = segment_scan(taken[order], self.starts, np.add) - taken[order]
        # a cut that would pass the limit is taken by chance, so that the expected number is right
        room = (wanted[series[order]] - so_far) / np.maximum(taken[order], 1)
        chosen = order[(taken[order] > 0) & (rng.random(len(order)) < room)]
        return self._pairs(np.sort(chosen), taken, rng)

    def _pairs(self, cuts: Array, taken: Array, rng: np.random.Generator) -> Pairs:
        """Later rows of cuts, evenly spread over the leads with a random place in every part."""
        n, available = taken[cuts], self.count[cuts]
        cut = np.repeat(cuts, n)
        k = np.arange(len(cut)) - np.repeat(np.cumsum(n) - n, n)
        size, most = np.repeat(n, n), np.repeat(available, n)
        low, high = k * most // np.maximum(size, 1), (k + 1) * most // np.maximum(size, 1)
        target = cut + 1 + low + np.floor(rng.random(len(cut)) * (high - low)).astype(int)
        return Pairs(cut, target, np.searchsorted(self.starts, cut, side="right") - 1)


def _evenly(starts: Array, count: Array, cutoffs: int) -> Array:
    """Marks at most `cutoffs` rows of each series, evenly among those with a later row."""
    marked = np.zeros(len(count), dtype=bool)
    for first, end in itertools.pairwise(starts):
        usable = first + np.flatnonzero(count[first:end] > 0)
        if len(usable):
            n = min(cutoffs, len(usable))
            marked[usable[((np.arange(n) + 0.5) * len(usable) / n).astype(int)]] = True
    return marked
