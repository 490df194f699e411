"""A Gaussian process per series and channel: the line an interpolator has to reach."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.series.experts.resampling import query_grid


def gaussian_process(
    series: IrregularSeries,
    ts: Any,
    *,
    noise: Array | None = None,
    smoothness: float = 1.5,
    n_restarts: int = 2,
    random_state: int = 0,
) -> tuple[Array, Array]:
    r"""Mean and standard deviation of new observations under a Matern process with white noise.

    Length, scale and noise are fitted by the marginal likelihood, for each channel of each series
    alone. A loop over series and channels: the cost is that of a dense factorisation for each.

    Args:
        series: B series.
        ts: (Q,) or (B, Q) times.
        noise: (B, T, C) known standard deviations of the observations, added to the fitted noise.
        smoothness: nu of the Matern kernel.
        n_restarts: further random starts of the fit.
        random_state: seed of these starts.

    Returns:
        Mean and standard deviation (B, Q, C); the standard deviation holds the fitted noise.
        NaN for a channel with fewer than two observations.

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 2.2 and 4.2.
    """
    queries = query_grid(series, ts)
    n, n_queries = queries.shape
    mean = np.full((n, n_queries, series.shape[2]), np.nan)
    std = mean.copy()
    for b, c in zip(*np.nonzero(series.mask.sum(axis=1) >= 2)):
        observed = series.mask[b, :, c]
        known = 0.0 if noise is None else noise[b, observed, c] ** 2
        mean[b, :, c], std[b, :, c] = _posterior(
            series.times[b, observed],
            series.values[b, observed, c],
            known,
            queries[b],
            (smoothness, n_restarts, random_state),
        )
    return mean, std


def _posterior(
    times: Array, values: Array, known: Array | float, queries: Array, how: tuple[float, int, int]
) -> tuple[Array, Array]:
    smoothness, n_restarts, seed = how
    span = times[-1] - times[0]
    unit, level, spread = max(span, 1e-12), values.mean(), values.std() + 1e-12
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(
        0.1, (1e-4, 1e2), nu=smoothness
    ) + WhiteKernel(0.1, (1e-6, 1e1))
    process = GaussianProcessRegressor(
        kernel,
        alpha=known / spread**2 + 1e-10,
        n_restarts_optimizer=n_restarts,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer
        process.fit((times / unit)[:, None], (values - level) / spread)
        mean, std = process.predict((queries / unit)[:, None], return_std=True)
    return level + spread * mean, spread * std
