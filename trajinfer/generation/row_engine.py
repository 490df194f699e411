"""Generation row by row in the kinds of the channels: support, statics, lengths and times kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from scipy.spatial import cKDTree

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries
from trajinfer.generation.prepared import Prepared
from trajinfer.generation.relations import ChannelRelations
from trajinfer.generation.rhythm import Rhythm
from trajinfer.generation.row_history import (
    RunningPast,
    TrainingRows,
    averages_of,
    gap_that_fits,
    step_sizes,
)
from trajinfer.generation.row_law import RowLaw
from trajinfer.generation.row_tables import filled_by_lines, gaps_of, rows_of, stacked
from trajinfer.generation.schema import ChannelSchema

_LAGS = (1, 2, 3, 5)
_LAG_GAIN = 0.004
_BETWEEN = 0.2
_TIME_WAVES = 2
_MANY_TIME_WAVES = 6
_NEAREST_STARTS = 3
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
    along the series, its length and the number of the row. p is chosen for every channel by the
    likelihood of held-out series. A series starts with the first rows of a training series, moved
    a little towards those of another one, and takes its length and its constants from it, so that
    their joint law is kept. Where times are not on equal steps, the gap to the row before is a
    channel of its own. Missing values are filled by straight lines for the laws to be learned; a
    draw misses the values that the series misses whose constants it takes.

    Attributes:
        schema: of every channel, the gap last where there is one.
        laws: by channel; none of channels that are constant along a series.
        orders: p of every channel.
        relations: between the channels.
        first_times: (B,) of the training series.
        lengths: (B,).
        latent: (B, T, D) training rows as they are modelled, NaN after the end.
        step: time from row to row, or 0 where times are irregular.
        shared: whether all series have the same times.
        missing: (B, T, K) bool, values that training series miss, also after their ends.
        weight: (B,) of the training series.
        box: (2, K) bounds that the user gave, NaN = none.
        rhythm: periods of the channels.
        is_timed: whether what comes follows the time, and the gaps that fit in before the end.
    """

    schema: tuple[ChannelSchema, ...]
    laws: tuple[RowLaw | None, ...]
    orders: tuple[int, ...]
    relations: ChannelRelations
    first_times: Array
    lengths: Array
    latent: Array
    step: float
    shared: bool
    missing: Array
    weight: Array
    box: Array
    rhythm: Rhythm = field(default_factory=Rhythm.none)
    is_timed: bool = False

    n_links: ClassVar[int] = 1
    dependence: ClassVar[None] = None
    from_start: ClassVar[bool] = False
    any_time: ClassVar[bool] = False

    @classmethod
    def fit(cls, prepared: Prepared, seed: int) -> Self:
        """Find the kinds of the channels and learn the laws.

        Raises:
            InputError: if there is a series of one row.
        """
        series, kept = prepared.series, prepared.constraints.kept
        whole = rows_of(series, kept)
        limits = [(prepared.bounds or {}).get(series.channels[c], (None, None)) for c in kept]
        relations = ChannelRelations.of(np.concatenate(whole))
        rows = [relations.forward(part) for part in whole]
        ends = [limits[c] for c in relations.modelled]
        for order in relations.order:
            ends[relations.modelled.index(order.channel)] = (0.0, None)
        step, gaps = gaps_of(series)
        if gaps is not None:
            rows = [np.column_stack([part, gap]) for part, gap in zip(rows, gaps, strict=True)]
            ends.append((None, None))
        schema = tuple(
            ChannelSchema.of([part[:, c] for part in rows], end) for c, end in enumerate(ends)
        )
        lengths = np.array([len(part) for part in rows])
        values = stacked(rows)
        latent = np.stack([kind.forward(values[..., c]) for c, kind in enumerate(schema)], axis=-1)
        missing = np.isnan(stacked(whole))
        first = np.array([series.times[i, 0] for i in range(len(series))])
        shared = step > 0 and bool((first == first[0]).all() and (lengths == lengths[0]).all())
        weight = np.ones(len(rows)) if prepared.weight is None else prepared.weight
        box = np.array([[np.nan if end is None else end for end in pair] for pair in limits]).T
        empty = cls(
            schema, (), (), relations, first, lengths, latent, step, shared, missing, weight, box
        )
        rhythm = Rhythm.of(empty._filled, lengths)
        return replace(empty, rhythm=rhythm, is_timed=step == 0)._with_laws(seed)

    def _with_laws(self, seed: int) -> Self:
        """The engine with the law of every channel, each of as many rows as foretell it best.

        Raises:
            InputError: if there is a series of one row.
        """
        orders = [order for order in _LAGS if order < self.lengths.min()]
        if not orders:
            raise InputError("series of one row have no law of the next one; leave them out")
        seeds = spawn(seed, len(self.schema))
        best: list[tuple[int, RowLaw | None]] = [(1, None)] * len(self.schema)
        for order in orders:
            rows = self._training_rows(order)
            for c, kind in enumerate(self.schema):
                if kind.kind == "static":
                    continue
                law = once("law of a row", rows.law, c, seeds[c], kind.has_atoms)
                known = best[c][1]
                if known is None or law.score > known.score + _LAG_GAIN:
                    best[c] = (order, law)
        return replace(
            self, orders=tuple(order for order, _ in best), laws=tuple(law for _, law in best)
        )

    def _training_rows(self, order: int) -> TrainingRows:
        """Rows with at least `order` rows before them, at most 20 000."""
        row = np.arange(self.latent.shape[1])
        record, column = np.nonzero((row < self.lengths[:, None]) & (row >= order))
        few = np.cumsum(np.bincount(record, minlength=len(self.latent))) <= _MOST_ROWS
        chosen = few[record] | (record == record[0])
        record, column = record[chosen], column[chosen]
        filled = self._filled
        past = self._features(
            [filled[record, column - lag] for lag in range(1, order + 1)],
            [part[record, column] for part in averages_of(filled)],
            self.rhythm.foretold(filled)[record, column],
            self._clock[record, column - 1],
            self._statics(filled, self.lengths)[record],
            column,
            self.lengths[record],
        )
        sizes = (step_sizes(filled) / self._step_scale)[record, column]
        known = ~np.isnan(self.latent)
        return TrainingRows(
            past,
            sizes,
            filled[record, column - 1],
            filled[record, column],
            record,
            np.stack([known[record, column], known[record, column - 1]], axis=-1),
            self.weight[record],
        )

    @property
    def order(self) -> int:
        """Rows that a series starts with."""
        return max(self.orders)

    def _statics(self, filled: Array, lengths: Array) -> Array:
        chosen = [c for c, kind in enumerate(self.schema) if kind.kind == "static"]
        return np.asarray(filled[:, 0, chosen])

    def _features(
        self,
        lagged: Sequence[Array],
        averages: Sequence[Array],
        foretold: Array,
        time: Array,
        static: Array,
        row: Array,
        length: Array,
    ) -> Array:
        """(n, F) what is known before a row."""
        moving = [c for c, kind in enumerate(self.schema) if kind.kind != "static"]
        parts = [part[:, moving] for part in (*lagged, *averages)]
        if int(self.lengths.min()) < int(self.lengths.max()):
            parts.append(np.log(length)[:, None])
        if self.is_timed:
            fits = gap_that_fits(time, self._window, length - row)
            parts += [time[:, None], np.log(fits)[:, None]]
        n_waves = _MANY_TIME_WAVES if self.shared and self.latent.shape[1] >= 12 else _TIME_WAVES
        turns = np.pi * row[:, None] / self.latent.shape[1] * np.arange(1, n_waves + 1)
        return np.concatenate([*parts, foretold, static, np.cos(turns), np.sin(turns)], axis=1)

    @property
    def is_needed(self) -> bool:
        """Whether the data show what an SDE in the channels loses, or are few for it."""
        plain = all(kind.is_free for kind in self.schema)
        plain = plain and not self.relations.smooth and not self.relations.order
        steps = np.diff(self.latent, axis=1).reshape(-1, len(self.schema)) / self._step_scale
        tails = np.nan_to_num(steps**4).sum(axis=0) > _HEAVY * (~np.isnan(steps)).sum(axis=0)
        few = len(self.latent) < _FEW_SERIES
        asked = bool(np.isfinite(self.box).any() or np.ptp(self.weight) > 0)
        holes = bool(np.isnan(self.latent).sum() > (self.latent.shape[1] - self.lengths).sum())
        own = self.own_times or self.order > 1
        return bool(not plain or own or tails.any() or few or asked or holes)

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
        values, chosen = self._simulate(n, seed)
        drawn = self._finished(values, chosen)
        return np.asarray(np.take_along_axis(drawn, rows[:, :, None], axis=1))

    def sample_with_times(self, n: int, seed: int) -> tuple[Array, Array]:
        """Times (n, T), padded by the last one, and draws (n, T, D), NaN after the end."""
        values, chosen = self._simulate(n, seed)
        length, first = self.lengths[chosen], self.first_times[chosen]
        row = np.arange(values.shape[1])
        if self.step > 0:
            times = first[:, None] + self.step * row
        else:
            gaps = np.where(row == 0, 0.0, values[..., -1])
            times, values = first[:, None] + np.cumsum(gaps, axis=1), values[..., :-1]
        values = self._finished(values, chosen)
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
    def _filled(self) -> Array:
        """(B, T, D) training rows without holes."""
        return filled_by_lines(self.latent)

    @cached_property
    def _clock(self) -> Array:
        """(B, T) times of the rows, where the gaps between them are a channel."""
        gaps = self.schema[-1].inverse(self.latent[..., 1:, -1])
        return np.nancumsum(np.column_stack([self.first_times, gaps]), axis=1)

    @cached_property
    def _window(self) -> tuple[float, float]:
        return float(self.first_times.min()), float(self._clock.max())

    @cached_property
    def _step_scale(self) -> Array:
        """(D,) standard deviations of steps."""
        after = np.arange(self.latent.shape[1]) >= self.lengths[:, None]
        within = np.where(after[:, :, None], np.nan, self._filled)
        scale = np.nanstd(np.diff(within, axis=1), axis=(0, 1))
        return np.asarray(np.where(scale > 0, scale, 1.0))

    @cached_property
    def _start_neighbours(self) -> Array:
        """(B, k) series whose first p rows are nearest to those of each."""
        block = self._filled[:, : self.order]
        scale = block.std(axis=(0, 1))
        flat = (block / np.where(scale > 0, scale, 1.0)).reshape(len(block), -1)
        k = min(_NEAREST_STARTS + 1, len(flat))
        return np.asarray(cKDTree(flat).query(flat, k=k)[1].reshape(len(flat), k)[:, 1:])

    def _starts(self, chosen: Array, rng: np.random.Generator) -> Array:
        """(n, p, D) first rows of training series, moved a little towards or away from a neighbour.

        So they stay on what curve or surface the starts lie, and are no copies.
        """
        block = self._filled[:, : self.order]
        near = self._start_neighbours[chosen]
        other = block[near[np.arange(len(chosen)), rng.integers(near.shape[1], size=len(chosen))]]
        share = _BETWEEN * rng.standard_normal((len(chosen), 1, 1))
        own = block[chosen]
        moved = own + share * (other - own)
        for c, kind in enumerate(self.schema):
            exact = kind.kind in ("static", "levels", "whole")
            atom = np.isin(kind.inverse(own[..., c]), kind.atoms)
            moved[..., c] = np.where(exact | atom, own[..., c], moved[..., c])
        return np.asarray(moved)

    def _simulate(self, n: int, seed: int) -> tuple[Array, Array]:
        """Modelled values (n, T, D), and (n,) the training series whose constants they take."""
        rng = np.random.default_rng(seed)
        if np.ptp(self.weight) > 0:
            chosen = rng.choice(len(self.latent), size=n, p=self.weight / self.weight.sum())
        else:
            chosen = rng.integers(len(self.latent), size=n)
        length, n_rows = self.lengths[chosen], int(self.lengths[chosen].max())
        z = np.zeros((n, n_rows, len(self.schema)))
        values = np.zeros_like(z)
        z[:, : self.order] = self._starts(chosen, rng)
        static = self._statics(z, length)
        for row in range(min(self.order, n_rows)):
            for c, kind in enumerate(self.schema):
                values[:, row, c] = kind.inverse(z[:, row, c])
                z[:, row, c] = kind.forward(values[:, row, c])
        time = self.first_times[chosen] + values[:, 1 : self.order, -1].sum(axis=1)
        past = RunningPast.after(z[:, : self.order], self.rhythm, n_rows)
        for row in range(self.order, n_rows):
            lagged = [z[:, row - lag] for lag in range(1, self.order + 1)]
            known = past.averages, past.foretold, time, static, np.full(n, row), length
            features_of = {o: self._features(lagged[:o], *known) for o in set(self.orders)}
            for c, (kind, law) in enumerate(zip(self.schema, self.laws, strict=True)):
                if law is None:
                    z[:, row, c], values[:, row, c] = z[:, 0, c], values[:, 0, c]
                    continue
                features = np.concatenate([features_of[self.orders[c]], z[:, row, :c]], axis=1)
                drawn, like = law.draw(
                    features, past.sizes / self._step_scale, past.last[:, c], rng
                )
                same = kind.inverse(like)
                value = kind.inverse(drawn)
                # rows that were at an atom, or in a channel of levels, hand their value on
                handed = np.isin(same, kind.atoms) | (kind.kind == "levels")
                values[:, row, c] = np.where(handed, same, value)
                z[:, row, c] = kind.forward(values[:, row, c])
            past.append(z[:, row])
            time = time + values[:, row, -1]
        return values, chosen

    def _finished(self, modelled: Array, chosen: Array) -> Array:
        """Rows (n, T, K) of all channels, missing where the series `chosen` miss values."""
        values = self.relations.inverse(modelled)
        low, high = np.where(np.isnan(self.box), [[-np.inf], [np.inf]], self.box)
        values = np.clip(values, low, high)
        return np.where(self.missing[chosen][:, : values.shape[1]], np.nan, values)
