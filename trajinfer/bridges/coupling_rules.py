"""Two ways to couple the snapshots under a reference, behind one interface of the iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import NotConverged
from trajinfer.bridges.backends import BackendChoice
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.drift_bridge import DriftBridge
from trajinfer.bridges.growth import Growth
from trajinfer.bridges.mixture_bridge import MixtureBridge
from trajinfer.bridges.mixture_couplings import MixtureCouplings
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.bridges.refinement import AnyCouplings
from trajinfer.bridges.thinning import part_of, thin
from trajinfer.data import Snapshots
from trajinfer.hidden import HiddenBridge
from trajinfer.references.dynamics import Dynamics, Reference
from trajinfer.references.problem import Problem, SegmentBatch
from trajinfer.references.quadrature import Quadrature, quadrature_for
from trajinfer.references.static_likelihood import pair_cost
from trajinfer.references.transitions import Transitions

_WORKING_POINTS, _PROBES = 2**14, 100
_ROUND_TOLERANCE, _FINAL_TOLERANCE = 1e-4, 1e-5

AnyBridge = MultiMarginalBridge | MixtureBridge | DriftBridge | HiddenBridge


@dataclass(frozen=True)
class Round:
    """Transition laws of a reference, the couplings under them, and their objective."""

    transitions: Transitions
    couplings: AnyCouplings
    objective: float
    quadrature: Quadrature | None = None


class CouplingRule(Protocol):
    """How snapshots are coupled under the transition laws of a reference."""

    @property
    def problem(self) -> Problem:
        """All points that are coupled."""

    @property
    def slack(self) -> float:
        """Relative rise of the objective that the accuracy of couplings allows."""

    @property
    def probes(self) -> Sequence[SegmentBatch]:
        """Segments on which the accuracy of transition laws is judged."""

    def couple(self, transitions: Transitions, before: Round | None, *, final: bool) -> Round:
        """Couplings under these laws, from those of a similar round; no penalty counted."""

    def with_quadrature(self, before: Round) -> Round | None:
        """The same round under exact densities, where they are needed and not yet there."""

    def bridge(self, reference: Reference, end: Round) -> AnyBridge:
        """The path law of the last round."""

    def growing(self, growth: Growth) -> Self:
        """The same rule between populations whose mass changes."""


@dataclass(frozen=True)
class AtomRule:
    """Entropic couplings between the points of neighbouring snapshots."""

    problem: Problem
    growth: Growth | None = None
    slack: float = 1e-7

    @property
    def probes(self) -> Sequence[SegmentBatch]:
        """All segments."""
        return self.problem.batches

    def couple(self, transitions: Transitions, before: Round | None, *, final: bool) -> Round:
        """Sinkhorn and Newton steps from the potentials of the round before.

        Raises:
            NotConverged: if the reference has no finite transition law between the snapshots.
        """
        quadrature = None if before is None else before.quadrature
        start = None if before is None else before.couplings
        if quadrature is not None:
            quadrature = quadrature.under(transitions.dynamics)
        costs = self.costs(transitions, quadrature)
        _require_finite(costs)
        couplings = Couplings.solve(
            self.problem, costs, start if isinstance(start, Couplings) else None
        )
        return Round(transitions, couplings, float(couplings.objective(costs)), quadrature)

    def with_quadrature(self, before: Round) -> Round | None:
        """The couplings under exact densities in one dimension."""
        if before.quadrature is not None:
            return None
        quadrature = quadrature_for(before.transitions, self.problem.batches)
        if quadrature is None:
            return None
        return self.couple(before.transitions, replace(before, quadrature=quadrature), final=False)

    def bridge(self, reference: Reference, end: Round) -> MultiMarginalBridge:
        """Bridges between atoms."""
        if not isinstance(end.couplings, Couplings):
            raise TypeError("couplings of atoms were expected")
        return MultiMarginalBridge(
            reference, end.transitions, end.couplings, end.quadrature, self.growth
        )

    def growing(self, growth: Growth) -> AtomRule:
        """The same rule between populations whose mass changes."""
        return replace(self, problem=growth.applied(self.problem), growth=growth)

    def costs(self, transitions: Transitions, quadrature: Quadrature | None) -> list[Tensor]:
        """Costs (S, N, M) of every batch under transition laws."""
        batches = self.problem.batches
        if quadrature is None:
            return [pair_cost(transitions.of(batch), batch.end) for batch in batches]
        return [quadrature.costs(batch) for batch in batches]


@dataclass(frozen=True)
class MixtureRule:
    """Gaussian-mixture potentials on all points.

    Attributes:
        problem: all points, on which the last round ends.
        working: a part of them, on which the rounds before it are made.
        probe: few points of every snapshot, on which the accuracy of transition laws is judged.
        seed: of the parts of large snapshots that serve the search.
        growth: of the mass; None where it does not change.
    """

    problem: Problem
    working: Problem
    probe: Problem
    seed: int
    growth: Growth | None = None
    slack: float = 1e-4

    @property
    def probes(self) -> Sequence[SegmentBatch]:
        """Segments between few points."""
        return self.probe.batches

    def couple(self, transitions: Transitions, before: Round | None, *, final: bool) -> Round:
        """Potentials, from those of the round before.

        Raises:
            NotConverged: if the reference has no finite transition law between the snapshots.
        """
        _require_finite([pair_cost(transitions.of(b), b.end) for b in self.probes])
        start = None
        if before is not None and isinstance(before.couplings, MixtureCouplings):
            start = before.couplings.potentials
        couplings = MixtureCouplings.solve(
            self.problem if final else self.working,
            transitions,
            start,
            torch.Generator().manual_seed(self.seed),
            tol=_FINAL_TOLERANCE if final else _ROUND_TOLERANCE,
        )
        return Round(transitions, couplings, couplings.objective)

    def with_quadrature(self, before: Round) -> Round | None:
        """None: the laws of mixtures are Gaussian."""
        return None

    def bridge(self, reference: Reference, end: Round) -> MixtureBridge:
        """Bridges to mixtures."""
        if not isinstance(end.couplings, MixtureCouplings):
            raise TypeError("mixture couplings were expected")
        return MixtureBridge(reference, end.couplings, self.growth)

    def growing(self, growth: Growth) -> MixtureRule:
        """The same rule between populations whose mass changes."""
        whole, part, few = (growth.applied(p) for p in (self.problem, self.working, self.probe))
        return replace(self, problem=whole, working=part, probe=few, growth=growth)


def coupling_rule(
    choice: BackendChoice, snapshots: Snapshots, seed: int
) -> tuple[CouplingRule, list[Array]]:
    """The rule of a backend, and the rows of every snapshot that enter the couplings."""
    if not choice.is_mixture:
        thinned, rows = thin(snapshots, choice.max_samples, seed)
        return AtomRule(Problem.of(thinned)), rows
    rows = [np.arange(len(points)) for points in snapshots.points]
    working, probe = (part_of(snapshots, most, seed) for most in (_WORKING_POINTS, _PROBES))
    whole, part, few = (Problem.of(s) for s in (snapshots, working, probe))
    return MixtureRule(whole, part, few, seed), rows


def accurate(
    rule: CouplingRule, dynamics: Dynamics, steps: int | None, accuracy: float
) -> Transitions:
    """Transition laws with as many steps as this accuracy needs on the rule's segments."""
    coarse = Transitions(dynamics) if steps is None else Transitions(dynamics, steps)
    return coarse.accurate(rule.probes, accuracy)


def _require_finite(costs: Sequence[Tensor]) -> None:
    if not all(bool(torch.isfinite(cost).all()) for cost in costs):
        raise NotConverged(
            "the reference has no finite transition law between the snapshots (its drift "
            "explodes or its noise vanishes); start from other parameters or a larger "
            "volatility"
        )
