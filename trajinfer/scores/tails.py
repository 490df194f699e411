"""How far values out of a fit spread beyond what its law says: Student's t in place of a normal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import special

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_ROUNDS = 30
_LEAST = 1e-12


@packable
@dataclass(frozen=True)
class Tails:
    r"""The law $s\,t_\nu$ of normal scores.

    A value x with the distribution function F of a law has the normal score
    $z = \Phi^{-1}(F(x))$, standard normal where the law is that of the data. A law that was
    fitted to n rows knows spreads no better than n - 1 degrees of freedom allow, and is wrong by
    what it learned too little of: s is seen in rows that stay out of the fit.

    Attributes:
        scale: s.
        degrees: of freedom, infinite for a normal.
    """

    scale: float = 1.0
    degrees: float = math.inf

    @classmethod
    def of(cls, z: Array, degrees: float) -> Self:
        """The likeliest scale of normal scores (N,), by expectation maximisation.

        Scores far out count less, so that a few faults among many values do not hide each other.
        """
        square = float(np.mean(z**2))
        for _ in range(_ROUNDS):
            weights = (degrees + 1) / (degrees + z**2 / max(square, _LEAST))
            square = float(np.mean(weights * z**2))
        return cls(math.sqrt(max(square, _LEAST)), degrees)

    def log_ratio(self, z: Array) -> Array:
        """Log-density of normal scores less that of a standard normal."""
        scaled = z / self.scale
        normal = -0.5 * math.log(2 * math.pi) - 0.5 * z**2
        if math.isinf(self.degrees):
            own = -0.5 * math.log(2 * math.pi) - 0.5 * scaled**2
        else:
            nu = self.degrees
            constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2)
            own = constant - 0.5 * math.log(nu * math.pi)
            own = own - (nu + 1) / 2 * np.log1p(scaled**2 / nu)
        return np.asarray(own - math.log(self.scale) - normal)

    def p_values(self, z: Array) -> Array:
        """Chance of a normal score at least as far from 0."""
        far = np.abs(z) / self.scale
        if math.isinf(self.degrees):
            return np.asarray(2 * special.ndtr(-far))
        return np.asarray(2 * special.stdtr(self.degrees, -far))
