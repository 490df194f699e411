r"""Gaussian paths from noise (level 0) to data (level 1), $x_u = \alpha(u) x + \sigma(u) \xi$.

In scaled coordinates $y = x_u/\alpha$, $\rho = \sigma/\alpha$ all paths are one; a path gives
levels to noise levels, and back, and a grid.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable

_STEP = 1e-6


class GaussianPath(ABC):
    """The mean factor alpha and the noise factor sigma of a path, by level."""

    @abstractmethod
    def alpha(self, level: float) -> float:
        """Factor of the data."""

    @abstractmethod
    def sigma(self, level: float) -> float:
        """Factor of the noise."""

    @abstractmethod
    def level(self, rho: float) -> float:
        """The level u at which sigma/alpha is rho."""

    def rho(self, level: float) -> float:
        """The noise level sigma/alpha; infinite where there is no data."""
        alpha = self.alpha(level)
        return self.sigma(level) / alpha if alpha > 0 else math.inf

    def alpha_rate(self, level: float) -> float:
        """Derivative of alpha by the level."""
        return _slope(self.alpha, level)

    def sigma_rate(self, level: float) -> float:
        """Derivative of sigma by the level."""
        return _slope(self.sigma, level)

    def grid(self, n_steps: int, rho_max: float, rho_min: float) -> Array:
        """Noise levels (n_steps + 1,), uniform in the level of this path, falling."""
        ends = np.linspace(self.level(rho_max), self.level(rho_min), n_steps + 1)
        inner = [self.rho(float(level)) for level in ends[1:-1]]
        return np.array([rho_max, *inner, rho_min])


def _slope(function: object, level: float) -> float:
    """Fourth-order difference that stays inside [0, 1]; forward or backward at the ends."""
    low, high = max(level - 2 * _STEP, 0.0), min(level + 2 * _STEP, 1.0)
    at = [low + (high - low) * k / 4 for k in range(5)]
    values = [function(u) for u in at]  # type: ignore[operator]
    polynomial = np.polynomial.Polynomial.fit(at, values, 4)
    return float(polynomial.deriv()(level))


@packable
@dataclass(frozen=True)
class VarianceExploding(GaussianPath):
    """alpha = 1; the noise falls geometrically from rho_max to rho_min."""

    rho_max: float = 80.0
    rho_min: float = 0.002

    def __post_init__(self) -> None:
        require_levels(self.rho_max, self.rho_min)

    def alpha(self, level: float) -> float:
        """1."""
        return 1.0

    def sigma(self, level: float) -> float:
        """rho_max^(1 - u) rho_min^u."""
        return float(self.rho_max ** (1 - level) * self.rho_min**level)

    def level(self, rho: float) -> float:
        """Linear in log rho."""
        return math.log(self.rho_max / rho) / math.log(self.rho_max / self.rho_min)

    def alpha_rate(self, level: float) -> float:
        """0."""
        return 0.0

    def sigma_rate(self, level: float) -> float:
        """Sigma log(rho_min / rho_max)."""
        return self.sigma(level) * math.log(self.rho_min / self.rho_max)


@packable
@dataclass(frozen=True)
class VariancePreserving(GaussianPath):
    """alpha = exp(-B/2), alpha^2 + sigma^2 = 1, B the integral of a rate linear in the level.

    Args:
        beta_min, beta_max: rate at the data and at the noise.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise InputError(
                "expected 0 < beta_min <= beta_max, got "
                f"beta_min={self.beta_min}, beta_max={self.beta_max}; use 0.1 and 20"
            )

    def integral(self, level: float) -> float:
        """B at a level."""
        s = 1 - level
        return self.beta_min * s + 0.5 * (self.beta_max - self.beta_min) * s * s

    def rate(self, level: float) -> float:
        """Derivative of B by 1 - u."""
        return self.beta_min + (self.beta_max - self.beta_min) * (1 - level)

    def level_of_integral(self, integral: float) -> float:
        """The level at which B has a value."""
        root = math.sqrt(self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * integral)
        return 1 - 2 * integral / (self.beta_min + root)

    def alpha(self, level: float) -> float:
        """exp(-B/2)."""
        return math.exp(-0.5 * self.integral(level))

    def sigma(self, level: float) -> float:
        """sqrt(1 - exp(-B))."""
        return math.sqrt(-math.expm1(-self.integral(level)))

    def rho(self, level: float) -> float:
        """sqrt(expm1 B)."""
        return math.sqrt(math.expm1(self.integral(level)))

    def level(self, rho: float) -> float:
        """By the root formula for B = log(1 + rho^2)."""
        return self.level_of_integral(math.log1p(rho * rho))

    def alpha_rate(self, level: float) -> float:
        """Alpha times half the rate."""
        return 0.5 * self.rate(level) * self.alpha(level)

    def sigma_rate(self, level: float) -> float:
        """From alpha^2 + sigma^2 = 1; infinite at the data."""
        sigma = self.sigma(level)
        if sigma == 0:
            return -math.inf
        return -0.5 * self.rate(level) * self.alpha(level) ** 2 / sigma


@packable
@dataclass(frozen=True)
class SubVariancePreserving(VariancePreserving):
    """alpha = exp(-B/2), sigma = 1 - exp(-B), which is not 1 at level 0."""

    def sigma(self, level: float) -> float:
        """1 - exp(-B)."""
        return -math.expm1(-self.integral(level))

    def rho(self, level: float) -> float:
        """2 sinh(B/2)."""
        return 2 * math.sinh(0.5 * self.integral(level))

    def level(self, rho: float) -> float:
        """B = 2 asinh(rho/2)."""
        return self.level_of_integral(2 * math.asinh(0.5 * rho))

    def sigma_rate(self, level: float) -> float:
        """Minus the rate times exp(-B)."""
        return -self.rate(level) * math.exp(-self.integral(level))


@packable
@dataclass(frozen=True)
class CosinePath(GaussianPath):
    """alpha = sin(pi u/2), sigma = cos(pi u/2)."""

    def alpha(self, level: float) -> float:
        """sin(pi u/2)."""
        return math.sin(0.5 * math.pi * level)

    def sigma(self, level: float) -> float:
        """cos(pi u/2)."""
        return math.sin(0.5 * math.pi * (1 - level))

    def level(self, rho: float) -> float:
        """From the cotangent."""
        return math.atan2(1.0, rho) * 2 / math.pi

    def alpha_rate(self, level: float) -> float:
        """pi/2 sigma."""
        return 0.5 * math.pi * self.sigma(level)

    def sigma_rate(self, level: float) -> float:
        """-pi/2 alpha."""
        return -0.5 * math.pi * self.alpha(level)


@packable
@dataclass(frozen=True)
class StraightPath(GaussianPath):
    """alpha = u, sigma = 1 - u: flow matching. The noise level is infinite at u = 0."""

    def alpha(self, level: float) -> float:
        """U."""
        return level

    def sigma(self, level: float) -> float:
        """1 - u."""
        return 1 - level

    def level(self, rho: float) -> float:
        """1/(1 + rho)."""
        return 1 / (1 + rho)

    def alpha_rate(self, level: float) -> float:
        """1."""
        return 1.0

    def sigma_rate(self, level: float) -> float:
        """-1."""
        return -1.0


@packable
@dataclass(frozen=True)
class MeanReverting(VariancePreserving):
    """x_u = mean + alpha (x - mean) + scale sigma xi: noise that reverts to a mean of one's own.

    In scaled coordinates y = mean + (x_u - mean)/alpha this is the variance-preserving path with
    levels times the scale, so every sampler takes it.

    Args:
        mean: what the path reverts to, a number or (D,).
        scale: standard deviation of the law at the far end.
        beta_min, beta_max: rate at the data and at the noise.
    """

    mean: float | Sequence[float] = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.scale > 0:
            raise InputError(f"scale must be positive, got {self.scale}; use the sd of the data")

    def sigma(self, level: float) -> float:
        """Scale sqrt(1 - exp(-B))."""
        return self.scale * super().sigma(level)

    def rho(self, level: float) -> float:
        """Scale sqrt(expm1 B)."""
        return self.scale * super().rho(level)

    def level(self, rho: float) -> float:
        """The variance-preserving level of rho/scale."""
        return super().level(rho / self.scale)

    def sigma_rate(self, level: float) -> float:
        """Scale times that of the variance-preserving path."""
        return self.scale * VariancePreserving(self.beta_min, self.beta_max).sigma_rate(level)


def require_levels(rho_max: float, rho_min: float) -> None:
    """Refuse ends that are not rho_max > rho_min > 0.

    Raises:
        InputError: naming both.
    """
    if not (math.isfinite(rho_max) and rho_max > rho_min > 0):
        raise InputError(
            f"levels must be (rho_max, rho_min) with rho_max > rho_min > 0, got "
            f"({rho_max}, {rho_min}); noise falls while sampling"
        )
