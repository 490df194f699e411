"""Series as flat arrays: one row per time, without padding."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries


@dataclass(frozen=True)
class Observations:
    """N rows of B series, one after the other; the memory follows N.

    Attributes:
        times: (N,) increasing within each series.
        values: (N, C), NaN = not observed; every row holds at least one value, but for the one row
            of a series that has none.
        starts: (B + 1,) first row of each series, then N.
        statics: (B, S), NaN = unknown.
    """

    times: Array
    values: Array
    starts: Array
    statics: Array

    @classmethod
    def of(cls, series: IrregularSeries) -> Observations:
        """The rows of a container; those without a value are left out."""
        filled = np.asarray(~np.isnan(series.flat_values).all(axis=1))
        number = np.repeat(np.arange(len(series)), series.lengths)
        without = np.bincount(number[filled], minlength=len(series)) == 0
        filled[np.cumsum(series.lengths)[without] - 1] = True
        starts = np.searchsorted(number[filled], np.arange(len(series) + 1))
        statics = np.zeros((len(series), 0)) if series.statics is None else series.statics
        return cls(
            series.flat_times[filled], series.flat_values[filled], starts, np.asarray(statics)
        )

    @property
    def n_series(self) -> int:
        """B."""
        return len(self.starts) - 1

    @property
    def series(self) -> Array:
        """(N,) number of the series of each row."""
        return np.repeat(np.arange(self.n_series), np.diff(self.starts))

    @property
    def spans(self) -> Array:
        """(B,) time that each series covers; 0 for a series without a row."""
        first, last = self.starts[:-1], self.starts[1:] - 1
        rows = np.flatnonzero(last > first)
        spans = np.zeros(self.n_series)
        spans[rows] = self.times[last[rows]] - self.times[first[rows]]
        return spans

    def channel(self, index: int) -> Channel:
        """The observed values of one channel."""
        rows = np.flatnonzero(~np.isnan(self.values[:, index]))
        return Channel(
            self.times[rows], self.values[rows, index], rows, np.searchsorted(rows, self.starts)
        )


@dataclass(frozen=True)
class Channel:
    """The n observed values of one channel, series after series.

    Attributes:
        times, values: (n,).
        rows: (n,) their rows in the table.
        starts: (B + 1,) first of each series.
    """

    times: Array
    values: Array
    rows: Array
    starts: Array

    def until(self, series: Array, times: Array) -> Array:
        """Index of the last value of a series at or before a time; `starts[series] - 1` if none."""
        return segment_search(self.times, self.starts[series], self.starts[series + 1], times)

    def at(self, series: Array, times: Array, last: Array) -> tuple[Array, Array]:
        """Values interpolated linearly at times, and the gaps between their neighbours.

        Args:
            series: (P,).
            times: (P,).
            last: (P,) index of the last value that may be used.

        Returns:
            Values and gaps (P,); NaN and infinity before the first and after the last value.
        """
        left, right, share, gap = self.between(series, times, last)
        value = self.values[left] + share * (self.values[right] - self.values[left])
        return np.where(np.isfinite(gap), value, np.nan), gap

    def between(
        self, series: Array, times: Array, last: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Neighbours of times, the share of the later one, and the gaps between them; see `at`."""
        left = np.minimum(self.until(series, times), last)
        valid = left >= self.starts[series]
        left = np.where(valid, left, 0)
        exact = valid & (self.times[left] == times) if len(self.times) else valid
        right = np.where(exact, left, np.minimum(left + 1, len(self.times) - 1))
        valid &= exact | (left + 1 <= last)
        gap = self.times[right] - self.times[left]
        share = (times - self.times[left]) / np.where(gap > 0, gap, 1.0)
        return left, right, share, np.where(valid, gap, np.inf)


def segment_search(keys: Array, first: Array, end: Array, wanted: Array) -> Array:
    """Index of the last key <= wanted in keys[first:end], each sorted; first - 1 where none is."""
    low, high = first.copy(), end.copy()
    for _ in range(int(np.max(end - first, initial=0)).bit_length()):
        middle = (low + high) // 2
        inside = low < high
        early = inside & (keys[np.where(inside, middle, 0)] <= wanted)
        low = np.where(early, middle + 1, low)
        high = np.where(inside & ~early, middle, high)
    return np.asarray(low - 1)


def segment_scan(values: Array, starts: Array, ufunc: np.ufunc) -> Array:
    """`ufunc.accumulate` within each segment; the answer for one does not depend on the others."""
    result = np.empty_like(values)
    for first, end in itertools.pairwise(starts):
        if end > first:
            ufunc.accumulate(values[first:end], out=result[first:end])
    return result
