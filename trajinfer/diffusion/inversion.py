"""Sampling that can be undone exactly: bidirectional steps with a neutral parasitic root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.diffusion.denoiser import Denoiser, as_denoiser, require_state, width_of


@dataclass(frozen=True, eq=False)
class InversionState:
    """What `invert` needs: the last two states and the levels.

    Attributes:
        previous, last: states (B, D) at the last two levels.
        rhos: all levels, falling, (n + 1,).
    """

    previous: Tensor
    last: Tensor
    rhos: Array


def bdia(model: Denoiser, y: Tensor, rhos: Array) -> InversionState:
    r"""Two-step sampler $y_{i+1} = g y_{i-1} + (1-g) y_i + \mathrm{inc}_+ - g\,\mathrm{inc}_-$.

    With $g = e^{-h}$ of the coming step neither direction amplifies rounding.
    """
    if rhos.ndim > 1:
        raise InputError("levels by entry are for method='multistep'")
    lams = -np.log(rhos)
    value = model.denoise(y, float(rhos[0]))
    previous, last = y, y + _increment(y, value, lams[0], lams[1])
    for i in range(1, len(lams) - 1):
        g = float(np.exp(lams[i] - lams[i + 1]))
        forth, back = _increments(model, last, rhos, lams, i)
        previous, last = last, g * previous + (1 - g) * last + forth - g * back
    return InversionState(previous, last, rhos)


def invert(denoiser: Any, state: InversionState) -> Tensor:
    """The start (B, D) from which `sample(..., method="bdia", return_state=True)` came, exactly.

    Args:
        denoiser: the one that sampled.
        state: its second result; either of its states may have been edited.

    Raises:
        InputError: for anything but such a state, or one of another width.
    """
    if not isinstance(state, InversionState):
        raise InputError(
            f"invert needs the state of sample(..., method='bdia', return_state=True), got "
            f"{type(state).__name__}: draws alone have lost it, and inversion needs the ODE"
        )
    model, rhos = as_denoiser(denoiser), state.rhos
    for name in ("previous", "last"):
        require_state(getattr(state, name), width_of(model), name)
    lams = -np.log(rhos)
    previous, last = state.previous, state.last
    for i in range(len(lams) - 2, 0, -1):
        g = float(np.exp(lams[i] - lams[i + 1]))
        forth, back = _increments(model, previous, rhos, lams, i)
        before = (last - (1 - g) * previous - forth + g * back) / g
        previous, last = before, previous
    return previous


def _increments(
    model: Denoiser, y: Tensor, rhos: Array, lams: Array, i: int
) -> tuple[Tensor, Tensor]:
    """First-order moves from level i to the next and to the one before."""
    value = model.denoise(y, float(rhos[i]))
    forth = _increment(y, value, lams[i], lams[i + 1])
    return forth, _increment(y, value, lams[i], lams[i - 1])


def _increment(y: Tensor, value: Tensor, a: float, b: float) -> Tensor:
    return -float(np.expm1(a - b)) * torch.sub(value, y)
