"""The loop over steps: pure chunks of steps, and a check after each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trajinfer.paths import BrownianPath
from trajinfer.paths.step_grid import StepGrid, step_sizes, times_tensor
from trajinfer.sde.accumulator import AcceptedStep, StepAccumulator
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, StepNoise, split_noise
from trajinfer.sde.solvers.error_sum import error_values

CHUNK_STEPS = 128
_FOLD_NUMBERS = 2**14


class State(NamedTuple):
    """State of a solve between two steps.

    Attributes:
        y: state, (B, D).
        carry: what the solver hands to its next step.
        totals: one running total per accumulator, since the last output time.
    """

    y: Tensor
    carry: tuple[Tensor, ...]
    totals: tuple[Tensor, ...]


class Saved(NamedTuple):
    """Results of a chunk of steps at the output times that it reaches.

    Attributes:
        ys: states.
        totals: per output time, the totals of its interval.
        errors: error estimates of consecutive steps, (n, B, D), where the solver makes them.
    """

    ys: list[Tensor]
    totals: list[tuple[Tensor, ...]]
    errors: list[Tensor]

    def joined(self, later: Saved) -> Saved:
        """This and what a later chunk left."""
        self.ys.extend(later.ys)
        self.totals.extend(later.totals)
        self.errors.extend(later.errors)
        return self


@dataclass(frozen=True)
class StepChunk:
    """Consecutive steps of a fixed grid.

    Attributes:
        first: index of the first step.
        times: ends of the steps on the host, (K + 1,) or (B, K + 1).
        t: starts of the steps as the networks see them.
        h: lengths of the steps.
        saves: for every step, whether it ends on an output time.
    """

    first: int
    times: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    t: tuple[Tensor, ...]
    h: list[Size]
    saves: tuple[bool, ...]


def chunks(grid: StepGrid, y: Tensor, length: int) -> Iterator[StepChunk]:
    """Cut a grid into chunks of at most `length` steps."""
    n_steps, saved = grid.n_steps, set(grid.saved.tolist())
    # shared times are few: what the networks see of them is made at once
    whole = times_tensor(grid.times, y) if grid.shared else ()
    for first in range(0, n_steps, length):
        last = min(first + length, n_steps)
        times = grid.times[..., first : last + 1]
        starts = whole[first:last] if grid.shared else times_tensor(times[..., :-1], y)
        saves = tuple(k in saved for k in range(first + 1, last + 1))
        yield StepChunk(first, times, starts, step_sizes(times, y), saves)


def draw(
    solver: Solver, problem: Problem, path: BrownianPath | None, chunk: StepChunk, y: Tensor
) -> list[StepNoise]:
    """The noise of every step of a chunk."""
    need = solver.needs(problem)
    if path is None or not need:
        return [StepNoise(None, None, None, 0.0, ())] * len(chunk.h)
    noise = path.steps(chunk.first, chunk.times, need, y.shape[1])
    return split_noise(solver, problem, noise, chunk.times, chunk.h, y)


def run(
    solver: Solver,
    problem: Problem,
    chunk: StepChunk,
    noises: list[StepNoise],
    state: State,
    accumulators: tuple[StepAccumulator, ...] = (),
) -> tuple[State, Saved]:
    """Take the steps of a chunk: a pure function of its arguments."""
    (y, carry, totals), saved = state, Saved([], [], [])
    steps: list[AcceptedStep] = []
    for k, (t, h, noise, save) in enumerate(zip(chunk.t, chunk.h, noises, chunk.saves)):
        problem.at_step(chunk.first + k)
        step = solver.step(problem, t, h, y, noise, carry)
        if accumulators or step.error is not None:
            steps.append(AcceptedStep(t, h, y, noise, step))
        y, carry = step.y, step.carry
        if enough(steps, y):
            totals, errors = folded(accumulators, totals, problem, steps)
            saved.errors.extend(errors)
            steps = []
        if save:
            saved.ys.append(y)
            totals, errors = folded(accumulators, totals, problem, steps)
            saved.totals.append(totals)
            saved.errors.extend(errors)
            steps, totals = [], tuple(accumulator.start(y) for accumulator in accumulators)
    totals, errors = folded(accumulators, totals, problem, steps)
    saved.errors.extend(errors)
    return State(y, carry, totals), saved


def enough(steps: Sequence[AcceptedStep], y: Tensor) -> bool:
    """Whether to fold these steps now: several together cost less, until they leave the cache."""
    return len(steps) * y.numel() >= _FOLD_NUMBERS


def folded(
    accumulators: tuple[StepAccumulator, ...],
    totals: tuple[Tensor, ...],
    problem: Problem,
    steps: Sequence[AcceptedStep],
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """The totals after some steps, and the error estimates (n, B, D) of these, if there are any."""
    sums, errors = [taken.step.error for taken in steps if taken.step.error is not None], None
    if sums:
        # without accumulators no one differentiates them
        with nullcontext() if accumulators else torch.no_grad():
            errors = error_values(sums)
    if steps:
        pairs = zip(accumulators, totals)
        totals = tuple(
            accumulator.update(total, problem, steps, errors) for accumulator, total in pairs
        )
    return totals, [] if errors is None else [errors.detach()]


def parts_between_saves(chunk: StepChunk) -> list[StepChunk]:
    """Parts of a chunk that end on output times, and what is left over."""
    cuts = [k + 1 for k, save in enumerate(chunk.saves) if save]
    edges = sorted({0, *cuts, len(chunk.h)})
    return [part_of(chunk, a, b) for a, b in pairwise(edges)]


def part_of(chunk: StepChunk, a: int, b: int) -> StepChunk:
    """Steps a to b - 1 of a chunk."""
    return StepChunk(
        chunk.first + a,
        chunk.times[..., a : b + 1],
        chunk.t[a:b],
        chunk.h[a:b],
        chunk.saves[a:b],
    )


def end_time(part: StepChunk, like: Tensor) -> Tensor:
    """The last time of a part as the networks see it."""
    end = torch.as_tensor(part.times[..., -1], dtype=like.dtype, device=like.device)
    return end[:, None] if end.ndim == 1 else end
