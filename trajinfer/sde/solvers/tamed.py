"""Tamed Euler: for drifts that grow faster than linearly."""

from __future__ import annotations

from torch import Tensor

from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, Stage, Step, StepNoise


class TamedEuler(Solver):
    r"""$Y_1 = Y_0 + (h f + g W) / (1 + h |f|)$, with $|f|$ the norm of each sample.

    Dividing the noise as well ("balanced") covers superlinear diffusions. The remedy for exploding
    Euler paths; the order is that of Euler.

    References:
        Hutzenthaler, Jentzen and Kloeden, Annals of Applied Probability 22(4), 2012.
    """

    name = "tamed_euler"
    order = "1/2"

    def strong_order(self, problem: Problem) -> float:
        """1/2."""
        return 0.5

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
        f, kick = problem.f_and_g_prod(t, y, noise.W)
        shrink = 1.0 / (1.0 + h * f.norm(dim=1, keepdim=True))
        return Step(y + shrink * (h * f + kick), (), None, (Stage(1.0, t, y, f),))
