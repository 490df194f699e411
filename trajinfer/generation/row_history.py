"""What is known of a series before its next row: averages of rows, sizes of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.generation.rhythm import Rhythm
from trajinfer.generation.row_law import RowLaw

HALF_LIVES = (3.0, 10.0)
SIZE_SHARE = 0.3
_FEWEST = 50


@dataclass(frozen=True)
class TrainingRows:
    """N rows and what is known before them.

    Attributes:
        past: (N, F) features.
        sizes: (N, D) sizes of recent steps.
        last: (N, D) the rows before.
        values: (N, D) the rows.
        series: (N,) numbers of their series.
        observed: (N, D, 2) bool, whether a value was observed, and the one before it.
        weight: (N,) of the series.
    """

    past: Array
    sizes: Array
    last: Array
    values: Array
    series: Array
    observed: Array
    weight: Array

    def law(self, channel: int, seed: int, has_atoms: bool) -> RowLaw:
        """The law of a channel given what is known and the channels before it.

        Rows at which it was not observed, or not just before, are left out where others are enough.
        """
        now, both = self.observed[:, channel, 0], self.observed[:, channel].all(axis=1)
        chosen = both if both.sum() >= _FEWEST else now
        features = np.concatenate([self.past, self.values[:, :channel]], axis=1)
        return RowLaw.fit(
            features[chosen],
            self.sizes[chosen],
            self.last[chosen, channel],
            self.values[chosen, channel],
            self.series[chosen],
            seed,
            importance=self.weight[chosen],
            has_atoms=has_atoms,
        )


@dataclass
class RunningPast:
    """What is known of n series before the row that is drawn next.

    Attributes:
        rhythm: periods of the channels.
        gains: (T, A, 3) of `rhythm`.
        averages: (n, D) each, exponential averages of rows.
        sizes: (n, D) of recent steps.
        sums: (n, A, 3) of `rhythm`.
        last: (n, D) the row before.
        row: number of the row drawn next.
    """

    rhythm: Rhythm
    gains: Array
    averages: list[Array]
    sizes: Array
    sums: Array
    last: Array
    row: int

    @classmethod
    def after(cls, rows: Array, rhythm: Rhythm, n_rows: int) -> Self:
        """After the first rows (n, p, D) of series of `n_rows`."""
        return cls(
            rhythm,
            rhythm.gains(n_rows),
            averages_of(rows, whole=False),
            step_sizes(rows, whole=False),
            rhythm.terms(rows, np.arange(rows.shape[1])).sum(axis=1),
            rows[:, -1],
            rows.shape[1],
        )

    @property
    def foretold(self) -> Array:
        """(n, A) the next row by its rhythm."""
        return np.asarray((self.gains[self.row] * self.sums).sum(axis=-1))

    def append(self, rows: Array) -> None:
        """One more row (n, D)."""
        shares = [1 - 0.5 ** (1 / half_life) for half_life in HALF_LIVES]
        self.averages = [
            part + share * (rows - part) for part, share in zip(self.averages, shares, strict=True)
        ]
        self.sizes = self.sizes + SIZE_SHARE * (np.abs(rows - self.last) - self.sizes)
        self.sums = self.sums + self.rhythm.terms(rows, self.row)
        self.last = rows
        self.row += 1


def averages_of(rows: Array, whole: bool = True) -> list[Array]:
    """Exponential averages begun at the first row: before every row, or after the last one."""
    found = []
    for half_life in HALF_LIVES:
        share = 1 - 0.5 ** (1 / half_life)
        state = rows[:, 0]
        table = [state]
        for t in range(1, rows.shape[1]):
            if whole:
                table.append(state)
            state = state + share * (rows[:, t] - state)
        found.append(np.stack(table, axis=1) if whole else state)
    return found


def step_sizes(rows: Array, whole: bool = True) -> Array:
    """Exponential averages of sizes of steps: known before every row, or after the last one."""
    state = np.zeros_like(rows[:, 0])
    table = [state]
    for t in range(1, rows.shape[1]):
        table.append(state)
        state = state + SIZE_SHARE * (np.abs(rows[:, t] - rows[:, t - 1]) - state)
    return np.stack(table, axis=1) if whole else state


def gap_that_fits(time: Array, window: tuple[float, float], to_come: Array) -> Array:
    """Mean gap after a time where the rows to come fall anywhere before the end of a window.

    At least a hundredth of the window counts as left.
    """
    left = np.maximum(window[1] - time, 0.01 * (window[1] - window[0]))
    return np.asarray(left / (np.maximum(to_come, 0) + 1))
