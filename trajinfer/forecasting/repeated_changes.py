r"""A season in the changes from one value to the next.

The level of a trending series does not come back, but its changes do: those at the same phase of a
season have one mean. Analysis of variance tells it from chance,

$$F = \frac{(R_0 - R_p) / (p - 1)}{R_p / (n - p)},$$

with R the sums of squares around one mean and around p, at one in a thousand shared among all
periods that are tried. Of several the one of the smallest $n \log R_p + p \log n$ is taken
(Schwarz, Annals of Statistics 6 (1978), 461).

Changes of several series over the same step are one observation, their mean, weighted by their
number: what happens to all at once once happens by chance once.
"""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc

from trajinfer._core.checks import Array
from trajinfer.forecasting.observations import Channel

_CHANCE = 1e-3
_SHORTEST, _LONGEST = 3, 60
_FEWEST_PERIODS = 3
_FEWEST_CHANGES = 12
_UNEVEN = 0.25


def repeated_period(channel: Channel) -> float:
    """The period that changes over one step show, 0 where they show none.

    Steps that differ from the usual one by more than a quarter are left out.
    """
    within = np.ones(max(len(channel.times) - 1, 0), dtype=bool)
    inner = channel.starts[1:-1]
    within[inner[(inner > 0) & (inner < len(channel.times))] - 1] = False
    gaps = np.diff(channel.times)
    if within.sum() < _FEWEST_CHANGES:
        return 0.0
    usual = float(np.median(gaps[within]))
    even = within & (np.abs(gaps - usual) <= _UNEVEN * usual)
    if even.sum() < max(_FEWEST_CHANGES, 0.5 * within.sum()):
        return 0.0
    # dates of months are one step apart, not a number of days
    step = float(gaps[even].mean())
    place = np.cumsum(np.where(within, np.round(gaps / step), 0.0))
    series = np.searchsorted(channel.starts, np.arange(len(gaps)), side="right") - 1
    first = channel.starts[series]
    start = np.round((channel.times[first] - channel.times.min()) / step)
    place = place - np.concatenate([[0.0], place])[first] + start
    lengths = np.diff(channel.starts)
    most = min(_LONGEST, int(lengths.max()) // _FEWEST_PERIODS)
    change = np.diff(channel.values)[even]
    return step * _clearest(*_of_steps(change, place[even].astype(int)), most)


def _of_steps(change: Array, place: Array) -> tuple[Array, Array, Array]:
    """Mean changes over each step (n,), the steps, and weights by the number of changes."""
    steps, group = np.unique(place, return_inverse=True)
    number = np.bincount(group)
    return np.bincount(group, change) / number, steps, number / number.mean()


def _clearest(change: Array, step: Array, weight: Array, most: int) -> int:
    """Steps of the clearest period, 0 = none, for changes (n,) over steps (n,)."""
    n = len(change)
    change = change - np.average(change, weights=weight)
    total = float(weight @ change**2)
    tried = range(_SHORTEST, most + 1)
    found, smallest = 0, np.inf
    for p in tried:
        phase = step % p
        if np.bincount(phase, minlength=p).min() < 2 or total <= 0:
            continue
        count = np.bincount(phase, weight, minlength=p)
        mean = np.bincount(phase, weight * change, minlength=p) / count
        rest = max(total - float(count @ mean**2), 1e-12 * total)
        ratio = (total - rest) / (p - 1) / (rest / (n - p))
        criterion = n * np.log(rest) + p * np.log(n)
        if fdtrc(p - 1, n - p, ratio) < _CHANCE / len(tried) and criterion < smallest:
            found, smallest = p, criterion
    return found
