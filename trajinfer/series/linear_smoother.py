"""Smoothing under a linear Langevin prior, which is a Gaussian process with a Matern kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from trajinfer._core.checks import Array

_RATIOS = (1e-4, 1e-2, 5e-2, 0.2, 0.6, 2.0, 10.0)
_N_LENGTHS = 12


@dataclass(frozen=True)
class Smoothed:
    """The law of one channel at query times, given its observations.

    Attributes:
        mean: (Q,).
        std: (Q,) standard deviation of a new observation, its noise included.
        length: correlation time of largest likelihood.
    """

    mean: Array
    std: Array
    length: float


def smooth(times: Array, values: Array, weights: Array, queries: Array) -> Smoothed:
    r"""Posterior at `queries` under $x'' = -2\lambda x' - \lambda^2 x + \text{noise}$.

    The stationary solution of this linear Langevin equation has the covariance
    $s^2 (1 + \lambda r) e^{-\lambda r}$, $\lambda = \sqrt 3 / \ell$. Observations have noise of
    variance $s^2 \rho w_i$. The length and the ratio of noise to signal are those of largest
    marginal likelihood on a grid from the smallest gap to the whole span, $s^2$ and the mean are
    in closed form.

    Args:
        times: (n,) increasing.
        values: (n,).
        weights: (n,) relative variances of the measurements, 1 where nothing is known.
        queries: (Q,).

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 4.2, 5.4.
    """
    n = len(times)
    if n < 3:
        std = float(np.std(values)) if n > 1 else 1.0
        mean = float(np.mean(values)) if n else 0.0
        size = np.full(len(queries), std or 1.0)
        return Smoothed(np.full(len(queries), mean), size, float("inf"))
    gaps = np.abs(times[:, None] - times)
    shortest = np.median(np.diff(times))
    lengths = np.geomspace(shortest, 2 * (times[-1] - times[0]), _N_LENGTHS)
    fits = [
        (*_fit(_matern(gaps, length), ratio * weights, values), length, ratio)
        for length in lengths
        for ratio in _RATIOS
    ]
    _, factor, center, scale, length, ratio = max(fits, key=lambda fit: fit[0])
    cross = _matern(np.abs(queries[:, None] - times), length)
    mean = center + cross @ cho_solve(factor, values - center)
    explained = (solve_triangular(factor[0], cross.T, lower=True) ** 2).sum(0)
    variance = scale * (np.maximum(1 - explained, 0.0) + ratio)
    return Smoothed(mean, np.sqrt(variance), float(length))


def _matern(gaps: Array, length: float) -> Array:
    scaled = np.sqrt(3.0) * gaps / length
    return np.asarray((1 + scaled) * np.exp(-scaled))


def _fit(
    kernel: Array, noise: Array, values: Array
) -> tuple[float, tuple[Array, bool], float, float]:
    """Log-likelihood, Cholesky factor, mean and variance of the signal."""
    factor = cho_factor(kernel + np.diag(noise + 1e-9), lower=True)
    ones = np.ones(len(values))
    solved = cho_solve(factor, np.column_stack([ones, values]))
    center = float(ones @ solved[:, 1] / (ones @ solved[:, 0]))
    centered = values - center
    scale = float(centered @ (solved[:, 1] - center * solved[:, 0]) / len(values))
    scale = max(scale, 1e-12)
    log_det = 2 * np.log(np.diag(factor[0])).sum()
    return -0.5 * (len(values) * np.log(scale) + log_det), factor, center, scale
