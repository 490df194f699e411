"""Diagnosis of a non-finite solve: the failing chunk is run again, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor

from trajinfer._core.errors import NonFiniteState
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Solver, Step, StepNoise
from trajinfer.sde.stepping import State, StepChunk

_SHOWN = 5


def raise_non_finite(
    solver: Solver,
    problem: Problem,
    chunk: StepChunk,
    noises: list[StepNoise],
    state: State,
    failed: Sequence[int] = (),
) -> NoReturn:
    """Find the first step of a chunk whose result is not finite and raise its error.

    Args:
        solver: what took the steps.
        problem: the SDE.
        chunk: the steps.
        noises: of the steps.
        state: where they start.
        failed: the samples to name if all states are finite and only an error estimate is not.

    Raises:
        NonFiniteState: with the time, the step, the samples and what failed first.
    """
    y, carry = state.y.detach(), tuple(part.detach() for part in state.carry)
    last = len(noises) - 1
    with torch.no_grad():
        for k, (t, h, noise) in enumerate(zip(chunk.t, chunk.h, noises)):
            problem.at_step(chunk.first + k)
            step = solver.step(problem, t, h, y, noise, carry)
            if not bool(torch.isfinite(step.y).all()) or k == last:
                break
            y, carry = step.y, step.carry
    bad = _rows(step.y) or list(failed)
    first = bad[0] if bad else 0
    length = float(h) if isinstance(h, float) else float(h[first, 0])
    which = _cause(problem, t, y, step)
    time = chunk.times[..., k]
    shown = ", ".join(map(str, bad[:_SHOWN])) + (", ..." if len(bad) > _SHOWN else "")
    raise NonFiniteState(
        f"the {which} became NaN or infinite in sample(s) {shown}; {_advice(which, solver)}, "
        "or pass on_error='mask' to keep the other samples",
        which=which,
        samples=tuple(bad),
        t=float(time if time.ndim == 0 else time[first]),
        step=chunk.first + k,
        method=solver.name,
        h=length,
    )


def _cause(problem: Problem, t: Tensor, y: Tensor, step: Step) -> str:
    """The first quantity that was not finite: the state, the drift or the diffusion."""
    if _rows(y):
        return "state"
    if _rows(problem.f(t, y)):
        return "drift"
    if problem.noise_type != "none" and _rows(problem.g_prod(t, y, _ones(problem, t, y))):
        return "diffusion"
    for stage in step.stages:
        if _rows(stage.y):
            return "state"
        if _rows(stage.f):
            return "drift"
        if stage.g is not None and _rows(stage.g):
            return "diffusion"
    return "state"


def _ones(problem: Problem, t: Tensor, y: Tensor) -> Tensor:
    return y.new_ones(y.shape[0], problem.noise_dim(t, y))


def _rows(tensor: Tensor) -> list[int]:
    """Indices of the samples with a value that is not finite."""
    good = torch.isfinite(tensor).flatten(1).all(1)
    return [int(i) for i in (~good).nonzero()[:, 0]]


def _advice(which: str, solver: Solver) -> str:
    if solver.name == "reversible_heun":
        return (
            "reversible_heun is unstable at this step, unless the SDE itself fails: take a shorter "
            "step or method='heun'"
        )
    if which == "state":
        return "take a shorter step or a more stable solver"
    return f"check the {which} at that time and state"
