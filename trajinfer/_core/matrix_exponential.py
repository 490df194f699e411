r"""Exponentials of many small matrices, for which the calls of a library cost more than the work.

$e^X = (e^{X / 2^s})^{2^s}$ with s such that the norm of $X / 2^s$ is at most 1/4, where twelve
terms of the series are exact to rounding.

References:
    Moler and Van Loan, Nineteen dubious ways to compute the exponential of a matrix, twenty-five
    years later, SIAM Review 45 (2003), method 3.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from torch import Tensor

from trajinfer._core.checks import Array

REACH = 0.25
_TERMS = [1 / math.factorial(k) for k in range(13)]

Matrices = TypeVar("Matrices", Array, Tensor)


def short_exponential(x: Matrices, one: Matrices) -> Matrices:
    """Exponentials (..., n, n) of matrices whose norms are at most `REACH`.

    Args:
        x: (..., n, n).
        one: the identity (n, n).
    """
    square = x @ x
    cube = square @ x
    power = _TERMS[12] * cube + _part(9, x, square, one)
    for lowest in (6, 3, 0):
        power = power @ cube + _part(lowest, x, square, one)
    return power


def _part(lowest: int, x: Matrices, square: Matrices, one: Matrices) -> Matrices:
    """Three terms of the series, over the power of the lowest."""
    first, second, third = _TERMS[lowest : lowest + 3]
    return first * one + second * x + third * square


def matrix_exponential(matrices: Array) -> Array:
    """Exponentials (B, n, n) of matrices (B, n, n), each scaled by its own norm.

    Example:
        >>> angle = np.array([[[0.0, np.pi], [-np.pi, 0.0]]])
        >>> np.round(matrix_exponential(angle), 12) + 0.0
        array([[[-1.,  0.],
                [ 0., -1.]]])
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite stays so
        norms = np.abs(matrices).sum(axis=2).max(axis=1, initial=0.0)
        halvings = np.ceil(np.log2(np.maximum(norms / REACH, 1.0)))
        halvings[~np.isfinite(halvings)] = 0
        small = matrices / np.exp2(halvings)[:, None, None]
        out = short_exponential(small, np.eye(matrices.shape[2]))
        for k in range(int(halvings.max(initial=0))):
            rows = halvings > k
            if rows.all():
                out = out @ out
            else:
                out[rows] = out[rows] @ out[rows]
    return np.asarray(out)
