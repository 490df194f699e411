"""The midpoint rule (Stratonovich)."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, Stage, Step, StepNoise, scaled_add, shifted


class Midpoint(Solver):
    r"""An Euler step to the middle, whose coefficients then make the whole step.

    $$Z = Y_0 + \tfrac h2 f_0 + \tfrac12 g_0 W, \qquad Y_1 = Y_0 + h f + g W$$

    with $f, g$ at $(t + h/2, Z)$. Strong order 1 if the noise commutes, else 1/2.

    References:
        Kloeden and Platen, Numerical Solution of Stochastic Differential Equations, 1992, 4.9.
    """

    name = "midpoint"
    calculus = ("stratonovich",)
    order = "1 (1/2 if the noise does not commute)"
    halving = True

    def strong_order(self, problem: Problem) -> float:
        """1 if the noise is known to commute, else 1/2."""
        return 1.0 if problem.commutes else 0.5

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
        w, middle = noise.W, shifted(t, 0.5, h)
        if problem.noise_type == "diagonal":
            f_0, g_0 = problem.f_and_g(t, y)
            z = torch.addcmul(scaled_add(y, h, f_0, 0.5), g_0, w, value=0.5)
            f, g = problem.f_and_g(middle, z)
            stages = (Stage(0.0, t, y, f_0, g_0), Stage(1.0, middle, z, f, g))
            return Step(torch.addcmul(scaled_add(y, h, f), g, w), (), None, stages)
        f_0, kick_0 = problem.f_and_g_prod(t, y, w)
        z = scaled_add(y, h, f_0, 0.5).add(kick_0, alpha=0.5)
        f, kick = problem.f_and_g_prod(middle, z, w)
        stages = (Stage(0.0, t, y, f_0), Stage(1.0, middle, z, f))
        return Step(scaled_add(y, h, f) + kick, (), None, stages)
