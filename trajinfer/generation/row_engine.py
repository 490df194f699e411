"""Generation row by row in the kinds of the channels: support, statics, lengths and times kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries
from trajinfer.generation.prepared import Prepared
from trajinfer.generation.row_law import RowLaw
from trajinfer.generation.schema import ChannelSchema

_LAGS = (1, 2, 3, 5)
_HALF_LIVES = (3.0, 10.0)
_LAG_GAIN = 0.004
_STRETCH, _SHIFT = 0.05, 0.03
_TIME_WAVES = 2
_MOST_ROWS = 20_000
# fourth moment of standardised increments; 3 is normal
_HEAVY = 6.0
_FEW_SERIES = 100


@packable
@dataclass(frozen=True)
class RowEngine:
    r"""The law of the next row given those before, and of lengths and times.

    Every channel is modelled as its schema says (`ChannelSchema`), by a `RowLaw` of the last p
    rows, averages of all of them, the channels of the row that were drawn already, what is constant
    along the series, its length and the number of the row. p is chosen by the likelihood of
    held-out series. A series starts with the first p rows of a training series, stretched and
    shifted a little, and takes its length and its constants from it, so that their joint law is
    kept. Where times are not on equal steps, the gap to the row before is a channel of its own.

    Attributes:
        schema: of every channel, the gap last where there is one.
        laws: by channel; none of channels that are constant along a series.
        order: p.
        first_times: (B,) of the training series.
        lengths: (B,).
        latent: (B, T, D) training rows as they are modelled, NaN after the end.
        step: time from row to row, or 0 where times are irregular.
        shared: whether all series have the same times.
    """

    schema: tuple[ChannelSchema, ...]
    laws: tuple[RowLaw | None, ...]
    order: int
    first_times: Array
    lengths: Array
    latent: Array
    step: float
    shared: bool

    n_links: ClassVar[int] = 1
    dependence: ClassVar[None] = None
    from_start: ClassVar[bool] = False

    @classmethod
    def fit(cls, prepared: Prepared, seed: int) -> Self:
        """Find the kinds of the channels and learn the laws.

        Raises:
            InputError: if values are missing.
        """
        series = prepared.series
        rows = rows_of(series, prepared.constraints.kept)
        step, gaps = _gaps(series)
        if gaps is not None:
            rows = [np.column_stack([part, gap]) for part, gap in zip(rows, gaps, strict=True)]
        schema = tuple(
            ChannelSchema.of([part[:, c] for part in rows]) for c in range(rows[0].shape[1])
        )
        lengths = np.array([len(part) for part in rows])
        latent = np.full((len(rows), lengths.max(), len(schema)), np.nan)
        for i, part in enumerate(rows):
            latent[i, : len(part)] = np.stack(
                [kind.forward(part[:, c]) for c, kind in enumerate(schema)], axis=1
            )
        first = np.array([series.times[i, 0] for i in range(len(series))])
        shared = step > 0 and bool((first == first[0]).all() and (lengths == lengths[0]).all())
        empty = cls(schema, (), 1, first, lengths, latent, step, shared)
        best: tuple[float, Self] | None = None
        for order in _LAGS:
            if order >= lengths.min():
                break
            candidate = empty._with_laws(order, seed)
            score = sum(law.score for law in candidate.laws if law is not None)
            if best is None or score > best[0] + _LAG_GAIN:
                best = (score, candidate)
        if best is None:
            raise InputError("series of one row have no law of the next one; leave them out")
        return best[1]

    def _with_laws(self, order: int, seed: int) -> Self:
        laws: list[RowLaw | None] = []
        there = np.arange(self.latent.shape[1]) < self.lengths[:, None]
        record, column = np.nonzero(there & (np.arange(self.latent.shape[1]) >= order))
        few = np.cumsum(np.bincount(record, minlength=len(self.latent))) <= _MOST_ROWS
        chosen = few[record] | (record == record[0])
        record, column = record[chosen], column[chosen]
        filled = np.nan_to_num(self.latent)
        averages = _averages(filled)
        static = self._statics(filled, self.lengths)
        seeds = spawn(seed, len(self.schema))
        past = self._features(
            [filled[record, column - lag] for lag in range(1, order + 1)],
            [part[record, column] for part in averages],
            static[record],
            column,
            self.lengths[record],
        )
        for c, kind in enumerate(self.schema):
            if kind.kind == "static":
                laws.append(None)
                continue
            features = np.concatenate([past, filled[record, column, :c]], axis=1)
            laws.append(RowLaw.fit(features, filled[record, column, c], record, seeds[c]))
        return type(self)(
            self.schema,
            tuple(laws),
            order,
            self.first_times,
            self.lengths,
            self.latent,
            self.step,
            self.shared,
        )

    def _statics(self, filled: Array, lengths: Array) -> Array:
        chosen = [c for c, kind in enumerate(self.schema) if kind.kind == "static"]
        return np.asarray(filled[:, 0, chosen])

    def _features(
        self,
        lagged: Sequence[Array],
        averages: Sequence[Array],
        static: Array,
        row: Array,
        length: Array,
    ) -> Array:
        """(n, F) what is known before a row."""
        moving = [c for c, kind in enumerate(self.schema) if kind.kind != "static"]
        parts = [part[:, moving] for part in (*lagged, *averages)]
        if int(self.lengths.min()) < int(self.lengths.max()):
            parts.append(np.log(length)[:, None])
        turns = np.pi * row[:, None] / self.latent.shape[1] * np.arange(1, _TIME_WAVES + 1)
        return np.concatenate([*parts, static, np.cos(turns), np.sin(turns)], axis=1)

    @property
    def is_needed(self) -> bool:
        """Whether the data show what an SDE in the channels loses, or are few for it."""
        plain = all(kind.kind == "real" and not len(kind.levels) for kind in self.schema)
        steps = np.diff(self.latent, axis=1).reshape(-1, len(self.schema))
        scale = np.nanstd(steps, axis=0)
        tails = np.nanmean((steps / np.where(scale > 0, scale, 1.0)) ** 4, axis=0).max() > _HEAVY
        few = len(self.latent) < _FEW_SERIES
        return bool(not plain or self.own_times or self.order > 1 or tails or few)

    @property
    def own_times(self) -> bool:
        """Whether every draw has times or a length of its own."""
        return not self.shared

    def grid(self) -> Array:
        """(T,) times of the training series where they share them, else of the longest one."""
        steps = self.step if self.step > 0 else 1.0
        return np.asarray(self.first_times.min() + steps * np.arange(self.latent.shape[1]))

    def check_times(self, ts: Array) -> None:
        """Refuse times that are no rows.

        Raises:
            InputError: if series have times of their own, or a time is none of the rows.
        """
        if not self.shared:
            raise InputError(
                "every series has times of its own here; leave ts out, or use transform='standard' "
                "for a law in continuous time"
            )
        self._rows(ts)

    def sample(self, n: int, ts: Array, n_links: int | None, seed: int) -> Array:
        """Draws (n, T, D) at ascending times (T,), or (n, T), of the rows."""
        rows = np.broadcast_to(self._rows(ts), (n, ts.shape[-1]))
        drawn = self._simulate(n, seed)[0]
        return np.asarray(np.take_along_axis(drawn, rows[:, :, None], axis=1))

    def sample_with_times(self, n: int, seed: int) -> tuple[Array, Array]:
        """Times (n, T), padded by the last one, and draws (n, T, D), NaN after the end."""
        values, length, first = self._simulate(n, seed)
        row = np.arange(values.shape[1])
        if self.step > 0:
            times = first[:, None] + self.step * row
        else:
            gaps = np.where(row == 0, 0.0, values[..., -1])
            times, values = first[:, None] + np.cumsum(gaps, axis=1), values[..., :-1]
        last = np.take_along_axis(times, length[:, None] - 1, axis=1)
        after = row >= length[:, None]
        return np.where(after, last, times), np.where(after[:, :, None], np.nan, values)

    def continue_from(self, past: IrregularSeries, n: int, ts: Array, seed: int) -> Array:
        """It cannot: constants and length of the series given are not known.

        Raises:
            InputError: always.
        """
        raise InputError("series go on from a given past with transform='standard' or 'relative'")

    def walk(self, n: int, n_steps: int, ts: Array, seed: int) -> list[Array]:
        """There is no chain.

        Raises:
            InputError: always.
        """
        raise InputError("only neighbour='one' makes a chain; use sample")

    def comparable(self, values: Array) -> Array:
        """Paths as they are."""
        return values

    def _rows(self, ts: Array) -> Array:
        rows = np.round((ts - self.first_times[0]) / self.step).astype(int)
        grid = self.grid()
        inside: Array = (rows >= 0) & (rows < len(grid))
        near = np.abs(grid[np.clip(rows, 0, len(grid) - 1)] - ts) <= 1e-6 * self.step
        if not (inside & near).all():
            raise InputError(
                f"these series have rows at {grid[0]:g}, {grid[0] + self.step:g} to {grid[-1]:g}; "
                "ask for such times, or use transform='standard' for a law in continuous time"
            )
        return np.asarray(rows)

    @cached_property
    def _std(self) -> Array:
        return np.asarray(np.nanstd(self.latent, axis=(0, 1)))

    def _starts(self, chosen: Array, rng: np.random.Generator) -> Array:
        """(n, p, D) first rows of training series, stretched and shifted where values are free."""
        block = np.nan_to_num(self.latent[chosen, : self.order])
        shape = (len(chosen), 1, len(self.schema))
        centre = np.nanmean(self.latent, axis=(0, 1))
        moved = centre + (block - centre) * (1 + _STRETCH * rng.standard_normal(shape))
        moved = moved + _SHIFT * self._std * rng.standard_normal(shape)
        for c, kind in enumerate(self.schema):
            exact = kind.kind in ("static", "levels", "whole")
            atom = np.isin(kind.inverse(block[..., c]), kind.atoms)
            moved[..., c] = np.where(exact | atom, block[..., c], moved[..., c])
        return np.asarray(moved)

    def _simulate(self, n: int, seed: int) -> tuple[Array, Array, Array]:
        """Values (n, T, D), lengths (n,) and first times (n,)."""
        rng = np.random.default_rng(seed)
        chosen = rng.integers(len(self.latent), size=n)
        length, n_rows = self.lengths[chosen], int(self.lengths[chosen].max())
        z = np.zeros((n, n_rows, len(self.schema)))
        values = np.zeros_like(z)
        start = self._starts(chosen, rng)
        z[:, : self.order] = start
        static = self._statics(z, length)
        for row in range(min(self.order, n_rows)):
            for c, kind in enumerate(self.schema):
                values[:, row, c] = kind.inverse(z[:, row, c])
                z[:, row, c] = kind.forward(values[:, row, c])
        averages = _averages(z[:, : self.order], whole=False)
        for row in range(self.order, n_rows):
            past = self._features(
                [z[:, row - lag] for lag in range(1, self.order + 1)],
                averages,
                static,
                np.full(n, row),
                length,
            )
            for c, (kind, law) in enumerate(zip(self.schema, self.laws, strict=True)):
                if law is None:
                    z[:, row, c], values[:, row, c] = z[:, 0, c], values[:, 0, c]
                    continue
                drawn, like = law.draw(np.concatenate([past, z[:, row, :c]], axis=1), rng)
                same = kind.inverse(like)
                value = kind.inverse(drawn)
                # rows that were at an atom, or in a channel of levels, hand their value on
                handed = np.isin(same, kind.atoms) | (kind.kind == "levels")
                values[:, row, c] = np.where(handed, same, value)
                z[:, row, c] = kind.forward(values[:, row, c])
            averages = [
                part + (1 - 0.5 ** (1 / h)) * (z[:, row] - part)
                for part, h in zip(averages, _HALF_LIVES, strict=True)
            ]
        return values, length, self.first_times[chosen]


def rows_of(series: IrregularSeries, kept: Sequence[int]) -> list[Array]:
    """Rows (T_i, D) of every series.

    Raises:
        InputError: if a value is missing.
    """
    values = np.asarray(series.flat_values)[:, list(kept)]
    if np.isnan(values).any():
        raise InputError(
            "values are missing; fill them, or use transform='standard', which takes the times at "
            "which all channels are observed"
        )
    return list(np.split(values, np.cumsum(series.lengths)[:-1]))


def _gaps(series: IrregularSeries) -> tuple[float, list[Array] | None]:
    """The step that all series share and None, or 0 and the gap before every row."""
    parts = np.split(np.asarray(series.flat_times), np.cumsum(series.lengths)[:-1])
    gaps = [np.diff(part) for part in parts]
    whole = np.concatenate(gaps)
    step = float(np.median(whole)) if len(whole) else 1.0
    if len(whole) and np.abs(whole - step).max() <= 1e-6 * step:
        return step, None
    return 0.0, [np.concatenate([gap[:1], gap]) if len(gap) else np.ones(1) for gap in gaps]


def _averages(rows: Array, whole: bool = True) -> list[Array]:
    """Exponential averages begun at the first row: before every row, or after the last one."""
    found = []
    for half_life in _HALF_LIVES:
        share = 1 - 0.5 ** (1 / half_life)
        state = rows[:, 0]
        table = [state]
        for t in range(1, rows.shape[1]):
            if whole:
                table.append(state)
            state = state + share * (rows[:, t] - state)
        found.append(np.stack(table, axis=1) if whole else state)
    return found
