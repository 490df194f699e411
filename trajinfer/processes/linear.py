"""Processes with affine drift and constant noise: Brownian motion, Ornstein-Uhlenbeck, general."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, as_array, require_integer
from trajinfer._core.errors import InputError
from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility


def _dim_of(dim: int | None, *values: Any) -> int:
    """The dimension stated, or that of the first value with a shape, or 1."""
    if dim is not None:
        return require_integer(dim, "dim", least=1)
    shapes = [np.shape(v) for v in values if v is not None and not callable(v)]
    return next((shape[0] for shape in shapes if shape), 1)


class Brownian(Process):
    r"""Brownian motion $dX = \sigma\,dW$.

    Args:
        volatility: see `Process`.
        dim: D; found from the volatility where it is not given, else 1.
    """

    settings = ("dim",)

    def __init__(self, *, volatility: Volatility = None, dim: int | None = None) -> None:
        super().__init__(_dim_of(dim, volatility), volatility, {})

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Zero."""
        return torch.zeros_like(y)

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Zero."""
        return y.new_zeros(*y.shape, self.dim)

    def affine(self, p: Values) -> tuple[Tensor, Tensor] | None:
        """A = 0, c = 0."""
        if self.noise_type != "additive":
            return None
        zero = torch.zeros_like(p["volatility"])
        return torch.diag(zero), zero


class OrnsteinUhlenbeck(Process):
    r"""Ornstein-Uhlenbeck process $dX_i = \theta_i (m_i - X_i)\,dt + \sigma_i\,dW_i$.

    Args:
        theta: positive rate of return, a number or (D,).
        mean: long-run mean m, a number or (D,).
        volatility: see `Process`.
        dim: D; found from the values given, else 1.
    """

    settings = ("dim",)

    def __init__(
        self,
        theta: Any = None,
        mean: Any = None,
        *,
        volatility: Volatility = None,
        dim: int | None = None,
    ) -> None:
        size = _dim_of(dim, theta, mean, volatility)
        declared = {
            "theta": Parameter(theta, np.full(size, 0.1), positive=True, time_power=-1),
            "mean": Parameter(mean, np.zeros(size), state_power=1),
        }
        super().__init__(size, volatility, declared)

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Start the mean, where it is not given, at the mean of the data."""
        super().adapt_to(center, scale, duration)
        if "mean" in self.coefficients.neutral:
            self.coefficients.assign("mean", center)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Theta (mean - y)."""
        return p["theta"] * (p["mean"] - y)

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """-diag(theta)."""
        return -torch.diag(p["theta"]).expand(len(y), -1, -1)

    def affine(self, p: Values) -> tuple[Tensor, Tensor] | None:
        """A = -diag(theta), c = theta mean."""
        if self.noise_type != "additive":
            return None
        return -torch.diag(p["theta"]), p["theta"] * p["mean"]


class AffineDrift(Process):
    r"""Affine drift of any dimension, $dX = (A X + c)\,dt + \sigma\,dW$.

    Args:
        dim: D.
        matrix: A, (D, D), per unit of time.
        offset: c, (D,).
        volatility: see `Process`.
        ridge: penalty on the learnable matrix, $\lambda \|A \tau\|^2$ with $\tau$ the typical time
            between observations, in coordinates of unit spread.
    """

    settings = ("dim", "ridge")
    linear_in_parameters = True

    def __init__(
        self,
        dim: int,
        matrix: Any = None,
        offset: Any = None,
        *,
        volatility: Volatility = None,
        ridge: float = 1e-2,
    ) -> None:
        if ridge < 0:
            raise InputError(f"ridge must not be negative, got {ridge}")
        require_integer(dim, "dim", least=1)
        declared = {
            "matrix": Parameter(matrix, np.zeros((dim, dim)), time_power=-1),
            "offset": Parameter(offset, np.zeros(dim), state_power=1, time_power=-1),
        }
        super().__init__(dim, volatility, declared)
        self.ridge = ridge
        self.register_buffer("_unit", torch.ones(dim, dim, dtype=torch.float64))

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Take the units of the ridge from the data."""
        super().adapt_to(center, scale, duration)
        unit = scale[None, :] / scale[:, None] * duration
        self._unit = torch.as_tensor(as_array(unit, "unit"))

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """A y + c."""
        return y @ p["matrix"].T + p["offset"]

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """A."""
        return p["matrix"].expand(len(y), -1, -1)

    def affine(self, p: Values) -> tuple[Tensor, Tensor] | None:
        """A and c."""
        return (p["matrix"], p["offset"]) if self.noise_type == "additive" else None

    def shrinkage(self, p: Values) -> Tensor | None:
        """Ridge on the matrix in natural units."""
        if "matrix" not in self.learnable:
            return None
        shrunk: Tensor = (2 * self.ridge) ** 0.5 * (p["matrix"] * self._unit)
        return shrunk.flatten()
