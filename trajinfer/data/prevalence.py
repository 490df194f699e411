"""How many paths of a cohort are in each state, at times since their first observation."""

from __future__ import annotations

from typing import Literal

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries

_EXACT = (1, 2)


def carried_states(
    series: JumpSeries, ts: Array, *, carry: Literal["last", "middle"] = "last"
) -> Array:
    """States (B, T) at times since the start of each path; -1 where it is not under observation.

    Between two observations a path is in the earlier state: up to the later observation, or with
    "middle" up to the middle, unless the very time of the jump or absorption is known. A path
    whose last state nobody was observed to leave, such as death, stays in it until the last
    observation of the cohort; any other path leaves the count with its last observation.

    Args:
        series: paths of labels; entries without a single label are left out.
        ts: (T,) at least 0.
        carry: how far the earlier state holds.
    """
    known = series.flat_states >= 0
    path = series.layout.series[known]
    state, start = series.flat_states[known], series.flat_times[series.layout.starts]
    since = series.flat_times[known] - start[path]
    kinds = series.flat_observation
    exact = np.zeros(len(path), bool) if kinds is None else np.isin(kinds[known], _EXACT)
    first = np.concatenate([[True], path[1:] != path[:-1]])
    before = np.concatenate([since[:1], since[:-1]])
    middle = np.where(first | exact, since, (since + before) / 2)
    begins = middle if carry == "middle" else since
    moved = ~first[1:] & (state[1:] != state[:-1])
    final = ~np.isin(np.arange(len(series.categories)), state[:-1][moved])
    last = np.concatenate([first[1:], [True]])
    horizon = float(since.max(initial=0.0))
    arrived = final[state] & ~first
    ends = np.where(last, np.where(arrived, horizon, since), np.concatenate([begins[1:], [0.0]]))
    out = np.full((len(series), len(ts)), -1)
    for column, t in enumerate(ts):
        closed = np.where(last, t <= ends, t < ends)
        here = (begins <= t) & closed
        out[path[here], column] = state[here]
    return out


def prevalence_counts(
    series: JumpSeries, ts: Array, *, carry: Literal["last", "middle"] = "last"
) -> Array:
    """(T, S) numbers of paths in each state, see `carried_states`."""
    carried = carried_states(series, ts, carry=carry)
    n = len(series.categories)
    return np.stack([np.bincount(column[column >= 0], minlength=n) for column in carried.T])
