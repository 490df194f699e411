"""Optimal transport distances: exact, along random lines, and between Gaussians."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from scipy.spatial.distance import cdist

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError, NotConverged
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.metrics.samples import as_pair, common_scale, row_blocks

_OPTIMAL = 1  # the network simplex's own code


def wasserstein(x: Any, y: Any, p: Literal[1, 2] = 1, weights: Any = None) -> float:
    r"""Exact Wasserstein distance between two weighted samples, Euclidean ground distance.

    .. math:: W_p(x, y) = \Big(\min_{\pi} \sum_{ij} \pi_{ij} |x_i - y_j|^p\Big)^{1/p},
        \qquad \pi 1 = a, \; \pi^T 1 = b

    so `p=1` is the optimal Euclidean cost and `p=2` the **square root** of the optimal squared
    Euclidean cost (without a factor 1/2). On the line the sorted coupling is used; in higher
    dimensions the network simplex, which holds the full cost matrix: O(n m) memory, roughly
    O(n m log(n + m)) time or more.

    Args:
        x: (n, D), or (n,) for points on the line.
        y: (m, D), or (m,).
        p: 1 or 2.
        weights: None for equal weights, or a pair `(weights of x (n,), weights of y (m,))` of
            non-negative numbers, normalised to sum to 1; either may be None.

    Returns:
        The distance, in the unit of x.

    Raises:
        InputError: for empty or non-finite samples, differing dimensions, unusable weights, or
            another p.
        NotConverged: if the network simplex stops before the optimum.

    Example:
        >>> wasserstein([0.0, 1.0], [2.0, 3.0])
        2.0
        >>> round(wasserstein([[0.0, 0.0], [3.0, 0.0]], [[0.0, 4.0]], p=2), 4)  # sqrt((16+25)/2)
        4.5277
    """
    _check_order(p)
    first, second, a, b = as_pair(x, y, weights)
    first, second, scale = common_scale(first, second)
    if first.shape[1] == 1:
        cost = float(_line_costs(first.T, a[None], second.T, b[None], p)[0])
    elif min(len(first), len(second)) == 1:
        cost = float(a @ cdist(first, second, *_ground(p)) @ b)
    else:
        cost = _network_simplex(cdist(first, second, *_ground(p)), a, b)
    return float(scale * max(cost, 0.0) ** (1 / p))


def sliced_wasserstein(
    x: Any,
    y: Any,
    p: Literal[1, 2] = 2,
    weights: Any = None,
    *,
    n_projections: int = 500,
    random_state: RandomState = 0,
) -> float:
    r"""Wasserstein distance averaged over random directions.

    .. math:: SW_p(x, y) = \Big(\tfrac1L \sum_{l=1}^{L}
        W_p(\langle\theta_l, x\rangle, \langle\theta_l, y\rangle)^p\Big)^{1/p},
        \qquad \theta_l \text{ uniform on the unit sphere}

    No factor for the dimension: a shift by v gives about :math:`|v| / \sqrt{D}` for p = 2.
    The relative Monte Carlo error is of order :math:`1/\sqrt{2L}`. Memory is bounded: projections
    are treated in blocks.

    Args:
        x: (n, D).
        y: (m, D).
        p: 1 or 2.
        weights: as in `wasserstein`.
        n_projections: L.
        random_state: seed of the directions; a fixed one, so that scores are comparable.

    Returns:
        The distance, in the unit of x.

    Raises:
        InputError: as for `wasserstein`; also if `n_projections` is below 1.

    References:
        Bonneel, Rabin, Peyre, Pfister, "Sliced and Radon Wasserstein barycenters of measures",
        J. Math. Imaging Vis. 51 (2015), definition 7.
    """
    _check_order(p)
    if n_projections < 1:
        raise InputError(f"n_projections must be at least 1, got {n_projections}")
    first, second, a, b = as_pair(x, y, weights)
    first, second, scale = common_scale(first, second)
    generator = np.random.default_rng(seed_from(random_state))
    directions = generator.standard_normal((n_projections, first.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    total = 0.0
    for block in row_blocks(n_projections, 8 * (len(first) + len(second))):
        lines = directions[block]
        total += float(_line_costs(lines @ first.T, a[None], lines @ second.T, b[None], p).sum())
    return float(scale * (total / n_projections) ** (1 / p))


def bures_wasserstein(mean_x: Any, cov_x: Any, mean_y: Any, cov_y: Any) -> float:
    r"""The 2-Wasserstein distance between two Gaussians (not squared).

    .. math:: d^2 = |m_x - m_y|^2 + \operatorname{tr}\big(A + B
        - 2 (A^{1/2} B A^{1/2})^{1/2}\big)
        = |m_x - m_y|^2 + \min_{U^T U = 1} \|A^{1/2} - B^{1/2} U\|_F^2

    The second form is the one evaluated: it loses no digits where A and B nearly agree.

    Args:
        mean_x: (D,), or a number.
        cov_x: (D, D) symmetric positive semi-definite, or a number (the variance).
        mean_y: (D,), or a number.
        cov_y: (D, D), or a number.

    Returns:
        The distance d, in the unit of the means.

    Raises:
        InputError: if shapes disagree or a covariance is not symmetric positive semi-definite.

    References:
        Dowson, Landau, "The Frechet distance between multivariate normal distributions",
        J. Multivariate Anal. 12 (1982), equation 16.

    Example:
        >>> bures_wasserstein(0.0, 1.0, 3.0, 25.0)  # sqrt(3^2 + (5 - 1)^2)
        5.0
    """
    m_x, root_x = _gaussian(mean_x, cov_x, "x")
    m_y, root_y = _gaussian(mean_y, cov_y, "y")
    if m_x.shape != m_y.shape:
        raise InputError(
            f"the Gaussians must have the same dimension, got {len(m_x)} and {len(m_y)}"
        )
    left, _, right = np.linalg.svd(root_y @ root_x)
    gap = root_x - root_y @ (left @ right)
    return float(np.sqrt(np.sum((m_x - m_y) ** 2) + np.sum(gap**2)))


def _check_order(p: float) -> None:
    if p not in (1, 2):
        raise InputError(f"p must be 1 or 2, got {p!r}")


def _ground(p: int) -> tuple[str]:
    return ("euclidean",) if p == 1 else ("sqeuclidean",)


def _line_costs(x: Array, a: Array, y: Array, b: Array, p: int) -> Array:
    """Optimal cost of |x - y|^p on the line, for L problems at once.

    Args:
        x: (L, n) positions.
        a: (1, n) weights, shared by the L problems.
        y: (L, m) positions.
        b: (1, m) weights.
        p: exponent of the distance.

    Returns:
        (L,) costs.
    """
    x, cumulative_x = _sorted_mass(x, a)
    y, cumulative_y = _sorted_mass(y, b)
    levels = np.concatenate([cumulative_x, cumulative_y], axis=1)
    order = np.argsort(levels, axis=1, kind="stable")
    from_x = order < x.shape[1]
    seen_x = np.cumsum(from_x, axis=1) - from_x
    seen_y = np.arange(levels.shape[1]) - seen_x
    ordered = np.take_along_axis(levels, order, axis=1)
    mass = np.diff(ordered, axis=1, prepend=0.0)
    upper = np.take_along_axis(x, np.minimum(seen_x, x.shape[1] - 1), axis=1)
    lower = np.take_along_axis(y, np.minimum(seen_y, y.shape[1] - 1), axis=1)
    return np.asarray((mass * np.abs(upper - lower) ** p).sum(axis=1))


def _sorted_mass(x: Array, a: Array) -> tuple[Array, Array]:
    order = np.argsort(x, axis=1, kind="stable")
    weights = np.take_along_axis(np.broadcast_to(a, x.shape), order, axis=1)
    return np.take_along_axis(x, order, axis=1), np.cumsum(weights, axis=1)


def _network_simplex(cost: Array, a: Array, b: Array) -> float:
    """Optimal value of the transport problem."""
    import ot  # half a second to import: only paid where an exact plan is asked for

    limit = max(1_000_000, 200 * sum(cost.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the outcome is read from the log and raised below
        value, log = ot.emd2(a, b, cost, numItermax=limit, log=True)
    if log["result_code"] != _OPTIMAL:
        raise NotConverged(
            f"the network simplex stopped before the optimum after at most {limit} pivots on a "
            f"{cost.shape[0]} x {cost.shape[1]} problem ({log['warning']}); try fewer points or "
            "sinkhorn_divergence"
        )
    return float(value)


def _gaussian(mean: Any, cov: Any, name: str) -> tuple[Array, Array]:
    """Mean (D,) and symmetric root (D, D) of the covariance."""
    centre = np.atleast_1d(as_array(mean, f"mean_{name}"))
    matrix = np.atleast_2d(as_array(cov, f"cov_{name}"))
    if centre.ndim != 1 or matrix.shape != (len(centre), len(centre)):
        raise InputError(
            f"mean_{name} must be (D,) and cov_{name} (D, D), got {centre.shape} and {matrix.shape}"
        )
    require_finite(centre, f"mean_{name}")
    require_finite(matrix, f"cov_{name}")
    size = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > 1e-8 * size:
        raise InputError(f"cov_{name} is not symmetric; try (cov + cov.T) / 2")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values.min() < -1e-8 * size:
        raise InputError(
            f"cov_{name} is not positive semi-definite, its least eigenvalue is {values.min():g}"
        )
    return centre, (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
