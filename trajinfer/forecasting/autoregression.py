r"""Autoregressions of the values at even steps, continued step by step.

The difference of one step is regressed on those before, with or without the level (a return to a
mean) and the season (the difference and the value a period ago):

$$\Delta_i = c + a\,(y_{i-1} - \bar y) + \sum_{k \le p} b_k \Delta_{i-k}
+ s_1 \Delta_{i-S} + s_2 (y_{i-S} - y_{i-1}).$$

Forecasts are averaged over the sets of terms whose continuation does not explode within the
horizon, with shares $\propto e^{-(C - \min C) / 8}$ by the corrected information criterion C
(Hurvich and Tsai, Biometrika 76 (1989), 297): those of Akaike to the power of 1/4, since what is
best one step ahead need not be best many steps ahead. On a walk the term of a return gains 1.5
units of log-likelihood by chance (Dickey and Fuller, J. Am. Stat. Assoc. 74 (1979), 427) where
others gain half a unit; its criterion is made 4 larger, and 4 / B for B series, whose chances
cancel (Levin, Lin and Chu, J. Econometrics 108 (2002), 1). Forecasts between the steps are
interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

ORDERS = (0, 1, 2, 3, 4, 6, 8)
_ROWS_PER_TERM = 4
_MOST_STEPS = 1000
_MOST_GROWTH = 1.0
_PRICE_OF_RETURN = 4.0
_TEMPER = 0.25
_SMALLEST_SHARE = 1e-3


@packable
@dataclass(frozen=True)
class Autoregression:
    """The next value of one channel as linear functions of those before.

    Attributes:
        center: mean of the values.
        gap: duration of a step.
        share: (M,) of each function in the forecasts.
        constants: (M,) of the next difference.
        weights: (M, D + 1) of the last value minus the center, and of the values 1 to D steps
            before minus the last one.
        criterion: smallest information criterion per value, without constants.
    """

    center: float
    gap: float
    share: Array
    constants: Array
    weights: Array
    criterion: float

    def __call__(self, last: Array, steps_back: Array, lead: Array) -> Array:
        """Increments (P,) after the last values (P,), given those before (P, D), at leads (P,)."""
        position = np.minimum(lead / self.gap, _MOST_STEPS)
        whole = int(np.ceil(position.max(initial=0.0))) + 1
        maps = self._continued(whole)
        low = np.minimum(position.astype(int), whole - 1)
        seen = np.column_stack([np.ones(len(last)), last - self.center, steps_back])
        after, before = (np.einsum("pl,pl->p", maps[low + k], seen) for k in (1, 0))
        return np.asarray(before + (position - low) * (after - before))

    def _continued(self, whole: int) -> Array:
        """Maps (K + 1, D + 2) from what is seen to the increment after each number of steps."""
        depth = self.weights.shape[1] - 1
        maps = np.zeros((depth + whole + 1, len(self.share), depth + 2))
        maps[np.arange(depth), :, np.arange(depth + 1, 1, -1)] = 1.0  # the oldest value first
        level, own = self.weights[:, 0], self.weights[:, :0:-1]
        for k in range(depth, depth + whole):
            now = maps[k]
            before = maps[k - depth : k] - now
            moved = level[:, None] * now + np.einsum("md,dml->ml", own, before)
            moved[:, 0] += self.constants
            moved[:, 1] += level
            maps[k + 1] = now + moved
        return np.asarray(np.einsum("m,kml->kl", self.share, maps[depth:]))


def fit_autoregression(
    last: Array,
    steps_back: Array,
    reached: Array,
    center: float,
    gap: float,
    period: int,
    steps: int,
    n_series: int = 1,
    weight: Array | None = None,
) -> Autoregression:
    """Least squares with every set of terms, averaged by the information criterion.

    Args:
        last: (n,) values to learn from.
        steps_back: (n, D + 1) values 1 to D + 1 steps before, minus the last one.
        reached: (n,) how many of the steps are known.
        center: mean of the values.
        gap: duration of a step.
        period: steps of a season, 0 = none.
        steps: number of steps to the horizon.
        n_series: that the values belong to.
        weight: (n,) of the values in the squares; None: they count alike.
    """
    depth = steps_back.shape[1] - 1
    before = steps_back[:, :1]
    now, back = last + before[:, 0] - center, steps_back[:, 1:] - before
    constants, weights, criteria = [0.0], [np.zeros(depth + 1)], [np.inf]
    for maps, returns in _terms(depth, period):
        deepest = int(np.flatnonzero(maps.any(axis=1)).max(initial=0))
        rows = reached >= deepest + 1
        n, q = int(rows.sum()), maps.shape[1] + 1
        if n < _ROWS_PER_TERM * q + 4:
            continue
        x = np.column_stack([np.ones(n), np.column_stack([now[rows], back[rows]]) @ maps])
        found = _least_squares(x, -before[rows, 0], None if weight is None else weight[rows])
        own = maps @ found[1:]
        if _stays(own, steps):
            squares = (before[rows, 0] + x @ found) ** 2
            variance = float(np.average(squares, weights=None if weight is None else weight[rows]))
            price = 2 * (q + 1) / (n - q - 2) + returns * _PRICE_OF_RETURN / (n * n_series)
            criteria.append(float(np.log(max(variance, 1e-300)) + price))
            constants.append(float(found[0]))
            weights.append(own)
    return _averaged(center, gap, constants, weights, criteria, len(last))


def _least_squares(x: Array, y: Array, weight: Array | None) -> Array:
    if weight is not None:
        root = np.sqrt(weight)
        x, y = root[:, None] * x, root * y
    found, *_ = np.linalg.lstsq(x, y, rcond=1e-8)
    return found


def _averaged(
    center: float,
    gap: float,
    constants: list[float],
    weights: list[Array],
    criteria: list[float],
    n: int,
) -> Autoregression:
    """Shares by the criteria; the first candidate stands still and counts where it is alone."""
    criterion = min(criteria)
    worse = np.array(criteria) - criterion if len(criteria) > 1 else np.zeros(1)
    share = np.exp(-0.5 * _TEMPER * n * worse)
    kept = share > _SMALLEST_SHARE
    return Autoregression(
        center,
        gap,
        share[kept] / share[kept].sum(),
        np.array(constants)[kept],
        np.stack(weights)[kept],
        criterion,
    )


def _terms(depth: int, period: int) -> list[tuple[Array, bool]]:
    """Sets of terms, and whether one of them is a return to a mean.

    Columns (D + 1, q) hold the weights of the level and of the values before.
    """
    every = np.eye(depth + 1)
    level = every[:, :1]
    # the difference k steps ago is the value k - 1 steps before minus that k steps before
    moves = np.column_stack(
        [(every[:, k - 1] if k > 1 else 0.0) - every[:, k] for k in range(1, depth + 1)]
    )
    sets = []
    for order in (k for k in ORDERS if k <= depth):
        for with_level in (False, True):
            parts = [level] * with_level + [moves[:, :order]]
            sets.append((np.concatenate(parts, axis=1), with_level))
            if order < period <= depth:
                season = np.column_stack([moves[:, period - 1], every[:, period - 1]])
                sets.append((np.concatenate([*parts, season], axis=1), with_level))
    return sets


def _stays(weights: Array, steps: int) -> bool:
    """Whether no root makes a continuation grow by more than e within the horizon."""
    depth = len(weights) - 1
    companion = np.zeros((depth + 1, depth + 1))
    companion[0, 0] = 1 + weights[0] - weights[1:].sum()
    companion[0, 1:] = weights[1:]
    companion[np.arange(1, depth + 1), np.arange(depth)] = 1.0
    radius = float(np.abs(np.linalg.eigvals(companion)).max())
    return bool(steps * np.log(max(radius, 1e-9)) < _MOST_GROWTH)
