"""What a noisy state says of an observation: the guides of sequential Monte Carlo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from trajinfer._core.errors import InputError, nearest
from trajinfer.diffusion.denoiser import Denoiser
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.observation import LinearObservation, Reward

Twist = Literal["projected", "tweedie"]

LogTwist = Callable[[Tensor, float], tuple[Tensor, Tensor]]
"""(y, rho) -> (log h (B,), D (B, D))."""


def twist_of(
    twist: Twist | Callable[[Tensor, float], Tensor],
    observation: LinearObservation | Reward,
    model: Denoiser,
    law: WienerDenoiser,
) -> LogTwist:
    """Log h by name, or of a function (y, rho) -> log h.

    Raises:
        InputError: for an unknown name.
    """
    if callable(twist):
        own = twist
        return lambda y, rho: (own(y, rho), model.denoise(y, rho))
    if twist not in get_args(Twist):
        raise InputError(f"no twist {twist!r}; {nearest(twist, get_args(Twist))}")
    if isinstance(observation, Reward):
        return lambda y, rho: _at_clean(observation, model.denoise(y, rho))
    widened = twist == "projected"

    def log_h(y: Tensor, rho: float) -> tuple[Tensor, Tensor]:
        clean = model.denoise(y, rho)
        extra = _hidden(observation, law, rho) if widened else None
        return observation.log_likelihood(clean, extra), clean

    return log_h


def gradient_and_value(log_h: LogTwist, y: Tensor, rho: float) -> tuple[Tensor, Tensor, Tensor]:
    """Log h, D and the gradient of log h by y, without a graph.

    Raises:
        InputError: if log h has no gradient.
    """
    with torch.enable_grad():
        point = y.detach().requires_grad_()
        value, clean = log_h(point, rho)
        if not value.requires_grad:
            raise InputError("the twist has no gradient; compute log h with torch from y")
        slope = torch.autograd.grad(value.sum(), point)[0]
    return value.detach(), clean.detach(), slope


def _at_clean(observation: Reward, clean: Tensor) -> tuple[Tensor, Tensor]:
    return observation.log_likelihood(clean), clean


def _hidden(observation: LinearObservation, law: WienerDenoiser, rho: float) -> Tensor:
    """H P H' with P = C - C (C + rho^2)^-1 C, what the noise hides, (m, m)."""
    H = observation.H
    eye = torch.eye(law.mean.shape[0], dtype=torch.float64)
    # rows of D(e_i + m) - m are those of C (C + rho^2)^-1
    gain = law.denoise(eye + law.mean, rho) - law.mean
    result: Tensor = H @ (law.covariance - gain @ law.covariance) @ H.T
    return result
