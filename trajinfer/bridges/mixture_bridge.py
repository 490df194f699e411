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
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.growth import Growth
from trajinfer.bridges.mixture_couplings import MixtureCouplings
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.bridges.thinning import choose_rows
from trajinfer.references.between import (
    draw_between,
    expected_between,
    reference_means,
    segment_times,
)
from trajinfer.references.dynamics import Reference
from trajinfer.references.linalg import apply
from trajinfer.references.problem import Problem
from trajinfer.references.static_likelihood import pair_cost
from trajinfer.references.stratified import draw_atoms
from trajinfer.references.transitions import Transitions

_PARTICLES = 64
_CHUNK = 2**8
_ATOMS = 2**11
_CANDIDATES, _WEIGHED = 4, 2**13


@packable
@dataclass(frozen=True)
class MixtureBridge:
    """A reference together with mixture potentials of all segments.

    Attributes:
        reference: the SDE.
        couplings: the potentials.
        growth: of the mass; None where it does not change.
    """

    reference: Reference
    couplings: MixtureCouplings
    growth: Growth | None = None
    tolerance: ClassVar[float] = 0.1

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
        if self.growth is not None:
            problem = self.growth.applied(problem)
        with torch.no_grad():
            costs = [pair_cost(self.transitions.of(b), b.end) for b in problem.batches]
            couplings = Couplings.solve(problem, costs, None)
        bridge = MultiMarginalBridge(
            self.reference, self.transitions, couplings, growth=self.growth
        )
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
            "growth": self.growth,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The path law that `to_state` described."""
        reference = Reference(state["sde"], state["linear_noise"])
        transitions = Transitions(reference.frozen_dynamics, state["n_steps"])
        couplings = MixtureCouplings(
            state["problem"], transitions, state["segments"], state["potentials"]
        )
        return cls(reference, couplings, state.get("growth"))

    def draw(self, ts: Array, n: int, generator: torch.Generator) -> Array:
        """Draw n paths at increasing times within the range of the snapshots, (n, T, D).

        They start at points of the snapshot before the first time, every one as often as its weight
        says; where mass changes, they are paths of those alive at the first time.
        """
        return self.draw_branching(ts, n, generator)[0]

    def draw_branching(
        self, ts: Array, n: int, generator: torch.Generator
    ) -> tuple[Array, Array | None]:
        """The same with the expected number of descendants (n, T) of those alive at the first time.

        The numbers are None where mass does not change.
        """
        problem = self.problem
        first, last = problem.segment_of(float(ts[0])), problem.segment_of(float(ts[-1]))
        x, y = self._alive(first, self._share(first, float(ts[0])), n, generator)
        pieces, legs = [], []
        for k in range(first, last + 1):
            if k > first:
                y = self.couplings.draw_ends(k, x, generator)
            final = k == problem.n_segments - 1
            span = problem.span(k)
            pieces.append(
                draw_between(self.transitions, span, (x, y), ts, generator, with_end=final)
            )
            legs.append((k, segment_times(ts, *span, final=final), x, y))
            x = y
        values = torch.cat(pieces, dim=1).numpy()
        return values, None if self.growth is None else self.growth.descendants(legs).numpy()

    def _share(self, k: int, t: float) -> float:
        start, end = self.problem.span(k)
        return (t - start) / (end - start)

    def _alive(
        self, k: int, share: float, n: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Starts and ends (n, D) of segment k of those alive at a share of it.

        Between snapshots they are chosen, by what they have grown, among many more.
        """
        points, growth = self.problem.points[k], self.growth
        if growth is None or share == 0.0:
            x = points[draw_atoms(self.problem.log_mass[k].exp(), n, generator)]
            return x, self.couplings.draw_ends(k, x, generator)
        x, y = self._in_the_middle(k, _CANDIDATES * n, generator)
        starts, ends = growth.tilt(k, share, x, y)
        rows = draw_atoms((starts + ends).softmax(0), n, generator)
        return x[rows], y[rows]

    def _in_the_middle(self, k: int, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Starts and ends (n, D) of those alive in the middle of segment k."""
        atoms = draw_atoms(self.problem.log_starts(k).exp(), n, generator)
        x = self.problem.points[k][atoms]
        return x, self.couplings.draw_ends(k, x, generator)

    def mass(self, t: float) -> float:
        """Total mass at a time within the range of the snapshots, relative to the first.

        Between snapshots it is a mean over pairs drawn by the same numbers at every call, bent so
        that it ends at the next snapshot's.
        """
        growth = self.growth
        if growth is None:
            return 1.0
        k = self.problem.segment_of(t)
        share = self._share(k, t)
        x, y = self._in_the_middle(k, _WEIGHED, torch.Generator().manual_seed(k))
        tilts = [growth.tilt(k, s, x, y) for s in (0.0, share, 1.0)]
        begin, now, end = ((starts + ends).logsumexp(0) for starts, ends in tilts)
        whole = (growth.masses[k + 1] / growth.masses[k]).log()
        bent = now - begin + share * (whole - (end - begin))
        return float(growth.masses[k] * bent.exp())

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
