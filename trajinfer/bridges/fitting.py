r"""The two-step iteration: couple the snapshots under the reference, then refine the reference.

Both halves lower $F = \sum_k \sum_{ij} \pi^k_{ij} [\log \pi^k_{ij} - \log q_\theta(y_j \mid x_i)]$.

References:
    Shen, Berlinghieri, Broderick, "Multi-marginal Schroedinger bridges with iterative reference
    refinement", arXiv 2408.06277.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import NotConverged
from trajinfer.bridges.dynamics import Dynamics, at_rest, frozen_dynamics_of
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.bridges.problem import Problem
from trajinfer.bridges.refinement import LearnableState, path_round, penalty_of, static_round
from trajinfer.bridges.sinkhorn import Coupling, couple
from trajinfer.bridges.static_likelihood import RowStatistics, pair_cost
from trajinfer.bridges.transitions import transition
from trajinfer.processes import Process
from trajinfer.sde import SDELike

logger = logging.getLogger(__name__)

MARGINAL_TOLERANCE = 1e-6
_FEWEST_STEPS, _MOST_STEPS = 8, 256
_ACCURACY, _FINAL_ACCURACY = 1e-3, 1e-7
_PATH_ROUNDS = 2
_PATH_STARTS = 8
_DESCENT_TOLERANCE = 1e-7
_MAX_DAMPING = 8


@dataclass(frozen=True)
class Round:
    """A reference, the coupling under it, and their objective."""

    dynamics: Dynamics
    coupling: Coupling
    objective: float
    n_steps: int


@dataclass(frozen=True)
class Fit:
    """What the iteration ends with.

    Attributes:
        bridge: the path law under the refined reference.
        history: one record per round.
        converged: whether couplings and objective both met their tolerances.
    """

    bridge: MultiMarginalBridge
    history: list[dict[str, Any]]
    converged: bool


def fit(
    reference: SDELike,
    problem: Problem,
    *,
    n_refinements: int,
    tol: float,
    linearise: bool,
    generator: torch.Generator,
    on_round: Callable[[dict[str, Any]], None],
) -> Fit:
    """Alternate couplings and refinements until the objective stands still.

    Args:
        reference: refined in place.
        problem: the snapshots.
        n_refinements: bound on the number of refinements; 0 keeps the reference as it is.
        tol: relative fall of the objective over a round, and change of the parameters, at which to
            stop.
        linearise: whether to use the linear-noise equations even for affine drifts.
        generator: of the draws of the path rounds.
        on_round: called with the record of every round.

    Raises:
        NotConverged: if the reference has no finite transition law between the snapshots.
    """
    iteration = _Iteration(reference, problem, tol, linearise, generator, on_round)
    return iteration.run(n_refinements)


def restore(
    reference: SDELike, problem: Problem, f: Tensor, g: Tensor, *, n_steps: int, linearise: bool
) -> MultiMarginalBridge:
    """The path law of a fitted reference, rebuilt from the potentials of its couplings."""
    with torch.no_grad():
        dynamics = _frozen(reference, linearise)
        cost = _transition_cost(dynamics, problem, n_steps)
        log_plan = f.unsqueeze(2) + g.unsqueeze(1) - cost
        error = (log_plan.exp().sum(2) - problem.log_mass[:-1].exp()).abs().sum(1)
    return MultiMarginalBridge(problem, dynamics, Coupling(log_plan, f, g, error, 0), n_steps)


def _frozen(reference: SDELike, linearise: bool) -> Dynamics:
    dynamics = frozen_dynamics_of(reference)
    return replace(dynamics, affine=None) if linearise else dynamics


def _transition_cost(dynamics: Dynamics, problem: Problem, n_steps: int) -> Tensor:
    law = transition(
        dynamics, problem.times[:-1], problem.start, problem.durations, n_steps=n_steps
    )
    return pair_cost(law, problem.end)


class _Iteration:
    """State of one fit: the reference, where it stands, and the record of how it came there."""

    def __init__(
        self,
        reference: SDELike,
        problem: Problem,
        tol: float,
        linearise: bool,
        generator: torch.Generator,
        on_round: Callable[[dict[str, Any]], None],
    ) -> None:
        self.reference, self.problem = reference, problem
        self.tol, self.linearise, self.generator = tol, linearise, generator
        self.on_round = on_round
        self.history: list[dict[str, Any]] = []
        self.started = time.perf_counter()

    def run(self, n_refinements: int) -> Fit:
        state = LearnableState(self.reference)
        refine = n_refinements > 0 and len(state) > 0
        rounds_left = n_refinements if refine else 0
        current = None
        if refine and _starts_neutral(self.reference):
            current, spent = self._approach(state, min(_PATH_ROUNDS, rounds_left))
            rounds_left -= spent
        if current is None:
            accuracy = _ACCURACY if refine else _FINAL_ACCURACY
            current = self._round(self._frozen(), None, accuracy)
            self._record("start", current)
        settled = not refine
        while rounds_left > 0 and not settled:
            rounds_left -= 1
            before, start = current, state.get()
            current = self._static(before, state)
            settled = self._is_settled(before, current, state.get() - start)
        final = self._round(current.dynamics, current, _FINAL_ACCURACY)
        error = float(final.coupling.error.max())
        bridge = MultiMarginalBridge(self.problem, final.dynamics, final.coupling, final.n_steps)
        return Fit(bridge, self.history, settled and error <= MARGINAL_TOLERANCE)

    def _approach(self, state: LearnableState, n_rounds: int) -> tuple[Round | None, int]:
        """Path rounds from a reference that does not move, while they help."""
        current = self._round(at_rest(self._frozen()), None)
        best = None
        for spent in range(1, n_rounds + 1):
            start = state.get()
            path_round(
                self.reference,
                current.dynamics,
                self.problem,
                current.coupling.log_plan.exp(),
                current.n_steps,
                self.generator,
                _PATH_STARTS if best is None else 1,
            )
            trial = self._try(best)
            if trial is None or (best is not None and trial.objective > best.objective):
                state.set(start)
                return best, spent
            self._record("path", trial)
            current = best = trial
        return best, n_rounds

    def _static(self, before: Round, state: LearnableState) -> Round:
        """One static refinement, halved towards its start until the objective does not rise."""
        start = state.get()
        plan = before.coupling.log_plan.exp()
        statistics = RowStatistics.of(plan, self.problem.end)
        static_round(
            self.reference, self.problem, statistics, before.n_steps, linearise=self.linearise
        )
        goal = state.get()
        allowed = before.objective + _DESCENT_TOLERANCE * (1 + abs(before.objective))
        share = 1.0
        for _ in range(_MAX_DAMPING):
            state.set(start + share * (goal - start))
            trial = self._try(before)
            if trial is not None and trial.objective <= allowed:
                self._record("static", trial, share=share)
                return trial
            share /= 2
        state.set(start)
        self._record("static", before, share=0.0)
        return before

    def _try(self, before: Round | None) -> Round | None:
        """The coupling under the present parameters; None where they have no finite law."""
        try:
            return self._round(self._frozen(), before)
        except NotConverged:
            return None

    def _round(
        self, dynamics: Dynamics, before: Round | None, accuracy: float = _ACCURACY
    ) -> Round:
        with torch.no_grad():
            least = before.n_steps if before else _FEWEST_STEPS
            n_steps = _steps_needed(dynamics, self.problem, least, accuracy)
            problem = self.problem
            cost = _transition_cost(dynamics, problem, n_steps)
            if not bool(torch.isfinite(cost).all()):
                raise NotConverged(
                    "the reference has no finite transition law between the snapshots (its drift "
                    "explodes or its noise vanishes); start from other parameters or a larger "
                    "volatility"
                )
            coupling = couple(
                cost,
                problem.log_mass[:-1],
                problem.log_mass[1:],
                warm_start=before.coupling.f if before else None,
            )
            plan = coupling.log_plan.exp()
            transport = torch.where(plan > 0, plan * cost, 0.0).sum()
            objective = coupling.entropy_term() + transport + penalty_of(self.reference)
        return Round(dynamics, coupling, float(objective), n_steps)

    def _frozen(self) -> Dynamics:
        return _frozen(self.reference, self.linearise)

    def _record(self, kind: str, current: Round, *, share: float = 1.0) -> None:
        error = float(current.coupling.error.max())
        record = {
            "round": len(self.history),
            "kind": kind,
            "objective": current.objective,
            "step_share": share,
            "marginal_error": error,
            "coupling_steps": current.coupling.n_steps,
            "ode_steps": current.n_steps,
            "seconds": time.perf_counter() - self.started,
            "parameters": _snapshot_of(self.reference),
        }
        self.history.append(record)
        logger.info("round %(round)d (%(kind)s): objective %(objective).6g", record)
        self.on_round(record)

    def _is_settled(self, before: Round, after: Round, change: Array) -> bool:
        fall = before.objective - after.objective
        scale = max(1.0, abs(after.objective))
        return bool(fall <= self.tol * scale and np.abs(change).max() <= self.tol) or fall == 0


def _starts_neutral(reference: SDELike) -> bool:
    return isinstance(reference, Process) and bool(reference.coefficients.neutral)


def _steps_needed(dynamics: Dynamics, problem: Problem, n_steps: int, accuracy: float) -> int:
    """Runge-Kutta steps per segment, doubled until means move less than this many deviations."""
    if dynamics.affine is not None:
        return n_steps
    arguments = (dynamics, problem.times[:-1], problem.start, problem.durations)
    coarse = transition(*arguments, n_steps=n_steps)
    while n_steps < _MOST_STEPS:
        fine = transition(*arguments, n_steps=2 * n_steps)
        spread = fine.covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
        error = (fine.mean - coarse.mean).abs() / (spread + 1e-300)
        if bool(error.quantile(0.99) <= accuracy):
            return n_steps
        n_steps, coarse = 2 * n_steps, fine
    return n_steps


def _snapshot_of(reference: SDELike) -> dict[str, Any]:
    return reference.parameters_dict() if isinstance(reference, Process) else {}
