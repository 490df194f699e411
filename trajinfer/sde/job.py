"""A fixed-step solve, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trajinfer.paths import BrownianPath
from trajinfer.paths.step_grid import StepGrid
from trajinfer.sde.accumulator import StepAccumulator
from trajinfer.sde.failures import raise_non_finite
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers import Solver, StepNoise
from trajinfer.sde.stepping import (
    CHUNK_STEPS,
    Saved,
    State,
    StepChunk,
    chunks,
    draw,
    run,
)
from trajinfer.sde.transforms import inside_transform

Runner = Callable[["Job", StepChunk, State], tuple[State, Saved]]
"""Takes the steps of one chunk."""
_READ_STEPS = 4096


@dataclass(frozen=True)
class Job:
    """Everything a fixed-step solve needs.

    Attributes:
        solver: the method.
        problem: the SDE.
        path: the noise, None for an ODE.
        grid: the steps and output times.
        accumulators: what to add up over the steps.
        checks: raise if the steps leave the state non-finite.
    """

    solver: Solver
    problem: Problem
    path: BrownianPath | None
    grid: StepGrid
    accumulators: tuple[StepAccumulator, ...] = ()
    checks: bool = True

    def start(self, y0: Tensor, t0: Tensor) -> State:
        """The state before the first step."""
        carry = self.solver.start(self.problem, t0, y0)
        return State(y0, carry, tuple(accumulator.start(y0) for accumulator in self.accumulators))

    def noise(self, chunk: StepChunk, y: Tensor) -> list[StepNoise]:
        """The noise of every step of a chunk."""
        return draw(self.solver, self.problem, self.path, chunk, y)

    def watch(self) -> FiniteWatch:
        """What raises if the state does not stay finite."""
        return FiniteWatch(self)

    def integrate(self, y0: Tensor, t0: Tensor, runner: Runner, length: int = CHUNK_STEPS) -> Saved:
        """Run all chunks of at most `length` steps, watching that the state stays finite."""
        saved, state, watch = Saved([], [], []), self.start(y0, t0), self.watch()
        for chunk in chunks(self.grid, y0, length):
            after, new = runner(self, chunk, state)
            watch.see(chunk, state, after)
            saved, state = saved.joined(new), after
        watch.read()
        return saved


@dataclass
class FiniteWatch:
    """Raises if a solve leaves its state non-finite, asking the device once in 4096 steps.

    Inside `torch.func.vmap`, where no number can be read, nothing is checked.
    """

    job: Job
    parts: list[tuple[StepChunk, State, Tensor]] = field(default_factory=list)
    steps: int = 0

    def see(self, chunk: StepChunk, before: State, after: State) -> None:
        """Note, on the device, whether a chunk left the state finite."""
        if not self.job.checks or inside_transform():
            return
        start = State(before.y.detach(), tuple(part.detach() for part in before.carry), ())
        self.parts.append((chunk, start, torch.isfinite(after.y.detach()).all()))
        self.steps += len(chunk.h)
        if self.steps >= _READ_STEPS:
            self.read()

    def read(self) -> None:
        """Ask the device for all that was noted; NonFiniteState says where it happened."""
        parts, self.parts, self.steps = self.parts, [], 0
        if parts and not bool(torch.stack([finite for _, _, finite in parts]).all()):
            chunk, before, _ = next(part for part in parts if not bool(part[2]))
            noises, job = self.job.noise(chunk, before.y), self.job
            raise_non_finite(job.solver, job.problem, chunk, noises, before)


def run_chunk(job: Job, chunk: StepChunk, state: State) -> tuple[State, Saved]:
    """The plain way: draw the noise of a chunk and take its steps."""
    noises = job.noise(chunk, state.y)
    return run(job.solver, job.problem, chunk, noises, state, job.accumulators)
