"""Memory of the increments of paths, and how their channels go together."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer.metrics.paths import as_path_pair, as_paths


def increment_autocorrelation(x: Any, n_lags: int, *, absolute: bool = False) -> Array:
    r"""Autocorrelation of increments, pooled over paths and times.

    .. math:: \rho_l = \frac{\langle (d_t - \bar d)(d_{t+l} - \bar d) \rangle}
        {\langle (d_t - \bar d)^2 \rangle}, \qquad d_t = x_{t+1} - x_t

    Args:
        x: (n, T, C) with T >= n_lags + 2.
        n_lags: largest lag.
        absolute: of the sizes :math:`|d_t|` instead, which show clusters of volatility.

    Returns:
        (n_lags, C); 0 for a channel whose increments do not vary.

    Raises:
        InputError: if the paths are too short.
    """
    paths = as_paths(x, "x")
    n_lags = require_integer(n_lags, "n_lags", least=1)
    steps = np.diff(paths, axis=1)
    if steps.shape[1] <= n_lags:
        raise InputError(f"{n_lags} lags need paths of {n_lags + 2} times, got {paths.shape[1]}")
    steps = np.abs(steps) if absolute else steps
    steps = steps - steps.mean(axis=(0, 1))
    variance = (steps**2).mean(axis=(0, 1))
    lagged = [(steps[:, k:] * steps[:, :-k]).mean(axis=(0, 1)) for k in range(1, n_lags + 1)]
    return np.stack(lagged) / np.where(variance > 0, variance, 1.0)


def autocorrelation_error(x: Any, y: Any, *, n_lags: int = 10, absolute: bool = False) -> float:
    """Mean absolute difference of the autocorrelations of increments, over lags and channels.

    Args:
        x: (n, T, C).
        y: (m, T, C).
        n_lags: as in `increment_autocorrelation`; fewer where the paths are short.
        absolute: as in `increment_autocorrelation`.
    """
    first, second = as_path_pair(x, y)
    n_lags = min(n_lags, first.shape[1] - 2)
    estimate, truth = (
        increment_autocorrelation(paths, n_lags, absolute=absolute) for paths in (first, second)
    )
    return float(np.abs(estimate - truth).mean())


def channel_correlation_error(x: Any, y: Any) -> float:
    """Largest difference of the correlations between channels at the last time; 0 for one channel.

    Args:
        x: (n, T, C).
        y: (m, T, C).
    """
    first, second = as_path_pair(x, y)
    estimate, truth = (_correlation(paths[:, -1]) for paths in (first, second))
    return float(np.abs(estimate - truth).max())


def _correlation(points: Array) -> Array:
    centred = points - points.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(size > 0, size, 1.0)
    return np.asarray(unit.T @ unit - np.diag((unit**2).sum(axis=0)))
