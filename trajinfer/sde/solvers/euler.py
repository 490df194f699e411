"""Euler-Maruyama."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, Stage, Step, StepNoise, scaled_add


class EulerMaruyama(Solver):
    r"""$Y_1 = Y_0 + h f(t, Y_0) + g(t, Y_0) W$.

    Strong order 1/2 for Ito SDEs, 1 if the noise is additive.
    """

    name = "euler"
    noise = ("diagonal", "scalar", "additive", "general", "none")
    order = "1/2 (1 additive)"

    def strong_order(self, problem: Problem) -> float:
        """1/2, or 1 if g does not depend on y."""
        return 1.0 if problem.noise_type in ("additive", "none") else 0.5

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
        if problem.noise_type == "none":
            f = problem.f(t, y)
            return Step(scaled_add(y, h, f), (), None, (Stage(1.0, t, y, f),))
        if problem.noise_type == "diagonal":
            f, g = problem.f_and_g(t, y)
            moved = torch.addcmul(scaled_add(y, h, f), g, noise.W)
            return Step(moved, (), None, (Stage(1.0, t, y, f, g),))
        f, kick = problem.f_and_g_prod(t, y, noise.W)
        return Step(scaled_add(y, h, f) + kick, (), None, (Stage(1.0, t, y, f),))
