"""Passes of a search as a checkpoint keeps them: potentials, no couplings and no laws.

These follow by the same operations that gave them.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from trajinfer.hidden.forward_pass import ForwardPass, pass_forward
from trajinfer.hidden.partial_reference import PartialReference
from trajinfer.metrics.entropic_coupling import EntropicCoupling
from trajinfer.references.problem import Problem


def state_of(found: ForwardPass | None) -> dict[str, Any] | None:
    """What is kept of a pass; None of one that failed."""
    if found is None:
        return None
    return {
        "potentials": [(c.f, c.g, c.n_steps) for c in found.couplings],
        "n_steps": found.n_steps,
        "blur": found.blur,
    }


def found_in(
    model: PartialReference, problem: Problem, state: dict[str, Any] | None
) -> ForwardPass | None:
    """The pass under the present numbers."""
    if state is None:
        return None

    def known(k: int, cost: Tensor, log_starts: Tensor, _: Tensor) -> EntropicCoupling:
        f, g, n_steps = state["potentials"][k]
        return EntropicCoupling.of(f, g, cost, log_starts, n_steps)

    return pass_forward(model, problem, state["blur"], state["n_steps"], known)
