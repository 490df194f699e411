"""Probabilities of the states at any time, given the observations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.every_entry import at_every_entry
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.parameters import Parameters


def state_probabilities(
    series: JumpSeries, ts: Any, parameters: Parameters, regimes: Array | None = None
) -> Array:
    """Smoothed probabilities at the query times.

    Args:
        series: the observations, with codes of the S states.
        ts: one time, (T,) or (B, T), in any order, not before the first observation of a path.
        parameters: rates, law at the first observation, observation model.
        regimes: (N,) regime in force from each entry on.

    Returns:
        (B, T, S). Memory is O(B (T + observations) S).

    Raises:
        InputError: if a time precedes the first observation of a path, or is not finite.
    """
    queries = series.axis.queries(
        ts,
        len(series),
        after=series.flat_times[series.layout.starts],
        since="the first observation of the path",
    )
    padded, place, held = _with_queries(series, queries, regimes)
    data = at_every_entry(HiddenData, padded, parameters, held)
    return np.asarray(data.posterior(parameters)[place])


def _with_queries(
    series: JumpSeries, queries: Array, regimes: Array | None
) -> tuple[JumpSeries, Array, Array | None]:
    """The series with unseen rows at the query times.

    Returns:
        The series, the entry of each query (B, T), and the regimes of the entries.
    """
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
        flat_covariates=None,
        covariate_names=(),
    )
    held = None if regimes is None else fill(regimes, -1)
    if held is not None:  # a query takes the regime that is in force
        held = held[np.maximum.accumulate(np.where(held >= 0, np.arange(len(held)), 0))]
    return merged, place.reshape(queries.shape), held
