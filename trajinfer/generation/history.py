"""The past as features: for all rows of records at once, and carried along in a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.generation.memory_settings import Memory
from trajinfer.generation.row_transform import average_before
from trajinfer.generation.seasonal_profile import SeasonalProfile


@dataclass
class MemoryState:
    """What n simulations remember.

    Attributes:
        memory: the settings.
        profile: what is usual.
        recent: (n, P, D) the last standardised rows, the latest last.
        averages: (n, H, 2 D) averages of rows and of their sizes.
        zero: (n, Z) which of the channels with a hurdle stood at zero in the last row.
        row: (n,) number of the next row.
    """

    memory: Memory
    profile: SeasonalProfile
    recent: Array
    averages: Array
    zero: Array
    row: Array

    def features(self) -> Array:
        """(n, F) features of the next row."""
        lagged = self.recent[:, [-lag for lag in self.memory.lags]]
        n = len(self.recent)
        parts = [lagged.reshape(n, -1), self.averages.reshape(n, -1), self.zero.astype(float)]
        if self.memory.calendar is not None:
            parts.append(self.memory.calendar.features(self.row))
        parts.append(self.profile.features(self.memory, self.recent[:, -1], self.row))
        return np.concatenate(parts, axis=1)

    def advance(self, rows: Array, zero: Array) -> None:
        """Take in the standardised rows (n, D) that have been drawn."""
        self.recent = np.concatenate([self.recent[:, 1:], rows[:, None]], axis=1)
        keep = 0.5 ** (1 / np.array(self.memory.half_lives))[:, None]
        seen = np.concatenate([rows, np.abs(rows)], axis=1)[:, None]
        self.averages = keep * self.averages + (1 - keep) * seen
        self.zero, self.row = zero, self.row + 1


@dataclass(frozen=True)
class History:
    """What every row of records (R, T, D) could remember, with the state before each row.

    Attributes:
        memory: the settings.
        profile: what is usual.
        rows: (R, T, D) standardised rows, NaN where there is none.
        zero: (R, T, Z) which hurdles stood at zero.
        averages: (R, T, H, 2 D) averages of what came before.
        number: (R, T) row numbers.
    """

    memory: Memory
    profile: SeasonalProfile
    rows: Array
    zero: Array
    averages: Array
    number: Array

    @classmethod
    def of(
        cls, memory: Memory, profile: SeasonalProfile, rows: Array, zero: Array, number: Array
    ) -> History:
        """The past of every row."""
        seen = np.concatenate([rows, np.abs(rows)], axis=-1)
        d = rows.shape[-1]
        start = np.concatenate([np.zeros(d), np.full(d, _mean_size(rows))])
        averages = [average_before(seen, h, start) for h in memory.half_lives]
        return cls(memory, profile, rows, zero, np.stack(averages, axis=2), number)

    def usable(self) -> Array:
        """(R, T) bool: rows that are there, with the one before, all lags within the record."""
        n = self.rows.shape[1]
        there: Array = np.asarray(~np.isnan(self.rows).any(axis=-1))
        deepest = max(self.memory.lags)
        usable = there.copy()
        for lag in {1, *self.memory.lags}:
            usable[:, lag:] &= there[:, : n - lag]
        usable[:, : min(deepest, n)] = False
        return usable

    @property
    def n_features(self) -> int:
        """F, the number of features of a row."""
        first = np.zeros(1, dtype=int)
        return int(self.before(first, first).features().shape[1])

    def before(self, record: Array, column: Array) -> MemoryState:
        """The state just before the rows (record, column), (n,) each."""
        deepest = max(self.memory.lags)
        back = column[:, None] - np.arange(deepest, 0, -1)
        recent = np.nan_to_num(self.rows[record[:, None], np.maximum(back, 0)])
        return MemoryState(
            self.memory,
            self.profile,
            recent,
            self.averages[record, column],
            self.zero[record, column - 1],
            self.number[record, column],
        )


def _mean_size(rows: Array) -> float:
    """Mean |standardised value|."""
    return float(np.nanmean(np.abs(rows)))
