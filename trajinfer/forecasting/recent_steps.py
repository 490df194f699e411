"""Values at even steps back from the last one: what an autoregression sees of a past."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.observations import Channel


def recent_steps(
    channel: Channel, series: Array, first: Array, at: Array, gap: float, depth: int
) -> tuple[Array, Array]:
    """Values 1 to `depth` steps before the values `at`, minus these, (R, depth).

    Between observations the values are interpolated; before the first one the series is taken to
    have stood still.

    Args:
        channel: the values.
        series: (R,) the series of each.
        first, at: (R,) first value that may be used, and the last one.
        gap: duration of a step.
        depth: number of steps.

    Returns:
        The differences, and how many of the steps lie within the past (R,).
    """
    here, time = channel.values[at], channel.times[at]
    found = np.zeros((len(at), depth))
    reached = np.zeros(len(at), dtype=int)
    before = np.zeros(len(at))
    for k in range(depth):
        then = time - (k + 1) * gap
        known = then >= channel.times[first] - 1e-6 * gap
        value, _ = channel.at(series, np.maximum(then, channel.times[first]), at)
        before = np.where(known, value - here, before)
        found[:, k] = before
        reached += known
    return found, reached
