"""Sizes of innovations that wander along a series: calm and wild stretches, and tails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable


@packable
@dataclass(frozen=True, eq=False)
class CellSizes:
    r"""The law of innovations $z_{jc} = e^{b_c + a_{jc}}\,\eta_{jc}$ of channel c at time j.

    $b \sim N(0, B)$ stays along a series, $a$ is autoregressive with covariance $A$ at every time
    and correlation $r^{\Delta}$ over a gap $\Delta$, and $\eta_{jc}$ is independent in all cells
    and a mixture of K normals $N(\mu_{ck}, s_k^2)$ with mean 0: skewed, with tails. Given b, a and
    the parts of the mixtures, all innovations are independent normals.

    Attributes:
        lasting: (C, C) B, of logarithms.
        passing: (C, C) A.
        memory: r.
        weights: (C, K) of the parts.
        shifts: (C, K) $\mu_{ck}$.
        spreads: (K,) $s_k$.
    """

    lasting: Array
    passing: Array
    memory: float
    weights: Array
    shifts: Array
    spreads: Array

    def first(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw b and a at the first time, (n, C) each."""
        return normals(n, self.lasting, rng), normals(n, self.passing, rng)

    def moved(self, passing: Array, gap: float, rng: np.random.Generator) -> Array:
        """Draw a (n, C) after a gap."""
        kept = self.memory**gap
        fresh = normals(len(passing), self.passing, rng)
        return np.asarray(kept * passing + np.sqrt(1 - kept**2) * fresh)

    def log_parts(self, channel: int) -> Array:
        """(K,) logarithms of the weights of a channel."""
        return np.asarray(np.log(np.maximum(self.weights[channel], 1e-300)))

    def variances(self, n_times: int) -> Array:
        """(J C,) of the innovations."""
        log_size = np.diag(self.lasting + self.passing)
        noise = (self.weights * (self.shifts**2 + self.spreads**2)).sum(axis=1)
        return np.tile(np.exp(2 * log_size) * noise, n_times)

    def innovations(self, n: int, knots: Array, rng: np.random.Generator) -> Array:
        """Draw z at all times (J,), (n, J, C)."""
        lasting, passing = self.first(n, rng)
        z = np.empty((n, len(knots), len(self.lasting)))
        for j in range(len(knots)):
            if j:
                passing = self.moved(passing, knots[j] - knots[j - 1], rng)
            z[:, j] = np.exp(lasting + passing) * self._noise(n, rng)
        return z

    def _noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw eta of one time, (n, C)."""
        columns = []
        for weights, shifts in zip(self.weights, self.shifts, strict=True):
            part = rng.choice(len(weights), size=n, p=weights)
            columns.append(shifts[part] + self.spreads[part] * rng.standard_normal(n))
        return np.stack(columns, axis=1)


def normals(n: int, covariance: Array, rng: np.random.Generator) -> Array:
    """Draws (n, C) around 0 with a covariance that may be singular."""
    spectrum, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(np.maximum(spectrum, 0.0))
    return np.asarray(rng.standard_normal((n, len(covariance))) @ root.T)
