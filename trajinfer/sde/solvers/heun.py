"""Heun's method (Stratonovich), and its algebraically reversible form."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import (
    Size,
    Solver,
    Stage,
    Step,
    StepNoise,
    add_noise,
    scaled_add,
    shifted,
)
from trajinfer.sde.solvers.error_sum import ErrorSum


class Heun(Solver):
    r"""The trapezoidal rule with an Euler predictor.

    $$Z = Y_0 + h f_0 + g_0 W, \qquad Y_1 = Y_0 + \tfrac h2 (f_0 + f_1) + \tfrac12 (g_0 + g_1) W$$

    with $f_1, g_1$ at $(t + h, Z)$. Strong order 1 if the noise commutes, else 1/2.
    """

    name = "heun"
    calculus = ("stratonovich",)
    order = "1 (1/2 if the noise does not commute)"
    halving = True
    estimates = ("embedded",)

    def strong_order(self, problem: Problem) -> float:
        """1 if the noise is known to commute, else 1/2."""
        return 1.0 if problem.commutes else 0.5

    def error_order(self) -> float:
        """1: the estimate measures the Euler predictor."""
        return 1.0

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
        w, t1 = noise.W, shifted(t, 1.0, h)
        if problem.noise_type == "diagonal":
            f_0, g_0 = problem.f_and_g(t, y)
            z = torch.addcmul(scaled_add(y, h, f_0), g_0, w)
            f_1, g_1 = problem.f_and_g(t1, z)
            change = scaled_add(torch.zeros_like(y), h, f_1 - f_0, 0.5)
            change = torch.addcmul(change, g_1 - g_0, w, value=0.5)
            stages = (Stage(0.5, t, y, f_0, g_0), Stage(0.5, t1, z, f_1, g_1))
        else:
            f_0, kick_0 = problem.f_and_g_prod(t, y, w)
            z = scaled_add(y, h, f_0) + kick_0
            f_1, kick_1 = problem.f_and_g_prod(t1, z, w)
            change = scaled_add(torch.zeros_like(y), h, f_1 - f_0, 0.5)
            change = change.add(kick_1 - kick_0, alpha=0.5)
            stages = (Stage(0.5, t, y, f_0), Stage(0.5, t1, z, f_1))
        error = None if self.estimate is None else ErrorSum(rest=change)
        return Step(z + change, (), error, stages)


class ReversibleHeun(Solver):
    r"""Heun's method carrying a second state, so that every step can be undone exactly.

    $$Z' = 2 Y - Z + h f + g W, \qquad Y' = Y + \tfrac h2 (f + f') + \tfrac12 (g + g') W$$

    with $f, g$ at $(t, Z)$ and $f', g'$ at $(t + h, Z')$. One evaluation per step, gradients at
    constant memory; weakly stable, so meant for gradients and not for accuracy.

    References:
        Kidger, Foster, Li and Lyons, arXiv 2105.13493, algorithms 1 and 2.
    """

    name = "reversible_heun"
    calculus = ("stratonovich",)
    order = "1/2 (1 additive)"
    estimates = ("embedded",)

    def strong_order(self, problem: Problem) -> float:
        """1/2, or 1 if g does not depend on y."""
        return 1.0 if problem.noise_type == "additive" else 0.5

    def error_order(self) -> float:
        """1: the estimate measures the Euler predictor."""
        return 1.0

    def start(self, problem: Problem, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The second state z = y, and f and g there."""
        return (y, *problem.f_and_g(t, y))

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
        w, (z, f, g) = noise.W, carry
        t1 = shifted(t, 1.0, h)
        z1 = add_noise(problem, scaled_add(torch.lerp(z, y, 2.0), h, f), g, w)
        f1, g1 = problem.f_and_g(t1, z1)
        y1 = add_noise(problem, scaled_add(y, h, f + f1, 0.5), g + g1, w, 0.5)
        error = None
        if self.estimate is not None:
            error = ErrorSum(h, (-0.5, 0.5), (f, f1), (g, g1), torch.stack([-0.5 * w, 0.5 * w]))
        stages = (Stage(0.5, t, z, f, g), Stage(0.5, t1, z1, f1, g1))
        return Step(y1, (z1, f1, g1), error, stages)
