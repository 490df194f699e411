"""Fits of the law of sizes: what lasts and what passes by moments, tails by likelihood."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.scores.cell_sizes import CellSizes

_FLOOR = 1e-3
_WILD = 0.95
_MEMORIES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
_LAGS = 2 / 3
_SPREADS = np.geomspace(0.1, 10.0, 14)
_OFFSETS = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
_FARTHEST = 4.0
_NODES = 9
_ROUNDS = 100
_LEAST_WEIGHT = 5e-3
_MOST_CELLS = 10_000


def fit_cell_sizes(z: Array, moving: Array, step: float) -> CellSizes:
    """The law of innovations (N, J, C), J >= 3.

    The covariance of log |z| over a lag k is $B + r^k A$: least squares over lags, the nearest
    covariances, r the best of seven. The weights of the parts of the noise, on a grid of shifts and
    spreads, are the likeliest given the law of the sizes.

    Args:
        z: the innovations.
        moving: (J, C) bool, cells that are not the same in all series.
        step: usual gap between two times.

    References:
        Harvey, Ruiz, Shephard, "Multivariate stochastic variance models", Review of Economic
        Studies 61 (1994); Laird, "Nonparametric maximum likelihood estimation of a mixing
        distribution", JASA 73 (1978).
    """
    lasting, passing, memory = _persistence(_lagged(_log_sizes(z, moving), moving), step)
    spread, offset = (grid.ravel() for grid in np.meshgrid(_SPREADS, _OFFSETS, indexing="ij"))
    shift = spread * offset
    near = np.abs(shift) <= _FARTHEST
    spread, shift = spread[near], shift[near]
    variances = np.diag(lasting + passing)
    weights = np.stack(
        [
            _noise_weights(z[:, moving[:, c], c].ravel(), variances[c], shift, spread)
            for c in range(z.shape[2])
        ]
    )
    # parts that no channel has cost as much as others
    kept = (weights > _LEAST_WEIGHT).any(axis=0)
    weights, shift, spread = weights[:, kept], shift[kept], spread[kept]
    weights /= weights.sum(axis=1, keepdims=True)
    centred = shift - (weights @ shift)[:, None]
    return CellSizes(lasting, passing, memory, weights, centred, spread)


def _log_sizes(z: Array, moving: Array) -> Array:
    """Logarithms of sizes around their mean in every cell, 0 in cells that never move.

    The uppermost twentieth is drawn in: one wild week is no wildness that lasts.
    """
    scale = np.median(np.abs(z[:, moving]))
    logs = np.log(np.abs(z) + _FLOOR * scale)
    logs = np.minimum(logs, np.quantile(logs[:, moving], _WILD))
    return np.asarray(np.where(moving, logs - logs.mean(axis=0), 0.0))


def _lagged(logs: Array, moving: Array) -> Array:
    """Covariances (K, C, C) over lags 0, 1, ..., between all channels."""
    n, n_times, dim = logs.shape
    there = moving.astype(float)
    found = np.empty((max(2, int(_LAGS * n_times)), dim, dim))
    for k in range(len(found)):
        early, late = logs[:, : n_times - k], logs[:, k:]
        counts = there[: n_times - k].T @ there[k:]
        sums = np.einsum("ntc,ntd->cd", early, late)
        one = sums / np.maximum(n * counts, 1.0)
        found[k] = (one + one.T) / 2
    return found


def _persistence(covariances: Array, step: float) -> tuple[Array, Array, float]:
    """B, A and r of the covariances of logarithms over lags."""
    lags = np.arange(1, len(covariances))
    fits = []
    for memory in _MEMORIES:
        shape = np.stack([np.ones(len(lags)), memory**lags], axis=1)
        flat = covariances[1:].reshape(len(lags), -1)
        solved = np.linalg.lstsq(shape, flat, rcond=None)[0]
        lasting, passing = (_nearest(part.reshape(covariances.shape[1:])) for part in solved)
        fitted = lasting + memory ** lags[:, None, None] * passing
        error = float(((covariances[1:] - fitted) ** 2).sum())
        fits.append((error, lasting, passing, float(memory ** (1 / step))))
    return min(fits, key=lambda fit: fit[0])[1:]


def _nearest(matrix: Array) -> Array:
    """The nearest covariance."""
    spectrum, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((axes * np.maximum(spectrum, 0.0)) @ axes.T)


def _noise_weights(z: Array, variance: float, shift: Array, spread: Array) -> Array:
    """Likeliest weights (K,) of the parts of the noise of innovations z (M,).

    Args:
        z: innovations, of which every so-and-so-manieth is read where they are many.
        variance: of the logarithm of their size.
        shift, spread: (K,) of the parts.
    """
    some = z[:: -(-len(z) // _MOST_CELLS)]
    nodes, shares = np.polynomial.hermite_e.hermegauss(_NODES)
    density = np.zeros((len(some), len(spread)))
    for node, share in zip(nodes, shares / shares.sum(), strict=True):
        size = np.exp(np.sqrt(variance) * node)
        off = (some[:, None] - size * shift) / (size * spread)
        density += share / (size * spread) * np.exp(-0.5 * off**2)
    density = np.maximum(density, 1e-300)
    weights = np.full(len(spread), 1 / len(spread))
    for _ in range(_ROUNDS):
        shared = density * weights
        weights = (shared / shared.sum(axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(weights / weights.sum())
