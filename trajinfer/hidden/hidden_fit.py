"""Refining a reference of which some coordinates are hidden.

From where mean positions lead from snapshot to snapshot, the search goes on with snapshots that are
blurred, under which couplings are forgiving; the blur is taken away by halves.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import NotConverged
from trajinfer._core.seeding import torch_generator
from trajinfer.hidden.coordinates import Coordinates
from trajinfer.hidden.forward_pass import (
    Along,
    ForwardPass,
    accurate_steps,
    couple_forward,
)
from trajinfer.hidden.hidden_bridge import HiddenBridge
from trajinfer.hidden.kept_passes import found_in, state_of
from trajinfer.hidden.mean_paths import begin_at_means
from trajinfer.hidden.open_numbers import open_parameters
from trajinfer.hidden.partial_reference import PartialReference, held
from trajinfer.processes import Process
from trajinfer.references.dynamics import Reference
from trajinfer.references.information import as_metric
from trajinfer.references.kept_steps import kept_step
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.problem import Problem
from trajinfer.references.stratified import draw_atoms
from trajinfer.references.transitions import Transitions

logger = logging.getLogger(__name__)
MaybePass = TypeVar("MaybePass", ForwardPass, "ForwardPass | None")

_FIRST_BLUR, _LEAST_BLUR, _STEPS_OF_A_BLUR, _LITTLE = 0.2, 0.02, 4, 1e-3
_FEW, _STEPS = 32, 8
_TRUST_REGION, _MAX_DAMPING = 1.0, 6
_MOVING, _RESTING = 10.0, 1e-3
_LAW_ALONE = 30


@dataclass(frozen=True)
class HiddenFit:
    """End of the search.

    Attributes:
        bridge: the path law.
        history: one record per round.
        converged: whether couplings and objective both met their tolerances.
        left_open: names of parameters that the snapshots do not settle.
    """

    bridge: HiddenBridge
    history: list[dict[str, Any]]
    converged: bool
    left_open: list[str]


@dataclass
class _Search:
    model: PartialReference
    problem: Problem
    tol: float
    on_round: Callable[[dict[str, Any]], None]
    history: list[dict[str, Any]] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        pooled = torch.cat(self.problem.points)
        self.spread = pooled.std(0, correction=0).clamp_min(1e-9 * self.model.size)

    @property
    def _drift(self) -> ParameterVector:
        """All numbers but the volatility, which a blur would hide."""
        return ParameterVector(self.model, with_volatility=False)

    def refined(self, before: ForwardPass, vector: ParameterVector) -> ForwardPass:
        """A Gauss-Newton step, shortened until the objective does not rise."""
        start, along = vector.get(), Along.of(self.model, self.problem, before)
        information, slope = along.information_and_slope(vector)
        step = -np.linalg.solve(as_metric(information), slope)
        step *= min(1.0, _TRUST_REGION / np.abs(step).max(initial=1e-300))
        allowed = self.total(before) + 1e-7 * (1 + abs(before.objective))
        for halving in range(_MAX_DAMPING):
            vector.set(start + 0.5**halving * step)
            trial = self._try(before.blur, before.n_steps, before)
            if trial is not None and self.total(trial) <= allowed:
                return trial
        vector.set(start)
        return before

    def total(self, found: ForwardPass) -> float:
        """Objective with the penalty of the present numbers."""
        return found.objective + self.model.penalty

    def _try(self, blur: Tensor, n_steps: int, before: ForwardPass | None) -> ForwardPass | None:
        try:
            return couple_forward(self.model, self.problem, blur, n_steps, before)
        except NotConverged:
            return None

    def kept(self, make: Callable[..., MaybePass], *args: Any) -> MaybePass:
        """The pass of a call, made now or before the search was broken off."""
        n_before, vector = len(self.history), ParameterVector(self.model)
        found = kept_step(
            partial(make, *args),
            vector,
            self.history,
            state_of,
            partial(found_in, self.model, self.problem),
        )
        for entry in self.history[n_before:]:
            self.on_round(entry)
        return found  # type: ignore[return-value]  # None only where `make` gave None

    def sharpened(self) -> ForwardPass:
        """Refinements under a blur that is taken away by halves."""
        share, current = _FIRST_BLUR, None
        while share > _LEAST_BLUR:
            found = self.kept(self._blurred, share, current)
            if found is None:
                break
            current = found
            share /= 2
        if current is None:
            raise NotConverged(
                "the reference has no finite transition law between the snapshots; give parameters "
                "near those you expect and free them with learn()"
            )
        return current

    def _blurred(self, share: float, before: ForwardPass | None) -> ForwardPass | None:
        current = self._try(share * self.spread, _STEPS, before)
        if current is None:
            return None
        vector = self._drift
        for _ in range(_STEPS_OF_A_BLUR):
            start = self.total(current)
            current = self.refined(current, vector)
            if start - self.total(current) <= _LITTLE * (1 + abs(start)):
                break
        self.record("blurred", current)
        return current

    def coupled(self, rough: ForwardPass, n_steps: int) -> ForwardPass:
        """All snapshots, from the numbers that some of their points gave, without blur."""
        blurred = couple_forward(self.model, self.problem, rough.blur, n_steps, None)
        sharp = torch.zeros_like(rough.blur)
        return couple_forward(self.model, self.problem, sharp, n_steps, blurred)

    def settle(self, current: ForwardPass, n_refinements: int) -> tuple[ForwardPass, bool]:
        """Refinements without blur until the objective stands still."""
        vector = ParameterVector(self.model)
        for _ in range(n_refinements):
            before, start = self.total(current), vector.get()
            current = self.kept(self._static, current, vector)
            fall, change = before - self.total(current), np.abs(vector.get() - start).max()
            still = fall <= self.tol * max(1.0, abs(before))
            resting = fall <= _RESTING * self.tol * max(1.0, abs(before))  # along flat directions
            if resting or (still and change <= _MOVING * self.tol):
                return current, True
        return current, False

    def _static(self, before: ForwardPass, vector: ParameterVector) -> ForwardPass:
        found = self.refined(before, vector)
        self.record("static", found)
        return found

    def record(self, kind: str, found: ForwardPass) -> None:
        """Add a round to the history."""
        sde = self.model.reference.sde
        entry = {
            "round": len(self.history),
            "kind": kind,
            "objective": self.total(found),
            "marginal_error": found.error,
            "blur": found.blur.tolist(),
            "ode_steps": found.n_steps,
            "seconds": time.perf_counter() - self._started,
            "parameters": sde.parameters_dict() if isinstance(sde, Process) else {},
        }
        self.history.append(entry)
        logger.info("round %(round)d (%(kind)s): objective %(objective).6g", entry)


def fit_hidden(
    reference: Reference,
    coordinates: Coordinates,
    problem: Problem,
    *,
    size: float,
    tol: float,
    n_refinements: int,
    seed: int,
    on_round: Callable[[dict[str, Any]], None],
) -> HiddenFit:
    """Refine a reference, and the law of its hidden coordinates at the first snapshot.

    Args:
        reference: refined in place, with at most `n_refinements` rounds once the blur is gone.
        coordinates: which are measured.
        problem: snapshots of the measured ones.
        size: typical size of a state.
        tol: relative fall of the objective at which to stop; numbers may still move by ten times
            that much in natural units.
        n_refinements: 0 keeps the reference as it is; the law of the hidden coordinates at the
            first snapshot is then learned alone.
        seed: of the starts.
        on_round: called with the record of every round.

    Raises:
        NotConverged: if the reference has no finite transition law between the snapshots.
    """
    n = float(np.mean([1 / float((2 * m).exp().sum()) for m in problem.log_mass]))
    model = PartialReference(
        reference, coordinates, problem.points[0], problem.log_mass[0], size, n
    )
    fixed = [] if n_refinements else model.of_reference
    with held(*fixed):
        generator = torch_generator(seed)
        few = _Search(model, _part(problem, generator), tol, on_round)
        few.kept(begin_at_means, model, few.problem, few.spread, generator)
        rough = few.sharpened()
        search = _Search(model, problem, tol, on_round, few.history)
        steps = accurate_steps(model, few.problem, rough.laws, _STEPS)
        current = search.kept(search.coupled, rough, steps)
        current, settled = search.settle(current, n_refinements or _LAW_ALONE)
        steps = accurate_steps(model, problem, current.laws, current.n_steps)
        if steps != current.n_steps:
            current = search.kept(couple_forward, model, problem, current.blur, steps, current)
        left_open = open_parameters(model, problem, current)
    transitions = Transitions(reference.frozen_dynamics, current.n_steps)
    bridge = HiddenBridge(
        reference,
        transitions,
        coordinates,
        problem,
        tuple((c.f[0], c.g[0]) for c in current.couplings),
        current.laws,
        current.error,
    )
    return HiddenFit(bridge, search.history, settled and bridge.shortfall is None, left_open)


def _part(problem: Problem, generator: torch.Generator) -> Problem:
    """A few points of every snapshot: enough while all of them are blurred."""
    rows = [draw_atoms(m.exp(), min(_FEW, len(m)), generator) for m in problem.log_mass]
    points = tuple(p[own] for p, own in zip(problem.points, rows))
    even = tuple(torch.full((len(own),), -math.log(len(own))).double() for own in rows)
    return Problem(problem.times, points, even)
