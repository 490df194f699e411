"""Plain generators that a learned one has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.metrics import as_paths


def block_bootstrap(
    series: Any, n: int, *, block: int = 6, random_state: RandomState = None
) -> Array:
    """Paths from a training start on by increments of other training paths, in blocks of time.

    Blocks keep their place in time, so marginals of stationary increments survive; what reaches
    beyond a block does not.

    Args:
        series: (B, T, C) paths to learn from.
        n: number of paths to draw.
        block: increments taken from one path in a row.
        random_state: seed or generator.

    Returns:
        (n, T, C).

    Raises:
        InputError: for sizes below 1 or values that are not finite.

    References:
        Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of
        Statistics 17 (1989).
    """
    paths, rng = _prepared(series, n, random_state)
    block = require_integer(block, "block", least=1)
    steps = np.diff(paths, axis=1)
    n_blocks = -(-steps.shape[1] // block)
    donor = np.repeat(rng.integers(len(paths), size=(n, n_blocks)), block, axis=1)
    drawn = steps[donor[:, : steps.shape[1]], np.arange(steps.shape[1])]
    start = paths[rng.integers(len(paths), size=n), :1]
    return np.concatenate([start, start + drawn.cumsum(axis=1)], axis=1)


def nearest_neighbour_markov(
    series: Any, n: int, *, n_neighbours: int = 20, random_state: RandomState = None
) -> Array:
    """Paths that take, at every time, the increment of a training path nearby.

    Args:
        series: (B, T, C) paths to learn from.
        n: number of paths to draw.
        n_neighbours: the increment comes from one of that many nearest ones, in units of their
            spread at that time.
        random_state: seed or generator.

    Returns:
        (n, T, C).

    Raises:
        InputError: for more neighbours than paths, or values that are not finite.

    References:
        Lall, Sharma, "A nearest neighbor bootstrap for resampling hydrologic time series", Water
        Resources Research 32 (1996).
    """
    paths, rng = _prepared(series, n, random_state)
    k = require_integer(n_neighbours, "n_neighbours", least=1)
    if k > len(paths):
        raise InputError(f"n_neighbours={k} is more than the {len(paths)} series given")
    made = np.empty((n, *paths.shape[1:]))
    made[:, 0] = paths[rng.integers(len(paths), size=n), 0]
    for t in range(paths.shape[1] - 1):
        spread = paths[:, t].std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        near = cKDTree(paths[:, t] / scale).query(made[:, t] / scale, k=k)[1].reshape(n, k)
        donor = near[np.arange(n), rng.integers(k, size=n)]
        made[:, t + 1] = made[:, t] + paths[donor, t + 1] - paths[donor, t]
    return made


def gaussian_process(series: Any, n: int, *, random_state: RandomState = None) -> Array:
    """Gaussian paths with the mean and covariance of the series over all times and channels.

    Args:
        series: (B, T, C) paths to learn from.
        n: number of paths to draw.
        random_state: seed or generator.

    Returns:
        (n, T, C): mean plus random combinations of the centred series, whose covariance is the
        empirical one.

    Raises:
        InputError: for values that are not finite.
    """
    paths, rng = _prepared(series, n, random_state)
    mean = paths.mean(axis=0)
    centred = (paths - mean).reshape(len(paths), -1)
    weights = rng.normal(size=(n, len(paths))) / np.sqrt(len(paths))
    return np.asarray(mean + (weights @ centred).reshape(n, *paths.shape[1:]))


def vector_autoregression(
    series: Any, n: int, *, order: int = 1, random_state: RandomState = None
) -> Array:
    r"""Paths of $x_{t+1} = c + \sum_l A_l x_{t+1-l} + e$, with residuals drawn from the fit.

    Args:
        series: (B, T, C) paths to learn from; all paths and times share one regression.
        n: number of paths to draw.
        order: number of past values; the first ones are taken from a training path.
        random_state: seed or generator.

    Returns:
        (n, T, C).

    Raises:
        InputError: if the order leaves nothing to regress, or values are not finite.

    References:
        Lütkepohl, "New Introduction to Multiple Time Series Analysis", Springer 2005, chapter 3.
    """
    paths, rng = _prepared(series, n, random_state)
    order = require_integer(order, "order", least=1)
    n_times, dim = paths.shape[1:]
    if order >= n_times:
        raise InputError(f"order={order} needs series of more than {order} times, got {n_times}")

    def past(values: Array, t: int) -> Array:
        recent = values[:, t - order : t].reshape(len(values), -1)
        return np.concatenate([np.ones((len(values), 1)), recent], axis=1)

    table = np.concatenate([past(paths, t) for t in range(order, n_times)])
    target = np.concatenate([paths[:, t] for t in range(order, n_times)])
    coefficients = np.linalg.lstsq(table, target, rcond=None)[0]
    residuals = target - table @ coefficients
    made = np.empty((n, n_times, dim))
    made[:, :order] = paths[rng.integers(len(paths), size=n), :order]
    for t in range(order, n_times):
        noise = residuals[rng.integers(len(residuals), size=n)]
        made[:, t] = past(made, t) @ coefficients + noise
    return made


def _prepared(series: Any, n: int, random_state: RandomState) -> tuple[Array, Any]:
    require_integer(n, "n", least=1)
    return as_paths(series, "series"), np.random.default_rng(seed_from(random_state))
