"""Whittle's approximate likelihood of fractional Gaussian noise."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from trajinfer._core.checks import Array

_TERMS = 10
LOWEST, HIGHEST = 0.005, 0.995


def fgn_log_spectrum(hurst: float, frequencies: Array) -> Array:
    r"""Log of $(1 - \cos l) \sum_j |2\pi j + l|^{-2H-1}$, the spectral density up to a factor.

    The sum is cut after 10 terms on each side, the rest by the Euler-Maclaurin formula.

    Args:
        hurst: H.
        frequencies: l in (0, pi].
    """
    d = 2 * hurst + 1
    j = 2 * np.pi * np.arange(1, _TERMS + 1)[:, None]
    total = frequencies**-d
    for side in (frequencies, -frequencies):
        edge = 2 * np.pi * (_TERMS + 1) + side
        rest = edge ** (1 - d) / (2 * np.pi * (d - 1)) + 0.5 * edge**-d
        total = total + ((j + side) ** -d).sum(0) + rest + np.pi * d / 6 * edge ** (-d - 1)
    return np.asarray(np.log(2 * np.sin(frequencies / 2) ** 2) + np.log(total))


def periodogram(noise: Array) -> tuple[Array, Array]:
    """Frequencies (m,) in (0, pi) and the power of noise (n,) of any mean at each of them."""
    n = len(noise)
    frequencies = 2 * np.pi * np.arange(1, (n - 1) // 2 + 1) / n
    power = np.abs(np.fft.rfft(noise - noise.mean())[1 : len(frequencies) + 1]) ** 2
    return frequencies, power


def whittle_loss(power: Array, log_f: Array) -> float:
    r"""$\log \overline{I/f} + \overline{\log f}$: minus the log-likelihood per frequency."""
    return float(np.log(np.mean(power * np.exp(-log_f))) + log_f.mean())


def whittle(noise: Array, level: float) -> tuple[float, tuple[float, float]]:
    r"""H that minimises $\log \overline{I/f_H} + \overline{\log f_H}$, and its asymptotic interval.

    Args:
        noise: (n,) fractional Gaussian noise of any mean and scale.
        level: probability of the interval.

    References:
        Beran, "Statistics for Long-Memory Processes", 1994, chapter 6.
    """
    frequencies, power = periodogram(noise)

    def objective(hurst: float) -> float:
        return whittle_loss(power, fgn_log_spectrum(hurst, frequencies))

    hurst = bounded_minimum(objective)
    step = min(1e-4, (hurst - LOWEST) / 2 + 1e-6)
    slope = fgn_log_spectrum(hurst + step, frequencies) - fgn_log_spectrum(
        hurst - step, frequencies
    )
    information = len(noise) * np.var(slope / (2 * step)) / 2
    half = float(norm.ppf((1 + level) / 2) / np.sqrt(information))
    return hurst, (max(hurst - half, 0.0), min(hurst + half, 1.0))


def bounded_minimum(objective: object, n_grid: int = 25) -> float:
    """Minimum over H, from the best of a grid, so that a second valley does not mislead."""
    grid = np.linspace(LOWEST, HIGHEST, n_grid)
    values = [objective(h) for h in grid]  # type: ignore[operator]
    k = int(np.argmin(values))
    bounds = (grid[max(k - 1, 0)], grid[min(k + 1, n_grid - 1)])
    return float(minimize_scalar(objective, bounds=bounds, options={"xatol": 1e-6}).x)
