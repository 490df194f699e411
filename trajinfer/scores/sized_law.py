"""The law of whole series whose innovations have sizes of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.scores.cell_sizes import CellSizes, normals
from trajinfer.scores.size_filter import Linear, SizeFilter

_PARTICLES, _FEW_PARTICLES = 400, 100
_HELD = 1e-8


@packable
@dataclass(frozen=True, eq=False)
class SizedLaw:
    r"""Rows $x = m + L z$ of J C values, time after time, whose innovations z follow `CellSizes`.

    L is lower triangular: an innovation moves its own cell and later ones. A linear function of all
    series that never changes is free in this law, so that one wild value moves the others as it
    does in the series; where values are known the law is told that it holds, and draws of whole
    series are moved to where it does by `ExactSupport`.

    Attributes:
        mean: (D,) m.
        factor: (D, D) L.
        sizes: of the innovations.
        knots: (J,) times.
        unchanging: (M, D) orthonormal functions that never change, 0 at the mean.
    """

    mean: Array
    factor: Array
    sizes: CellSizes
    knots: Array
    unchanging: Array

    def draws(
        self, reach: Array, beside: Array, known: Array, values: Array, n: int, seed: int
    ) -> Array:
        """Draw entries (n, m) given those that are known.

        Args:
            reach: (m, D) shares of the values at the knots in every entry.
            beside: (m, m) covariance of what entries hold beside these.
            known: (m,) bool.
            values: (m,) read where known.
            n: number of draws.
            seed: of the draws.
        """
        if not known.any():
            rng = np.random.default_rng(seed)
            z = self.sizes.innovations(n, self.knots, rng).reshape(n, -1)
            rows = self.mean + z @ self.factor.T
            return np.asarray(rows @ reach.T + normals(n, beside, rng))
        center, m = reach @ self.mean, len(reach)
        held = len(self.unchanging)
        covariance = _HELD * np.eye(m + held)
        covariance[:m, :m] = beside
        asked = Linear(
            np.concatenate([reach, self.unchanging]) @ self.factor,
            covariance,
            np.append(known, np.ones(held, dtype=bool)),
            np.append(values - center, np.zeros(held)),
        )
        found = SizeFilter(self.sizes, self.knots, asked, max(n, _PARTICLES), seed)
        return np.asarray(np.where(known, values, center + found.drawn(n)[:, :m]))

    def log_density(
        self, reach: Array, beside: Array, values: Array, n_particles: int = _PARTICLES
    ) -> float:
        """Nats of the values (m,) of entries; the density itself is estimated without bias."""
        known = np.ones(len(reach), dtype=bool)
        asked = Linear(reach @ self.factor, beside, known, values - reach @ self.mean)
        return SizeFilter(self.sizes, self.knots, asked, n_particles, 0).log_evidence

    def log_density_of_row(self, row: Array) -> float:
        """Nats of a whole row (D,), given that what never changes does not change in it."""
        reach = np.eye(len(row))
        whole = self.log_density(reach, _HELD * reach, row, _FEW_PARTICLES)
        if not len(self.unchanging):
            return whole
        across = self.unchanging @ self.factor
        off = self.unchanging @ (row - self.mean)
        variance = across * self.sizes.variances(len(self.knots)) @ across.T
        square = off @ np.linalg.solve(variance, off)
        log_det = np.linalg.slogdet(2 * np.pi * variance)[1]
        return float(whole + 0.5 * (square + log_det))
