"""Moves that keep the law at one noise level: Langevin, plain or with damped curvature."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.denoiser import Denoiser, Level, as_denoiser, require_state, width_of
from trajinfer.diffusion.noise import NoiseLaw, White
from trajinfer.diffusion.normals import standard_normals

Curvature = Literal["damped"]
_PLAIN_STEP, _DAMPED_STEP, _LARGEST_STEP = 0.6, 0.3, 2.0
_POINTS_OF_CURVATURE = 64
_WHITE = White()


def langevin(
    denoiser: Any,
    y: Any,
    rho: float,
    *,
    n_steps: int = 10,
    step: float | None = None,
    curvature: Curvature | None = None,
    damping: float = 0.01,
    noise: NoiseLaw = _WHITE,
    random_state: RandomState = None,
) -> Tensor:
    r"""Moves $y + eP s(y) + \sqrt{2e} P^{1/2}\xi$ at a fixed noise level; the law at it stays.

    Plain moves have $P = \rho^2 N$. Damped ones use one $P = (A + c/\rho^2)^{-1}$ for all points,
    A the mean curvature of log p at 64 of them without its negative part: where the level lies
    below the sd of most directions they need a fifth of the moves.

    Args:
        denoiser: with `denoise(y, rho)`, differentiable by y for "damped".
        y: states (B, D) at the level.
        rho: the noise level.
        n_steps: moves, one evaluation each; "damped" adds one and its derivatives.
        step: e; .6 for plain and .3 for damped moves by default.
        curvature: None or "damped".
        damping: c.
        noise: law of the noise; "damped" is for white noise.
        random_state: seed of the moves.

    Returns:
        States (B, D).

    Raises:
        InputError: for a step that is not in (0, 2), or settings that do not go together.
    """
    model = as_denoiser(denoiser)
    state = require_state(y, width_of(model), "y")
    require_integer(n_steps, "n_steps", least=1)
    if curvature not in (None, "damped"):
        raise InputError(f"curvature must be None or 'damped', got {curvature!r}")
    size = step if step is not None else _DAMPED_STEP if curvature else _PLAIN_STEP
    if not 0 < size < _LARGEST_STEP:
        raise InputError(f"step must lie in (0, 2), where the moves are stable, got {size}")
    if not rho > 0 or not damping > 0:
        raise InputError(f"rho and damping must be positive, got {rho} and {damping}")
    if curvature and not isinstance(noise, White):
        raise InputError("curvature='damped' is for white noise; leave curvature out")
    generator = torch_generator(seed_from(random_state), state.device)
    if curvature is None:
        return plain_moves(model, state, rho, n_steps, size, noise, generator)
    return _damped(model, state, rho, n_steps, size, damping, generator)


def plain_moves(
    model: Denoiser,
    y: Tensor,
    rho: Level,
    n_steps: int,
    step: float,
    noise: NoiseLaw,
    generator: torch.Generator,
) -> Tensor:
    """States (B, D) after moves with P = rho^2 N, at one level or one per row (B, 1)."""
    for _ in range(n_steps):
        z = standard_normals(y.shape, generator, y)
        y = y + step * (model.denoise(y, rho) - y) + (2 * step) ** 0.5 * rho * noise.colour(z)
    return y


def _damped(
    model: Denoiser,
    y: Tensor,
    rho: float,
    n_steps: int,
    step: float,
    damping: float,
    generator: torch.Generator,
) -> Tensor:
    spectrum, axes = _curvature(model, y[:_POINTS_OF_CURVATURE], rho)
    variances = 1 / (spectrum + damping / rho**2)
    matrix = (axes * variances) @ axes.T
    root = (axes * variances.sqrt()) @ axes.T
    for _ in range(n_steps):
        z = standard_normals(y.shape, generator, y)
        score = (model.denoise(y, rho) - y) / rho**2
        y = y + step * score @ matrix + (2 * step) ** 0.5 * z @ root
    return y


def _curvature(model: Denoiser, y: Tensor, rho: float) -> tuple[Tensor, Tensor]:
    """Spectrum, cut at 0, and axes of the mean of (I - D_y)/rho^2."""
    eye = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
    with torch.enable_grad():
        point = y.detach().requires_grad_()
        probes = eye[:, None, :].expand(-1, len(y), -1)
        clean = model.denoise(point, rho)
        rows = torch.autograd.grad(clean, point, probes, is_grads_batched=True)[0]
    matrix = (eye - rows.mean(1)) / rho**2
    spectrum, axes = torch.linalg.eigh((matrix + matrix.T) / 2)
    return spectrum.clamp(min=0.0), axes
