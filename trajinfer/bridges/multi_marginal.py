r"""The path law of a fitted bridge: everything that can be asked of it.

Between two snapshots the law is the reference, tilted by $h(t, x) = \sum_j e^{g_j} q(t, x; T, y_j)$
with the potential g of the coupling: started anywhere, its end is atom j with probability
proportional to $e^{g_j} q(t, x; T, y_j)$, and its drift is $b + \Sigma \nabla \log h$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.growth import Growth
from trajinfer.references.between import (
    draw_between,
    expected_between,
    reference_means,
    segment_times,
)
from trajinfer.references.dynamics import Reference
from trajinfer.references.linalg import cholesky
from trajinfer.references.marginal_error import missed_marginals
from trajinfer.references.pinned_paths import draw_pinned, noise_is_even
from trajinfer.references.problem import Problem
from trajinfer.references.quadrature import Quadrature
from trajinfer.references.static_likelihood import pair_cost
from trajinfer.references.stratified import draw_atoms, draw_partners
from trajinfer.references.transitions import Transitions

_CHUNK_ELEMENTS = 2**24
_DIFFERENCE = 1e-3


@packable
@dataclass(frozen=True)
class MultiMarginalBridge:
    """A reference together with its couplings at all segments.

    Attributes:
        reference: the SDE.
        transitions: its transition laws.
        couplings: of the K-1 segments.
        quadrature: of transition densities that are not Gaussian; the couplings, and the law of the
            end given a position, are under these, and paths are drawn as they are; means of paths
            between two given points are under the Gaussian laws.
        growth: of the mass; None where it does not change. The couplings are then between
            populations in the middle of the segments.
    """

    reference: Reference
    transitions: Transitions
    couplings: Couplings
    quadrature: Quadrature | None = None
    growth: Growth | None = None
    tolerance: ClassVar[float] = 1e-6

    @property
    def shortfall(self) -> str | None:
        """How far the couplings miss their marginals, in words; None where they meet them."""
        return missed_marginals(self.error, self.tolerance)

    @property
    def problem(self) -> Problem:
        """The snapshots."""
        return self.couplings.problem

    @property
    def error(self) -> float:
        """Largest L1 distance of a coupling from its marginals."""
        return self.couplings.error

    def to_state(self) -> dict[str, Any]:
        """What can be saved; couplings go by their potentials."""
        segments = [self.couplings.of(k) for k in range(self.problem.n_segments)]
        return {
            "problem": self.problem,
            "sde": self.reference.sde,
            "linear_noise": self.reference.linear_noise,
            "n_steps": self.transitions.n_steps,
            "grid": None if self.quadrature is None else self.quadrature.grid,
            "longest": None if self.quadrature is None else self.quadrature.longest,
            "f": [segment.f for segment in segments],
            "g": [segment.g for segment in segments],
            "growth": self.growth,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The path law that `to_state` described."""
        reference = Reference(state["sde"], state["linear_noise"])
        transitions = Transitions(reference.frozen_dynamics, state["n_steps"])
        quadrature = None
        if state.get("grid") is not None:
            quadrature = Quadrature.of(transitions.dynamics, state["grid"], state["longest"])
        with torch.no_grad():
            couplings = Couplings.from_potentials(
                state["problem"], transitions, state["f"], state["g"], quadrature
            )
        return cls(reference, transitions, couplings, quadrature, state.get("growth"))

    def plan(self, k: int) -> Tensor:
        """Coupling of segment k, (N_k, N_{k+1}); of populations in its middle where they grow."""
        return self.couplings.of(k).log_plan.exp()

    def onward(self, k: int) -> Tensor:
        """Probabilities (N_k, N_{k+1}) of the end points of segment k, given the start."""
        return self.couplings.of(k).conditional

    def plan_at(self, k: int, share: float) -> Tensor:
        """Joint weights (N_k, N_{k+1}) of starts and ends among those alive at a share of k."""
        if self.growth is None:
            return self.plan(k)
        starts, ends = self.growth.tilt(k, share, *self.problem.points[k : k + 2])
        return (
            (self.couplings.of(k).log_plan + starts.unsqueeze(1) + ends)
            .flatten()
            .softmax(0)
            .reshape(len(starts), len(ends))
        )

    def mass(self, t: float) -> float:
        """Total mass at a time within the range of the snapshots, relative to the first."""
        if self.growth is None:
            return 1.0
        k = self.problem.segment_of(t)
        points = self.problem.points[k : k + 2]
        ratios = []
        for share in (0.0, self._share(k, t)):
            starts, ends = self.growth.tilt(k, share, *points)
            ratios.append(starts.exp() @ self.plan(k) @ ends.exp())
        return float(self.growth.masses[k] * ratios[1] / ratios[0])

    def draw(self, ts: Array, n: int, generator: torch.Generator) -> Array:
        """Draw n paths at increasing times within the range of the snapshots, (n, T, D).

        Atoms are drawn stratified: every one as often as its weight says, its partners
        systematically along its row. Where mass changes, paths are drawn from those alive at the
        first time.
        """
        return self.draw_branching(ts, n, generator)[0]

    def draw_branching(
        self, ts: Array, n: int, generator: torch.Generator
    ) -> tuple[Array, Array | None]:
        """The same with the expected number of descendants (n, T) of those alive at the first time.

        The numbers are None where mass does not change.
        """
        first, last = self.problem.segment_of(float(ts[0])), self.problem.segment_of(float(ts[-1]))
        plan = self.plan_at(first, self._share(first, float(ts[0])))
        atoms = draw_atoms(self._alive(first, plan), n, generator)
        pieces, legs = [], []
        draw = draw_pinned if self._bends else draw_between
        for k in range(first, last + 1):
            partners = draw_partners(self.plan(k) if k > first else plan, atoms, generator)
            ends = self.problem.points[k][atoms], self.problem.points[k + 1][partners]
            final = k == self.problem.n_segments - 1
            span = self.problem.span(k)
            pieces.append(draw(self.transitions, span, ends, ts, generator, with_end=final))
            legs.append((k, segment_times(ts, *span, final=final), *ends))
            atoms = partners
        values = torch.cat(pieces, dim=1).numpy()
        return values, None if self.growth is None else self.growth.descendants(legs).numpy()

    @property
    def _bends(self) -> bool:
        """Whether paths between two points are to be weighted guesses, and can be."""
        if self.quadrature is None:
            return False
        t, grid = float(self.problem.times[0]), self.quadrature.grid.unsqueeze(1)
        return noise_is_even(self.transitions.dynamics, t, grid)

    def _share(self, k: int, t: float) -> float:
        start, end = self.problem.span(k)
        return (t - start) / (end - start)

    def _alive(self, k: int, plan: Tensor) -> Tensor:
        """Weights (N_k,) with which the starts of segment k are drawn."""
        return self.problem.log_mass[k].exp() if self.growth is None else plan.sum(1)

    def velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift of the path law at time t and positions x (n, D)."""
        start = x.new_full((1,), t)
        rows = start.expand(len(x)).unsqueeze(1)
        dynamics = self.transitions.dynamics
        if t >= float(self.problem.times[-1]):
            return dynamics.drift(rows, x)
        k = self.problem.segment_of(t)
        remaining = self.problem.times[k + 1] - t
        if self.quadrature is not None:
            rate = dynamics.covariance_rate(rows, x).reshape(-1, 1)
            return dynamics.drift(rows, x) + rate * self._slope(k, start, x, remaining)
        law = self.transitions(start, x.unsqueeze(0), remaining.reshape(1), with_flow=True)
        target = self._end_weights(k, start, x, remaining) @ self.problem.points[k + 1]
        factor, _ = cholesky(law.covariance)
        miss = (target - law.mean[0]).unsqueeze(2)
        pull = torch.cholesky_solve(miss, factor[0].expand(len(x), -1, -1))
        rate = dynamics.covariance_rate(rows, x)
        return dynamics.drift(rows, x) + (rate @ law.flow[0].mT @ pull).squeeze(2)

    def expected(self, x: Tensor, t0: float, ts: Array) -> Array:
        """Mean positions at ts of individuals that stand at x (n, D) at time t0, (n, T, D)."""
        if t0 >= float(self.problem.times[-1]):
            last = float(self.problem.times[-1])
            return reference_means(self.transitions, last, x, ts - last).numpy()
        k = self.problem.segment_of(t0)
        pieces = []
        weights: Tensor | None = None
        while True:
            end_time = float(self.problem.times[k + 1])
            final = k == self.problem.n_segments - 1
            inside = segment_times(ts, t0, end_time, final=final)
            if weights is None:
                remaining = self.problem.times[k + 1] - t0
                weights_end = self._end_weights(k, x.new_full((1,), t0), x, remaining)
                pieces.append(self._expected_from(k, x, t0, weights_end, inside))
            else:
                rows = self.couplings.of(k).conditional
                atoms = self._expected_from(
                    k, self.problem.points[k], float(self.problem.times[k]), rows, inside
                )
                pieces.append(torch.einsum("na,atd->ntd", weights, atoms))
                weights_end = weights @ rows
            if final and ts[-1] > end_time:
                atoms = reference_means(
                    self.transitions,
                    end_time,
                    self.problem.points[k + 1],
                    ts[ts > end_time] - end_time,
                )
                pieces.append(torch.einsum("na,atd->ntd", weights_end, atoms))
            if final or ts[-1] < end_time:
                return torch.cat(pieces, dim=1).numpy()
            weights, k, t0 = weights_end, k + 1, end_time

    def start_weights(self, k: int, y: Tensor) -> Tensor:
        """Probability of every start atom of segment k, given the end y (m, D): (m, N)."""
        start, f = self.problem.points[k], self.couplings.of(k).f
        t0, t1 = self.problem.span(k)
        size = max(1, _CHUNK_ELEMENTS // max(1, start.numel()))
        time, left = y.new_full((1,), t0), y.new_tensor(t1 - t0)
        logits = [f - self._cost(time, start, left, rows).mT for rows in y.split(size)]
        return torch.softmax(torch.cat(logits), dim=1)

    def end_weights(self, k: int, x: Tensor) -> Tensor:
        """Probability of every end atom of segment k, given the start x (n, D): (n, M)."""
        t0, t1 = self.problem.span(k)
        return self._end_weights(k, x.new_full((1,), t0), x, x.new_tensor(t1 - t0))

    def _end_weights(self, k: int, t: Tensor, x: Tensor, remaining: Tensor) -> Tensor:
        """Probability of every end atom of segment k from x (n, D) at time t, (n, M)."""
        return torch.softmax(self._end_logits(k, t, x, remaining), dim=1)

    def _end_logits(self, k: int, t: Tensor, x: Tensor, remaining: Tensor) -> Tensor:
        end = self.problem.points[k + 1]
        g = self.couplings.of(k).g
        size = max(1, _CHUNK_ELEMENTS // max(1, end.numel()))
        return torch.cat([g - self._cost(t, rows, remaining, end) for rows in x.split(size)])

    def _slope(self, k: int, t: Tensor, x: Tensor, remaining: Tensor) -> Tensor:
        """Derivative (n, 1) of log h on a line, by central differences."""
        rate = self.transitions.dynamics.covariance_rate(t.expand(len(x), 1), x).reshape(-1, 1)
        step = _DIFFERENCE * (rate * remaining).sqrt()
        up, down = (
            self._end_logits(k, t, x + side * step, remaining).logsumexp(1, keepdim=True)
            for side in (1, -1)
        )
        return (up - down) / (2 * step)

    def _cost(self, t: Tensor, x: Tensor, remaining: Tensor, end: Tensor) -> Tensor:
        """Minus the log transition densities (n, M) from x (n, D) to the end points (M, D)."""
        if self.quadrature is not None:
            return -self.quadrature.log_density(t[0], x.squeeze(1), remaining, end.squeeze(1))
        law = self.transitions(t, x.unsqueeze(0), remaining.reshape(1))
        return pair_cost(law, end.unsqueeze(0))[0]

    def _expected_from(self, k: int, x: Tensor, t0: float, weights: Tensor, times: Array) -> Tensor:
        """Mean positions (n, T, D) at times of one segment, given the law of the end atom."""
        target = weights @ self.problem.points[k + 1]
        span = t0, self.problem.span(k)[1]
        return expected_between(self.transitions, span, x, target, times)
