"""The Lamb-Oseen vortex: a rotation that dies off away from its core."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility

_SMALL, _TERMS = 0.5, 16


class LambOseen(Process):
    r"""Rotation around a centre with the speed $c\,(1 - e^{-r^2})/r$, r in units of the core.

    With $z = (x - x_0)/R$ and $r = |z|$ the drift is $c\,\frac{1 - e^{-r^2}}{r^2}\,(-z_2, z_1)$:
    a rigid rotation inside the core of radius R, $c/r$ far outside.

    Args:
        strength: c, a speed; positive turns counter-clockwise.
        center: $x_0$, (2,).
        radius: R of the core.
        volatility: see `Process`.

    References:
        Shen, Berlinghieri, Broderick, arXiv 2408.06277 (with $R = e^l$). Saffman, Vortex Dynamics
        (1992), section 13.1.
    """

    def __init__(
        self,
        strength: Any = None,
        center: Any = None,
        radius: Any = None,
        *,
        volatility: Volatility = None,
    ) -> None:
        declared = {
            "strength": Parameter(strength, 0.0, state_power=1, time_power=-1),
            "center": Parameter(center, np.zeros(2), state_power=1),
            "radius": Parameter(radius, 1.0, positive=True, state_power=1),
        }
        super().__init__(2, volatility, declared)

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Start the centre, where it is not given, at the mean of the data."""
        super().adapt_to(center, scale, duration)
        if "center" in self.coefficients.neutral:
            self.coefficients.assign("center", center)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Perpendicular to the offset from the centre."""
        z = (y - p["center"]) / p["radius"]
        share = _share(z.square().sum(-1, keepdim=True))
        return p["strength"] * share * _turned(z)

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Derivatives of the drift, written out."""
        z = (y - p["center"]) / p["radius"]
        square = z.square().sum(-1)[:, None, None]
        quarter_turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=y.dtype, device=y.device)
        shear = 2 * _share_slope(square) * _turned(z)[:, :, None] * z[:, None, :]
        return p["strength"] / p["radius"] * (_share(square) * quarter_turn + shear)


def _turned(z: Tensor) -> Tensor:
    """A quarter turn counter-clockwise."""
    return torch.stack((-z[:, 1], z[:, 0]), dim=-1)


def _share(s: Tensor) -> Tensor:
    """The function (1 - exp(-s)) / s, by its series near 0."""
    near = s < _SMALL
    far = torch.where(near, 1.0, s)
    close = torch.where(near, s, 0.0)
    coefficients = [(-1) ** k / math.factorial(k + 1) for k in range(_TERMS)]
    return torch.where(near, _polynomial(close, coefficients), -torch.expm1(-far) / far)


def _share_slope(s: Tensor) -> Tensor:
    """The derivative of `_share`."""
    near = s < _SMALL
    far = torch.where(near, 1.0, s)
    close = torch.where(near, s, 0.0)
    coefficients = [(-1) ** k * k / math.factorial(k + 1) for k in range(1, _TERMS)]
    exact = (torch.exp(-far) * (1 + far) - 1) / far.square()
    return torch.where(near, _polynomial(close, coefficients), exact)


def _polynomial(x: Tensor, coefficients: list[float]) -> Tensor:
    """Horner's scheme, the constant coefficient first."""
    value = torch.zeros_like(x)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value
