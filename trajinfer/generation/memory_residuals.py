"""Residuals of the training rows: the noise that simulations are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_FEWEST = 30


@packable
@dataclass(frozen=True)
class Residuals:
    """Residual vectors of the training rows, sorted by which hurdles are at zero and by phase.

    Attributes:
        values: (N, D).
        first: (K, P) where the draws for a pattern of zeros and a phase begin among those of the
            pattern, around the day.
        count: (K, P) how many they are.
        block: (K, 2) where the residuals of a pattern begin in `values`, and their number.
        std: (D,) standard deviation.
        largest: (D,) largest scale of a training row; simulations do not go beyond it.
    """

    values: Array
    first: Array
    count: Array
    block: Array
    std: Array
    largest: Array

    @classmethod
    def of(
        cls, values: Array, scale: Array, cell: tuple[Array, Array], shape: tuple[int, int]
    ) -> Residuals:
        """Sort residuals (N, D), of rows of these scales (N, D), by pattern and phase, (N,) each.

        A draw is of its own phase; where that has fewer than 30 residuals of the pattern, of the
        nearest phases that together have so many, around the day.
        """
        pattern, phase = cell
        order = np.lexsort((phase, pattern))
        tally = np.zeros(shape, dtype=int)
        np.add.at(tally, cell, 1)
        size = tally.sum(axis=1)
        block = np.stack([size.cumsum() - size, size], axis=1)
        block[size == 0] = 0, len(values)
        first, count = _windows(tally)
        first[size == 0], count[size == 0] = 0, len(values)
        return cls(values[order], first, count, block, values.std(axis=0), scale.max(axis=0))

    def draw(self, pattern: Array, phase: Array, jitter: float, rng: np.random.Generator) -> Array:
        """One residual (n, D) each, of the same pattern and phase."""
        start, size = self.block[pattern].T
        chosen = (rng.random(len(phase)) * self.count[pattern, phase]).astype(int)
        rows = start + (self.first[pattern, phase] + chosen) % size
        noise = rng.standard_normal((len(phase), self.values.shape[1]))
        return np.asarray(self.values[rows] + jitter * self.std * noise)


def _windows(tally: Array) -> tuple[Array, Array]:
    """First residual and number of residuals of the narrowest window around each phase.

    Args:
        tally: (K, P) number of residuals of every pattern and phase.

    Returns:
        (K, P) each; the first is counted modulo all residuals of the pattern.
    """
    period = tally.shape[1]
    fewest = np.minimum(_FEWEST, tally.sum(axis=1, keepdims=True))
    around = np.concatenate([np.zeros_like(tally[:, :1]), np.tile(tally, 3).cumsum(axis=1)], axis=1)
    phase = np.arange(period, 2 * period)
    first, count = np.zeros_like(tally), np.full_like(tally, -1)
    for width in range(period // 2 + 1):
        low, high = around[:, phase - width], around[:, phase + width + 1]
        found = (count < 0) & (high - low >= fewest)
        first = np.where(found, low, first)
        count = np.where(found, high - low, count)
    return first, np.minimum(count, tally.sum(axis=1, keepdims=True))
