"""The path law of mixture potentials: continuous, and answered from any position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.bridges.between import (
    draw_between,
    expected_between,
    reference_means,
)
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.dynamics import Reference
from trajinfer.bridges.linalg import apply
from trajinfer.bridges.mixture_couplings import MixtureCouplings
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.bridges.problem import Problem
from trajinfer.bridges.static_likelihood import pair_cost
from trajinfer.bridges.stratified import draw_atoms
from trajinfer.bridges.thinning import choose_rows
from trajinfer.bridges.transitions import Transitions

_PARTICLES = 64
_CHUNK = 2**8
_ATOMS = 2**11


@packable
@dataclass(frozen=True)
class MixtureBridge:
    """A reference together with mixture potentials of all segments.

    Attributes:
        reference: the SDE.
        couplings: the potentials.
    """

    reference: Reference
    couplings: MixtureCouplings
    tolerance: ClassVar[float] = 0.1
    growth: ClassVar[None] = None

    @property
    def shortfall(self) -> str | None:
        """How far the ends of the paths miss the snapshots, in words; None where they do not."""
        if self.error <= self.tolerance:
            return None
        return (
            f"the mixtures miss mean or covariance of a snapshot by {self.error:.1e} of its spread;"
            " a larger volatility makes them easier, max_samples= takes atoms instead"
        )

    @property
    def problem(self) -> Problem:
        """The snapshots."""
        return self.couplings.problem

    @property
    def transitions(self) -> Transitions:
        """Laws of the reference."""
        return self.couplings.transitions

    @property
    def error(self) -> float:
        """Largest miss of a snapshot's mean or covariance."""
        return self.couplings.error

    @cached_property
    def on_atoms(self) -> tuple[MultiMarginalBridge, list[Array]]:
        """The same reference with couplings between some points, and the rows of these points.

        Questions about individuals of the data are answered through them.
        """
        mass = [log_mass.exp().numpy() for log_mass in self.problem.log_mass]
        chosen = [choose_rows(m, _ATOMS, np.random.default_rng(k)) for k, m in enumerate(mass)]
        problem = Problem(
            self.problem.times,
            tuple(x[rows] for x, (rows, _) in zip(self.problem.points, chosen)),
            tuple(torch.as_tensor(weights / weights.sum()).log() for _, weights in chosen),
        )
        with torch.no_grad():
            costs = [pair_cost(self.transitions.of(b), b.end) for b in problem.batches]
            couplings = Couplings.solve(problem, costs, None)
        bridge = MultiMarginalBridge(self.reference, self.transitions, couplings)
        return bridge, [rows for rows, _ in chosen]

    def to_state(self) -> dict[str, Any]:
        """What can be saved."""
        return {
            "problem": self.problem,
            "sde": self.reference.sde,
            "linear_noise": self.reference.linear_noise,
            "n_steps": self.transitions.n_steps,
            "segments": self.couplings.segments,
            "potentials": self.couplings.potentials,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The path law that `to_state` described."""
        reference = Reference(state["sde"], state["linear_noise"])
        transitions = Transitions(reference.frozen_dynamics, state["n_steps"])
        couplings = MixtureCouplings(
            state["problem"], transitions, state["segments"], state["potentials"]
        )
        return cls(reference, couplings)

    def draw(self, ts: Array, n: int, generator: torch.Generator) -> Array:
        """Draw n paths at increasing times within the range of the snapshots, (n, T, D).

        They start at points of the snapshot before the first time, every one as often as its weight
        says.
        """
        problem = self.problem
        first, last = problem.segment_of(float(ts[0])), problem.segment_of(float(ts[-1]))
        x = problem.points[first][draw_atoms(problem.log_mass[first].exp(), n, generator)]
        pieces = []
        for k in range(first, last + 1):
            y = self.couplings.draw_ends(k, x, generator)
            final = k == problem.n_segments - 1
            span = problem.span(k)
            pieces.append(
                draw_between(self.transitions, span, (x, y), ts, generator, with_end=final)
            )
            x = y
        return torch.cat(pieces, dim=1).numpy()

    def draw_branching(self, ts: Array, n: int, generator: torch.Generator) -> tuple[Array, None]:
        """The same; the mass of mixtures does not change, so that nobody branches."""
        return self.draw(ts, n, generator), None

    def mass(self, t: float) -> float:
        """1: total mass relative to the first snapshot."""
        return 1.0

    def velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift of the path law at time t and positions x (n, D)."""
        rows = x.new_full((len(x), 1), t)
        dynamics = self.transitions.dynamics
        drift = dynamics.drift(rows, x)
        if t >= float(self.problem.times[-1]):
            return drift
        k = self.problem.segment_of(t)
        segment = self.couplings.segments[k]
        left = self.problem.span(k)[1] - t
        law = self.transitions(
            x.new_full((1,), t), x.unsqueeze(0), x.new_full((1,), left), with_flow=True
        )
        end = self.couplings.potentials[k].end_law(
            segment.ends(law.mean[0]), segment.noise_left(self.transitions, t)
        )
        pull = torch.linalg.solve_triangular(segment.factor.mT, end.slope.mT, upper=True).mT
        rate = dynamics.covariance_rate(rows, x)
        return drift + apply(rate @ law.flow[0].mT, pull)

    def expected(self, x: Tensor, t0: float, ts: Array) -> Array:
        """Mean positions at ts of individuals that stand at x (n, D) at time t0, (n, T, D).

        Exact up to the next snapshot; beyond it, means over ends that are the same numbers for
        every individual.
        """
        parts = [self._expected(part, t0, ts) for part in x.split(_CHUNK)]
        return torch.cat(parts).numpy()

    def _expected(self, x: Tensor, t0: float, ts: Array) -> Tensor:
        problem = self.problem
        last = float(problem.times[-1])
        if t0 >= last:
            return reference_means(self.transitions, last, x, ts - last)
        n = len(x)
        pieces, begin = [], t0
        for k in range(problem.segment_of(t0), problem.n_segments):
            start, end = problem.span(k)
            target = self._mean_end(k, x, None if begin == start else begin)
            inside = ts[((ts > begin) | ((ts == begin) & (begin == t0))) & (ts <= end)]
            means = expected_between(self.transitions, (begin, end), x, target, inside)
            pieces.append(_mean_over_particles(means, n))
            if ts[-1] <= end:
                break
            x, begin = self._particles(k, x, n, None if begin == start else begin), end
        else:
            beyond = reference_means(self.transitions, last, x, ts[ts > last] - last)
            pieces.append(_mean_over_particles(beyond, n))
        return torch.cat(pieces, dim=1)

    def _mean_end(self, k: int, x: Tensor, t: float | None) -> Tensor:
        segment = self.couplings.segments[k]
        noise = None if t is None else segment.noise_left(self.transitions, t)
        a = segment.starts(self.transitions, x, t)
        return segment.colour(self.couplings.potentials[k].end_law(a, noise).mean)

    def _particles(self, k: int, x: Tensor, n: int, t: float | None) -> Tensor:
        """Ends of n individuals with all their particles, by numbers that depend on k alone."""
        if len(x) == n:
            x = x.repeat_interleave(_PARTICLES, dim=0)
        generator = torch.Generator().manual_seed(k)
        order = torch.randperm(_PARTICLES, generator=generator)
        level = (order + 0.5) / _PARTICLES
        half = torch.randn(_PARTICLES // 2, x.shape[1], generator=generator, dtype=x.dtype)
        normal = torch.cat([half, -half])
        return self.couplings.ends_at(k, x, level.to(x).repeat(n), normal.repeat(n, 1), t)


def _mean_over_particles(means: Tensor, n: int) -> Tensor:
    return means.reshape(n, -1, *means.shape[1:]).mean(1)
