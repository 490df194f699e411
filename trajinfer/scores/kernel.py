"""The likeliest stationary covariance of series with times of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.linalg import lapack

from trajinfer._core.checks import Array
from trajinfer.scores.knot_law import sparse_reach
from trajinfer.scores.seen import Seen

_LENGTHS = (0.03, 0.1, 0.3, 1.0)
_NOISES = (0.02, 0.1, 0.3)
_JITTER = 1e-9
_FEW = 200
_A_LENGTH, _BEYOND = 2, 4
_AT_ONCE = 4096


def likeliest_kernel(
    series: Sequence[Seen], mean: Array, knots: Array, n_channels: int
) -> tuple[Array, float]:
    """The likeliest stationary covariance at the knots, and the noise of an observation.

    Channels are independent and alike. Of a channel of more than 200 values the likelihood takes
    a time in proportion to their number: by the Markov property where paths are rough, by the
    covariances with a few places where they are smooth.
    """
    span = float(knots[-1] - knots[0]) or 1.0
    tracks = [
        (one.times[own], off[own])
        for one in series
        for off in [one.values - sparse_reach(one.times, one.channels, knots, n_channels) @ mean]
        for own in (one.channels == c for c in np.unique(one.channels))
    ]
    best: tuple[float, Array, float] = (-np.inf, np.eye(len(knots) * n_channels), 0.1)
    for smooth, length, noise in product((False, True), _LENGTHS, _NOISES):
        value, size = _fit(tracks, smooth, length * span, noise)
        if value > best[0]:
            gaps = np.abs(knots[:, None] - knots)
            kernel = np.kron(correlation(gaps, length * span, smooth), np.eye(n_channels))
            kernel += 1e-6 * np.eye(len(kernel))
            best = (value, size * kernel, float(noise * np.sqrt(size)))
    return best[1], best[2]


def correlation(gaps: Array, length: float, smooth: bool) -> Array:
    """exp(-(gap/length)^2/2) where smooth, else exp(-gap/length)."""
    return np.asarray(np.exp(-0.5 * (gaps / length) ** 2) if smooth else np.exp(-gaps / length))


def _fit(
    tracks: Sequence[tuple[Array, Array]], smooth: bool, length: float, noise: float
) -> tuple[float, float]:
    """Log-likelihood at the best variance, and that variance."""
    variance = noise**2 + _JITTER
    square, log_det, count = 0.0, 0.0, 0
    for times, off in tracks:
        if len(off) <= _FEW:
            found = _dense(times, off, smooth, length, variance)
        else:
            found = (_by_places if smooth else _markov)(times, off, length, variance)
        square, log_det, count = square + found[0], log_det + found[1], count + len(off)
    size = square / count
    return -0.5 * (count * np.log(size) + log_det), size


def _dense(
    times: Array, off: Array, smooth: bool, length: float, variance: float
) -> tuple[float, float]:
    """X' K^-1 x and log det K."""
    matrix = correlation(np.abs(times[:, None] - times), length, smooth)
    factor = np.linalg.cholesky(matrix + variance * np.eye(len(off)))
    square = float((np.linalg.solve(factor, off) ** 2).sum())
    return square, 2 * float(np.log(np.diag(factor)).sum())


def _markov(times: Array, off: Array, length: float, variance: float) -> tuple[float, float]:
    """The same where values are Markov: their precision has three diagonals."""
    steps = np.maximum(np.diff(times) / length, _JITTER)
    decay, left = np.exp(-steps), -np.expm1(-2 * steps)
    diagonal = np.ones(len(off))
    diagonal[1:] = 1 / left
    diagonal[:-1] += decay**2 / left
    pivots, below, _ = lapack.dpttrf(diagonal + 1 / variance, -decay / left)
    moved, _ = lapack.dpttrs(pivots, below, off / variance)
    square = float(off @ (off - moved)) / variance
    log_det = len(off) * np.log(variance) + np.log(pivots).sum() + np.log(left).sum()
    return square, float(log_det)


def _by_places(times: Array, off: Array, length: float, variance: float) -> tuple[float, float]:
    """The same where values are smooth: they follow from those at places half a length apart."""
    n = int(np.ceil(_A_LENGTH * (times[-1] - times[0]) / length))
    places = times[0] + length / _A_LENGTH * np.arange(-_BEYOND, n + _BEYOND + 1)
    among = correlation(np.abs(places[:, None] - places), length, True)
    factor = np.linalg.cholesky(among + _JITTER * np.eye(len(places)))
    inner, right = np.eye(len(places)), np.zeros(len(places))
    for start in range(0, len(times), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        cross = correlation(np.abs(places[:, None] - times[part]), length, True)
        reach = np.linalg.solve(factor, cross)
        inner += reach @ reach.T / variance
        right += reach @ off[part] / variance
    root = np.linalg.cholesky(inner)
    moved = np.linalg.solve(root, right)
    log_det = len(off) * np.log(variance) + 2 * np.log(np.diag(root)).sum()
    return float(off @ off / variance - moved @ moved), float(log_det)
