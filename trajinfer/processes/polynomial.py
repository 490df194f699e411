"""Polynomial drift: a flexible class that is linear in its parameters."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility


class PolynomialDrift(Process):
    r"""Drift whose coordinates are polynomials of the state.

    With $z = (x - \text{center})/\text{scale}$, $b(x) = \text{scale}\,\sum_m c_m z^m$ over all
    monomials $z^m$ up to the degree. Centre and scale are those of the data once it is fitted,
    which keeps high degrees well conditioned.

    Args:
        dim: D.
        degree: highest degree, at least 0.
        coefficients: (number of monomials, D), per unit of time; rows in the order of `monomials`.
        volatility: see `Process`.
        ridge: penalty $\lambda \|c\,\tau\|^2$ on monomials of degree one and more, with $\tau$ the
            typical time between observations.
    """

    settings = ("dim", "degree", "ridge")
    center: Tensor
    scale: Tensor
    _exponents: Tensor
    _duration: Tensor

    def __init__(
        self,
        dim: int,
        degree: int,
        coefficients: Any = None,
        *,
        volatility: Volatility = None,
        ridge: float = 1e-3,
    ) -> None:
        if isinstance(degree, bool) or not isinstance(degree, int) or degree < 0:
            raise InputError(f"degree must be a non-negative integer, got {degree!r}")
        if ridge < 0:
            raise InputError(f"ridge must not be negative, got {ridge}")
        exponents = _exponents(dim, degree)
        start = np.zeros((len(exponents), dim))
        super().__init__(
            dim, volatility, {"coefficients": Parameter(coefficients, start, time_power=-1)}
        )
        self.degree, self.ridge = degree, ridge
        self.register_buffer("_exponents", torch.as_tensor(exponents))
        self.register_buffer("center", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("_duration", torch.ones((), dtype=torch.float64))

    @property
    def monomials(self) -> list[tuple[int, ...]]:
        """Exponents of every monomial, one row of the coefficients each."""
        return [tuple(row) for row in self._exponents.tolist()]

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Take centre and scale of the monomials from the data, unless coefficients are given."""
        super().adapt_to(center, scale, duration)
        if "coefficients" in self.coefficients.neutral:
            self.center = torch.as_tensor(center)
            self.scale = torch.as_tensor(scale)
            self._duration = torch.as_tensor(duration, dtype=torch.float64)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Monomials times coefficients."""
        powers = self._powers(y)
        return self.scale.to(y) * (self._products(powers) @ p["coefficients"])

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Derivatives of the monomials times coefficients."""
        powers = self._powers(y)
        slopes = torch.zeros_like(powers)
        degrees = torch.arange(1, self.degree + 1, dtype=y.dtype, device=y.device)
        slopes[..., 1:] = degrees * powers[..., :-1]
        columns = [
            self._products(torch.where(unit[:, None], slopes, powers)) @ p["coefficients"]
            for unit in torch.eye(self.dim, dtype=torch.bool, device=y.device)
        ]
        scale = self.scale.to(y)
        return torch.stack(columns, dim=-1) * (scale[:, None] / scale)

    def affine(self, p: Values) -> tuple[Tensor, Tensor] | None:
        """Where the degree is at most one, the matrix and the offset."""
        if self.degree > 1 or self.noise_type != "additive":
            return None
        scale, center = self.scale, self.center
        offset = scale * p["coefficients"][0]
        if self.degree == 0:
            return torch.zeros(self.dim, self.dim, dtype=offset.dtype), offset
        matrix = scale[:, None] * p["coefficients"][1:].T / scale
        return matrix, offset - matrix @ center

    def penalty(self, p: Values) -> Tensor | None:
        """Ridge on all but the constant."""
        return self.ridge * (p["coefficients"][1:] * self._duration).square().sum()

    def _powers(self, y: Tensor) -> Tensor:
        """Powers 0..degree of the scaled coordinates, (B, D, degree + 1)."""
        z = (y - self.center.to(y)) / self.scale.to(y)
        powers = [torch.ones_like(z)]
        for _ in range(self.degree):
            powers.append(powers[-1] * z)
        return torch.stack(powers, dim=-1)

    def _products(self, powers: Tensor) -> Tensor:
        """Value of every monomial, (B, number of monomials), from one factor per coordinate."""
        factors = [powers[:, d, self._exponents[:, d]] for d in range(self.dim)]
        return torch.stack(factors).prod(dim=0)


def _exponents(dim: int, degree: int) -> Array:
    """Exponents of all monomials up to the degree, the constant first, then by degree."""
    rows = [
        np.bincount(np.array(chosen, dtype=np.int64), minlength=dim)
        for total in range(degree + 1)
        for chosen in combinations_with_replacement(range(dim), total)
    ]
    return np.stack(rows)
