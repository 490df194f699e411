"""Mean and covariance of few rows: shrunk to the diagonal as far as rows left out ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trajinfer._core.checks import Array

_SHARES = np.concatenate([np.geomspace(1e-6, 0.5, 28), [0.6, 0.7, 0.8, 0.9, 0.95, 1.0]])
_NOTICED = 0.05
_MOST_JUDGES = 2000


class Moments(NamedTuple):
    """Of rows (N, D).

    Attributes:
        mean: (D,).
        covariance: (D, D).
        share: of the diagonal in it, in (0, 1].
    """

    mean: Array
    covariance: Array
    share: float


def shrunk_moments(rows: Array) -> Moments:
    r"""Moments under which every row is likeliest, given those of the N - 1 others.

    The covariance is $(1 - a) S + a\,\mathrm{diag}(S)$, and $a$ makes

    $$\sum_i \log N(x_i;\ m_{-i},\ (1 - a) S_{-i} + a\,\mathrm{diag}(S))$$

    largest; where none gains .05 nats a row over next to none, $a$ is 1e-6. Leaving a row out takes
    a matrix of rank one away from $S$, so one eigenvalue problem answers for all rows and shares.

    Args:
        rows: (N, D), N >= 2, no column constant; 2000 of them at most are left out in turn.

    References:
        Theiler, "The incredible shrinking covariance estimator", SPIE 8391 (2012).

    Example:
        >>> few, many = (np.random.default_rng(0).normal(size=(n, 5)) for n in (12, 4000))
        >>> shrunk_moments(few).share > 0.5, shrunk_moments(many).share < 0.01
        (True, True)
    """
    n, dim = rows.shape
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    standard = (rows - mean) / scale
    correlation = standard.T @ standard / n
    spectrum, axes = np.linalg.eigh(correlation)
    along = (standard[:: -(-n // _MOST_JUDGES)] @ axes) ** 2
    spectrum = np.maximum(spectrum, 0.0)
    totals = [log_densities_left_out(along, spectrum, n, share).mean() for share in _SHARES]
    best = int(np.argmax(totals))
    share = float(_SHARES[best if totals[best] - totals[0] > _NOTICED else 0])
    shrunk = (1 - share) * correlation + share * np.eye(dim)
    return Moments(mean, scale[:, None] * shrunk * scale, share)


def log_densities_left_out(along: Array, spectrum: Array, n: int, share: float) -> Array:
    """Log-densities of rows left out in turn, up to a constant.

    With o = x_i - m, the scatter without row i is that of all less n/(n - 1) o o', and
    x_i - m_{-i} = n/(n - 1) o.

    Args:
        along: (M, D) squared coordinates of standardised rows along the axes of the correlation.
        spectrum: (D,) eigenvalues of the correlation.
        n: rows that it was computed from.
        share: of the identity, > 0.
    """
    weight = (1 - share) / (n - 1)
    shrunk = weight * n * spectrum + share
    own = (along / shrunk).sum(axis=1)
    left = np.maximum(1 - weight * n / (n - 1) * own, 1e-12)
    distances = (n / (n - 1)) ** 2 * own / left
    return np.asarray(-0.5 * (np.log(shrunk).sum() + np.log(left) + distances))
