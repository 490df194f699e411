"""Geometric Brownian motion."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility
from trajinfer.processes.linear import _dim_of


class GeometricBrownian(Process):
    r"""Geometric Brownian motion $dX_i = \mu_i X_i\,dt + \sigma_i X_i\,dW_i$, positive.

    Args:
        mu: growth rate, a number or (D,).
        volatility: relative volatility per root of time, a number or (D,).
        dim: D; found from the values given, else 1.
    """

    settings = ("dim",)

    def __init__(
        self, mu: Any = None, *, volatility: Volatility = None, dim: int | None = None
    ) -> None:
        size = _dim_of(dim, mu, volatility)
        super().__init__(size, volatility, {"mu": Parameter(mu, np.zeros(size), time_power=-1)})

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Mu y."""
        return p["mu"] * y

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """diag(mu)."""
        return torch.diag(p["mu"]).expand(len(y), -1, -1)

    def noise_scale(self, t: Tensor, y: Tensor) -> Tensor | None:
        """The state itself."""
        return y
