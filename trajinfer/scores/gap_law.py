"""Gaps between ordered channels: the scale on which a law without bounds draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_NODES = 400


@packable
@dataclass(frozen=True, eq=False)
class GapLaw:
    r"""A rising map from free gaps, of any sign, to gaps that are never negative.

    A gap has a share $p_0$ of zeros and beyond them a positive law $G$. With the law $F$ of free
    gaps, which a density without bounds draws,

    $$ g = G^{-1}\Bigl(\frac{F(x) - p_0}{1 - p_0}\Bigr) \text{ where } F(x) > p_0,
    \qquad g = 0 \text{ elsewhere,} $$

    with lines between quantiles. Below the smallest gap seen, where there are no zeros, gaps fall
    to zero as an exponential does, and none is zero; above the largest they go on as a line.

    Attributes:
        free: (Q,) quantiles of free gaps beyond the share of zeros, rising.
        gaps: (Q,) quantiles of positive gaps, rising, in the unit of the gaps.
        zeros: p_0, in [0, 1).
        spread: standard deviation of the free gaps.
    """

    free: Array
    gaps: Array
    zeros: float
    spread: float

    @classmethod
    def of(cls, free: Array, gaps: Array) -> Self:
        """The map that gives free gaps (N,) the law of gaps (M,), not all of which are zero."""
        zeros = float((gaps <= 0).mean())
        nodes = np.linspace(0, 1, min(_NODES, len(gaps)))
        return cls(
            np.quantile(free, zeros + (1 - zeros) * nodes),
            np.quantile(gaps[gaps > 0], nodes),
            zeros,
            float(free.std()),
        )

    def gap(self, free: Array) -> Array:
        """Gaps of free ones, in any shape."""
        low, high = self.free[0], self.free[-1]
        if self.zeros > 0:
            below = np.zeros(free.shape)
        else:
            below = self.gaps[0] * np.exp(np.minimum(free - low, 0) / self.spread)
        above = np.maximum(free - high, 0) * self._steepness
        inside = np.interp(free, self.free, self.gaps) + above
        return np.asarray(np.where(free < low, below, inside))

    @property
    def _steepness(self) -> float:
        return float((self.gaps[-1] - self.gaps[0]) / (self.free[-1] - self.free[0]))
