"""A point of the model, and priors of the rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.markov.emission import EmissionModel


@packable
@dataclass(frozen=True, eq=False)
class Parameters:
    """Rates, law of the first state, and observation model.

    Attributes:
        rates: (S, S), or (R, S, S) where rates differ between R regimes.
        initial: (S,) law of the first state.
        emission: observation model.
    """

    rates: Array
    initial: Array
    emission: EmissionModel

    @property
    def stack(self) -> Array:
        """(R, S, S) rates of all regimes."""
        return self.rates if self.rates.ndim == 3 else self.rates[None]

    @property
    def fastest(self) -> float:
        """The largest exit rate."""
        return float(-np.einsum("rii->ri", self.stack).min())


@dataclass(frozen=True, eq=False)
class GammaPrior:
    """Independent Gamma priors of the rates: shape (S, S) and rate (S, S) in units of time."""

    shape: Array
    rate: Array

    def log_density(self, rates: Array, links: Array) -> float:
        """Log density up to a constant."""
        used = np.maximum(rates[links], 1e-300)
        return float(((self.shape[links] - 1) * np.log(used) - self.rate[links] * used).sum())

    def slope(self, rates: Array, links: Array) -> Array:
        """(S, S) derivative of the log density by the rates; 0 where there is no link."""
        safe = np.maximum(rates, 1e-300)
        return np.asarray(np.where(links, (self.shape - 1) / safe - self.rate, 0.0))
