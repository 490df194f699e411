"""Mixtures whose parts share mean and shape and differ in size: heavy tails of whole rows."""

from __future__ import annotations

import warnings

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.diffusion.mixture import GaussianMixture

_SCALES = np.geomspace(0.25, 4.0, 9)
_ROUNDS = 4
_STEPS = 30
_LEAST_WEIGHT = 1e-3


def fit_scale_mixture(rows: Array, seed: int = 0) -> GaussianMixture:
    r"""$\sum_k w_k\,N(m, s_k^2 C)$ with nine sizes $s_k$ from 1/4 to 4, fitted to rows (N, D).

    The size of a row is how much it moves as a whole: calm and wild windows of one price. Weights
    follow from expectation maximisation given the shape; the shape is that of one Gaussian fitted
    to rows that were divided by their sizes, which is done four times.

    Args:
        rows: (N, D), all known.
        seed: of the fit of one Gaussian.

    Raises:
        InputError: as for `GaussianMixture.fit`.

    References:
        Andrews, Mallows, "Scale mixtures of normal distributions", JRSS B 36 (1974).
    """
    scaled = np.asarray(rows, dtype=np.float64)
    weights = np.ones(len(_SCALES)) / len(_SCALES)
    for _ in range(_ROUNDS):
        with warnings.catch_warnings():
            # that rows are few is said of one Gaussian, which is always tried beside
            warnings.simplefilter("ignore", UserWarning)
            shape = GaussianMixture.fit(scaled, 1, random_state=seed)
        mean, covariance = shape.mean.numpy(), shape.covariance.numpy()
        weights, size = _sizes(rows - mean, np.linalg.cholesky(covariance), weights)
        scaled = mean + (rows - mean) / size[:, None]
    kept = weights > _LEAST_WEIGHT
    chosen = _SCALES[kept]
    return GaussianMixture(
        weights[kept],
        np.repeat(mean[None], len(chosen), axis=0),
        chosen[:, None, None] ** 2 * covariance,
    )


def _sizes(off: Array, factor: Array, weights: Array) -> tuple[Array, Array]:
    """Weights (K,) of the sizes, and the size (N,) of every row."""
    distance = (np.linalg.solve(factor, off.T) ** 2).sum(axis=0)[:, None]
    density = -off.shape[1] * np.log(_SCALES) - 0.5 * distance / _SCALES**2
    for _ in range(_STEPS):
        logits = density + np.log(np.maximum(weights, 1e-300))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        weights = shares.mean(axis=0)
    return weights, 1 / np.sqrt(shares @ _SCALES**-2)
