"""Probabilities of what was observed, row by row and state by state."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.markov.emission import EmissionModel


def evidence_of(
    labels: Array,
    sets: Array | None,
    signal: Array | None,
    absorbed: Array,
    emission: EmissionModel,
) -> tuple[Array, Array]:
    """(N, S) probabilities of the observations, up to factors (N,), and their logarithms.

    The density of a signal is taken relative to the most likely state of its row, so that a value
    far from all means does not underflow.

    Args:
        labels: (N,) codes as in `JumpSeries.flat_states`.
        sets: (M, S) sets of states of censored observations.
        signal: (N,) measurements, NaN where there is none.
        absorbed: rows of absorptions, whose labels are certain.
        emission: observation model.
    """
    table = [emission.label_matrix().T]
    if sets is not None:
        table.append(sets[::-1].astype(float))
    out = np.concatenate([*table, np.ones((1, emission.n_states))])[labels]
    if len(absorbed):
        out[absorbed] = np.eye(emission.n_states)[labels[absorbed]]
    if emission.gaussian is None or signal is None:
        return np.asarray(out), np.zeros(len(out))
    logs = np.where(out > 0, emission.log_density(signal), -np.inf)
    top = logs.max(axis=1)
    top = np.where(np.isfinite(top), top, 0.0)
    return np.asarray(out * np.exp(logs - top[:, None])), top
