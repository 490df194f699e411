"""Polynomial drift: a flexible class that is linear in its parameters."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, require_integer
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

    Attributes:
        monomials: exponents of every monomial, one row of the coefficients each.
    """

    settings = ("dim", "degree", "ridge")
    linear_in_parameters = True
    center: Tensor
    scale: Tensor
    _derivative: Tensor
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
        require_integer(dim, "dim", least=1)
        require_integer(degree, "degree", least=0)
        if ridge < 0:
            raise InputError(f"ridge must not be negative, got {ridge}")
        exponents = _exponents(dim, degree)
        start = np.zeros((len(exponents), dim))
        super().__init__(
            dim, volatility, {"coefficients": Parameter(coefficients, start, time_power=-1)}
        )
        self.degree, self.ridge = degree, ridge
        self.monomials = [tuple(int(e) for e in row) for row in exponents]
        self._recursion = _recursion(self.monomials)
        self.register_buffer("_derivative", torch.as_tensor(_derivative(self.monomials)))
        self.register_buffer("center", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("_duration", torch.ones((), dtype=torch.float64))

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Take centre and scale of the monomials from the data, unless coefficients are given."""
        super().adapt_to(center, scale, duration)
        if "coefficients" in self.coefficients.neutral:
            self.center = torch.as_tensor(center)
            self.scale = torch.as_tensor(scale)
            self._duration = torch.as_tensor(duration, dtype=torch.float64)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Monomials times coefficients."""
        return self.scale.to(y) * (self._monomials_at(y) @ p["coefficients"])

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Derivatives are polynomials too: a linear map of the coefficients."""
        slopes = self._derivative.to(y) @ p["coefficients"]
        columns = self._monomials_at(y) @ slopes.permute(1, 2, 0).flatten(1)
        scale = self.scale.to(y)
        return columns.reshape(-1, self.dim, self.dim) * (scale[:, None] / scale)

    def affine(self, p: Values) -> tuple[Tensor, Tensor] | None:
        """Where the degree is at most one, the matrix and the offset."""
        if self.degree > 1 or self.noise_type != "additive":
            return None
        scale, center = self.scale, self.center
        offset = scale * p["coefficients"][0]
        if self.degree == 0:
            return offset.new_zeros(self.dim, self.dim), offset
        matrix = scale[:, None] * p["coefficients"][1:].T / scale
        return matrix, offset - matrix @ center

    def shrinkage(self, p: Values) -> Tensor | None:
        """Ridge on all but the constant."""
        if "coefficients" not in self.learnable:
            return None
        shrunk: Tensor = (2 * self.ridge) ** 0.5 * (p["coefficients"][1:] * self._duration)
        return shrunk.flatten()

    def _monomials_at(self, y: Tensor) -> Tensor:
        """Value of every monomial, (B, number of monomials), each from one of lower degree."""
        z = (y - self.center.to(y)) / self.scale.to(y)
        coordinates = z.unbind(1)
        values = [torch.ones_like(coordinates[0])]
        for parent, coordinate in self._recursion:
            values.append(values[parent] * coordinates[coordinate])
        return torch.stack(values, dim=1)


def _exponents(dim: int, degree: int) -> Array:
    """Exponents of all monomials up to the degree, the constant first, then by degree."""
    rows = [
        np.bincount(np.array(chosen, dtype=np.int64), minlength=dim)
        for total in range(degree + 1)
        for chosen in combinations_with_replacement(range(dim), total)
    ]
    return np.stack(rows)


def _recursion(monomials: list[tuple[int, ...]]) -> list[tuple[int, int]]:
    """For every monomial but the constant: one of lower degree, and the coordinate to multiply."""
    index = {monomial: k for k, monomial in enumerate(monomials)}
    steps = []
    for monomial in monomials[1:]:
        coordinate = next(d for d, power in enumerate(monomial) if power)
        steps.append((index[_lowered(monomial, coordinate)], coordinate))
    return steps


def _derivative(monomials: list[tuple[int, ...]]) -> Array:
    """Matrices (D, M, M) that map coefficients to those of the derivative by each coordinate."""
    index = {monomial: k for k, monomial in enumerate(monomials)}
    dim = len(monomials[0])
    matrices = np.zeros((dim, len(monomials), len(monomials)))
    for k, monomial in enumerate(monomials):
        for coordinate, power in enumerate(monomial):
            if power:
                matrices[coordinate, index[_lowered(monomial, coordinate)], k] = power
    return matrices


def _lowered(monomial: tuple[int, ...], coordinate: int) -> tuple[int, ...]:
    return tuple(power - (d == coordinate) for d, power in enumerate(monomial))
