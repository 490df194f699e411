"""Milstein's method, with a true Jacobian-vector product or with a finite difference."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from trajinfer._core.errors import BrownianMismatch
from trajinfer.paths.brownian import Increments
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, Stage, Step, StepNoise, add_noise, scaled_add
from trajinfer.sde.transforms import inside_transform


class Milstein(Solver):
    r"""$Y_1 = Y_0 + h f + g W + \frac12 (\partial_y g)\, g\, (W^2 - h)$ (Ito).

    In Stratonovich form $W^2$ stands in the place of $W^2 - h$. Strong order 1 if the noise is
    scalar, or diagonal with $g_i$ a function of $y_i$ alone.

    References:
        Kloeden and Platen, Numerical Solution of Stochastic Differential Equations, section 10.3.
    """

    name = "milstein"
    calculus = ("ito", "stratonovich")
    noise = ("diagonal", "scalar", "additive")
    commuting = True
    order = "1"

    def strong_order(self, problem: Problem) -> float:
        """1."""
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
        f, g = problem.f_and_g(t, y)
        y1 = add_noise(problem, scaled_add(y, h, f), g, noise.W)
        if problem.noise_type != "additive":
            direction = g if problem.noise_type == "diagonal" else g[..., 0]
            bend = _derivative(problem, t, y, direction)
            y1 = add_noise(problem, y1, bend, _area(problem, h, noise.W))
        return Step(y1, (), None, (Stage(1.0, t, y, f, g),))


class MilsteinDerivativeFree(Solver):
    r"""Milstein's method with $(\partial_y g)\,g$ as a difference.

    $$(\partial_y g)\, g \approx \bigl(g(t, Y_0 + h f + \sqrt h\, g) - g(t, Y_0)\bigr)/\sqrt h$$

    References:
        Kloeden and Platen, Numerical Solution of Stochastic Differential Equations, section 11.1.
    """

    name = "milstein_df"
    calculus = ("ito", "stratonovich")
    noise = ("diagonal", "scalar")
    commuting = True
    order = "1"

    def strong_order(self, problem: Problem) -> float:
        """1."""
        return 1.0

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """The noises sqrt(h) z^2 / 2 and sqrt(h) / 2, where z = W / sqrt(h), or 0 if h = 0."""
        w = noise.W
        if w is None:
            raise BrownianMismatch("this solver needs the increments W")
        z = torch.where(root > 0, w / torch.where(root > 0, root, 1.0), 0.0)
        half = torch.full_like(w, 0.5) * root
        return half * z * z, half

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
        (square, half), (f, g) = noise.terms, problem.f_and_g(t, y)
        drifted = scaled_add(y, h, f)
        direction = g if problem.noise_type == "diagonal" else g[..., 0]
        moved = problem.g(t, scaled_add(drifted, noise.root, direction))
        area = square - half if problem.sde_type == "ito" else square
        y1 = add_noise(problem, drifted, g, noise.W)
        return Step(add_noise(problem, y1, moved - g, area), (), None, (Stage(1.0, t, y, f, g),))


def _derivative(problem: Problem, t: Tensor, y: Tensor, direction: Tensor) -> Tensor:
    """The directional derivative of g, by forward-mode differentiation."""
    problem.nfe_g -= 1  # a Jacobian product, not an evaluation of its own
    if inside_transform():  # where dual numbers of autograd are refused
        product: Tensor = torch.func.jvp(lambda x: problem.g(t, x), (y,), (direction,))[1]
        return product
    with forward_ad.dual_level():  # takes two thirds of the time
        dual = forward_ad.make_dual(y, direction)
        g, bend = forward_ad.unpack_dual(problem.g(t, dual))
    return torch.zeros_like(g) if bend is None else bend


def _area(problem: Problem, h: Size, w: Tensor) -> Tensor:
    """The iterated integral of dW: (W^2 - h)/2 (Ito) or W^2/2 (Stratonovich)."""
    square = w * w
    return 0.5 * (square - h if problem.sde_type == "ito" else square)
