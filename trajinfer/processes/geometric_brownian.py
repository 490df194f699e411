"""Geometric Brownian motion."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver
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
    linear_in_parameters = True

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

    @property
    def exact_noise(self) -> str:
        """The exact step follows the Brownian increment."""
        return "W"

    @property
    def has_exact_step(self) -> bool:
        """Always, unless the volatility is a law of its own."""
        return self._volatility_law is None

    def exact_step(
        self,
        t: Tensor,
        h: Tensor,
        y: Tensor,
        W: Tensor | None,
        H: Tensor | None,
        Z: Tensor | None,
        *,
        law: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """Log-normal: y exp((mu - sigma^2/2) h + sigma W)."""
        if W is None or self._volatility_law is not None:
            raise IncompatibleSolver(
                "geometric Brownian motion with a callable volatility has no exact step; "
                "try method='milstein'",
                method="exact",
            )
        p = self.values(y.dtype)
        sigma = self.known_volatility(p)
        return y * torch.exp((p["mu"] - sigma.square() / 2) * h + sigma * W)
