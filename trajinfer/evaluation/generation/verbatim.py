"""Stretches of generated series that agree with training series, whatever was done to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from trajinfer._core.checks import Array

_SHORTEST = 3
_GROWTH = 1.25
_TOLERANCE = 1e-6
_NEIGHBOURS = 8
_FEWEST_EQUAL = 30
_RARE = 0.01
_PAIRS = 20000


@dataclass(frozen=True)
class Match:
    """The longest stretch of one series that agrees with one training series.

    Attributes:
        series: number of the series.
        training: number of the training series.
        channel, training_channel: of either; -1 where all channels agree together.
        start, training_start: first row of the stretch in either.
        length: rows; 0 where nothing agrees.
        turned: whether the sign is turned.
        reversed: whether time is reversed.
        step: 1 where the rows follow each other, 2 where only every second one agrees.
        training_step: the same of the training series.
    """

    series: int
    training: int = -1
    channel: int = -1
    training_channel: int = -1
    start: int = 0
    training_start: int = 0
    length: int = 0
    turned: bool = False
    reversed: bool = False
    step: int = 1
    training_step: int = 1

    def __str__(self) -> str:
        what = "all channels" if self.channel < 0 else f"channel {self.channel}"
        other = (
            ""
            if self.channel == self.training_channel
            else f", there channel {self.training_channel}"
        )
        done = [
            word
            for word, is_so in (
                ("turned", self.turned),
                ("reversed", self.reversed),
                ("every second row", self.step > 1),
                ("every second row there", self.training_step > 1),
            )
            if is_so
        ]
        last = self.start + (self.length - 1) * self.step
        return (
            f"series {self.series}, {what}, rows {self.start} to {last}: "
            f"training series {self.training}{other}, from row {self.training_start}"
            + (f" ({', '.join(done)})" if done else "")
        )


@dataclass(frozen=True)
class Sequences:
    """Series of S groups as plain rows: one sequence per series and channel, or one of all.

    Attributes:
        flat: (N, C) rows, sequence after sequence; one channel is compared in shape, several as
            they are.
        lengths: (Q,) rows of each sequence.
        series: (Q,) number of the series of each sequence.
        channel: (Q,) its channel, -1 for all together.
        group: (Q,) series of one group are not compared.
    """

    flat: Array
    lengths: Array
    series: Array
    channel: Array
    group: Array

    @classmethod
    def of(cls, series: Sequence[Array], scale: Array, groups: Array) -> list[Sequences]:
        """Channels one by one, and all together where there are several.

        Args:
            series: (T_i, C) each, NaN = not observed.
            scale: (C,) of the channels.
            groups: (B,).
        """
        values = np.concatenate(series) / scale
        owner = np.repeat(np.arange(len(series)), [len(rows) for rows in series])
        known, n = ~np.isnan(values), len(series)
        single = cls(
            np.concatenate([values[known[:, c], c] for c in range(len(scale))])[:, None],
            np.concatenate([np.bincount(owner[k], minlength=n) for k in known.T]),
            np.tile(np.arange(n), len(scale)),
            np.repeat(np.arange(len(scale)), n),
            np.tile(groups, len(scale)),
        )
        if len(scale) == 1:
            return [single]
        whole = known.all(axis=1)
        lengths = np.bincount(owner[whole], minlength=n)
        return [single, cls(values[whole], lengths, np.arange(n), np.full(n, -1), groups)]

    @cached_property
    def sequence(self) -> Array:
        """(N,) the sequence of every row."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def row(self) -> Array:
        """(N,) number of every row in its sequence."""
        first = np.cumsum(self.lengths) - self.lengths
        return np.asarray(np.arange(len(self.flat)) - first[self.sequence])


@dataclass(frozen=True)
class _Comparison:
    """What may have been done to a copy.

    Attributes:
        turned: its sign is turned.
        reversed: its time is reversed.
        step: of its rows every one or every second one is a copy.
        training_step: it has every row of the training series, or every second one.
    """

    turned: bool = False
    reversed: bool = False
    step: int = 1
    training_step: int = 1


_COMPARISONS = (
    *(_Comparison(turned, backwards) for turned in (False, True) for backwards in (False, True)),
    _Comparison(training_step=2),
    _Comparison(step=2),
    _Comparison(step=2, training_step=2),
)


def longest_matches(asked: Sequences, training: Sequences) -> list[Match]:
    """For every series that is asked about its longest agreement with a training series.

    Single channels agree up to scale, shift and sign; all channels together up to one sign for all.
    Either may run backwards, and of either every second row may be taken. Stretches that do not
    move are no evidence and are left out.
    """
    found = {int(i): Match(int(i)) for i in np.unique(asked.series)}
    longest = int(asked.lengths.max())
    for how in _COMPARISONS:
        candidates, sources = np.arange(len(asked.lengths)), np.arange(len(training.lengths))
        for length in _lengths(-(-longest // how.step)):
            table = _Windows.of(training, sources, length, how.training_step)
            query = _Windows.of(asked, candidates, length, how.step)
            query = query.altered(how.turned, how.reversed)
            hits = query.matches(table, asked.group, training.group)
            for k, other, start, there in hits[np.unique(hits[:, 0], return_index=True)[1]]:
                series = int(asked.series[k])
                if length > found[series].length:
                    found[series] = Match(
                        series,
                        int(training.series[other]),
                        int(asked.channel[k]),
                        int(training.channel[other]),
                        int(start),
                        int(there),
                        length,
                        **asdict(how),
                    )
            candidates, sources = np.unique(hits[:, 0]), np.unique(hits[:, 1])
            if not len(hits):
                break
    return [found[i] for i in sorted(found)]


def extension_rate(training: Sequences, rng: np.random.Generator) -> float:
    """Chance that two series that agree at one row agree at the next one too.

    Where values hardly ever repeat it is small; slow channels with few values have a large one. It
    is taken from random pairs of rows of different groups.
    """
    inside = np.flatnonzero(np.diff(training.sequence) == 0)
    values, following = training.flat[inside], training.flat[inside + 1]
    group = training.group[training.sequence[inside]]
    key = np.round(values @ _direction(values.shape[1]), 9)
    order = np.lexsort((rng.permutation(len(key)), key))
    same = np.flatnonzero((np.abs(np.diff(key[order])) < _TOLERANCE) & (np.diff(group[order]) != 0))
    if len(same) < _FEWEST_EQUAL:
        return _RARE
    same = rng.permutation(same)[:_PAIRS]
    first, second = following[order[same]], following[order[same + 1]]
    agree = (np.abs(first - second) < _TOLERANCE).all(axis=1)
    return float(max((agree.sum() + 1) / (len(agree) + 1), _RARE))


def least_evidence(null: Array, n: int, rate: float, alpha: float) -> int:
    r"""The length from which an agreement of one of n series is no chance.

    Of N lengths that honest series show, $k$ reach x; beyond the largest of them, at x', the chance
    of a length is at most $\rho^{x - x'}$ of that of x', where $\rho$ is the extension rate:

    $$n\,\frac{k(x') + 1}{N + 1}\,\rho^{x - x'} \le \alpha .$$
    """
    beyond = int(null.max(initial=0)) + 1
    chance = n / (len(null) + 1)
    extra = 0 if chance <= alpha else int(np.ceil(np.log(alpha / chance) / np.log(rate)))
    return max(beyond + extra, _SHORTEST + 1)


@dataclass(frozen=True)
class _Windows:
    """All windows of one number of rows, which follow each other or are every second one.

    Attributes:
        shape: (W, C, L) their values; of a single channel the shape, of unit size.
        sequence: (W,) the sequence of each.
        start: (W,) its first row.
    """

    shape: Array
    sequence: Array
    start: Array

    @classmethod
    def of(cls, sequences: Sequences, which: Array, length: int, step: int = 1) -> _Windows:
        span = (length - 1) * step + 1
        wanted = np.zeros(len(sequences.lengths), dtype=bool)
        wanted[which] = True
        left = sequences.lengths[sequences.sequence] - sequences.row
        first = np.flatnonzero((left >= span) & wanted[sequences.sequence])
        if not len(first):
            return cls(np.empty((0, 1, length)), np.empty(0, int), np.empty(0, int))
        windows = np.lib.stride_tricks.sliding_window_view(sequences.flat, span, axis=0)
        table = windows[first][..., ::step]
        sequence, start = sequences.sequence[first], sequences.row[first]
        moving = (np.ptp(table, axis=2) > 1e-9 * np.abs(table).max(axis=2)).any(axis=1)
        table = table[moving]
        if sequences.channel[0] >= 0:
            table = table - table.mean(axis=2, keepdims=True)
            table = table / np.linalg.norm(table, axis=2, keepdims=True)
        return cls(table, sequence[moving], start[moving])

    def altered(self, turned: bool, backwards: bool) -> _Windows:
        """The same windows with the sign turned or time reversed."""
        shape = -self.shape if turned else self.shape
        return _Windows(shape[..., ::-1] if backwards else shape, self.sequence, self.start)

    def matches(self, table: _Windows, own_groups: Array, table_groups: Array) -> Array:
        """Windows that agree: (H, 4) sequence, sequence of the table, the two starts.

        Windows are sorted by one projection, and each is held against its neighbours there.
        """
        if not len(self.shape) or not len(table.shape):
            return np.empty((0, 4), dtype=int)
        mine, others = (w.shape.reshape(len(w.shape), -1) for w in (self, table))
        direction = _direction(mine.shape[1])
        keys, asked = others @ direction, mine @ direction
        order = np.argsort(keys, kind="stable")
        place = np.searchsorted(keys[order], asked - _TOLERANCE)
        hits = []
        for offset in range(_NEIGHBOURS):
            near = order[np.minimum(place + offset, len(order) - 1)]
            close = np.abs(keys[near] - asked) < _TOLERANCE * len(direction)
            close &= own_groups[self.sequence] != table_groups[table.sequence[near]]
            rows = np.flatnonzero(close)
            apart = np.abs(mine[rows] - others[near[rows]]).max(axis=1, initial=0.0)
            rows = rows[apart < _TOLERANCE]
            there = near[rows]
            hits.append(
                np.stack(
                    [
                        self.sequence[rows],
                        table.sequence[there],
                        self.start[rows],
                        table.start[there],
                    ],
                    axis=1,
                )
            )
        return np.concatenate(hits)


def _lengths(longest: int) -> Iterator[int]:
    """Lengths to look for, in growing steps up to the longest."""
    length = _SHORTEST
    while length < longest:
        yield length
        length = max(length + 1, int(length * _GROWTH))
    if longest >= _SHORTEST:
        yield longest


def _direction(size: int) -> Array:
    """A fixed direction to sort windows by."""
    return np.asarray(np.random.default_rng(size).standard_normal(size))
