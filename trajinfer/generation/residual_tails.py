"""Tails of residuals beyond those that were observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_SHARE = 0.01
_FEWEST = 30
_SHAPES = (-0.5, 0.5)


@packable
@dataclass(frozen=True)
class ResidualTails:
    r"""Generalised Pareto tails, $P(e > u + x) \propto (1 + \xi x / \beta)^{-1/\xi}$.

    Attributes:
        threshold: (2,) below and above which residuals are drawn from a tail; infinite where there
            are too few residuals for one.
        shape: (2,) $\xi$ of either tail.
        size: (2,) $\beta$.
    """

    threshold: Array
    shape: Array
    size: Array

    @classmethod
    def of(cls, residual: Array) -> Self:
        """Fit both tails by probability-weighted moments to the outermost hundredth of either side.

        References:
            Hosking and Wallis, "Parameter and quantile estimation for the generalized Pareto
            distribution", Technometrics 29 (1987).
        """
        ends = []
        for sign in (-1.0, 1.0):
            mirrored = sign * residual
            level = float(np.quantile(mirrored, 1 - _SHARE))
            beyond = np.sort(mirrored[mirrored > level]) - level
            n = len(beyond)
            if n < _FEWEST or beyond[-1] <= 0:
                ends.append((sign * np.inf, 0.0, 1.0))
                continue
            mean = float(beyond.mean())
            weighted = float((beyond * (n - 1 - np.arange(n))).sum() / (n * (n - 1)))
            shape = float(np.clip(2 - mean / (mean - 2 * weighted), *_SHAPES))
            ends.append((sign * level, shape, mean * (1 - shape)))
        threshold, shapes, sizes = (np.array(column) for column in zip(*ends, strict=True))
        return cls(threshold, shapes, sizes)

    def extended(self, residual: Array, rng: np.random.Generator) -> Array:
        """Residuals (n,), those beyond a threshold drawn anew from its tail."""
        u = rng.random(len(residual))
        drawn = np.array(residual)
        for k, sign in enumerate((-1.0, 1.0)):
            if np.isinf(self.threshold[k]):
                continue
            far = sign * (residual - self.threshold[k]) > 0
            shape, size = self.shape[k], self.size[k]
            above = -np.log(u) if abs(shape) < 1e-6 else (u**-shape - 1) / shape
            drawn = np.where(far, self.threshold[k] + sign * size * above, drawn)
        return drawn
