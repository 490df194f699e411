"""Kernel ridge regression with a Gaussian kernel, on a bounded number of centres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data.scaling import Standardisation
from trajinfer.regression.ridge import solve_ridge, standardised

_MOST_CENTRES = 1000
_WIDTHS = (0.5, 2.0, 6.0)
_ROUNDING = 1e-10


@packable
@dataclass(frozen=True, eq=False)
class KernelRidge:
    r"""$f(x) = b + \sum_j a_j \exp(-|x - c_j|^2 / (2 w))$ of standardised features.

    Attributes:
        scaling: of the features.
        centres: (m, F) standardised.
        width: w.
        coefficients: (m, K).
        offset: (K,).
    """

    scaling: Standardisation
    centres: Array
    width: float
    coefficients: Array
    offset: Array

    def __call__(self, design: Array) -> Array:
        """(B, K) for features (B, F)."""
        gaps = _squared_distances(standardised(design, self.scaling), self.centres)
        return np.asarray(np.exp(-gaps / (2 * self.width)) @ self.coefficients + self.offset)


def fit_kernel_ridge(
    design: Array, target: Array, weights: Array, seed: int
) -> tuple[KernelRidge, Array]:
    """Fit with the width and the penalty of smallest leave-one-out error.

    Args:
        design: (n, F), NaN = unknown.
        target: (n, K).
        weights: (n,) of the rows.
        seed: of the choice of centres, where there are more than 1000 rows.

    Returns:
        The map, and the leave-one-out predictions (n, K).

    References:
        Williams and Seeger, Using the Nystrom method to speed up kernel machines, 2001.
    """
    scaling = Standardisation.of(design, weights)
    x = standardised(design, scaling)
    chosen = np.random.default_rng(seed).permutation(len(x))[:_MOST_CENTRES]
    centres = x[np.sort(chosen)]
    gaps, own = _squared_distances(x, centres), _squared_distances(centres, centres)
    typical = max(float(np.median(own)), 1e-300)
    fits = []
    for width in typical * np.array(_WIDTHS):
        size, vectors = np.linalg.eigh(np.exp(-own / (2 * width)))
        useful = size > _ROUNDING * size[-1]
        map_ = vectors[:, useful] / np.sqrt(size[useful])
        features = np.exp(-gaps / (2 * width)) @ map_
        coefficients, offset, held_out = solve_ridge(features, target, weights)
        loss = float((weights[:, None] * (held_out - target) ** 2).sum())
        model = KernelRidge(scaling, centres, float(width), map_ @ coefficients, offset)
        fits.append((loss, model, held_out))
    _, model, held_out = min(fits, key=lambda fit: fit[0])
    return model, held_out


def _squared_distances(x: Array, y: Array) -> Array:
    """(n, m) of rows (n, F) and (m, F)."""
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    return np.asarray(np.maximum(squares, 0.0))
