"""Centres and scales of columns: one rule of what is constant, for every estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_ROUNDING = 1e-13


@packable
@dataclass(frozen=True)
class Standardisation:
    """The affine map (x - center) / scale of C columns.

    Attributes:
        center: (C,).
        scale: (C,) positive; a constant column keeps its unit.

    Example:
        >>> columns = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0]])
        >>> Standardisation.of(columns).apply(columns)[:, 0].tolist()
        [-1.0, 1.0, nan]
    """

    center: Array
    scale: Array

    @classmethod
    def of(cls, values: Array, weights: Array | None = None) -> Self:
        """Mean and standard deviation of the known values of every column.

        Args:
            values: (..., C), NaN = not known. A column without a known value gets (0, 1).
            weights: of the rows, broadcast against values without the last axis.
        """
        center, deviation = moments(values, weights)
        return cls(center, np.where(deviation > 0, deviation, 1.0))

    def apply(self, values: Array) -> Array:
        """Values (..., C) in standard deviations from the centre."""
        return np.asarray((values - self.center) / self.scale)

    def invert(self, values: Array) -> Array:
        """Standardised values (..., C) in the unit of the data."""
        return np.asarray(values * self.scale + self.center)


def moments(values: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Mean and standard deviation of the known values of every column; 0 of a constant column.

    Squares are taken in units of a power of two, so that they neither overflow nor vanish.

    Args:
        values: (..., C), NaN = not known.
        weights: of the rows, broadcast against values without the last axis; equal by default.
    """
    rows = _rows(values)
    known = ~np.isnan(rows)
    share = known.astype(np.float64)
    if weights is not None:
        share *= np.broadcast_to(weights, values.shape[:-1]).reshape(-1, 1)
    total = np.where(share.sum(0) > 0, share.sum(0), 1.0)
    mean = (np.where(known, rows, 0.0) * share).sum(0) / total
    constant = is_constant(rows)
    unit = np.ldexp(1.0, np.frexp(np.where(constant, 1.0, _range(rows)))[1])
    off = np.where(known & ~constant, rows - mean, 0.0) / unit
    return mean, np.where(constant, 0.0, unit * np.sqrt((share * off**2).sum(0) / total))


def is_constant(values: Array) -> Array:
    """Whether the known values of every column (..., C) differ by no more than rounding.

    Rounding is 1e-13 of the largest magnitude, however far from zero the column lies. A column
    without a known value is constant.
    """
    rows = _rows(values)
    known = ~np.isnan(rows)
    largest = np.where(known, np.abs(rows), 0.0).max(0, initial=0.0)
    return np.asarray(~(_range(rows) > _ROUNDING * largest))


def _rows(values: Array) -> Array:
    """(..., C) as (N, C), also where C is 0."""
    return values.reshape(int(np.prod(values.shape[:-1])), values.shape[-1])


def _range(rows: Array) -> Array:
    known = ~np.isnan(rows)
    low = np.where(known, rows, np.inf).min(0, initial=np.inf)
    high = np.where(known, rows, -np.inf).max(0, initial=-np.inf)
    return np.asarray(np.where(known.any(0), high - low, 0.0))
