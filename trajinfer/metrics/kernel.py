"""Distances from pairwise comparisons: maximum mean discrepancy and energy distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.metrics.samples import as_pair, as_sample, row_blocks


def mmd(
    x: Any,
    y: Any,
    *,
    bandwidth: float | None = None,
    unbiased: bool = False,
    weights: Any = None,
) -> float:
    r"""Squared maximum mean discrepancy with one Gaussian kernel.

    .. math:: \mathrm{MMD}^2 = \sum_{ij} a_i a_j k(x_i, x_j) + \sum_{ij} b_i b_j k(y_i, y_j)
        - 2 \sum_{ij} a_i b_j k(x_i, y_j), \qquad k(x, y) = \exp(-|x - y|^2 / h)

    The default is the V-statistic (all pairs, never negative). `unbiased=True` leaves the pairs
    i = j out of the first two sums and divides them by :math:`1 - \sum_i a_i^2`; the value may
    then be negative. O(n m) time; memory is bounded by blocks of rows.

    Args:
        x: (n, D), or (n,); the sample to be judged.
        y: (m, D), or (m,); the held-out sample, which sets the bandwidth.
        bandwidth: h, in squared units of x; None takes `median_bandwidth(y)`.
        unbiased: whether to use the U-statistic.
        weights: as in `wasserstein`.

    Returns:
        MMD squared.

    Raises:
        InputError: as for `wasserstein`; also if the bandwidth is not positive, or a sample has
            one point only where pairs of distinct points are needed.

    References:
        Gretton, Borgwardt, Rasch, Schoelkopf, Smola, "A kernel two-sample test", JMLR 13 (2012),
        equations 3 and 5.
    """
    first, second, a, b = as_pair(x, y, weights)
    h = median_bandwidth(second) if bandwidth is None else float(bandwidth)
    if not (np.isfinite(h) and h > 0):
        raise InputError(f"bandwidth must be positive and finite, got {h:g}")
    if unbiased and min(len(first), len(second)) < 2:
        raise InputError("unbiased=True needs at least two points in each sample")

    def kernel(u: Array, v: Array) -> Array:
        return np.asarray(np.exp(-cdist(u, v, "sqeuclidean") / h))

    within = [
        _mean_of_pairs(kernel, sample, sample, mass, mass)
        for sample, mass in ((first, a), (second, b))
    ]
    if unbiased:
        squares = [float(np.sum(mass**2)) for mass in (a, b)]
        within = [(value - s) / (1 - s) for value, s in zip(within, squares)]
    value = within[0] + within[1] - 2 * _mean_of_pairs(kernel, first, second, a, b)
    return value if unbiased else max(value, 0.0)


def median_bandwidth(y: Any) -> float:
    """Median squared distance between distinct points of a sample.

    All m(m-1)/2 pairs count once; they are held in memory (400 MB for m = 10 000: give
    `bandwidth=` to `mmd` for larger samples).

    Args:
        y: (m, D), or (m,).

    Returns:
        The bandwidth h of `mmd`.

    Raises:
        InputError: if there is one point only or more than half of the pairs coincide.

    Example:
        >>> median_bandwidth([0.0, 1.0, 3.0])
        4.0
    """
    sample = as_sample(y, "y")
    if len(sample) < 2:
        raise InputError("one point sets no bandwidth; give bandwidth= in squared units")
    h = float(np.median(pdist(sample, "sqeuclidean")))
    if h == 0:
        raise InputError(
            "the median distance within y is 0 (repeated points); give bandwidth= in squared units"
        )
    return h


def energy_distance(x: Any, y: Any, *, weights: Any = None) -> float:
    r"""Energy distance (squared form).

    .. math:: E = 2 \sum_{ij} a_i b_j |x_i - y_j| - \sum_{ij} a_i a_j |x_i - x_j|
        - \sum_{ij} b_i b_j |y_i - y_j|

    All pairs count (V-statistic), so E is never negative and 0 for equal samples. On the line E is
    twice the integrated squared difference of the distribution functions. O(n m) time; memory is
    bounded by blocks of rows.

    Args:
        x: (n, D), or (n,).
        y: (m, D), or (m,).
        weights: as in `wasserstein`.

    Returns:
        E, in the unit of x.

    Raises:
        InputError: as for `wasserstein`.

    References:
        Szekely, Rizzo, "Energy statistics: a class of statistics based on distances", J. Statist.
        Plann. Inference 143 (2013), equation 5.

    Example:
        >>> energy_distance([0.0], [1.0])
        2.0
    """
    first, second, a, b = as_pair(x, y, weights)
    across = _mean_of_pairs(cdist, first, second, a, b)
    within = _mean_of_pairs(cdist, first, first, a, a) + _mean_of_pairs(cdist, second, second, b, b)
    return max(2 * across - within, 0.0)


def _mean_of_pairs(
    compare: Callable[[Array, Array], Array], x: Array, y: Array, a: Array, b: Array
) -> float:
    blocks = row_blocks(len(x), len(y))
    return float(sum(a[rows] @ compare(x[rows], y) @ b for rows in blocks))
