r"""Couplings of snapshots of measured coordinates, and hidden coordinates carried along them.

From the first snapshot on, every pair of neighbours is coupled under the transition density of the
measured coordinates, in which the hidden ones are integrated out by their law at the starts; these
are then carried to the ends. Like the objective of fully measured states,

$F = \sum_k \sum_{ij} \pi^k_{ij} [\log \pi^k_{ij} - \log q_\theta(y_j \mid y_i, \mu_i, C_i)]$.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import NotConverged
from trajinfer.hidden.hidden_law import HiddenLaw, Passage
from trajinfer.hidden.partial_reference import PartialReference
from trajinfer.metrics.entropic_coupling import EntropicCoupling, couple
from trajinfer.references.information import fisher_information, information_and_slope
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.problem import Problem
from trajinfer.references.static_likelihood import (
    RowStatistics,
    negative_log_likelihood,
    pair_cost,
)
from trajinfer.references.transitions import Transition, Transitions

_MOST_STEPS, _ACCURACY = 64, 1e-3


@dataclass(frozen=True)
class ForwardPass:
    """Couplings of all segments under one reference.

    Attributes:
        couplings: of the K-1 segments.
        laws: of the hidden coordinates at the points of every snapshot.
        objective: F, without the penalty of the numbers.
        n_steps: Runge-Kutta steps of the linear-noise equations.
        blur: (d,) standard deviations added to the measured coordinates.
    """

    couplings: tuple[EntropicCoupling, ...]
    laws: tuple[HiddenLaw, ...]
    objective: float
    n_steps: int
    blur: Tensor

    @property
    def error(self) -> float:
        """Largest L1 distance of a coupling from its marginals."""
        return max(float(c.error.max()) for c in self.couplings)

    @property
    def log_plans(self) -> list[Tensor]:
        """Logarithms of the couplings (N_k, N_{k+1})."""
        return [c.log_plan[0] for c in self.couplings]


def couple_forward(
    model: PartialReference,
    problem: Problem,
    blur: Tensor,
    n_steps: int,
    before: ForwardPass | None,
) -> ForwardPass:
    """The couplings under the present numbers, from those of similar ones.

    Raises:
        NotConverged: if the reference has no finite transition law between the snapshots.
    """

    def coupled(k: int, cost: Tensor, log_starts: Tensor, log_ends: Tensor) -> EntropicCoupling:
        warm_start = None if before is None else before.couplings[k].f
        return couple(cost, log_starts, log_ends, warm_start=warm_start)

    return pass_forward(model, problem, blur, n_steps, coupled)


def pass_forward(
    model: PartialReference,
    problem: Problem,
    blur: Tensor,
    n_steps: int,
    coupled: Callable[[int, Tensor, Tensor, Tensor], EntropicCoupling],
) -> ForwardPass:
    """A pass whose couplings are found, or known already.

    Args:
        model: at its present numbers.
        problem: the snapshots.
        blur, n_steps: of the pass.
        coupled: (segment, cost (1, N, M), logarithms (1, N) and (1, M) of the masses) -> coupling.

    Raises:
        NotConverged: if the reference has no finite transition law between the snapshots.
    """
    transitions = Transitions(model.reference.frozen_dynamics, n_steps)
    with torch.no_grad():
        laws, couplings, objective = [model.start(problem.points[0])], [], 0.0
        for k, ends in enumerate(problem.points[1:]):
            passage = Passage.of(
                transitions,
                model.coordinates,
                problem.span(k),
                problem.points[k],
                laws[k].mean,
            )
            found = passage.arrival(laws[k], blur)
            cost = pair_cost(found.seen, ends.unsqueeze(0))
            if not bool(torch.isfinite(cost).all()):
                raise NotConverged(
                    f"the reference has no finite transition law from time {problem.span(k)[0]:g} "
                    "on (its drift explodes or its noise vanishes); start from other parameters"
                )
            coupling = coupled(
                k, cost, problem.log_starts(k).unsqueeze(0), problem.log_ends(k).unsqueeze(0)
            )
            couplings.append(coupling)
            objective += float(coupling.entropy_term() + coupling.transport(cost))
            laws.append(found.carried(coupling.log_plan[0], ends))
    return ForwardPass(tuple(couplings), tuple(laws), objective, n_steps, blur)


@dataclass(frozen=True)
class Along:
    """The likelihood of couplings that do not move, hidden coordinates carried along them.

    Attributes:
        model: what is learned.
        problem: the snapshots.
        at: the couplings.
        statistics: of the partners of every point, per segment.
    """

    model: PartialReference
    problem: Problem
    at: ForwardPass
    statistics: list[RowStatistics]

    @classmethod
    def of(cls, model: PartialReference, problem: Problem, at: ForwardPass) -> Along:
        """Along the couplings of a pass."""
        statistics = [
            RowStatistics.of(plan.exp().unsqueeze(0), ends.unsqueeze(0))
            for plan, ends in zip(at.log_plans, problem.points[1:])
        ]
        return cls(model, problem, at, statistics)

    def laws(self) -> list[Transition]:
        """Of the measured coordinates after every segment, at the present numbers."""
        transitions = Transitions(self.model.reference.dynamics, self.at.n_steps)
        points, coordinates = self.problem.points, self.model.coordinates
        law, found = self.model.start(points[0]), []
        for k, plan in enumerate(self.at.log_plans):
            span = self.problem.span(k)
            passage = Passage.of(transitions, coordinates, span, points[k], law.mean)
            there = passage.arrival(law, self.at.blur)
            found.append(there.seen)
            if k + 1 < len(self.statistics):
                law = there.carried(plan, points[k + 1])
        return found

    def value(self, laws: Sequence[Transition]) -> float:
        """Minus the likelihood under laws, with the penalty of the present numbers."""
        parts = [negative_log_likelihood(law, s) for law, s in zip(laws, self.statistics)]
        return float(torch.stack(parts).sum()) + self.model.penalty

    def information(self, vector: ParameterVector) -> Array:
        """What the laws tell of the numbers, without what their priors say."""
        return fisher_information(vector, self.laws, self.masses, _no_ridge)

    def information_and_slope(self, vector: ParameterVector) -> tuple[Array, Array]:
        """Roughly the Hessian of the value, and its slope."""
        return information_and_slope(
            vector, self.laws, self.masses, lambda: self.model.shrinkage, self.value
        )

    @property
    def masses(self) -> list[Tensor]:
        """(1, N_k) of the starts of every segment."""
        return [s.mass for s in self.statistics]


def _no_ridge() -> None:
    return None


def accurate_steps(
    model: PartialReference, problem: Problem, laws: Sequence[HiddenLaw], n_steps: int
) -> int:
    """Runge-Kutta steps at which means move less than a thousandth of a deviation."""
    whole = replace(
        problem,
        points=tuple(
            model.coordinates.whole(seen, law.mean) for seen, law in zip(problem.points, laws)
        ),
    )
    transitions = Transitions(model.reference.frozen_dynamics, n_steps)
    return min(_MOST_STEPS, transitions.accurate(whole.batches, _ACCURACY).n_steps)
