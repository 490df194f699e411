"""How far a score is from being the score of any density: the Fokker-Planck residual."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.denoiser import Denoiser, as_denoiser, require_state, width_of
from trajinfer.diffusion.normals import random_signs

_MOST_EXACT = 32
_DIFFERENCE = {torch.float64: 1e-4, torch.float32: 3e-3}


def score_fpe_residual(
    denoiser: Any,
    x: Any,
    rhos: Any,
    *,
    differentiable: bool = False,
    random_state: RandomState = 0,
) -> Tensor:
    r"""Size of $\partial_\rho s - \rho\nabla(\mathrm{div}\,s + |s|^2)$, 0 for a true score.

    It measures whether ODE and SDE samples of a score agree, never whether the score fits the data:
    another density's exact score has residual 0. Small: use the ODE; large: raise churn.

    Args:
        denoiser: with `denoise(y, rho)`, twice differentiable by y.
        x: clean rows (B, D); noise is added at every level.
        rhos: noise levels, evenly spaced in log rho.
        differentiable: keep the graph, to use it as a penalty of training.
        random_state: seed of the noise, and of the probe above 32 dimensions.

    Returns:
        rho^2 times the rms of the residual per entry, averaged over levels: 0-d, without a unit.

    Raises:
        InputError: for levels that are not positive.
    """
    model = as_denoiser(denoiser)
    clean = require_state(x, width_of(model), "x")
    levels = torch.as_tensor(rhos, dtype=torch.float64).reshape(-1)
    if not levels.numel() or not bool((levels > 0).all()):
        raise InputError(f"rhos must be positive noise levels, got {levels.tolist()}")
    home = clean.device
    generator = torch_generator(seed_from(random_state), home)
    sizes = []
    for rho in levels.tolist():
        z = torch.randn(clean.shape, generator=generator, dtype=clean.dtype, device=home)
        signs = random_signs(clean.shape, generator, clean)
        residual = fpe_residual_at(model, clean + rho * z, rho, signs, differentiable)
        sizes.append(rho**2 * residual.square().mean().sqrt())
    return torch.stack(sizes).mean()


def fpe_residual_at(
    model: Denoiser, y: Tensor, rho: float, signs: Tensor, differentiable: bool = False
) -> Tensor:
    """The residual at points y (B, D) of one level, (B, D)."""
    with torch.enable_grad():
        point = y.detach().requires_grad_()
        rate = _rate(model, point, rho)
        score = (model.denoise(point, rho) - point) / rho**2
        total = _divergence(score, point, signs) + score.square().sum(-1)
        slope = torch.autograd.grad(total.sum(), point, create_graph=differentiable)[0]
        residual = rate - rho * slope
    return residual if differentiable else residual.detach()


def _rate(model: Denoiser, y: Tensor, rho: float) -> Tensor:
    """Derivative of the score by rho, by a central difference in log rho."""
    step = _DIFFERENCE.get(y.dtype, 3e-3)
    high, low = rho * math.exp(step), rho * math.exp(-step)
    ahead, behind = ((model.denoise(y, r) - y) / r**2 for r in (high, low))
    return (ahead - behind) / (2 * step * rho)


def _divergence(score: Tensor, y: Tensor, signs: Tensor) -> Tensor:
    """Div s at every row: exact up to 32 dimensions, else by one probe."""
    if y.shape[1] > _MOST_EXACT:
        row = torch.autograd.grad((score * signs).sum(), y, create_graph=True)[0]
        return (row * signs).sum(-1)
    columns = range(y.shape[1])
    parts = [torch.autograd.grad(score[:, i].sum(), y, create_graph=True)[0][:, i] for i in columns]
    return torch.stack(parts).sum(0)
