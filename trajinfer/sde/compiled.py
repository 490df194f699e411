"""Chunks of steps compiled into one graph."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trajinfer.sde.job import Job, run_chunk
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Solver, StepNoise
from trajinfer.sde.solvers.error_sum import error_values
from trajinfer.sde.stepping import Saved, State, StepChunk, part_of

STEPS_PER_CALL = 8
Stacked = tuple[Tensor | None, ...]
"""Times, lengths, W, H, Z, roots and terms of consecutive steps, steps first."""


class CompilerWarning(UserWarning):
    """A solve was asked to be compiled and runs uncompiled."""


def run_compiled(job: Job, chunk: StepChunk, state: State) -> tuple[State, Saved]:
    """The steps of a chunk in compiled calls of eight; what is left over runs plainly.

    Step lengths travel as tensors, so that grids with other lengths do not compile again, and all
    noise in a few stacked tensors, because every argument of a compiled call is checked.
    """
    n_steps = len(chunk.h)
    whole = n_steps - n_steps % STEPS_PER_CALL
    saved = Saved([], [], [])
    if whole:
        stacked = _stack(chunk, job.noise(chunk, state.y), state.y)
        y, carry = state.y, state.carry
        for a in range(0, whole, STEPS_PER_CALL):
            part = tuple(None if x is None else x[a : a + STEPS_PER_CALL] for x in stacked)
            ys, carry, errors = _call(job, part, y, carry)
            y = ys[-1]
            outputs = [x for x, save in zip(ys, chunk.saves[a:]) if save]
            saved = saved.joined(Saved(outputs, [()] * len(outputs), list(errors)))
        state = State(y, carry, ())
    if whole == n_steps:
        return state, saved
    after, new = run_chunk(job, part_of(chunk, whole, n_steps), state)
    return after, saved.joined(new)


def _stack(chunk: StepChunk, noises: list[StepNoise], y: Tensor) -> Stacked:
    """The inputs of the steps of a chunk, in few tensors."""

    def stack(parts: list[Any]) -> Tensor | None:
        if parts[0] is None:
            return None
        if isinstance(parts[0], Tensor):
            return torch.stack(parts)
        return torch.as_tensor(parts, dtype=y.dtype, device=y.device)

    columns = [stack([noise[k] for noise in noises]) for k in range(4)]
    terms = [stack(list(parts)) for parts in zip(*(noise.terms for noise in noises))]
    return (stack(list(chunk.t)), stack(list(chunk.h)), *columns, *terms)


def _call(job: Job, part: Stacked, y: Tensor, carry: tuple[Tensor, ...]) -> Any:
    """The compiled chunk, counting its evaluations without making them part of the graph."""
    problem = job.problem
    before = problem.nfe_f, problem.nfe_g
    problem.reset()
    try:
        result = _compiler()(job.solver, problem, part, y, carry)
    except torch._dynamo.exc.BackendCompilerFailed as error:
        warnings.warn(
            f"compiling failed ({type(error.inner_exception).__name__}); the solve runs "
            "uncompiled: a C++ compiler is needed",
            CompilerWarning,
            stacklevel=2,
        )
        problem.reset()
        result = _chunk(job.solver, problem, part, y, carry)
    problem.nfe_f, problem.nfe_g = before[0] + problem.nfe_f, before[1] + problem.nfe_g
    return result


def _chunk(
    solver: Solver, problem: Problem, part: Stacked, y: Tensor, carry: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Eight steps, unrolled: all states, the last carry, the error estimates."""
    ys: list[Tensor] = []
    errors: list[Tensor] = []
    for k in range(STEPS_PER_CALL):
        t, h, w, area, z, root, *terms = (None if x is None else x[k] for x in part)
        noise = StepNoise(w, area, z, root, tuple(terms))  # type: ignore[arg-type]
        step = solver.step(problem, t, h, y, noise, carry)  # type: ignore[arg-type]
        y, carry = step.y, step.carry
        ys.append(y)
        if step.error is not None:
            errors.append(error_values([step.error]))
    return tuple(ys), carry, tuple(errors)


@functools.cache
def _compiler() -> Callable[..., Any]:
    """`_chunk`, compiled. Asking for it loads torch's compiler, which takes seconds."""
    return torch.compile(_chunk, fullgraph=True, dynamic=False)
