"""Ridge regression with exact leave-one-out predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data.scaling import Standardisation

_PENALTIES = np.logspace(-4, 3, 15)
_CLIP = 5.0
_ROUNDING = 1e-12


@packable
@dataclass(frozen=True, eq=False)
class RidgeMap:
    """A linear map of standardised features, NaN at their mean.

    Attributes:
        scaling: of the features.
        coefficients: (F, K).
        offset: (K,).
    """

    scaling: Standardisation
    coefficients: Array
    offset: Array

    def __call__(self, design: Array) -> Array:
        """(B, K) for features (B, F)."""
        return np.asarray(standardised(design, self.scaling) @ self.coefficients + self.offset)


def standardised(design: Array, scaling: Standardisation) -> Array:
    """Features in standard deviations, NaN at the mean, far ones limited."""
    return np.asarray(np.clip(np.nan_to_num(scaling.apply(design)), -_CLIP, _CLIP))


def fit_ridge(design: Array, target: Array, weights: Array) -> tuple[RidgeMap, Array]:
    """Ridge on standardised features.

    Args:
        design: (n, F), NaN = unknown.
        target: (n, K).
        weights: (n,) of the rows.

    Returns:
        The map, and the predictions (n, K) for every row by all others.
    """
    scaling = Standardisation.of(design, weights)
    coefficients, offset, held_out = solve_ridge(standardised(design, scaling), target, weights)
    return RidgeMap(scaling, coefficients, offset), held_out


def solve_ridge(x: Array, target: Array, weights: Array) -> tuple[Array, Array, Array]:
    r"""Coefficients with the penalty of smallest leave-one-out error.

    With $H = \bar w_i + X (X^T W X + \lambda I)^{-1} X^T W$ the prediction for row i by all others
    is $y_i - (y_i - \hat y_i) / (1 - h_{ii})$.

    Args:
        x: (n, F).
        target: (n, K).
        weights: (n,) of the rows.

    Returns:
        Coefficients (F, K), offset (K,), and the leave-one-out predictions (n, K).
    """
    share = weights / weights.sum()
    center, mean = share @ x, share @ target
    root = np.sqrt(share)[:, None]
    rows, values = root * (x - center), root * (target - mean)
    wide = len(rows) <= rows.shape[1]
    size, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    size = np.maximum(size, 0.0)
    safe = np.where(size > _ROUNDING * size.max(initial=0.0), size, np.inf)
    left = vectors if wide else rows @ (vectors / np.sqrt(safe))
    projected = left.T @ values
    scale = max(float(size.sum()) / max(min(rows.shape), 1), 1e-300)
    errors = {}
    for penalty in scale * _PENALTIES:
        shrink = size / (size + penalty)
        leverage = np.minimum(share + (left**2) @ shrink, 1 - 1e-9)
        errors[penalty] = (values - left @ (shrink[:, None] * projected)) / (1 - leverage)[:, None]
    penalty = min(errors, key=lambda one: float((errors[one] ** 2).sum()))
    if wide:
        coefficients = rows.T @ (left @ (projected / (size + penalty)[:, None]))
    else:
        coefficients = vectors @ ((np.sqrt(size) / (size + penalty))[:, None] * projected)
    held_out = target - errors[penalty] / np.where(root > 0, root, np.inf)
    return coefficients, mean - center @ coefficients, held_out
