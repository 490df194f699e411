"""Couplings of all segments of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer.metrics.entropic_coupling import EntropicCoupling, couple
from trajinfer.references.partners import Pairs, Partners
from trajinfer.references.problem import Problem
from trajinfer.references.quadrature import Quadrature
from trajinfer.references.static_likelihood import RowStatistics, pair_cost
from trajinfer.references.stratified import draw_atoms, draw_partners
from trajinfer.references.transitions import Transitions


@dataclass(frozen=True)
class SegmentCoupling:
    """Coupling of the N points at the start of a segment with the M at its end.

    Attributes:
        log_plan: (N, M).
        f, g: (N,) and (M,) potentials.
    """

    log_plan: Tensor
    f: Tensor
    g: Tensor

    @property
    def conditional(self) -> Tensor:
        """Probabilities (N, M) of the end points given the start; zero rows without mass."""
        plan = self.log_plan.exp()
        mass = plan.sum(1, keepdim=True)
        return plan / torch.where(mass > 0, mass, 1.0)


@dataclass(frozen=True)
class Couplings:
    """Entropic couplings of all segments.

    Attributes:
        problem: the snapshots.
        batches: of the problem's batches, in their order.
    """

    problem: Problem
    batches: tuple[EntropicCoupling, ...]

    @classmethod
    def solve(cls, problem: Problem, costs: Sequence[Tensor], start: Couplings | None) -> Couplings:
        """The couplings under costs (S, N, M) of every batch, from those of similar costs."""
        firsts = [None] * len(costs) if start is None else [c.f for c in start.batches]
        return cls(
            problem,
            tuple(
                couple(cost, batch.log_a, batch.log_b, warm_start=first)
                for cost, batch, first in zip(costs, problem.batches, firsts, strict=True)
            ),
        )

    @classmethod
    def from_potentials(
        cls,
        problem: Problem,
        transitions: Transitions,
        f: Sequence[Tensor],
        g: Sequence[Tensor],
        quadrature: Quadrature | None = None,
    ) -> Couplings:
        """The couplings whose potentials (N_k,) and (N_{k+1},) of every segment are known."""
        batches = []
        for batch in problem.batches:
            padded_f = torch.full_like(batch.log_a, -torch.inf)
            padded_g = torch.full_like(batch.log_b, -torch.inf)
            for row, (k, (n, m)) in enumerate(zip(batch.segments, batch.sizes)):
                padded_f[row, :n], padded_g[row, :m] = f[k], g[k]
            if quadrature is None:
                cost = pair_cost(transitions.of(batch), batch.end)
            else:
                cost = quadrature.costs(batch)
            batches.append(EntropicCoupling.of(padded_f, padded_g, cost, batch.log_a))
        return cls(problem, tuple(batches))

    def of(self, k: int) -> SegmentCoupling:
        """Coupling of segment k between its own points."""
        number, row = self.problem.places[k]
        n, m = self.problem.batches[number].sizes[row]
        batch = self.batches[number]
        return SegmentCoupling(batch.log_plan[row, :n, :m], batch.f[row, :n], batch.g[row, :m])

    @property
    def error(self) -> float:
        """Largest L1 distance of row sums from their masses."""
        return max(float(batch.error.max()) for batch in self.batches)

    @property
    def n_steps(self) -> int:
        """Most sweeps and Newton steps that a batch took."""
        return max(batch.n_steps for batch in self.batches)

    def objective(self, costs: Sequence[Tensor]) -> Tensor:
        """Sum of pi (log pi + C) over all segments."""
        return torch.stack(
            [
                batch.entropy_term() + batch.transport(cost)
                for batch, cost in zip(self.batches, costs)
            ]
        ).sum()

    def partners(self) -> list[Partners]:
        """What the static likelihood needs to know of the ends that starts are coupled to."""
        return [
            Partners(
                batch.times,
                batch.durations,
                batch.start,
                RowStatistics.of(coupling.log_plan.exp(), batch.end),
            )
            for batch, coupling in zip(self.problem.batches, self.batches)
        ]

    def pairs(self, n: int, generator: torch.Generator) -> list[Pairs]:
        """Draw n starts and ends of every segment."""
        drawn = []
        for batch, coupling in zip(self.problem.batches, self.batches):
            plan, mass = coupling.log_plan.exp(), batch.log_a.exp()
            segments = range(len(batch))
            atoms = [draw_atoms(mass[k], n, generator) for k in segments]
            ends = [draw_partners(plan[k], atoms[k], generator) for k in segments]
            x = torch.stack([batch.start[k, atoms[k]] for k in segments])
            y = torch.stack([batch.end[k, ends[k]] for k in segments])
            drawn.append(Pairs(batch.times, batch.durations, x, y))
        return drawn
