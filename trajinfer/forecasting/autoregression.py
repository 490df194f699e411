r"""Autoregressions of the values at even steps, continued step by step.

The difference of one step is regressed on those before, with or without the level (a return to a
mean) and the season (the difference and the value a period ago):

$$\Delta_i = c + a\,(y_{i-1} - \bar y) + \sum_{k \le p} b_k \Delta_{i-k}
+ s_1 \Delta_{i-S} + s_2 (y_{i-S} - y_{i-1}).$$

The terms are those of the smallest corrected information criterion (Hurvich and Tsai, Biometrika
76 (1989), 297) whose continuation does not explode within the horizon. Forecasts between the steps
are interpolated.
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


@packable
@dataclass(frozen=True)
class Autoregression:
    """The next value of one channel as a linear function of those before.

    Attributes:
        center: mean of the values.
        gap: duration of a step.
        constant: of the next difference.
        weights: (D + 1,) of the last value minus the center, and of the values 1 to D steps before
            minus the last one.
        criterion: information criterion per value, without constants.
    """

    center: float
    gap: float
    constant: float
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
        depth = len(self.weights) - 1
        maps = np.zeros((depth + whole + 1, depth + 2))
        maps[np.arange(depth), np.arange(depth + 1, 1, -1)] = 1.0  # the oldest value first
        own = self.weights[1:][::-1]
        for k in range(depth, depth + whole):
            now = maps[k]
            moved = self.weights[0] * now + own @ (maps[k - depth : k] - now)
            moved[0] += self.constant
            moved[1] += self.weights[0]
            maps[k + 1] = now + moved
        return maps[depth:]


def fit_autoregression(
    last: Array,
    steps_back: Array,
    reached: Array,
    center: float,
    gap: float,
    period: int,
    steps: int,
) -> Autoregression:
    """Least squares with the terms that the information criterion chooses.

    Args:
        last: (n,) values to learn from.
        steps_back: (n, D + 1) values 1 to D + 1 steps before, minus the last one.
        reached: (n,) how many of the steps are known.
        center: mean of the values.
        gap: duration of a step.
        period: steps of a season, 0 = none.
        steps: number of steps to the horizon.
    """
    depth = steps_back.shape[1] - 1
    best = Autoregression(center, gap, 0.0, np.zeros(depth + 1), np.inf)
    before = steps_back[:, :1]
    now, back = last + before[:, 0], steps_back[:, 1:] - before
    change = -before[:, 0]
    for maps in _terms(depth, period):
        deepest = int(np.flatnonzero(maps.any(axis=1)).max(initial=0))
        rows = reached >= deepest + 1
        n, q = int(rows.sum()), maps.shape[1] + 1
        if n < _ROWS_PER_TERM * q + 4:
            continue
        seen = np.column_stack([now[rows] - center, back[rows]]) @ maps
        x = np.column_stack([np.ones(n), seen])
        found, *_ = np.linalg.lstsq(x, change[rows], rcond=1e-8)
        variance = float(np.mean((change[rows] - x @ found) ** 2))
        criterion = float(np.log(max(variance, 1e-300)) + 2 * (q + 1) / (n - q - 2))
        if criterion < best.criterion:
            made = Autoregression(center, gap, float(found[0]), maps @ found[1:], criterion)
            best = made if _stays(made, steps) else best
    return best


def _terms(depth: int, period: int) -> list[Array]:
    """Sets of terms: columns (D + 1, q) of weights of the level and of the values before."""
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
            sets.append(np.concatenate(parts, axis=1))
            if order < period <= depth:
                season = np.column_stack([moves[:, period - 1], every[:, period - 1]])
                sets.append(np.concatenate([*parts, season], axis=1))
    return sets


def _stays(made: Autoregression, steps: int) -> bool:
    """Whether no root makes a continuation grow by more than e within the horizon."""
    depth = len(made.weights) - 1
    companion = np.zeros((depth + 1, depth + 1))
    companion[0, 0] = 1 + made.weights[0] - made.weights[1:].sum()
    companion[0, 1:] = made.weights[1:]
    companion[np.arange(1, depth + 1), np.arange(depth)] = 1.0
    radius = float(np.abs(np.linalg.eigvals(companion)).max())
    return bool(steps * np.log(max(radius, 1e-9)) < _MOST_GROWTH)
