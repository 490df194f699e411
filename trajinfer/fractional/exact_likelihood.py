"""The exact Gaussian likelihood of fractional Brownian motion, mean and scale profiled out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import brentq
from scipy.stats import chi2

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.fractional.covariance import fgn_autocovariance
from trajinfer.fractional.whittle import HIGHEST, LOWEST, bounded_minimum

_LARGEST_DENSE = 4000
_EVEN = 1e-6


def exact_mle(noise: Array, gaps: Array, level: float) -> tuple[float, tuple[float, float]]:
    """H by restricted maximum likelihood, and its profile-likelihood interval.

    Args:
        noise: (n,) increments of a fractional Brownian motion with any drift and scale.
        gaps: (n,) the durations they belong to.
        level: probability of the interval.

    Raises:
        InputError: if there are more than 4000 increments over unequal gaps.
    """
    even = np.ptp(gaps) <= _EVEN * gaps.mean()
    if not even and len(noise) > _LARGEST_DENSE:
        raise InputError(
            f"the exact likelihood of {len(noise)} unequally spaced points is too large (limit "
            f"{_LARGEST_DENSE}); take method='state_space'"
        )
    columns = np.stack([noise, gaps / gaps.mean()], axis=1)

    def objective(hurst: float) -> float:
        white, log_det = _innovations(hurst, columns) if even else _whitened(hurst, columns, gaps)
        return -restricted_log_likelihood(white, log_det)

    return profile_estimate(objective, level)


def profile_estimate(
    objective: Callable[[float], float], level: float
) -> tuple[float, tuple[float, float]]:
    """The minimum of minus a log-likelihood in H, and where it has risen by half a chi-square."""
    hurst = bounded_minimum(objective)
    bar = objective(hurst) + 0.5 * float(chi2.ppf(level, 1))

    def excess(h: float) -> float:
        return objective(h) - bar

    lower = brentq(excess, LOWEST, hurst, xtol=1e-5) if excess(LOWEST) > 0 else 0.0
    upper = brentq(excess, hurst, HIGHEST, xtol=1e-5) if excess(HIGHEST) > 0 else 1.0
    return hurst, (float(lower), float(upper))


def restricted_log_likelihood(white: Array, log_det: float) -> float:
    r"""$-\frac12((n-1) \log S^2 + \log|R| + \log(1' R^{-1} 1))$ for whitened data and regressor.

    Args:
        white: (n, 2), both columns multiplied by a root of the inverse covariance.
        log_det: of the covariance.
    """
    data, regressor = white.T
    size = regressor @ regressor
    residual = data - regressor * (regressor @ data) / size
    n = len(data) - 1
    return float(-0.5 * (n * np.log(residual @ residual / n) + log_det + np.log(size)))


def _innovations(hurst: float, columns: Array) -> tuple[Array, float]:
    """Whitening of equally spaced noise by the Durbin-Levinson recursion, O(n^2)."""
    r = fgn_autocovariance(hurst, len(columns))
    white = np.empty_like(columns)
    phi = np.empty(len(columns))
    variance, log_det = 1.0, 0.0
    white[0] = columns[0]
    for k in range(1, len(columns)):
        old = phi[: k - 1]
        reflection = (r[k] - old @ r[k - 1 : 0 : -1]) / variance
        phi[: k - 1] = old - reflection * old[::-1]
        phi[k - 1] = reflection
        variance *= 1 - reflection**2
        white[k] = (columns[k] - phi[:k] @ columns[k - 1 :: -1]) / np.sqrt(variance)
        log_det += np.log(variance)
    return white, float(log_det)


def _whitened(hurst: float, columns: Array, gaps: Array) -> tuple[Array, float]:
    """Whitening of unequally spaced increments by the Cholesky factor, O(n^3)."""
    times = np.concatenate([[0.0], np.cumsum(gaps / gaps.mean())])
    power = np.abs(times[:, None] - times) ** (2 * hurst)
    covariance = 0.5 * (power[1:, :-1] + power[:-1, 1:] - power[1:, 1:] - power[:-1, :-1])
    factor = np.linalg.cholesky(covariance)
    white = solve_triangular(factor, columns, lower=True)
    return np.asarray(white), float(2 * np.log(np.diag(factor)).sum())
