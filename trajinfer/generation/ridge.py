"""Ridge regressions of one design with several penalties, in which rows may weigh unequally."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array


@dataclass(frozen=True)
class RidgeFamily:
    r"""Minimisers of $\sum_i w_i (y_i - x_i'\beta)^2 + \lambda N \|\beta_{1:}\|^2$.

    Attributes:
        triangle: R of a QR decomposition of the weighted design, P columns.
        moved: Q'y.
        n_rows: N.
    """

    triangle: Array
    moved: Array
    n_rows: int

    @classmethod
    def of(cls, design: Array, target: Array, weight: Array) -> Self:
        """Decompose once.

        Args:
            design: (N, P), the constant first; it is not penalised.
            target: (N,).
            weight: (N,) w, of mean 1.
        """
        root = np.sqrt(weight)
        q, r = np.linalg.qr(design * root[:, None])
        return cls(r, q.T @ (target * root), len(design))

    def rule(self, ridge: float) -> Array:
        """Coefficients (P,) for one penalty."""
        size = self.triangle.shape[1]
        penalty = np.full(size, ridge * self.n_rows)
        penalty[0] = 0.0
        stacked = np.concatenate([self.triangle, np.diag(np.sqrt(penalty))])
        padded = np.concatenate([self.moved, np.zeros(size)])
        return np.asarray(np.linalg.lstsq(stacked, padded, rcond=1e-12)[0])
