"""A fixed-step solve, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from trajinfer.paths import BrownianPath
from trajinfer.sde.failures import raise_non_finite
from trajinfer.sde.grid import StepGrid
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers import Solver, StepNoise
from trajinfer.sde.stepping import (
    CHUNK_STEPS,
    Saved,
    State,
    Stretch,
    all_finite,
    draw,
    run,
    stretches,
)
from trajinfer.sde.tally import Tally

Runner = Callable[["Job", Stretch, State], tuple[State, Saved]]
"""Takes the steps of one stretch."""


@dataclass(frozen=True)
class Job:
    """Everything a fixed-step solve needs.

    Attributes:
        solver: the method.
        problem: the SDE.
        path: the noise, None for an ODE.
        grid: the steps and output times.
        tallies: what to add up over the steps.
        checks: raise as soon as a stretch leaves the state non-finite.
    """

    solver: Solver
    problem: Problem
    path: BrownianPath | None
    grid: StepGrid
    tallies: tuple[Tally, ...] = ()
    checks: bool = True

    def start(self, y0: Tensor, t0: Tensor) -> State:
        """The state before the first step."""
        carry = self.solver.start(self.problem, t0, y0)
        return State(y0, carry, tuple(tally.start(y0) for tally in self.tallies))

    def noise(self, stretch: Stretch, y: Tensor) -> list[StepNoise]:
        """The noise of every step of a stretch."""
        return draw(self.solver, self.problem, self.path, stretch, y)

    def check(self, stretch: Stretch, before: State, after: State) -> None:
        """Raise if a stretch left the state non-finite, naming where it happened.

        Raises:
            NonFiniteState: with time, step and samples.
        """
        if self.checks and not all_finite(after):
            noises = self.noise(stretch, before.y)
            raise_non_finite(self.solver, self.problem, stretch, noises, before)

    def march(self, y0: Tensor, t0: Tensor, runner: Runner, length: int = CHUNK_STEPS) -> Saved:
        """Run all stretches of at most `length` steps, checking the state once after each."""
        saved, state = Saved([], [], []), self.start(y0, t0)
        for stretch in stretches(self.grid, y0, length):
            after, new = runner(self, stretch, state)
            self.check(stretch, state, after)
            saved, state = saved.joined(new), after
        return saved


def run_stretch(job: Job, stretch: Stretch, state: State) -> tuple[State, Saved]:
    """The plain way: draw the noise of a stretch and take its steps."""
    noises = job.noise(stretch, state.y)
    return run(job.solver, job.problem, stretch, noises, state, job.tallies)
