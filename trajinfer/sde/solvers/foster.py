"""Runge-Kutta methods that use (W, H), the increment and its space-time Levy area."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from trajinfer.paths.brownian import Increments
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import (
    Size,
    Solver,
    Stage,
    Step,
    StepNoise,
    add_noise,
    present,
    scaled_add,
    shifted,
)
from trajinfer.sde.solvers.error_sum import ErrorSum

_X1, _X2 = (3 - math.sqrt(3)) / 6, math.sqrt(3) / 3


class _Additive(Solver):
    r"""Additive noise: the part of the step that a diffusion varying in time adds.

    Over a step $\int g\,dW = g_0 W + (g_1 - g_0)(W/2 - H)$ to the order needed.
    """

    calculus = ("ito", "stratonovich")
    noise = ("additive",)
    need = "WH"
    _order: ClassVar[float]

    def strong_order(self, problem: Problem) -> float:
        """The order for additive noise."""
        return self._order

    def start(self, problem: Problem, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The diffusion at the start."""
        return (problem.g(t, y),)


class SEA(_Additive):
    r"""$k = f(t, Y_0 + g (W/2 + H))$, $Y_1 = Y_0 + h k + \int g\,dW$: one drift evaluation.

    References:
        Foster, dos Reis and Strange, arXiv 2210.17543, section 4.
    """

    name = "sea"
    order = "1"
    _order = 1.0

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """W/2 + H, then the noise that g at the start and at the end multiply."""
        w, area = present(noise)
        late = torch.add(-area, w, alpha=0.5)
        return torch.add(area, w, alpha=0.5), w - late, late

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
        (g,), (inside, early, late) = carry, noise.terms
        g1 = problem.g(shifted(t, 1.0, h), y)
        x = add_noise(problem, y, g, inside)
        f = problem.f(t, x)
        y1 = add_noise(problem, add_noise(problem, scaled_add(y, h, f), g, early), g1, late)
        return Step(y1, (g1,), None, (Stage(1.0, t, x, f),))


class ShARK(_Additive):
    r"""Two drift evaluations, strong order 3/2.

    $$f_1 = f(t, Y_0 + g H), \quad
      f_2 = f(t + \tfrac56 h, Y_0 + \tfrac56 h f_1 + g (\tfrac56 W + H))$$
    $$Y_1 = Y_0 + h (0.4 f_1 + 0.6 f_2) + \int g\,dW$$

    References:
        Foster, dos Reis and Strange, arXiv 2210.17543, section 4.
    """

    name = "shark"
    order = "3/2"
    estimates = ("embedded",)
    _order = 1.5

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """H, 5/6 W + H, then the noise that g at the start and at the end multiply."""
        w, area = present(noise)
        late = torch.add(-area, w, alpha=0.5)
        return area, torch.add(area, w, alpha=5 / 6), w - late, late

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
        (g,), (area, inside, early, late) = carry, noise.terms
        g1 = problem.g(shifted(t, 1.0, h), y)
        x_1 = add_noise(problem, y, g, area)
        f_1 = problem.f(t, x_1)
        x_2 = add_noise(problem, scaled_add(y, h, f_1, 5 / 6), g, inside)
        t_2 = shifted(t, 5 / 6, h)
        f_2 = problem.f(t_2, x_2)
        y1 = scaled_add(scaled_add(y, h, f_1, 0.4), h, f_2, 0.6)
        y1 = add_noise(problem, add_noise(problem, y1, g, early), g1, late)
        error = None
        if self.estimate is not None:
            error = ErrorSum(h, (-0.6, 0.6), (f_1, f_2))
        return Step(y1, (g1,), error, (Stage(0.4, t, x_1, f_1), Stage(0.6, t_2, x_2, f_2)))


class _Splitting(Solver):
    """Stratonovich methods whose order grows with what the noise allows."""

    calculus = ("stratonovich",)
    need = "WH"
    order = "1/2 (1 commuting, 3/2 additive)"

    def strong_order(self, problem: Problem) -> float:
        """3/2 for additive noise, 1 if the noise is known to commute, else 1/2."""
        if problem.noise_type == "additive":
            return 1.5
        return 1.0 if problem.commutes else 0.5


class SPaRK(_Splitting):
    r"""Splitting path Runge-Kutta: three stages and an error estimate of the right order.

    Stages at $t$, $t + h/2$ (with the noise $W/2 + \sqrt3 H$) and $t + h$;
    $$Y_1 = Y_0 + \sum_i x_i (h f_i + g_i W) + (g_1 - g_3) H, \quad
      x = (\tfrac{3 - \sqrt3}{6}, \tfrac{\sqrt3}{3}, \tfrac{3 - \sqrt3}{6}).$$

    References:
        Foster, arXiv 2311.14201, section 5.
    """

    name = "spark"
    halving = True
    estimates = ("embedded",)

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """W/2 + sqrt(3) H, the noise of the three diffusions, and that of the error estimate."""
        w, area = present(noise)
        half, share = 0.5 * w, _X1 * w
        inside = torch.add(half, area, alpha=math.sqrt(3))
        kicks = [share + area, w * _X2, share - area]
        if self.estimate is not None:
            kicks.append(torch.stack([kicks[0] - half, kicks[1], kicks[2] - half], dim=1))
        return (inside, *kicks)

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
        inside, *kicks = noise.terms
        f_1, g_1 = problem.f_and_g(t, y)
        x_2, t_2 = add_noise(problem, scaled_add(y, h, f_1, 0.5), g_1, inside), shifted(t, 0.5, h)
        f_2, g_2 = problem.f_and_g(t_2, x_2)
        x_3, t_3 = add_noise(problem, scaled_add(y, h, f_2), g_2, noise.W), shifted(t, 1.0, h)
        f_3, g_3 = problem.f_and_g(t_3, x_3)
        y1 = scaled_add(scaled_add(scaled_add(y, h, f_1, _X1), h, f_2, _X2), h, f_3, _X1)
        g = (g_1, g_2, g_3)
        for g_i, kick in zip(g, kicks[:3]):
            y1 = add_noise(problem, y1, g_i, kick)
        error = None
        if self.estimate is not None:
            error = ErrorSum(h, (_X1 - 0.5, _X2, _X1 - 0.5), (f_1, f_2, f_3), g, kicks[3])
        stages = (
            Stage(_X1, t, y, f_1, g_1),
            Stage(_X2, t_2, x_2, f_2, g_2),
            Stage(_X1, t_3, x_3, f_3, g_3),
        )
        return Step(y1, (), error, stages)


class GeneralShARK(_Splitting):
    r"""ShARK for noise of any kind: two drift and three diffusion evaluations.

    References:
        Foster, dos Reis and Strange, arXiv 2210.17543.
    """

    name = "general_shark"

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """H, then the noise that the second and third diffusion multiply."""
        w, area = present(noise)
        return (
            area,
            torch.add(0.4 * w, area, alpha=1.2),
            torch.add(0.6 * w, area, alpha=-1.2),
        )

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
        area, kick_2, kick_3 = noise.terms
        x_2 = y + problem.g_prod(t, y, area)
        f_2, g_2 = problem.f_and_g(t, x_2)
        t_3 = shifted(t, 5 / 6, h)
        x_3 = add_noise(problem, scaled_add(x_2, h, f_2, 5 / 6), g_2, noise.W, 5 / 6)
        f_3, g_3 = problem.f_and_g(t_3, x_3)
        y1 = scaled_add(scaled_add(y, h, f_2, 0.4), h, f_3, 0.6)
        y1 = add_noise(problem, add_noise(problem, y1, g_2, kick_2), g_3, kick_3)
        return Step(y1, (), None, (Stage(0.4, t, x_2, f_2, g_2), Stage(0.6, t_3, x_3, f_3, g_3)))


class SlowRK(Solver):
    r"""Strong order 3/2 for noise that commutes: two drift and five diffusion evaluations.

    References:
        Foster, dos Reis and Strange, arXiv 2210.17543, section 4.
    """

    name = "slowrk"
    calculus = ("stratonovich",)
    need = "WH"
    commuting = True
    order = "3/2"

    def strong_order(self, problem: Problem) -> float:
        """3/2."""
        return 1.5

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """The noise inside the last drift stage, W/6 + ... for each diffusion."""
        w, area = present(noise)
        inside = torch.add(0.75 * w, area, alpha=1.5)
        return inside, torch.add(w / 3, area, alpha=2.0), -2.0 * area

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
        w, (inside, kick_4, kick_7) = noise.W, noise.terms
        f_1, t_half, t_1 = problem.f(t, y), shifted(t, 0.5, h), shifted(t, 1.0, h)
        middle = scaled_add(y, h, f_1, 0.5)
        g_2 = problem.g(t_half, middle)
        g_3 = problem.g(t_half, add_noise(problem, middle, g_2, w, 0.5))
        g_4 = problem.g(t_half, add_noise(problem, middle, g_3, w, 0.5))
        g_5 = problem.g(t_half, add_noise(problem, middle, g_4, w))
        t_6 = shifted(t, 0.75, h)
        x_6 = add_noise(problem, scaled_add(y, h, f_1, 0.75), g_4, inside)
        f_6 = problem.f(t_6, x_6)
        g_7 = problem.g(t_1, add_noise(problem, scaled_add(y, h, f_1), g_3, w, 0.5))
        y1 = scaled_add(scaled_add(y, h, f_1, 1 / 3), h, f_6, 2 / 3)
        y1 = add_noise(problem, y1, g_2 + 2 * g_3 + g_5, w, 1 / 6)
        y1 = add_noise(problem, add_noise(problem, y1, g_4, kick_4), g_7, kick_7)
        return Step(y1, (), None, (Stage(1 / 3, t, y, f_1), Stage(2 / 3, t_6, x_6, f_6)))
