"""A fixed-step solve, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from trajinfer.paths import BrownianPath
from trajinfer.sde.accumulator import StepAccumulator
from trajinfer.sde.failures import raise_non_finite
from trajinfer.sde.grid import StepGrid
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers import Solver, StepNoise
from trajinfer.sde.stepping import (
    CHUNK_STEPS,
    Saved,
    State,
    StepChunk,
    all_finite,
    chunks,
    draw,
    run,
)

Runner = Callable[["Job", StepChunk, State], tuple[State, Saved]]
"""Takes the steps of one chunk."""


@dataclass(frozen=True)
class Job:
    """Everything a fixed-step solve needs.

    Attributes:
        solver: the method.
        problem: the SDE.
        path: the noise, None for an ODE.
        grid: the steps and output times.
        accumulators: what to add up over the steps.
        checks: raise as soon as a chunk leaves the state non-finite.
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

    def check(self, chunk: StepChunk, before: State, after: State) -> None:
        """Raise if a chunk left the state non-finite, naming where it happened.

        Raises:
            NonFiniteState: with time, step and samples.
        """
        if self.checks and not all_finite(after):
            noises = self.noise(chunk, before.y)
            raise_non_finite(self.solver, self.problem, chunk, noises, before)

    def integrate(self, y0: Tensor, t0: Tensor, runner: Runner, length: int = CHUNK_STEPS) -> Saved:
        """Run all chunks of at most `length` steps, checking the state once after each."""
        saved, state = Saved([], [], []), self.start(y0, t0)
        for chunk in chunks(self.grid, y0, length):
            after, new = runner(self, chunk, state)
            self.check(chunk, state, after)
            saved, state = saved.joined(new), after
        return saved


def run_chunk(job: Job, chunk: StepChunk, state: State) -> tuple[State, Saved]:
    """The plain way: draw the noise of a chunk and take its steps."""
    noises = job.noise(chunk, state.y)
    return run(job.solver, job.problem, chunk, noises, state, job.accumulators)
