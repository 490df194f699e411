"""What fills in values between observations without this library's estimators, for tables."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel
from sklearn.linear_model import LinearRegression

from trajinfer import IrregularSeries
from trajinfer.evaluation.series import linear_interpolation

MOST_ROWS = 400


def straight_lines(shown: IrregularSeries) -> np.ndarray:
    """(B, T, C) straight lines between observations, level beyond them."""
    return np.asarray(linear_interpolation(shown, shown.times))


def last_value(shown: IrregularSeries) -> np.ndarray:
    """(B, T, C) last observation carried forward; the first one backward before it."""
    filled = np.empty(shown.shape)
    center = np.nanmean(shown.values, axis=(0, 1))
    for row, c in np.ndindex(shown.shape[0], shown.shape[2]):
        known = np.flatnonzero(shown.mask[row, :, c])
        last = np.searchsorted(known, np.arange(shown.shape[1]), side="right") - 1
        own = shown.values[row, known, c] if len(known) else center[[c]]
        filled[row, :, c] = own[np.clip(last, 0, len(own) - 1)]
    return filled


def regression(shown: IrregularSeries) -> np.ndarray:
    """(B, T, C) linear regression on the other channels at the same time, at their mean if none."""
    values = shown.values.reshape(-1, shown.shape[2])
    center = np.nanmean(values, axis=0)
    filled = np.tile(center, (len(values), 1))
    for c in range(values.shape[1]):
        others = np.delete(np.arange(values.shape[1]), c)
        known = ~np.isnan(values[:, c])
        design = np.where(np.isnan(values), center, values)[:, others]
        if len(others):
            filled[:, c] = LinearRegression().fit(design[known], values[known, c]).predict(design)
    return filled.reshape(shown.shape)


def gaussian_process(shown: IrregularSeries) -> tuple[np.ndarray, np.ndarray]:
    """(B, T, C) mean and standard deviation of a Matern process with noise for each channel.

    Its kernel is fitted to up to 400 rows of all series, laid far apart from each other on one
    clock; then every series is filled in from its own observations.
    """
    mean, std = np.zeros(shown.shape), np.ones(shown.shape)
    spans = shown.last_times - shown.first_times
    typical, far = float(np.median(spans)), 1e4 * float(spans.max())
    order = np.random.default_rng(0).permutation(len(shown))
    for c in range(shown.shape[2]):
        clock = [shown.times[k][shown.mask[k, :, c]] for k in range(len(shown))]
        values = [shown.values[k, :, c][shown.mask[k, :, c]] for k in range(len(shown))]
        joined = np.concatenate(values)
        center, scale = joined.mean(), joined.std() or 1.0
        t = np.concatenate([k * far + clock[k] for k in order])[:MOST_ROWS]
        x = np.concatenate([values[k] for k in order])[:MOST_ROWS]
        kernel = 1.0 * Matern(typical / 10, (typical / 1e4, 100 * typical), nu=1.5)
        process = GaussianProcessRegressor(
            kernel + WhiteKernel(0.1, (1e-6, 10.0)), n_restarts_optimizer=1, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # bounds of the kernel are reached
            kernel = process.fit(t[:, None], (x - center) / scale).kernel_
        for row, (own, known) in enumerate(zip(clock, values, strict=True)):
            process = GaussianProcessRegressor(kernel, optimizer=None)
            if len(own):
                process.fit(own[:, None], (known - center) / scale)
            law = process.predict(shown.times[row][:, None], return_std=True)
            mean[row, :, c], std[row, :, c] = center + scale * law[0], scale * law[1]
    return mean, std
