"""Visits of a cohort as a Pearson-type test reads them: deaths moved to visits, groups, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries

Clock = Literal["start", "entry"]
_JUMP, _ABSORPTION = 1, 2


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Consecutive labels of paths, (n,) each.

    Attributes:
        row: entry of the series at which the pair ends.
        start, end: codes of the labels.
        since: time on the clock at the start of the pair.
        gap: time between the two.
    """

    row: Array
    start: Array
    end: Array
    since: Array
    gap: Array

    @classmethod
    def of(cls, series: JumpSeries, clock: Clock = "start") -> LabelledPairs:
        """All pairs; entries without a single label are passed over.

        Args:
            series: the paths.
            clock: "start" counts from the start of the path, "entry" from the first of the equal
                labels in a row.
        """
        rows = np.flatnonzero(series.flat_states >= 0)
        path, times = series.layout.series[rows], series.flat_times[rows]
        inside = path[1:] == path[:-1]
        states = series.flat_states[rows]
        fresh = np.concatenate([[True], ~inside])
        if clock == "entry":
            fresh[1:] |= states[1:] != states[:-1]
        zero = times[np.maximum.accumulate(np.where(fresh, np.arange(len(rows)), 0))]
        return cls(
            rows[1:][inside],
            states[:-1][inside],
            states[1:][inside],
            (times - zero)[:-1][inside],
            np.diff(times)[inside],
        )


@dataclass(frozen=True, eq=False)
class VisitGroups:
    """Groups of pairs by the time since the start of the path, and within these by the gap.

    Attributes:
        times: (K - 1,) increasing ends of the groups of times.
        gaps: K arrays of ends of the groups of gaps.
    """

    times: Array
    gaps: tuple[Array, ...]

    @classmethod
    def of(cls, pairs: LabelledPairs, n_times: int, n_gaps: int) -> VisitGroups:
        """Groups of equal sizes."""
        times = _inner_quantiles(pairs.since, n_times)
        period = np.searchsorted(times, pairs.since, side="left")
        gaps = [_inner_quantiles(pairs.gap[period == k], n_gaps) for k in range(len(times) + 1)]
        return cls(times, tuple(gaps))

    def numbers(self, pairs: LabelledPairs) -> tuple[Array, Array]:
        """(n,) groups of times and (n,) groups of gaps within them."""
        period = np.searchsorted(self.times, pairs.since, side="left")
        length = np.zeros(len(period), dtype=np.int64)
        for k, ends in enumerate(self.gaps):
            members = period == k
            length[members] = np.searchsorted(ends, pairs.gap[members], side="left")
        return period, length

    @property
    def shape(self) -> tuple[int, int]:
        """Groups of times, and the most groups of gaps of one of them."""
        return len(self.gaps), max(len(ends) for ends in self.gaps) + 1


def _inner_quantiles(values: Array, n: int) -> Array:
    if not len(values):
        return np.zeros(0)
    ends = np.unique(np.quantile(values, np.arange(1, n) / n, method="inverted_cdf"))
    return np.asarray(ends[ends < values.max()])


@dataclass(frozen=True, eq=False)
class Contingency:
    """Observed and expected numbers of pairs, each (K, G, S, S): times, gaps, start, end."""

    observed: Array
    expected: Array

    @classmethod
    def of(cls, pairs: LabelledPairs, laws: Array, groups: VisitGroups) -> Contingency:
        """Counts of pairs, and sums of the laws (n, S) of their ends."""
        n_states = laws.shape[1]
        shape = (*groups.shape, n_states, n_states)
        observed, expected = np.zeros(shape), np.zeros(shape)
        place = (*groups.numbers(pairs), pairs.start)
        np.add.at(observed, (*place, pairs.end), 1.0)
        np.add.at(expected, place, laws)
        return cls(observed, expected)

    @classmethod
    def mean(cls, several: Sequence[Contingency]) -> Contingency:
        """The mean over imputations."""
        observed = np.mean([one.observed for one in several], axis=0)
        return cls(observed, np.mean([one.expected for one in several], axis=0))

    @property
    def possible(self) -> Array:
        """Bool, cells that may be occupied."""
        return np.asarray(self.expected > 1e-9)

    @property
    def deviance(self) -> Array:
        """(K, G, S, S) (observed - expected)^2 / expected."""
        safe = np.where(self.possible, self.expected, 1.0)
        return np.where(self.possible, (self.observed - self.expected) ** 2 / safe, 0.0)

    @property
    def statistic(self) -> float:
        """Pearson's sum over all cells."""
        return float(self.deviance.sum())

    @property
    def freedom(self) -> int:
        """Independent cells: possible ends of every group and start, less one."""
        return int(np.maximum(self.possible.sum(axis=-1) - 1, 0).sum())

    def table(self, groups: VisitGroups, labels: tuple[object, ...]) -> pd.DataFrame:
        """One row per possible cell: since, gap (lower ends), from, to, observed, expected."""
        cells = np.argwhere(self.possible | (self.observed > 0))
        at = tuple(cells.T)
        since = np.concatenate([[0.0], groups.times])
        gaps = [np.concatenate([[0.0], ends]) for ends in groups.gaps]
        names = pd.Index(list(labels))
        excess = self.observed[at] - self.expected[at]
        return pd.DataFrame(
            {
                "since": since[cells[:, 0]],
                "gap": [float(gaps[k][g]) for k, g in cells[:, :2]],
                "from": names.take(cells[:, 2]),
                "to": names.take(cells[:, 3]),
                "observed": self.observed[at],
                "expected": self.expected[at],
                "deviance": np.sign(excess) * self.deviance[at],
            }
        )


def visits_of(
    series: JumpSeries,
    groups: VisitGroups | None,
    generator: np.random.Generator,
    clock: Clock = "start",
) -> JumpSeries:
    """The series with every absorption moved to the visit at which it would have been seen.

    Visits end with death, so that the gaps before deaths are too short for a test that compares
    states at visits. The next visit is drawn from the law of the gaps between visits, given that
    it is longer than the time to death, begun in the same period of follow-up where `groups` are
    given (Titman and Sharples, Stat. Med. 2008). A visit that was written down after the death
    takes its place.

    Raises:
        InputError: if jump times are exact: such paths are not seen at visits.
    """
    kinds = series.flat_observation
    if kinds is None:
        return series
    if (kinds == _JUMP).any():
        raise InputError(
            "goodness of fit compares states at visits, but exact times of 'jump' are given; leave "
            "out the column of observation kinds and give the states at some times"
        )
    path, last = series.layout.series, np.ones(series.layout.size, dtype=bool)
    last[:-1] = path[1:] != path[:-1]
    stays = (kinds != _ABSORPTION) | last
    plain = replace(
        series,
        flat_times=series.flat_times[stays],
        flat_states=series.flat_states[stays],
        lengths=np.bincount(path[stays], minlength=len(series)),
        flat_observation=None,
        flat_signal=None if series.flat_signal is None else series.flat_signal[stays],
        flat_covariates=None if series.flat_covariates is None else series.flat_covariates[stays],
    )
    died = np.flatnonzero((kinds == _ABSORPTION)[stays])
    pairs = LabelledPairs.of(plain, clock)
    at_death = np.isin(pairs.row, died)
    times = plain.flat_times.copy()
    times[pairs.row[at_death]] += _waits(pairs, at_death, groups, generator)
    return replace(plain, flat_times=times)


def _waits(
    pairs: LabelledPairs,
    at_death: Array,
    groups: VisitGroups | None,
    generator: np.random.Generator,
) -> Array:
    """(m,) times from deaths to the visits that would have come next."""
    period = np.zeros(len(pairs.gap), dtype=np.int64)
    if groups is not None:
        period = groups.numbers(pairs)[0]
    waits = np.zeros(int(at_death.sum()))
    for k in np.unique(period[at_death]):
        here = period == k
        gaps, weights = _law_of_gaps(pairs.gap[here], at_death[here])
        rest = np.concatenate([np.cumsum(weights[::-1])[::-1], [0.0]])
        died = pairs.gap[here & at_death]
        begin = np.searchsorted(gaps, died, side="right")
        level = rest[begin] * generator.random(len(died))
        place = np.searchsorted(-rest, -level, side="right") - 1
        later = gaps[np.clip(place, 0, len(gaps) - 1)]
        waits[(here & at_death)[at_death]] = np.where(rest[begin] > 0, later - died, 0.0)
    return waits


def _law_of_gaps(gaps: Array, at_death: Array) -> tuple[Array, Array]:
    """Sorted gaps and the weights of their law, by Kaplan and Meier: death cuts a gap short."""
    order = np.lexsort((at_death, gaps))
    at_risk = len(gaps) - np.arange(len(gaps))
    seen = ~at_death[order]
    survival = np.cumprod(np.where(seen, 1 - 1 / at_risk, 1.0))
    before = np.concatenate([[1.0], survival[:-1]])
    return gaps[order], np.where(seen, before / at_risk, 0.0)
