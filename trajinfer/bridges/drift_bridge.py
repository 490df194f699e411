"""A bridge that is simulated by a drift of its own: what it answers, whatever the drift."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.seeding import torch_generator
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.references.between import reference_means
from trajinfer.references.dynamics import Reference
from trajinfer.references.linalg import apply, cholesky
from trajinfer.references.problem import Problem
from trajinfer.references.stratified import draw_atoms
from trajinfer.references.transitions import Transitions

_PATH_STEPS = 60
_PARTICLES, _CHECKED = 64, 2000


class DriftBridge(ABC):
    """Paths by a drift, and questions about points of the data by couplings of these points.

    Attributes:
        base: couplings of the points.
        error: largest miss of a snapshot by simulated paths, as `miss` says.
    """

    base: MultiMarginalBridge
    error: float
    tolerance: ClassVar[float] = 0.15
    growth: ClassVar[None] = None

    @abstractmethod
    def velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift of the path law at time t and positions x (n, D)."""

    @property
    def shortfall(self) -> str | None:
        """How far the ends of the paths miss the snapshots, in words; None where they do not."""
        if self.error <= self.tolerance:
            return self.base.shortfall
        return (
            f"simulated paths miss mean or variance of a snapshot by {self.error:.1e} of its "
            "spread; a larger volatility makes drifts easier to learn"
        )

    @property
    def reference(self) -> Reference:
        """The SDE."""
        return self.base.reference

    @property
    def problem(self) -> Problem:
        """The snapshots."""
        return self.base.problem

    @property
    def transitions(self) -> Transitions:
        """Laws of the reference."""
        return self.base.transitions

    def draw(self, ts: Array, n: int, generator: torch.Generator) -> Array:
        """Draw n paths at increasing times within the range of the snapshots, (n, T, D)."""
        problem = self.problem
        k = problem.segment_of(float(ts[0]))
        x = problem.points[k][draw_atoms(problem.log_mass[k].exp(), n, generator)]
        return self._simulate(x, float(problem.times[k]), ts, generator).numpy()

    def draw_branching(self, ts: Array, n: int, generator: torch.Generator) -> tuple[Array, None]:
        """The same; mass does not change, so that nobody branches."""
        return self.draw(ts, n, generator), None

    def mass(self, t: float) -> float:
        """1: total mass relative to the first snapshot."""
        return 1.0

    def expected(self, x: Tensor, t0: float, ts: Array) -> Array:
        """Mean positions at ts of individuals that stand at x (n, D) at time t0, (n, T, D).

        Means over simulated paths, by the same noise at every call.
        """
        last = float(self.problem.times[-1])
        if t0 >= last:
            return reference_means(self.transitions, last, x, ts - last).numpy()
        inside, beyond = ts[ts <= last], ts[ts > last]
        times = np.append(inside, last) if len(beyond) else inside
        particles = x.repeat_interleave(_PARTICLES, dim=0)
        paths = self._simulate(particles, t0, times, torch_generator(0))
        if len(beyond):
            ahead = reference_means(self.transitions, last, paths[:, -1], beyond - last)
            paths = torch.cat([paths[:, :-1], ahead], dim=1)
        return paths.reshape(len(x), _PARTICLES, *paths.shape[1:]).mean(1).numpy()

    def _simulate(self, x: Tensor, t0: float, ts: Array, generator: torch.Generator) -> Tensor:
        """Positions (n, T, D) at increasing times of paths from x at t0.

        The drift is taken in the middle of every step, to which half of its noise leads: where it
        pulls strongly, Euler's steps would spread the population.
        """
        dynamics, t, seen = self.transitions.dynamics, t0, []
        for goal in ts.tolist():
            while t < goal:
                start, end = self.problem.span(self.problem.segment_of(t))
                step = min((end - start) / _PATH_STEPS, goal - t)
                rate = dynamics.covariance_rate(x.new_full((len(x), 1), t), x)
                factor, _ = cholesky(rate)
                normal = torch.randn(x.shape, generator=generator, dtype=x.dtype)
                noise = step**0.5 * apply(factor, normal)
                middle = x + step / 2 * self.velocity(t, x) + noise / 2
                x = x + step * self.velocity(t + step / 2, middle) + noise
                t = goal if goal - t - step <= 1e-9 * (end - start) else t + step
            seen.append(x)
        return torch.stack(seen, dim=1)

    def miss(self, generator: torch.Generator) -> float:
        """Largest miss of a later snapshot by simulated paths.

        Of its means, in its deviations, or of its variances, relative to them; root mean squares
        over the coordinates.
        """
        problem = self.problem
        paths = self.draw(problem.times[1:].numpy(), _CHECKED, generator)
        misses = [0.0]
        for k, reached in enumerate(paths.swapaxes(0, 1), start=1):
            points, mass = problem.points[k].numpy(), problem.log_mass[k].exp().numpy()
            mean = mass @ points
            variance = mass @ (points - mean) ** 2
            known = variance > 0
            off = ((reached.mean(0) - mean) ** 2 / np.where(known, variance, 1.0))[known]
            spread = (reached.var(0) / np.where(known, variance, 1.0) - 1)[known] ** 2
            misses += [float(np.sqrt(part.mean())) for part in (off, spread) if len(part)]
        return max(misses)
