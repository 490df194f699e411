"""Values that meet the stopping set: a lift that is right there, and functions that vanish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.questions.functional import Functional, values_at
from trajinfer.questions.region import Region

_STEP = 1e-2
_REACH, _CORNER, _ROUNDING = 0.05, 0.01, 1e-12


@packable
@dataclass(frozen=True, eq=False)
class Span:
    """V = lift + p sum_j c_j psi_j, with p = 0 on the stopping set and lift right there.

    Attributes:
        functional: the question.
        basis: the functions psi.
        scale: (D,) spread of the states, by which differences are taken.
    """

    functional: Functional
    basis: Any
    scale: Array

    @classmethod
    def of(cls, functional: Functional, basis: Any, X: Array) -> Span:
        """The span, if all regions have smooth walls.

        Raises:
            InputError: naming a region that has none.
        """
        spread = X.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        for region, _ in functional.stopping:
            if region.smooth(X[:1]) is None or not _is_smooth(region, X, scale):
                raise InputError(
                    f"a {type(region).__name__} has corners or no known wall, so no smooth "
                    "function vanishes on it; take method='grid' or estimate"
                )
        return cls(functional, basis, scale)

    def gate(self, x: Array) -> Array:
        """The factor p (n,) that vanishes on the stopping set."""
        parts = [np.asarray(region.smooth(x)) for region, _ in self.functional.stopping]
        return np.asarray(np.prod(parts, axis=0)) if parts else np.ones(len(x))

    def lift(self, x: Array) -> Array:
        """A function (n,) that is right on the stopping set."""
        walls = self.functional.stopping
        if not walls:
            return np.zeros(len(x))
        paid = np.stack([values_at(value, 0.0, x) for _, value in walls])
        if len(walls) == 1 or np.ptp(paid) == 0:
            return np.asarray(paid[0])
        smooth = np.stack([np.asarray(region.smooth(x)) for region, _ in walls])
        others = np.stack([np.delete(smooth, k, axis=0).prod(axis=0) for k in range(len(walls))])
        total = others.sum(axis=0)
        return np.asarray((paid * others).sum(axis=0) / np.where(total != 0, total, 1.0))

    def features(self, x: Array) -> Array:
        """The functions p psi_j, (n, J)."""
        return np.asarray(self.gate(x)[:, None] * self.basis.values(x))

    def features_along(self, x: Array, v: Array) -> Array:
        """Their derivatives (n, J) in the directions v (n, D)."""
        return self.features_and_change(x, v)[1]

    def features_and_change(self, x: Array, v: Array) -> tuple[Array, Array]:
        """The functions p psi_j and their derivatives in the directions v (n, D), (n, J) each."""
        slope, gate = self.slope(self.gate, x, v)[:, None], self.gate(x)[:, None]
        values, along = self.basis.values_along(x, v)
        return np.asarray(gate * values), np.asarray(slope * values + gate * along)

    def lift_along(self, x: Array, v: Array) -> Array:
        """Derivative (n,) of the lift in the directions v (n, D)."""
        return self.slope(self.lift, x, v)

    def slope(self, function: Callable[[Array], Array], x: Array, v: Array) -> Array:
        """Derivative (n,) in the directions v (n, D), by differences of fourth order."""
        size = np.sqrt(((v / self.scale) ** 2).sum(axis=1, keepdims=True))
        unit = _STEP * v / np.where(size > 0, size, 1.0)
        one, two = (function(x + k * unit) - function(x - k * unit) for k in (1, 2))
        return np.asarray((8 * one - two) / 12 / _STEP * size[:, 0])

    def bend(self, function: Callable[[Array], Array], x: Array, v: Array) -> Array:
        """Second derivative (n,) along v (n, D), by differences of fourth order."""
        size = np.sqrt(((v / self.scale) ** 2).sum(axis=1, keepdims=True))
        unit = _STEP * v / np.where(size > 0, size, 1.0)
        one, two = (function(x + k * unit) + function(x - k * unit) for k in (1, 2))
        return np.asarray((16 * one - two - 30 * function(x)) / 12 / _STEP**2 * size[:, 0] ** 2)

    def generator(self, diffusion: Diffusion, x: Array) -> tuple[Array, Array]:
        """L of the features (n, J), and of the lift (n,)."""
        drift, columns = diffusion.drift(0.0, x), noise_columns(diffusion, x)
        basis, gate = self.basis, self.gate(x)[:, None]
        ways = [columns[:, :, m] for m in range(columns.shape[2])]
        of_gate = self._of(self.gate, x, drift, ways)[:, None]
        # derivatives along several ways are one derivative along their sum
        bends = sum(self.slope(self.gate, x, way)[:, None] * way for way in ways)
        whole = gate * basis.second(x, columns) + basis.along(x, gate * drift + bends)
        whole = whole + of_gate * basis.values(x)
        return np.asarray(whole), self._of(self.lift, x, drift, ways)

    def _of(
        self, function: Callable[[Array], Array], x: Array, drift: Array, ways: list[Array]
    ) -> Array:
        bent = sum(self.bend(function, x, way) for way in ways)
        return np.asarray(self.slope(function, x, drift) + bent / 2)


def _is_smooth(region: Region, X: Array, scale: Array) -> bool:
    """Whether a region's function has no corner near the states X (n, D).

    A cubic through four states on a line meets the one in their middle, but for the fourth power
    of their distance; across a corner it misses by a share of the distance itself.
    """
    way = np.random.default_rng(0).normal(size=X.shape)
    step = _REACH * scale * way / np.linalg.norm(way, axis=1, keepdims=True)
    one, two = (
        np.asarray(region.smooth(X + k * step)) + np.asarray(region.smooth(X - k * step))
        for k in (1, 2)
    )
    middle = np.asarray(region.smooth(X))
    miss = np.abs((4 * one - two) / 6 - middle) - _ROUNDING * (1 + np.abs(X).max() + np.abs(middle))
    return bool((miss <= _CORNER * np.linalg.norm(step, axis=1)).all())


def noise_columns(diffusion: Diffusion, x: Array) -> Array:
    """The columns of the noise, (n, D, M)."""
    g = diffusion.noise(0.0, x)
    return np.asarray(
        np.einsum("nd,de->nde", g, np.eye(diffusion.dim)) if diffusion.diagonal else g
    )


@packable
@dataclass(frozen=True)
class Bias:
    """By how much values are off in the mean over some states.

    Attributes:
        size: the absolute value.
        gate: mean of the factor that vanishes on the stopping set, as the error does.
    """

    size: float
    gate: float

    def at(self, gate: Array) -> Array:
        """The same (n,) where the factor is `gate`."""
        return np.asarray(self.size * np.minimum(np.abs(gate) / max(self.gate, 1e-300), 1.0))


@packable
@dataclass(frozen=True, eq=False)
class SpanSolution:
    """Values in a span.

    Attributes:
        span: the functions.
        coefficients: (J,).
        condition: of the system that gave them.
        residual: what is left of the equation, or the standard error of the fit.
        other: coefficients and span of a second draw, or of fewer functions, whose difference is
            an error bar; or None.
        bias: what paths tell of the error; or None.
        wanted: root mean square of the right side of the equation.
    """

    span: Span
    coefficients: Array
    condition: float
    residual: float
    other: Any = None
    bias: Bias | None = None
    wanted: float = 0.0

    @property
    def functional(self) -> Functional:
        """The question."""
        return self.span.functional

    def value(self, t: float, x: Array) -> Array:
        """Values (n,) at x (n, D)."""
        result = self.span.lift(x) + self.span.features(x) @ self.coefficients
        for region, paid in reversed(self.functional.stopping):
            inside = region.contains(x)
            result[inside] = values_at(paid, t, x[inside])
        return np.asarray(result)

    def gradient(self, t: float, x: Array) -> Array:
        """Derivatives (n, D)."""
        columns = []
        for unit in np.eye(x.shape[1]):
            way = np.broadcast_to(unit, x.shape)
            part = self.span.features_along(x, way) @ self.coefficients
            columns.append(part + self.span.lift_along(x, way))
        return np.stack(columns, axis=1)

    def std_error(self, x: Array) -> Array:
        """Difference (n,) of two draws of the functions over the root of 2, and what paths tell."""
        if self.other is None:
            return np.full(len(x), self.residual)
        spread = np.abs(self.value(0.0, x) - self.other.value(0.0, x)) / np.sqrt(2)
        known = 0.0 if self.bias is None else self.bias.at(self.span.gate(x))
        return np.asarray(np.hypot(spread, known))
