r"""Exponential Euler: the stiff linear part of a drift is solved exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver
from trajinfer.paths.brownian import Need
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, Stage, Step, StepNoise


class ExponentialEuler(Solver):
    r"""$Y_1 = e^{Ah} Y_0 + h \varphi_1(Ah) N(t, Y_0) + J$ for a drift $f = A y + N(t, y)$.

    The SDE declares A as `drift_linear`. If A and the noise are diagonal, J is g times
    $\int e^{A(h - s)} dW$ along the Brownian path of (W, H), exact for constant g and N; else it is
    $e^{Ah} g W$.
    """

    name = "exp_euler"
    need = "WHZ"
    order = "1/2 (1 additive), exact if linear with constant diagonal noise"

    def strong_order(self, problem: Problem) -> float:
        """1/2, or 1 if g does not depend on y."""
        return 1.0 if problem.noise_type == "additive" else 0.5

    def needs(self, problem: Problem) -> Need:
        """Only W, unless both A and the noise are diagonal."""
        return "WHZ" if _matrix(problem).ndim == 1 and problem.noise_type == "diagonal" else "W"

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
        matrix, f = _matrix(problem), problem.f(t, y)
        stages = (Stage(1.0, t, y, f),)
        if matrix.ndim == 2:
            grown, averaged = _dense(matrix, h, y)
            rest = f - y @ matrix.T
            kick = problem.g_prod(t, y, noise.W)
            moved = _apply(grown, y + kick) + _apply(averaged, rest)
            return Step(moved, (), None, stages)
        x = -matrix * h
        moved = torch.exp(-x) * y + h * _phi1(x) * (f - matrix * y)
        if problem.noise_type != "diagonal":
            return Step(moved + torch.exp(-x) * problem.g_prod(t, y, noise.W), (), None, stages)
        along, across, spread = ou_noise(x)
        convolved = along * noise.W + across * noise.H + noise.root * spread * noise.Z
        return Step(torch.addcmul(moved, problem.g(t, y), convolved), (), None, stages)


def _matrix(problem: Problem) -> Tensor:
    linear = problem.drift_linear
    if linear is None:
        raise IncompatibleSolver(
            "the SDE declares no drift_linear = LinearDrift(A)", method=ExponentialEuler.name
        )
    return linear.matrix


def _apply(matrix: Tensor, y: Tensor) -> Tensor:
    return (matrix @ y[..., None])[..., 0]


def _dense(matrix: Tensor, h: Size, y: Tensor) -> tuple[Tensor, Tensor]:
    """The exponential of A h and its integral over the step, from one double-sized block."""
    dim = matrix.shape[0]
    upper = torch.cat([matrix, torch.eye(dim, dtype=y.dtype, device=y.device)], dim=1)
    whole = torch.cat([upper, torch.zeros_like(upper)], dim=0)
    length = h[..., None] if isinstance(h, Tensor) else h
    blocks = torch.matrix_exp(whole * length)
    return blocks[..., :dim, :dim], blocks[..., :dim, dim:]


def _phi1(x: Tensor) -> Tensor:
    """The function (1 - exp(-x)) / x, by its series near 0."""
    small = x.abs() < 1e-2
    safe = torch.where(small, 1.0, x)
    series = 1 - x / 2 + x**2 / 6 - x**3 / 24 + x**4 / 120 - x**5 / 720
    return torch.where(small, series, -torch.expm1(-safe) / safe)


def ou_noise(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Weights of W, H and $\sqrt h Z$ in $\int_0^h e^{-\theta(h - s)} dW_s$, with $x = \theta h$.

    The integral is that of the Brownian path with this W and H. What (W, H) leave open has
    variance $h e^{-x} \sum_{n \ge 2} (2n + 1)\, i_n(x/2)^2$ with modified spherical Bessel
    functions $i_n$; their series are used near 0, where the closed form cancels.

    Args:
        x: decay over the step.

    Returns:
        Three tensors of the shape of x.
    """
    limit = 0.05 if x.dtype == torch.float64 else 0.3
    small = x.abs() < limit
    safe, z = torch.where(small, 1.0, x), torch.where(small, x, 0.0) / 2
    along = _phi1(x)
    decay = torch.exp(-safe)
    closed = (1 - decay * (1 + safe)) / safe**2 + torch.expm1(-safe) / (2 * safe)
    series = -x / 12 + x**2 / 24 - x**3 / 80 + x**4 / 360 - x**5 / 2016 + x**6 / 13440
    across = 12 * torch.where(small, series, closed)
    rest = -torch.expm1(-2 * safe) / (2 * safe) - along**2 - across**2 / 12
    ratio = z / 7 * (1 + z**2 / 18) / (1 + z**2 / 14)
    i2 = z**2 / 15 * (1 + z**2 / 14 + z**4 / 504)
    near = torch.exp(-z) * i2 * torch.sqrt(5 + 7 * ratio**2)
    spread = torch.where(small, near, torch.sqrt(torch.where(small, 1.0, rest).clamp_min(0.0)))
    return along, across, spread
