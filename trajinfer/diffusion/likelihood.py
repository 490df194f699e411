"""Log-densities along the probability flow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.base_law import levels_of, matched_law
from trajinfer.diffusion.denoiser import as_denoiser, require_state, width_of
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.noise import NoiseLaw, White
from trajinfer.diffusion.normals import random_signs

Trace = Literal["exact", "hutchinson"]
_MOST_EXACT = 64
_WHITE = White()


def log_likelihood(
    denoiser: Any,
    x: Any,
    *,
    n_evaluations: int = 100,
    trace: Trace | None = None,
    n_probes: int = 1,
    levels: tuple[float, float] | None = None,
    noise: NoiseLaw = _WHITE,
    random_state: RandomState = 0,
) -> Tensor:
    r"""Log-density of rows by the probability flow from rho_min up to rho_max.

    $\log p(x) = \log N(y_{end}; m, C + \rho_{max}^2 N) + \int (\mathrm{tr}\,D_y - \dim)\,d\lambda$,
    by Runge-Kutta steps of order 4, even in lam.

    Args:
        denoiser: with `denoise(y, rho)`, differentiable by y.
        x: rows (B, D).
        n_evaluations: of the denoiser, four a step.
        trace: "exact" (D backward passes) or "hutchinson" (random signs, the same along a path);
            None is exact up to 64 entries.
        n_probes: of Hutchinson's estimate.
        levels: (rho_max, rho_min); from the moments of the denoiser by default.
        noise: law of the noise.
        random_state: seed of the probes.

    Returns:
        Nats per row, (B,).

    Raises:
        InputError: for rows of another width, or fewer than four evaluations.
    """
    model = as_denoiser(denoiser)
    y = require_state(x, width_of(model), "x").detach()
    n_steps = require_integer(n_evaluations, "n_evaluations", least=4) // 4
    if trace not in (None, "exact", "hutchinson"):
        raise InputError(f"trace must be 'exact' or 'hutchinson', got {trace!r}")
    law = matched_law(model, noise)
    high, low = levels_of(model, law, levels)
    # N-whitened coordinates have the same trace: L^-1 D_y L is similar to D_y
    probes = Probes.of(y, trace, n_probes, random_state)

    def slope(state: Tensor, lam: float) -> tuple[Tensor, Tensor]:
        clean, total = probes.trace(lambda z: model.denoise(z, math.exp(-lam)), state)
        return clean - state, total - y.shape[1]

    end, change = carried(slope, y, -math.log(low), -math.log(high), n_steps)
    return _end_law(law, end, high, noise) + change


def _end_law(law: WienerDenoiser | None, y: Tensor, rho: float, noise: NoiseLaw) -> Tensor:
    if law is None:
        zero = torch.zeros(y.shape[1], dtype=torch.float64)
        law = WienerDenoiser(zero, torch.diag(zero), noise)
    return law.log_prob(y, rho)


@dataclass(frozen=True)
class Probes:
    """Directions by which the trace of a Jacobian is measured.

    Attributes:
        directions: (P, B, D), the same along a path.
        exact: whether they are all axes, else random signs.
    """

    directions: Tensor
    exact: bool

    @classmethod
    def of(
        cls, y: Tensor, trace: Trace | None = None, n: int = 1, random_state: RandomState = 0
    ) -> Probes:
        """For rows y (B, D): all axes up to 64 entries, else n rows of random signs."""
        exact = trace == "exact" or (trace is None and y.shape[1] <= _MOST_EXACT)
        return cls(_identity(y) if exact else _signs(y, n, random_state), exact)

    def trace(self, function: Callable[[Tensor], Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
        """What a function of rows gives at y (B, D), and the trace of its Jacobian there, (B,)."""
        with torch.enable_grad():
            state = y.detach().requires_grad_()
            value = function(state)
            rows = torch.autograd.grad(value, state, self.directions, is_grads_batched=True)[0]
        products = (rows * self.directions).sum(-1)
        return value.detach(), products.sum(0) if self.exact else products.mean(0)


def carried(
    slope: Callable[[Tensor, float], tuple[Tensor, Tensor]],
    y: Tensor,
    a: float,
    b: float,
    n_steps: int,
) -> tuple[Tensor, Tensor]:
    """End state and the integral of the second slope from a to b, by RK4."""
    h = (b - a) / n_steps
    change = torch.zeros_like(y[:, 0])
    for i in range(n_steps):
        lam = a + i * h
        k1, c1 = slope(y, lam)
        k2, c2 = slope(y + 0.5 * h * k1, lam + 0.5 * h)
        k3, c3 = slope(y + 0.5 * h * k2, lam + 0.5 * h)
        k4, c4 = slope(y + h * k3, lam + h)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        change = change + h / 6 * (c1 + 2 * c2 + 2 * c3 + c4)
    return y, change


def _identity(y: Tensor) -> Tensor:
    eye = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
    return eye[:, None, :].expand(-1, y.shape[0], -1)


def _signs(y: Tensor, n: int, random_state: RandomState) -> Tensor:
    generator = torch_generator(seed_from(random_state), y.device)
    return random_signs((require_integer(n, "n_probes", least=1), *y.shape), generator, y)
