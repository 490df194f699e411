"""Cholesky factors of covariances, and what is read off them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_RELATIVE_JITTER = 1e-9


def cholesky(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Cholesky factor with a jitter relative to every variance; also which matrices failed.

    Coordinates of unlike units keep their own scale; one without any variance takes the mean's.
    """
    variance = covariance.diagonal(dim1=-2, dim2=-1).detach()
    scale = torch.where(variance > 0, variance, variance.mean(-1, keepdim=True))
    factor, info = torch.linalg.cholesky_ex(covariance + torch.diag_embed(_RELATIVE_JITTER * scale))
    return factor, info != 0


def half_log_det(factor: Tensor) -> Tensor:
    """Half the log-determinant of 2 pi P from the Cholesky factor of P."""
    dim = factor.shape[-1]
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 0.5 * dim * math.log(2 * math.pi)


def whiten(factor: Tensor, matrix: Tensor) -> Tensor:
    """The solution Z of L Z = matrix for a lower triangular factor L."""
    white: Tensor = torch.linalg.solve_triangular(factor, matrix, upper=False)
    return white


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """The product of matrices (..., D, D) and vectors (..., D)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
