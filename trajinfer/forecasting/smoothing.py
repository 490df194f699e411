r"""Exponential smoothing with a damped trend and a season, at irregular times.

With l the level, b the slope per usual gap and c the season, a value y that comes s usual gaps
after the one before moves them to

$$e = y - (l + \Phi_s b + c_{t - S}), \quad l' = l + \Phi_s b + \alpha_s e, \quad
b' = \phi^s b + \beta \alpha_s e / s, \quad c_t = c_{t - S} + \gamma e,$$

$$\Phi_s = \phi \frac{1 - \phi^s}{1 - \phi}, \qquad \alpha_s = 1 - (1 - \alpha)^s,$$

and what follows after s gaps is forecast as $l + \Phi_s b$ plus the season whole periods before.
At the start the weights are those of a mean and of a mean slope, $\alpha_s \ge 1 / k$ and
$\beta \ge 1 / k$ at value k, and likewise $\gamma$ at period k. The first period of a series gives
its first season; there is no forecast within it.

References:
    Wright, Management Science 32 (1986), 499; Gardner and McKenzie, Management Science 31 (1985),
    1237; Winters, Management Science 6 (1960), 324.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.observations import Channel

_TRENDS = ((0.0, 0.9), (0.1, 0.85), (0.1, 0.98), (0.4, 0.85), (0.4, 0.98), (0.9, 0.85), (0.9, 0.98))
_LAST = (0.99, 0.0)
TRENDS = np.array([(a, b, phi, 0.0) for a in (0.5, 0.99) for b, phi in _TRENDS if (a, b) != _LAST])
"""(G, 4) weights of level and slope, dampings, and weights of the season; not the last value."""
SEASONS = np.array(
    [
        (a, b, phi, c)
        for a, (b, phi), c in itertools.product((0.05, 0.2, 0.5, 0.9), _TRENDS[:3], (0.1, 0.4))
    ]
)
"""(G, 4) the same with a season."""
_SHORTEST = 0.2


@dataclass(frozen=True)
class Smoothed:
    """States after each of n values, by G settings; NaN within the first period.

    Attributes:
        level, slope: (n, G); slopes are per usual gap.
        season: (n, G) of the phase of the value itself.
    """

    level: Array
    slope: Array
    season: Array


def smoothed(channel: Channel, gap: float, period: float = 0.0) -> Smoothed:
    """Smooth a channel by `SEASONS` where it has a period, by `TRENDS` otherwise."""
    alpha, beta, damping, gamma = (SEASONS if period > 0 else TRENDS).T
    n = len(channel.values)
    level, slope, season = np.full((3, n, len(alpha)), np.nan)
    lengths = np.diff(channel.starts)
    series = np.repeat(np.arange(len(lengths)), lengths)
    first_time = channel.times[channel.starts[series]]
    # the first value stands for the first period where there is no season
    early = channel.times <= first_time + max(period - gap / 2, 0.0)
    count = np.bincount(series[early], minlength=len(lengths))
    total = np.bincount(series[early], channel.values[early], minlength=len(lengths))
    mean = (total / np.maximum(count, 1))[series]
    season[early] = (channel.values - mean)[early, None]
    left, right, share = _a_period_before(channel, series, period)
    # the longest series first, so that those that still have values stand together
    order = np.argsort(-lengths, kind="stable")
    first, lengths, count = channel.starts[:-1][order], lengths[order], count[order]
    for k in range(int(count[lengths > 0].min(initial=1)), int(lengths.max(initial=0))):
        still = np.flatnonzero(count[: np.searchsorted(-lengths, -k)] <= k)
        rows = first[still] + k
        fresh = (count[still] == k)[:, None]
        before = np.where(fresh, mean[rows, None], level[rows - 1])
        steps = np.maximum((channel.times[rows] - channel.times[rows - 1]) / gap, _SHORTEST)[
            :, None
        ]
        moved = np.where(fresh, 0.0, slope[rows - 1])
        own = 0.0
        if period > 0:
            own = season[left[rows]] + share[rows, None] * (
                season[right[rows]] - season[left[rows]]
            )
        expected = before + reach(steps, damping) * moved
        error = channel.values[rows, None] - expected - own
        weight = np.maximum(1 - (1 - alpha) ** steps, 1 / (k + 1))
        level[rows] = expected + weight * error
        turn = np.where(beta > 0, np.maximum(beta, 1 / k), 0.0)
        slope[rows] = damping**steps * moved + turn * weight * error / steps
        cycle = k // np.maximum(count[still], 1)[:, None]
        season[rows] = own + np.where(gamma > 0, np.maximum(gamma, 1 / (cycle + 1)), 0.0) * error
    if period > 0:
        return Smoothed(level, slope, season)
    level[early], slope[early] = channel.values[early, None], 0.0
    return Smoothed(level, slope, np.zeros_like(level))


def reach(steps: Array, damping: Array) -> Array:
    r"""Sums $\Phi_s$ of dampings (G,) over s steps (..., 1), (..., G)."""
    return np.asarray(damping * (1 - damping**steps) / (1 - damping))


def _a_period_before(channel: Channel, series: Array, period: float) -> tuple[Array, Array, Array]:
    """Neighbours of the time a period before each value, and the share of the later one."""
    rows = np.arange(len(channel.values))
    first = channel.starts[series]
    then = np.maximum(channel.times - period, channel.times[first])
    left = np.minimum(channel.until(series, then), np.maximum(rows - 1, first))
    right = np.maximum(np.minimum(left + 1, rows - 1), left)
    gap = channel.times[right] - channel.times[left]
    share = np.clip((then - channel.times[left]) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
    return left, right, share
