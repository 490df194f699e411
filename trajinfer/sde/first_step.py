"""The length of the first step of an ordinary differential equation."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.sde.adaptive import Adaptive
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import shifted


@torch.no_grad()
def hairer_steps(
    problem: Problem, control: Adaptive, order: float, t0: Tensor, y0: Tensor, *, shared: bool
) -> Tensor:
    """First steps from the sizes of y, f and the change of f over an Euler probe.

    Args:
        problem: the ODE.
        control: its tolerances.
        order: of the error estimate.
        t0: start, 0-d or (B, 1).
        y0: state there.
        shared: one step for the whole batch, 0-d, or one for each path, (B,).

    References:
        Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, section II.4.
    """

    def size(x: Tensor) -> Tensor:
        scaled = (x / (control.atol + control.rtol * y0.abs())).double()
        sizes = scaled.square().mean(1).sqrt()
        return sizes.amax() if shared else sizes

    f0 = problem.f(t0, y0)
    d0, d1 = size(y0), size(f0)
    guess = torch.where(torch.minimum(d0, d1) > 1e-5, 0.01 * d0 / d1, 1e-6)
    probe = (guess if shared else guess[:, None]).to(y0)
    change = problem.f(shifted(t0, 1.0, probe), y0 + probe * f0) - f0
    worst = torch.maximum(d1, size(change) / guess)
    fitting = torch.where(worst > 1e-15, (0.01 / worst) ** (1.0 / (order + 1)), 1e-3)
    return torch.where(torch.isfinite(worst), torch.minimum(100 * guess, fitting), guess)
