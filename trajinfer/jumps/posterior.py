"""Probabilities of the states at any time, given what was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, require_finite
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.hidden import HiddenData


def state_probabilities(
    series: JumpSeries, ts: Any, rates: Array, initial: Array, emission: EmissionModel
) -> Array:
    """Smoothed probabilities at the query times.

    Args:
        series: the observations, with codes of the S states.
        ts: (T,) or (B, T) times, not before the first observation of a path.
        rates: (S, S).
        initial: (S,) law at the first observation.
        emission: what is seen of the states.

    Returns:
        (B, T, S). Memory is O(B (T + observations) S).

    Raises:
        InputError: if a time precedes the first observation of a path, or is not finite.
    """
    queries = series.axis.encode(np.ravel(ts)).reshape(np.shape(ts))
    require_finite(np.atleast_1d(queries), "ts")
    if queries.ndim == 0 or queries.ndim > 2 or (queries.ndim == 2 and len(queries) != len(series)):
        raise InputError(f"ts must be (T,) or ({len(series)}, T), got shape {queries.shape}")
    queries = np.broadcast_to(queries, (len(series), queries.shape[-1]))
    early = queries < series.times[:, :1]
    if early.any():
        b, t = np.argwhere(early)[0]
        raise InputError(
            f"time {queries[b, t]:g} precedes the first observation of path {series.ids[b]!r} at "
            f"{series.times[b, 0]:g}; ask for later times"
        )
    padded, place = _with_queries(series, np.asarray(queries))
    top = 2 * float(-np.diag(rates).min())
    data = HiddenData(padded, len(rates), top=top, keep_unseen=True)
    return np.asarray(data.posterior(rates, initial, emission)[place])


def _with_queries(series: JumpSeries, queries: Array) -> tuple[JumpSeries, Array]:
    """The series with unseen rows at the query times, and the flat row of each query (B, T)."""
    n_old, n_new = series.layout.size, queries.size
    path = np.concatenate([series.layout.series, np.repeat(np.arange(len(series)), len(queries.T))])
    times = np.concatenate([series.flat_times, queries.ravel()])
    asked = np.repeat([False, True], [n_old, n_new])
    order = np.lexsort((asked, times, path))
    path, times, asked = path[order], times[order], asked[order]
    fresh = np.concatenate([[True], (path[1:] != path[:-1]) | (times[1:] != times[:-1])])
    row = np.cumsum(fresh) - 1
    place = np.empty(n_new, dtype=np.int64)
    place[order[asked] - n_old] = row[asked]

    def fill(values: Array, empty: float) -> Array:
        unseen = np.full(n_new, empty, dtype=values.dtype)
        return np.asarray(np.concatenate([values, unseen])[order][fresh])

    kinds, signal = series.flat_observation, series.flat_signal
    merged = replace(
        series,
        flat_times=times[fresh],
        flat_states=fill(series.flat_states, -1),
        lengths=np.bincount(path[fresh], minlength=len(series)),
        flat_observation=None if kinds is None else fill(kinds, 0),
        flat_signal=None if signal is None else fill(signal, np.nan),
    )
    return merged, place.reshape(queries.shape)
