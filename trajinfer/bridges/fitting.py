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
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from trajinfer._core.checks import Array
from trajinfer._core.errors import NotConverged
from trajinfer._core.seeding import torch_generator
from trajinfer.bridges.coupling_rules import AnyBridge, CouplingRule, Round, accurate
from trajinfer.bridges.kept_rounds import MaybeRound, kept_round
from trajinfer.bridges.refinement import path_round, static_round
from trajinfer.processes import Process
from trajinfer.references.dynamics import Dynamics, Reference
from trajinfer.references.parameter_vector import ParameterVector

logger = logging.getLogger(__name__)

_ACCURACY, _FINAL_ACCURACY = 1e-3, 1e-7
_PATH_ROUNDS = 2
_PATH_STARTS = 8
_MAX_DAMPING = 8


@dataclass(frozen=True)
class Fit:
    """End of the iteration.

    Attributes:
        bridge: the path law under the refined reference.
        history: one record per round.
        converged: whether couplings and objective both met their tolerances.
    """

    bridge: AnyBridge
    history: list[dict[str, Any]]
    converged: bool


@dataclass
class AlternatingFit:
    """Couplings and refinements in turn, until the objective stands still.

    Attributes:
        reference: refined in place.
        rule: how the snapshots are coupled.
        tol: relative fall of the objective over a round, and change of the parameters, at which to
            stop.
        generator: of the draws of the path rounds.
        on_round: called with the record of every round.
        history: one record per round.
    """

    reference: Reference
    rule: CouplingRule
    tol: float
    generator: torch.Generator
    on_round: Callable[[dict[str, Any]], None]
    history: list[dict[str, Any]] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    def run(self, n_refinements: int) -> Fit:
        """Alternate at most `n_refinements` times; 0 keeps the reference as it is.

        Raises:
            NotConverged: if the reference has no finite transition law between the snapshots.
        """
        parameters = ParameterVector(self.reference.sde)
        refine = n_refinements > 0 and len(parameters) > 0
        rounds_left = n_refinements if refine else 0
        current = None
        if refine and _starts_neutral(self.reference):
            n_paths = min(_PATH_ROUNDS, rounds_left)
            current = self._kept(parameters, self._approach, parameters, n_paths)
            rounds_left -= min(len(self.history) + 1, n_paths)  # the last one may have failed
        if current is None:
            current = self._kept(parameters, self._start, refine)
        settled = not refine
        while True:
            while rounds_left > 0 and not settled:
                rounds_left -= 1
                before, start = current, parameters.get()
                current = self._kept(parameters, self._static, before, parameters)
                settled = self._is_settled(before, current, parameters.get() - start)
            exact = self._kept(parameters, self._with_quadrature, current)
            if exact is None:
                break
            current, settled = exact, not refine
        final = current
        if refine:  # the rounds were coupled under less accurate laws
            final = self._kept(parameters, self._last, current)
        bridge = self.rule.bridge(self.reference, final)
        return Fit(bridge, self.history, settled and bridge.shortfall is None)

    def _kept(
        self, parameters: ParameterVector, make: Callable[..., MaybeRound], *args: Any
    ) -> MaybeRound:
        """The round of a call, made now or before the fit was broken off."""
        n_before = len(self.history)
        found = kept_round(
            partial(make, *args), self.reference, self.rule, parameters, self.history
        )
        for record in self.history[n_before:]:
            self.on_round(record)
        return found

    def _start(self, refine: bool) -> Round:
        accuracy = _ACCURACY if refine else _FINAL_ACCURACY
        current = self._round(self.reference.frozen_dynamics, None, accuracy, final=not refine)
        self._record("start", current)
        return current

    def _last(self, before: Round) -> Round:
        return self._round(before.transitions.dynamics, before, _FINAL_ACCURACY, final=True)

    def _approach(self, parameters: ParameterVector, n_rounds: int) -> Round | None:
        """Path rounds from a reference that does not move, while they help."""
        current = self._round(self.reference.frozen_dynamics.without_drift(), None)
        best = None
        for _ in range(n_rounds):
            start = parameters.get()
            n_starts = _PATH_STARTS if best is None else 1
            path_round(
                self.reference, current.transitions, current.couplings, self.generator, n_starts
            )
            trial = self._try(best)
            if trial is None or (best is not None and trial.objective > best.objective):
                parameters.set(start)
                return best
            self._record("path", trial)
            current = best = trial
        return best

    def _with_quadrature(self, before: Round) -> Round | None:
        """The same reference under exact densities, where they are needed and not yet there."""
        with torch.no_grad():
            bare = self.rule.with_quadrature(before)
        if bare is None:
            return None
        current = self._with_penalty(bare)
        self._record("quadrature", current)
        return current

    def _static(self, before: Round, parameters: ParameterVector) -> Round:
        """One static refinement, halved towards its start until the objective does not rise."""
        start = parameters.get()
        static_round(
            self.reference, before.couplings, before.transitions.n_steps, before.quadrature
        )
        goal = parameters.get()
        allowed = before.objective + self.rule.slack * (1 + abs(before.objective))
        share = 1.0
        for _ in range(_MAX_DAMPING):
            parameters.set(start + share * (goal - start))
            trial = self._try(before)
            if trial is not None and trial.objective <= allowed:
                self._record("static", trial, share=share)
                return trial
            share /= 2
        parameters.set(start)
        self._record("static", before, share=0.0)
        return before

    def _try(self, before: Round | None) -> Round | None:
        """The couplings under the present parameters; None where they have no finite law."""
        try:
            return self._round(self.reference.frozen_dynamics, before)
        except NotConverged:
            return None

    def _round(
        self,
        dynamics: Dynamics,
        before: Round | None,
        accuracy: float = _ACCURACY,
        *,
        final: bool = False,
    ) -> Round:
        steps = None if before is None else before.transitions.n_steps
        with torch.no_grad():
            transitions = accurate(self.rule, dynamics, steps, accuracy)
            return self._with_penalty(self.rule.couple(transitions, before, final=final))

    def _with_penalty(self, bare: Round) -> Round:
        with torch.no_grad():
            return replace(bare, objective=bare.objective + float(self.reference.penalty))

    def _record(self, kind: str, current: Round, *, share: float = 1.0) -> None:
        sde = self.reference.sde
        record = {
            "round": len(self.history),
            "kind": kind,
            "objective": current.objective,
            "step_share": share,
            "marginal_error": current.couplings.error,
            "coupling_steps": current.couplings.n_steps,
            "ode_steps": current.transitions.n_steps,
            "seconds": time.perf_counter() - self._started,
            "parameters": sde.parameters_dict() if isinstance(sde, Process) else {},
        }
        self.history.append(record)
        logger.info("round %(round)d (%(kind)s): objective %(objective).6g", record)

    def _is_settled(self, before: Round, after: Round, change: Array) -> bool:
        fall = before.objective - after.objective
        scale = max(1.0, abs(after.objective))
        return bool(fall <= self.tol * scale and np.abs(change).max() <= self.tol) or fall == 0


def alternate(
    tol: float,
    seed: int,
    n_refinements: int,
    reference: Reference,
    rule: CouplingRule,
    *,
    verbose: int = 0,
) -> Fit:
    """An `AlternatingFit` that is run, with a progress bar where asked for.

    Args:
        tol: relative fall of the objective, and change of the parameters, at which to stop.
        seed: of the draws of the path rounds.
        n_refinements: bound on the rounds.
        reference: refined in place.
        rule: how the snapshots are coupled.
        verbose: 1 shows the bar.
    """
    with tqdm(total=n_refinements, disable=not verbose or None) as bar:

        def on_round(record: dict[str, Any]) -> None:
            bar.set_postfix(objective=f"{record['objective']:.5g}")
            bar.update(int(record["kind"] != "start"))

        fit = AlternatingFit(reference, rule, tol, torch_generator(seed), on_round)
        return fit.run(n_refinements)


def _starts_neutral(reference: Reference) -> bool:
    return isinstance(reference.sde, Process) and bool(reference.sde.coefficients.neutral)
