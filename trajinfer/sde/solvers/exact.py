"""Steps with the exact law, for SDEs that know their transition."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver
from trajinfer.paths.brownian import Need, Times
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, Step, StepNoise


class Exact(Solver):
    """The SDE's own `exact_step`: right in law for steps of any length."""

    name = "exact"
    calculus = ("ito", "stratonovich")
    noise = ("diagonal", "scalar", "additive", "general", "none")
    need = "WHZ"
    order = "exact"

    def strong_order(self, problem: Problem) -> float:
        """Infinite."""
        return float("inf")

    def needs(self, problem: Problem) -> Need:
        """Number of noise channels that the SDE declares as `exact_noise`."""
        declared: Need = getattr(problem.sde, "exact_noise", "WHZ")
        return declared

    def start(self, problem: Problem, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Nothing; but the law is made here, outside of all that a gradient runs again."""
        problem.exact_law(y)
        return ()

    def law(self, problem: Problem, lengths: Times, y: Tensor) -> tuple[Tensor, ...]:
        """What the SDE's own step needs of its length, where the SDE tells that apart."""
        law = problem.exact_law(y)
        return () if law is None else law(lengths)

    def step(
        self,
        problem: Problem,
        t: Tensor,
        h: Size,
        y: Tensor,
        noise: StepNoise,
        carry: tuple[Tensor, ...],
    ) -> Step:
        """One step from (t, y) to t + h."""
        exact_step = problem.exact_step
        if exact_step is None:
            raise IncompatibleSolver("the SDE offers no exact_step", method=self.name)
        length = h if isinstance(h, Tensor) else torch.full((), h, dtype=y.dtype, device=y.device)
        law = noise.terms
        if not law and noise.lengths is not None:
            law = self.law(problem, noise.lengths, y)
        given = {"law": law} if law else {}
        return Step(exact_step(t, length, y, noise.W, noise.H, noise.Z, **given))
