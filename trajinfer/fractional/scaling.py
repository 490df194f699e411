"""Estimators of H from how fluctuations grow with the scale: DFA and the variogram."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.fractional.simulate import simulate_fgn

_SMALLEST_BOX = 8
_N_BOXES = 15
_LAGS = (1, 2, 4, 8)
_MOST_PATHS, _FEWEST_PATHS, _SIMULATED = 1000, 500, 10**6
_INDICES = np.array([0.01, *np.arange(0.1, 0.95, 0.1), 0.99])
_LAST = len(_INDICES) - 1
_REACH = 4.0

Slope = Callable[[Array], Array]


def variogram(path: Array, lags: Sequence[int], *, order: int = 1) -> Array:
    r"""Mean squared increments at lags, (..., L); $\propto \text{lag}^{2H}$ for a fractional path.

    Args:
        path: (..., T), equally spaced.
        lags: numbers of steps.
        order: 1 for $x_{t+l} - x_t$, 2 for $x_{t+2l} - 2x_{t+l} + x_t$, which sees no linear trend.

    Raises:
        InputError: if a lag does not fit into the path, or for another order.

    >>> variogram(np.arange(6.0), [1, 2]).tolist()
    [1.0, 4.0]
    """
    if order not in (1, 2):
        raise InputError(f"order must be 1 or 2, got {order}")
    values = np.asarray(path, dtype=np.float64)
    if min(lags) < 1 or order * max(lags) >= values.shape[-1]:
        raise InputError(f"lags {list(lags)} do not fit into a path of {values.shape[-1]} points")
    found = []
    for lag in lags:
        moves = values[..., lag:] - values[..., :-lag]
        if order == 2:
            moves = moves[..., lag:] - moves[..., :-lag]
        found.append(np.mean(moves**2, axis=-1))
    return np.stack(found, axis=-1)


def variogram_slope(noise: Array) -> Array:
    """H from the second-order variogram at lags 1, 2, 4 and 8, (...), of noise (..., n)."""
    path = np.cumsum(noise, axis=-1)
    lags = [lag for lag in _LAGS if 4 * lag < path.shape[-1]]
    return _slope(np.log(lags), 0.5 * np.log(variogram(path, lags, order=2)))


def detrended_fluctuation(noise: Array) -> tuple[Array, Array]:
    """Box sizes (K,) and root mean square fluctuations (..., K) around lines within boxes.

    Args:
        noise: (..., n).

    References:
        Peng et al., Phys. Rev. E 49 (1994).
    """
    n = noise.shape[-1]
    path = np.cumsum(noise - noise.mean(axis=-1, keepdims=True), axis=-1)
    sizes = np.unique(np.geomspace(_SMALLEST_BOX, n // 4, _N_BOXES).astype(int))
    found = []
    for size in sizes:
        count = n // size
        boxes = path[..., : count * size].reshape(*path.shape[:-1], count, size)
        t = np.arange(size) - (size - 1) / 2
        level = boxes.mean(axis=-1, keepdims=True)
        slope = (boxes @ t / (t @ t))[..., None]
        found.append(np.sqrt(np.mean((boxes - level - slope * t) ** 2, axis=(-2, -1))))
    return sizes, np.stack(found, axis=-1)


def detrended_slope(noise: Array) -> Array:
    """H by detrended fluctuation analysis of first order, (...), of noise (..., n)."""
    sizes, fluctuation = detrended_fluctuation(noise)
    return _slope(np.log(sizes), np.log(fluctuation))


def inverted(slope: Slope, noise: Array, level: float) -> tuple[float, tuple[float, float]]:
    """The estimate, and the indices under which exact noise gives such an estimate.

    An end of the interval is an index at which the estimate is a quantile of those of simulated
    noise. The law of the errors changes with the index: it is simulated at indices on a grid
    around the estimate, and quantiles are read between them. They are taken one standard error
    of a simulated quantile further out, so that chance in the simulation narrows few intervals.

    Args:
        slope: noise (..., n) -> H (...).
        noise: (n,).
        level: probability of the interval.
    """
    hurst, n = float(slope(noise)), len(noise)
    nearest = int(np.abs(_INDICES - hurst).argmin())
    reach = _REACH * simulated_errors(slope, n, nearest).std()
    first = int(np.searchsorted(_INDICES, hurst - reach, side="right")) - 1
    last = int(np.searchsorted(_INDICES, hurst + reach))
    nodes = np.arange(max(min(first, nearest - 1), 0), min(max(last, nearest + 1), _LAST) + 1)
    errors = np.stack([simulated_errors(slope, n, int(k)) for k in nodes])

    outside = (1 - level) / 2
    outside = max(outside - np.sqrt(outside * (1 - outside) / errors.shape[1]), 0.2 * outside)

    def end(share: float) -> float:
        """Where an estimate at this quantile of its law is the one at hand."""
        usual = _INDICES[nodes] + np.quantile(errors, share, axis=1)
        if hurst <= usual[0] and nodes[0] == 0:
            return 0.0
        if hurst >= usual[-1] and nodes[-1] == _LAST:
            return 1.0
        return float(np.interp(hurst, usual, _INDICES[nodes]))

    return min(max(hurst, 0.0), 1.0), (end(1 - outside), end(outside))


@lru_cache(maxsize=64)
def simulated_errors(slope: Slope, n: int, node: int) -> Array:
    """(P,) errors of estimates from P simulated noises of n values, at an index of the grid."""
    n_paths = int(np.clip(_SIMULATED // n, _FEWEST_PATHS, _MOST_PATHS))
    index = float(_INDICES[node])
    return np.asarray(slope(simulate_fgn(index, n, n_paths, random_state=node)) - index)


def _slope(x: Array, y: Array) -> Array:
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))
