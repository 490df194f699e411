"""Diffusion in a double well."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility


class DoubleWell(Process):
    r"""Every coordinate moves between two wells: $dX = (a X - b X^3)\,dt + \sigma\,dW$.

    The wells are at $\pm\sqrt{a/b}$, the barrier between them at 0 has the height $a^2/(4 b)$, and
    the stationary density is $\propto \exp((a x^2 - b x^4/2)/\sigma^2)$.

    Args:
        a: rate at which the state leaves the barrier, positive.
        b: strength of the confinement, positive.
        volatility: see `Process`.
        dim: D, number of independent coordinates.
    """

    settings = ("dim",)

    def __init__(
        self, a: Any = None, b: Any = None, *, volatility: Volatility = None, dim: int = 1
    ) -> None:
        declared = {
            "a": Parameter(a, 1.0, positive=True, time_power=-1),
            "b": Parameter(b, 1.0, positive=True, time_power=-1, state_power=-2),
        }
        super().__init__(dim, volatility, declared)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Minus the slope of the landscape."""
        return (p["a"] - p["b"] * y.square()) * y

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Diagonal."""
        return torch.diag_embed(p["a"] - 3 * p["b"] * y.square())
