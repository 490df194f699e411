"""EM for Gaussian mixtures in the principal subspace, with shrunken covariances."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from trajinfer._core.checks import Array, as_array, require_finite, require_integer
from trajinfer._core.errors import InputError
from trajinfer.diffusion.first_shares import first_shares
from trajinfer.diffusion.shrinkage import shrunk_moments

_VARIANCE_KEPT = 0.9995
SHRINKAGE = 60.0
_ROUNDS = 40
_TOLERANCE = 1e-4


def fit_mixture(
    X: Any, n_components: int, seed: int, shrinkage: float = SHRINKAGE
) -> tuple[Array, Array, Array]:
    """Weights (K,), means (K, D) and covariances (K, D, D) of rows (N, D).

    One part has the moments of `shrunk_moments`. For more, EM runs in the directions that hold
    99.95 % of that covariance. The covariance of a part with n rows is shrunk to the pooled one
    with weight s/(s + n), where s is the `shrinkage`, and the pooled one to a multiple of the
    identity, in standard units, with the share that one part asks for. Directions outside get
    their own residual variance, the same in every part.

    Raises:
        InputError: for fewer rows than parts or constant columns.

    Warns:
        UserWarning: where rows are fewer than two per column.
    """
    rows = as_array(X, "X", ndim=2)
    require_finite(rows, "X")
    k = require_integer(n_components, "n_components", least=1)
    if not (shrinkage > 0 and np.isfinite(shrinkage)):
        raise InputError(f"shrinkage must be a positive number of rows, got {shrinkage!r}")
    _check_rows(rows, k)
    one = shrunk_moments(rows)
    if k == 1:
        return np.ones(1), one.mean[None], one.covariance[None]
    mean, scale = rows.mean(0), rows.std(0)
    standard = (rows - mean) / scale
    axes, spectrum, n_kept = _principal(one.covariance / np.outer(scale, scale))
    scores = standard @ axes
    shrinkages = _Shrinkages(shrinkage, one.share)
    weights, means, covariances = _em(scores[:, :n_kept], k, seed, shrinkages)
    outside = np.maximum(spectrum[n_kept:], 1e-6 * spectrum.max())
    whole = np.zeros((k, rows.shape[1], rows.shape[1]))
    whole[:, :n_kept, :n_kept] = covariances
    index = np.arange(n_kept, rows.shape[1])
    whole[:, index, index] = outside
    back = scale[:, None] * axes
    return weights, mean + means @ back[:, :n_kept].T, back @ whole @ back.T


def _check_rows(rows: Array, k: int) -> None:
    if len(rows) < max(k, 2):
        raise InputError(f"{k} parts need at least {max(k, 2)} rows, got {len(rows)}; take fewer")
    constant = np.flatnonzero(rows.std(0) <= 1e-13 * np.abs(rows).max(0))
    if constant.size:
        raise InputError(
            f"column {int(constant[0])} is constant (sd 0): drop it or add it after sampling"
        )
    if len(rows) < 2 * rows.shape[1]:
        warnings.warn(
            f"{len(rows)} rows for {rows.shape[1]} columns: the covariance is shrunk to its "
            "diagonal",
            UserWarning,
            stacklevel=4,
        )


class _Shrinkages(NamedTuple):
    """How far the covariance of a part is shrunk.

    Attributes:
        rows: that the pooled one counts for in that of every part.
        share: of the identity in the pooled one.
    """

    rows: float
    share: float


def _principal(covariance: Array) -> tuple[Array, Array, int]:
    """Principal axes (D, D), their variances, falling, and how many are kept."""
    spectrum, axes = np.linalg.eigh(covariance)
    spectrum, axes = np.maximum(spectrum[::-1], 0.0), axes[:, ::-1]
    share = np.cumsum(spectrum) / spectrum.sum()
    return axes, spectrum, min(int(np.searchsorted(share, _VARIANCE_KEPT)) + 1, len(spectrum))


def _em(scores: Array, k: int, seed: int, shrinkages: _Shrinkages) -> tuple[Array, Array, Array]:
    shares = first_shares(scores, k, seed)
    before = -np.inf
    for _ in range(_ROUNDS):
        weights, means, covariances = _maximise(scores, shares, shrinkages)
        logits = log_densities(scores, weights, means, covariances)
        top = logits.max(1, keepdims=True)
        total = np.exp(logits - top).sum(1, keepdims=True)
        shares = np.exp(logits - top) / total
        now = float((top + np.log(total)).mean())
        if now - before < _TOLERANCE:
            break
        before = now
    return weights, means, covariances


def _maximise(scores: Array, shares: Array, shrinkages: _Shrinkages) -> tuple[Array, Array, Array]:
    """Moments of every part; covariances are shrunk to the pooled one."""
    mass = shares.sum(0) + 1e-12
    means = shares.T @ scores / mass[:, None]
    own = np.stack(
        [(share[:, None] * (scores - m)).T @ (scores - m) for share, m in zip(shares.T, means)]
    )
    pooled = own.sum(0) / len(scores)
    round_one = np.trace(pooled) / len(pooled) * np.eye(len(pooled))
    pooled = (1 - shrinkages.share) * pooled + shrinkages.share * round_one
    share = (shrinkages.rows / (shrinkages.rows + mass))[:, None, None]
    covariances = (1 - share) * own / mass[:, None, None] + share * pooled + 1e-6 * round_one
    return mass / mass.sum(), means, covariances


def log_densities(scores: Array, weights: Array, means: Array, covariances: Array) -> Array:
    """Log of weight times density of every part at rows (N, d): (N, K)."""
    columns = []
    for weight, mean, covariance in zip(weights, means, covariances):
        factor = np.linalg.cholesky(covariance)
        z = np.linalg.solve(factor, (scores - mean).T)
        log_det = np.log(np.diag(factor)).sum()
        constant = np.log(weight) - log_det - 0.5 * len(mean) * np.log(2 * np.pi)
        columns.append(constant - 0.5 * (z**2).sum(0))
    return np.stack(columns, axis=1)
