"""Denoisers: the posterior mean of clean data given data with noise, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import unmasked
from trajinfer._core.errors import InputError

Level = float | Tensor
"""A noise level: one number, one per row (B, 1), or one per entry (D,) or (B, D)."""


@runtime_checkable
class Denoiser(Protocol):
    r"""Anything with $D(y, \rho) = E[x \mid y]$, where $y = x + \rho\,\xi$."""

    def denoise(self, y: Tensor, rho: Level) -> Tensor:
        """The posterior mean of x, (B, D), given y (B, D) at level rho."""
        ...


@dataclass(frozen=True, eq=False)
class FunctionDenoiser:
    """A plain function (y, rho) -> D as a denoiser, which knows no moments.

    Args:
        function: (y (B, D), rho) -> (B, D).
    """

    function: Callable[[Tensor, Level], Tensor]

    def denoise(self, y: Tensor, rho: Level) -> Tensor:
        """What the function gives."""
        return self.function(y, rho)


def as_denoiser(denoiser: Any) -> Denoiser:
    """A denoiser from one, or from a function (y, rho) -> D.

    Raises:
        InputError: for anything else.
    """
    if callable(getattr(denoiser, "denoise", None)):
        model: Denoiser = denoiser
        return model
    if callable(denoiser):
        return FunctionDenoiser(denoiser)
    raise InputError(
        f"expected a denoiser with denoise(y, rho) or a function (y, rho) -> D, got "
        f"{type(denoiser).__name__}; a GaussianMixture is one"
    )


def as_double(value: Any) -> Tensor:
    """A float64 tensor of a number, list, array or tensor."""
    if isinstance(value, Tensor):
        return value.to(torch.float64)
    return torch.as_tensor(np.asarray(unmasked(value), dtype=np.float64))


def isotropic(rho: Level, y: Tensor) -> Tensor | None:
    """The level as a tensor that broadcasts against rows, or None where entries have their own.

    Raises:
        InputError: if the shape fits neither rows nor entries of y.
    """
    level = torch.as_tensor(rho, dtype=y.dtype, device=y.device)
    if level.ndim == 0 or level.shape[-1] == 1:
        return level
    if level.shape[-1] != y.shape[-1]:
        raise InputError(
            f"rho must be a number, (B, 1), or one level per entry (..., {y.shape[-1]}), got shape "
            f"{tuple(level.shape)}; rho[:, None] gives every row its own"
        )
    return None


def require_state(y: Any, width: int | None, name: str = "start") -> Tensor:
    """A state (B, D) of floating point numbers as a tensor.

    Raises:
        InputError: for another width than the denoiser's, half precision, or values not finite.
    """
    state = y if isinstance(y, Tensor) else torch.as_tensor(unmasked(y))
    if state.dtype in (torch.float16, torch.bfloat16):
        raise InputError(f"{name} is {state.dtype}, too coarse for small levels; use float32 or 64")
    if not state.is_floating_point():
        state = state.to(torch.float64)
    if state.ndim != 2 or (width is not None and state.shape[1] != width):
        raise InputError(
            f"{name} must be (B, {'D' if width is None else width}), the width of the denoiser, "
            f"got shape {tuple(state.shape)}"
        )
    if not bool(torch.isfinite(state).all()):
        raise InputError(f"{name} must be finite; drop or fill rows with NaN or infinity")
    return state


def width_of(denoiser: Denoiser) -> int | None:
    """D, where the denoiser knows it."""
    mean = getattr(denoiser, "mean", None)
    return None if mean is None else int(mean.shape[-1])


def score(denoiser: Any, y: Tensor, rho: Level) -> Tensor:
    r"""The score of the law of y under white noise, $(D - y)/\rho^2$, (B, D)."""
    level = torch.as_tensor(rho, dtype=y.dtype, device=y.device)
    return (as_denoiser(denoiser).denoise(y, rho) - y) / level.square()
