"""Generation row by row, by a law that sees what came before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.generation.history import History
from trajinfer.generation.memory_model import MemoryModel, fit_memory
from trajinfer.generation.memory_settings import Memory
from trajinfer.generation.prepared import Prepared
from trajinfer.generation.quantised_rows import daily
from trajinfer.generation.recordings import Recordings, join_windows
from trajinfer.generation.relative_rows import RelativeRows
from trajinfer.generation.row_transform import RowTransform, State, TransformedRows
from trajinfer.training import Callback, Report

_DAYS_PER_YEAR = 365.25


@packable
@dataclass(frozen=True)
class MemoryEngine:
    """A fitted law of rows, and the rows it starts from.

    Attributes:
        transform: between rows and latent rows.
        state: what the transform learned.
        model: the law.
        latents: latent rows of the training recordings.
        number: (R, T) their row numbers.
        step: time from row to row.
        window: rows of a series.
        origin: time at which row numbers are 0.
    """

    transform: RowTransform
    state: State
    model: MemoryModel
    latents: TransformedRows
    number: Array
    step: float
    window: int
    origin: float

    n_links: ClassVar[int] = 1
    dependence: ClassVar[None] = None
    from_start: ClassVar[bool] = True
    own_times: ClassVar[bool] = False
    any_time: ClassVar[bool] = False

    @cached_property
    def history(self) -> History:
        """What every training row could remember."""
        return self.model.history(self.latents, self.number)

    @classmethod
    def fit(
        cls,
        prepared: Prepared,
        transform: RowTransform | str,
        memory: Memory | None,
        seed: int,
        callbacks: Sequence[Callback],
    ) -> tuple[Self, list[Report]]:
        """Learn the law from the recordings that the series are pieces of."""
        records = join_windows(prepared.series)
        origin = _midnight(prepared.series.axis)
        if isinstance(transform, str):
            transform = _by_name(transform, records, prepared.series.axis)
        kept = prepared.constraints.drop(records.values)
        channels = [prepared.series.channels[k] for k in prepared.constraints.kept]
        state = transform.learn(kept[records.present], channels)
        seed_noise, seed_law = spawn(seed, 2)
        latents = transform.forward(kept, state, np.random.default_rng(seed_noise))
        number = np.round((records.times - origin) / records.step).astype(int)
        chosen = transform.memory if memory is None else memory
        model, reports = fit_memory(chosen, latents, number, seed_law, callbacks, prepared.device)
        rows = records.step, records.window, origin
        return cls(transform, state, model, latents, number, *rows), reports

    def grid(self) -> Array:
        """(T,) times of a series, from 0."""
        return np.asarray(self.step * np.arange(self.window))

    def sample(self, n: int, ts: Array, n_links: int | None, seed: int) -> Array:
        """Rows (n, T, D) of the modelled channels at times ts counted from the first one.

        Every path goes on from a random training row, is simulated for `burn_in` rows that are
        thrown away, and begins at the phase of the day at which the training series began.
        """
        rows = self._rows(ts - ts[..., :1])
        rng = np.random.default_rng(seed)
        burn_in = self.model.memory.burn_in
        record, column = self._starts(burn_in)
        chosen = rng.integers(len(record), size=n)
        n_rows = burn_in + int(rows.max()) + 1
        simulated = self._simulate(record[chosen], column[chosen], n_rows, rng)
        index = np.broadcast_to(burn_in + rows, (n, rows.shape[-1]))[:, :, None]
        return np.asarray(np.take_along_axis(simulated, index, axis=1))

    def check_times(self, ts: Array) -> None:
        """Refuse times that are no rows."""
        self._rows(ts - ts[..., :1])

    def sample_with_times(self, n: int, seed: int) -> tuple[Array, Array]:
        """Draws on the grid that they share."""
        grid = self.grid()
        return grid, self.sample(n, grid, None, seed)

    def comparable(self, values: Array) -> Array:
        """Paths in the units of the transform in which series of different times compare."""
        return self.transform.comparable(values)

    def walk(self, n: int, n_steps: int, ts: Array, seed: int) -> list[Array]:
        """There is no chain.

        Raises:
            InputError: always.
        """
        raise InputError("only neighbour='one' makes a chain; use sample")

    def continue_from(self, past: IrregularSeries, n: int, ts: Array, seed: int) -> Array:
        """Rows (n, T, D) that go on from the past, whose last rows are the memory."""
        if past.mask.sum() < past.mask.size:
            raise InputError("the given past must be complete; fill or cut its gaps first")
        ends = past.times[:, -1]
        if (ends != ends[0]).any():
            raise InputError("the given series must end at the same time; draw for each by itself")
        rows = self._rows(ts - ends[0]) - 1
        if rows[0] < 0:
            raise InputError(f"ts must lie after the last given row at {ends[0]:g}")
        rng = np.random.default_rng(seed)
        with np.errstate(invalid="ignore", divide="ignore"):
            latents = self.transform.forward(past.values, self.state, rng)
        if not np.isfinite(latents.rows[:, 1:]).all():
            raise InputError(
                "the given past holds values that the transform cannot take, such as prices that "
                "are not positive; leave such rows out"
            )
        number = np.round((past.times - self.origin) / self.step).astype(int)
        length = past.values.shape[1]
        if length <= max(self.model.memory.lags) + 1:
            raise InputError(
                f"the memory sees {max(self.model.memory.lags) + 1} rows, the given past has "
                f"{length}; give a longer one"
            )
        # one empty row more, so that the state before it is the state after the past
        latents, number = _extended(latents, number)
        memory = self.model.history(latents, number)
        which = np.arange(n) % len(past)
        state = memory.before(which, np.full(n, length))
        drawn, zero = self.model.simulate(state, rows[-1] + 1, rng)
        levels = latents.levels[which, length - 1]
        return self.transform.inverse(drawn, zero, levels, self.state)[:, rows]

    def _simulate(self, record: Array, column: Array, n_rows: int, rng: Any) -> Array:
        state = self.history.before(record, column)
        drawn, zero = self.model.simulate(state, n_rows, rng)
        levels = self.latents.levels[record, column - 1]
        return self.transform.inverse(drawn, zero, levels, self.state)

    def _starts(self, burn_in: int) -> tuple[Array, Array]:
        """Training rows from which a series can be begun."""
        usable = self.history.usable()
        calendar = self.model.memory.calendar
        if calendar is not None:
            usable &= calendar.phase(self.number + burn_in) == 0
        record, column = np.nonzero(usable)
        if not len(record):
            raise InputError("no training row has the memory a series starts from; give more rows")
        return record, column

    def _rows(self, ts: Array) -> Array:
        rows = np.round(ts / self.step)
        if np.abs(ts / self.step - rows).max() > 1e-6 * max(1.0, float(rows.max())):
            raise InputError(
                f"rows come at steps of {self.step:g}; ts must be multiples of it from the first on"
            )
        return np.asarray(rows, dtype=int)


def _by_name(name: str, records: Recordings, axis: TimeAxis) -> RowTransform:
    """The transform that a name means for these records."""
    if name == "relative":
        return RelativeRows()
    dated = axis.kind != "number" and axis.unit == "D"
    period = round(1 / records.step) if dated else records.window
    span = records.times[records.present].max() - records.times[records.present].min()
    season = _DAYS_PER_YEAR * period if span >= _DAYS_PER_YEAR * period * records.step else None
    return daily(period, int(records.lengths.sum()), season)


def _midnight(axis: TimeAxis) -> float:
    """Time of the midnight before the origin, in days before it, for datetimes; else 0."""
    if axis.kind != "datetime" or axis.origin is None or axis.unit != "D":
        return 0.0
    return float((axis.origin.normalize() - axis.origin) / np.timedelta64(1, "D"))


def _extended(latents: TransformedRows, number: Array) -> tuple[TransformedRows, Array]:
    def one_more(part: Array, fill: Any) -> Array:
        return np.concatenate([part, np.full_like(part[:, :1], fill)], axis=1)

    longer = TransformedRows(
        one_more(latents.rows, np.nan),
        one_more(latents.zero, False),
        one_more(latents.levels, np.nan),
        latents.bounds,
    )
    return longer, np.concatenate([number, number[:, -1:] + 1], axis=1)
