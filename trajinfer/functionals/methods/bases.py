"""Functions whose sum is a value: random features of any dimension, polynomials on the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.polynomial import legendre

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable


class Basis(Protocol):
    """J smooth functions of the state, with derivatives in closed form."""

    def values(self, x: Array) -> Array:
        """(n, J)."""
        ...

    def along(self, x: Array, v: Array) -> Array:
        """Derivatives (n, J) in the directions v (n, D)."""
        ...

    def values_along(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Both, for the price of one."""
        ...

    def second(self, x: Array, columns: Array) -> Array:
        """Half the sum of second derivatives (n, J) along the columns (n, D, M)."""
        ...


@packable
@dataclass(frozen=True, eq=False)
class RandomFeatures:
    """tanh(W z + b) of the standardised state z, and the constant.

    Attributes:
        weights: W, (J, D), in units of the state.
        offsets: b, (J,).
    """

    weights: Array
    offsets: Array

    @classmethod
    def draw(cls, X: Array, count: int, rng: np.random.Generator) -> Self:
        """J features fitted to the spread of the states X (n, D)."""
        dim = X.shape[1]
        center, scale = X.mean(axis=0), X.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        weights = rng.normal(0, 1 / np.sqrt(dim), (count, dim))
        reach = np.sqrt(3.0)
        offsets = rng.uniform(-reach, reach, count)
        weights[-1], offsets[-1] = 0.0, 1.0  # the constant
        weights = weights / scale
        return cls(weights, offsets - weights @ center)

    def values(self, x: Array) -> Array:
        """(n, J)."""
        return np.asarray(np.tanh(x @ self.weights.T + self.offsets))

    def along(self, x: Array, v: Array) -> Array:
        """Derivatives (n, J) in the directions v (n, D)."""
        return self.values_along(x, v)[1]

    def values_along(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Both, for the price of one."""
        values = self.values(x)
        return values, np.asarray((1 - values**2) * (v @ self.weights.T))

    def second(self, x: Array, columns: Array) -> Array:
        """Half the sum of second derivatives (n, J) along the columns (n, D, M)."""
        t = self.values(x)
        squares = sum((columns[:, :, m] @ self.weights.T) ** 2 for m in range(columns.shape[2]))
        return np.asarray(-t * (1 - t**2) * squares)


@packable
@dataclass(frozen=True, eq=False)
class Polynomials:
    """Legendre polynomials on an interval.

    Attributes:
        low, high: the interval.
        count: J.
    """

    low: float
    high: float
    count: int

    def _z(self, x: Array) -> tuple[Array, float]:
        half = (self.high - self.low) / 2
        return (x[:, 0] - self.low) / half - 1, 1 / half

    def _derivative(self, x: Array, order: int) -> Array:
        z, scale = self._z(x)
        series = np.eye(self.count)
        return (
            np.stack([legendre.legval(z, legendre.legder(row, order)) for row in series], axis=1)
            * scale**order
        )

    def values(self, x: Array) -> Array:
        """(n, J)."""
        return self._derivative(x, 0)

    def along(self, x: Array, v: Array) -> Array:
        """Derivatives (n, J) in the directions v (n, 1)."""
        return self._derivative(x, 1) * v

    def values_along(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Both."""
        return self.values(x), self.along(x, v)

    def second(self, x: Array, columns: Array) -> Array:
        """Half the second derivatives (n, J) times the squares of the columns (n, 1, M)."""
        squares = (columns[:, 0] ** 2).sum(axis=1, keepdims=True)
        return np.asarray(self._derivative(x, 2) * squares / 2)
