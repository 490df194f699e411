"""Rounds of a bridge as a checkpoint keeps them: parameters and potentials, no laws.

Transition laws, costs and plans follow from these by the same operations that gave them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from trajinfer.bridges.coupling_rules import AtomRule, CouplingRule, MixtureRule, Round
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.mixture_couplings import MixtureCouplings
from trajinfer.metrics.entropic_coupling import EntropicCoupling
from trajinfer.references.dynamics import Reference
from trajinfer.references.kept_steps import kept_step
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.quadrature import Quadrature
from trajinfer.references.transitions import Transitions

MaybeRound = TypeVar("MaybeRound", Round, "Round | None")
History = list[dict[str, Any]]


def n_refinements_in(history: History) -> int:
    """How often the reference was refined; a fit from far away begins with such a round."""
    return sum(record["kind"] in ("path", "static") for record in history)


def kept_round(
    make: Callable[[], MaybeRound],
    reference: Reference,
    rule: CouplingRule,
    parameters: ParameterVector,
    history: History,
) -> MaybeRound:
    """The round that `make` gives, or that it gave before the fit was broken off.

    Args:
        make: moves the parameters, and adds records to the history.
        reference: of the bridge.
        rule: how snapshots are coupled.
        parameters: stand after the call where `make` leaves them.
        history: its new records are there after the call.
    """
    return kept_step(
        make,
        parameters,
        history,
        lambda found: None if found is None else _state_of(found, rule),
        lambda state: None if state is None else _round_of(state, reference, rule),  # type: ignore[return-value]
    )


def _state_of(current: Round, rule: CouplingRule) -> dict[str, Any]:
    quadrature, couplings = current.quadrature, current.couplings
    state: dict[str, Any] = {
        "n_steps": current.transitions.n_steps,
        "objective": current.objective,
        "grid": None if quadrature is None else quadrature.grid,
        "longest": None if quadrature is None else quadrature.longest,
    }
    if isinstance(couplings, Couplings):
        state["potentials"] = [(batch.f, batch.g, batch.n_steps) for batch in couplings.batches]
    elif isinstance(couplings, MixtureCouplings) and isinstance(rule, MixtureRule):
        state["segments"], state["potentials"] = couplings.segments, couplings.potentials
        state["of all points"] = couplings.problem is rule.problem
    return state


def _round_of(state: dict[str, Any], reference: Reference, rule: CouplingRule) -> Round:
    """The round under the present parameters of the reference."""
    transitions = Transitions(reference.frozen_dynamics, state["n_steps"])
    objective = state["objective"]
    if isinstance(rule, MixtureRule):
        problem = rule.problem if state["of all points"] else rule.working
        couplings = MixtureCouplings(problem, transitions, state["segments"], state["potentials"])
        return Round(transitions, couplings, objective)
    if not isinstance(rule, AtomRule):
        raise TypeError(f"rounds of a {type(rule).__name__} are not kept")
    quadrature = None
    if state["grid"] is not None:
        quadrature = Quadrature.of(transitions.dynamics, state["grid"], state["longest"])
    with torch.no_grad():
        costs = rule.costs(transitions, quadrature)
        batches = tuple(
            EntropicCoupling.of(f, g, cost, batch.log_a, n_steps)
            for (f, g, n_steps), cost, batch in zip(
                state["potentials"], costs, rule.problem.batches, strict=True
            )
        )
    return Round(transitions, Couplings(rule.problem, batches), objective, quadrature)
