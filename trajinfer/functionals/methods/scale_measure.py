"""Exact answers in one dimension, by scale and speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.integrate import trapezoid

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.panels import WEIGHTS, Panels, refined
from trajinfer.questions.functional import Functional, values_at

_MOST = 4.0
_NEGLIGIBLE = 40.0
_DOUBLINGS = 60
Coefficient = Callable[[Array], Array]


class NeverSurely(InputError):
    """A set whose hitting time is asked for is not reached for sure, or not in finite mean."""


@packable
@dataclass(frozen=True, eq=False)
class Component:
    """The value between two neighbouring parts of the stopping set.

    Attributes:
        low, high: the ends; infinite, or where the noise vanishes, if they do not stop.
        panels: a mesh that covers all that counts.
        values: (P, 16) at its nodes.
        ends: the values at its two ends.
    """

    low: float
    high: float
    panels: Panels
    values: Array
    ends: tuple[float, float]

    def value(self, x: Array) -> Array:
        """The value at x (n,) inside."""
        first, last = self.panels.edges[[0, -1]]
        with np.errstate(over="ignore", invalid="ignore"):
            inner = self.panels.interpolate(self.values, np.clip(x, first, last))
        inner = np.where(np.isnan(inner), np.inf, inner)  # times beyond the largest number
        return np.where(x <= self.low, self.ends[0], np.where(x >= self.high, self.ends[1], inner))

    def slope(self, x: Array) -> Array:
        """The derivative at x (n,)."""
        slopes = self.panels.derivative(self.values)
        return self.panels.interpolate(slopes, np.clip(x, *self.panels.edges[[0, -1]]))


@dataclass(frozen=True, eq=False)
class Line:
    r"""Scale and speed of a diffusion on a mesh between two ends.

    With $\phi' = -2 f/g^2$, the scale is $s' = e^\phi$, the speed $m = 2 e^{-\phi}/g^2$. All
    integrals are kept as logarithms, so that barriers of any height can be crossed.

    Attributes:
        panels: the mesh.
        log_scale: log s' at the nodes.
        log_speed: log m at the nodes.
        stops: whether the lower and the upper end stop the process.
    """

    panels: Panels
    log_scale: Array
    log_speed: Array
    stops: tuple[bool, bool]

    @classmethod
    def of(
        cls, drift: Coefficient, noise: Coefficient, low: float, high: float, near: Array
    ) -> Self:
        """The line between `low` and `high`, as far as the states `near` and the law need it."""

        def slope(x: Array) -> Array:
            return np.asarray(-2 * drift(x) / noise(x) ** 2)

        width = float(np.ptp(near)) or max(1.0, float(np.abs(near).max()))
        left, right = float(near.min()), float(near.max())
        if np.isfinite(low):
            left = low
        if np.isfinite(high):
            right = high
        if left == right:
            left, right = left - 1e-3 * width, right + 1e-3 * width
        edges = np.linspace(left, right, 17)
        if not np.isfinite(low):
            edges = np.concatenate([_outward(slope, noise, edges[0], -1, width)[::-1], edges])
        if not np.isfinite(high):
            edges = np.concatenate([edges, _outward(slope, noise, edges[-1], 1, width)])
        panels = refined(edges, slope, _MOST)
        phi, _ = panels.integral(slope(panels.nodes.ravel()).reshape(panels.nodes.shape))
        phi = phi - np.median(phi)
        size = noise(panels.nodes.ravel()).reshape(panels.nodes.shape)
        stops = (bool(np.isfinite(low)), bool(np.isfinite(high)))
        return cls(panels, phi, np.log(2.0) - phi - 2 * np.log(np.abs(size)), stops)

    def expected(self, reward: Array | None, ends: tuple[float, float]) -> Array:
        """Expected reward until an end that stops, plus the value paid there, at the nodes.

        Args:
            reward: (P, 16) per unit of time; None for none.
            ends: what is paid at the lower and the upper end.
        """
        below, whole = self.panels.log_integral(self.log_scale)
        back = self.panels.reversed()
        above = back.log_integral(self.log_scale[::-1, ::-1])[0][::-1, ::-1]
        total = whole[-1]
        value = self._paid(below - total, above - total, ends)
        if reward is None:
            return value
        for sign in (1.0, -1.0):
            part = np.maximum(sign * reward, 0.0)
            if part.any():
                with np.errstate(over="ignore"):
                    value = value + sign * np.exp(self._reward(below, above, total, part))
        return value

    def _paid(self, below: Array, above: Array, ends: tuple[float, float]) -> Array:
        lower_stops, upper_stops = self.stops
        if lower_stops and upper_stops:
            return np.asarray(np.exp(above) * ends[0] + np.exp(below) * ends[1])
        # the open side: escape for good pays nothing, otherwise the other end is reached for sure
        paid = ends[0] if lower_stops else ends[1]
        if not self.escapes:
            return np.full(below.shape, float(paid))
        return np.asarray(np.exp(above if lower_stops else below) * paid)

    def _reward(self, below: Array, above: Array, total: float, part: Array) -> Array:
        """Logarithm of the integral of Green's function times the reward."""
        lower_stops, upper_stops = self.stops
        back = self.panels.reversed()

        def from_below(logs: Array) -> Array:
            return self.panels.log_integral(logs, part)[0]

        def from_above(logs: Array) -> Array:
            return back.log_integral(logs[::-1, ::-1], part[::-1, ::-1])[0][::-1, ::-1]

        if lower_stops and upper_stops:
            left = above - total + from_below(below + self.log_speed)
            return np.logaddexp(left, below - total + from_above(above + self.log_speed))
        if upper_stops:
            left = above + from_below(self.log_speed)
            return np.logaddexp(left, from_above(above + self.log_speed))
        left = from_below(below + self.log_speed)
        return np.asarray(np.logaddexp(left, below + from_above(self.log_speed)))

    @property
    def escapes(self) -> bool:
        """Whether the process may leave through the open side for good: its scale is finite."""
        return not _diverges(self._open_side(self.log_scale))

    @property
    def spends_forever(self) -> bool:
        """Whether the speed is infinite on the open side: mean times are infinite."""
        return _diverges(self._open_side(self.log_speed))

    def _open_side(self, logs: Array) -> Array:
        """Logarithms of the integral over every panel, from the inside out."""
        top = logs.max(axis=1)
        pieces = np.log(self.panels.half * (np.exp(logs - top[:, None]) @ WEIGHTS)) + top
        return np.asarray(pieces if self.stops[0] else pieces[::-1])


def _diverges(pieces: Array) -> bool:
    """Whether a sum diverges, by its last panels, which double in width."""
    tail = pieces[-6:]
    top = pieces.max()
    return bool(tail[-1] > top - _NEGLIGIBLE / 2 and (np.diff(tail) > -0.05).all())


def _outward(
    slope: Coefficient, noise: Coefficient, start: float, sign: int, width: float
) -> Array:
    """Edges from `start` outwards, until scale or speed is negligible or the noise vanishes."""
    end = _vanishing(noise, start, sign, width)
    edges: list[float] = []
    phi, before = 0.0, start
    for k in range(_DOUBLINGS):
        outward = start + sign * width * 2.0 ** (k - 3)
        edge = outward if end is None else end + (start - end) * 2.0 ** -(k + 1.0)
        points = np.linspace(before, edge, 33)
        with np.errstate(all="ignore"):
            phi += float(trapezoid(slope(points), points))
        if not np.isfinite(phi):
            break
        edges.append(edge)
        before = edge
        if abs(phi) > 2 * _NEGLIGIBLE and k > 3:
            break
    return np.array(edges)


def _vanishing(noise: Coefficient, start: float, sign: int, width: float) -> float | None:
    """The nearest place beyond `start` where the noise is zero, or None."""
    points = start + sign * width * np.concatenate([[0.0], 2.0 ** np.arange(-6, 24)])
    with np.errstate(all="ignore"):
        values = noise(points)
    first = np.sign(values[0])
    bad = np.flatnonzero((np.sign(values) != first) | ~np.isfinite(values))
    if not len(bad):
        return None
    inside, outside = points[bad[0] - 1], points[bad[0]]
    for _ in range(200):
        middle = (inside + outside) / 2
        if np.sign(noise(np.array([middle]))[0]) == first:
            inside = middle
        else:
            outside = middle
    return float(outside)


@packable
@dataclass(frozen=True, eq=False)
class ExactSolution:
    """Values on the line, exact up to rounding.

    Attributes:
        components: between the parts of the stopping set.
        functional: the question.
    """

    components: tuple[Component, ...]
    functional: Functional
    residual: float = 0.0

    def value(self, t: float, x: Array) -> Array:
        """Values (n,) at x (n, 1)."""
        result = np.full(len(x), np.nan)
        for region, paid in reversed(self.functional.stopping):
            inside = region.contains(x)
            result[inside] = values_at(paid, t, x[inside])
        for component in self.components:
            inside = np.isnan(result) & (x[:, 0] >= component.low) & (x[:, 0] <= component.high)
            result[inside] = component.value(x[inside, 0])
        return result

    def gradient(self, t: float, x: Array) -> Array:
        """Derivatives (n, 1) at x (n, 1)."""
        result = np.zeros((len(x), 1))
        for component in self.components:
            inside = (x[:, 0] > component.low) & (x[:, 0] < component.high)
            result[inside, 0] = component.slope(x[inside, 0])
        return result


def applies(functional: Functional, diffusion: Diffusion) -> bool:
    """Whether the question is one of stopping alone, of intervals of the line."""
    regions = [region for region, _ in functional.stopping]
    return (
        diffusion.dim == 1
        and bool(regions)
        and not functional.discounted
        and functional.horizon is None
        and not functional.depends_on_time
        and all(region.intervals() is not None for region in regions)
    )


def solve(functional: Functional, diffusion: Diffusion, X: Array) -> ExactSolution:
    """Values between the parts of the stopping set that hold states of X (n, 1).

    Raises:
        NeverSurely: if a reward is collected until a time that may never come, or is infinite in
            the mean.
    """
    diffusion.require_steady(X)
    stop = functional.stopping[0][0]
    for region, _ in functional.stopping[1:]:
        stop = stop | region
    parts = stop.intervals()
    assert parts is not None  # noqa: S101 (as `applies` says)
    components = []
    for low, high in parts.gaps().pairs:
        near = X[(X[:, 0] > low) & (X[:, 0] < high), 0]
        finite = np.array([end for end in (low, high) if np.isfinite(end)])
        if len(near):
            components.append(_component(functional, diffusion, low, high, np.append(near, finite)))
    return ExactSolution(tuple(components), functional)


def _component(
    functional: Functional, diffusion: Diffusion, low: float, high: float, near: Array
) -> Component:
    line = Line.of(
        lambda x: diffusion.drift(0.0, x[:, None])[:, 0],
        lambda x: _noise(diffusion, x),
        low,
        high,
        near,
    )
    ends = (_paid_at(functional, low), _paid_at(functional, high))
    nodes = line.panels.nodes
    reward: Any = None
    if functional.running is not None:
        reward = values_at(functional.running, 0.0, nodes.reshape(-1, 1)).reshape(nodes.shape)
        _require_end(line, reward, near)
    value = line.expected(reward, ends)
    for power in range(2, functional.power + 1):
        value = line.expected(power * value, ends)
    return Component(low, high, line.panels, value, ends)


def _noise(diffusion: Diffusion, x: Array) -> Array:
    return np.asarray(np.sqrt(diffusion.covariance(0.0, x[:, None])[:, 0, 0])) * np.sign(
        diffusion.noise(0.0, x[:, None]).reshape(len(x), -1)[:, 0]
    )


def _paid_at(functional: Functional, end: float) -> float:
    """What is paid at an end of a gap; nothing at an infinite one."""
    if not np.isfinite(end):
        return 0.0
    x = np.array([[end]])
    for region, paid in functional.stopping:
        if region.contains(x)[0]:
            return float(values_at(paid, 0.0, x)[0])
    return 0.0


def _require_end(line: Line, reward: Array, near: Array) -> None:
    if all(line.stops) or not reward.any():
        return
    if line.escapes:
        ends = (1.0, 0.0) if line.stops[0] else (0.0, 1.0)
        chance = line.panels.interpolate(line.expected(None, ends), near[:1])[0]
        raise NeverSurely(
            f"the set is not reached for sure: from {near[0]:g} with probability {chance:.3g}, so "
            "the mean until then is infinite; ask hitting_probability, or give horizon="
        )
    if line.spends_forever:
        raise NeverSurely(
            "the set is reached for sure, but the mean time until then is infinite; give horizon= "
            "or a second set to stop at"
        )
