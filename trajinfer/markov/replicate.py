"""Paths drawn from a model at the visits of observed ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.simulate import draw_rows
from trajinfer.markov.transitions import transition_matrices

_ABSORPTION = 2
_HALVINGS = 30


def replicate(
    visits: JumpSeries,
    exact: Array,
    parameters: Parameters,
    regimes: Array | None,
    generator: np.random.Generator,
) -> JumpSeries:
    """Draw paths that are seen when the given ones are.

    Args:
        visits: paths with codes of the S states, all of them snapshots.
        exact: (S,) bool, states without exits whose time of entry is known; a path ends there.
        parameters: rates, law of the first state, observation model.
        regimes: (N,) regime in force from each entry on.
        generator: of the draws.

    Returns:
        Paths that start in the observed states where these are certain. Entries without an
        observation have none here either.
    """
    own = np.zeros(visits.layout.size, dtype=np.int64) if regimes is None else regimes
    states = _states(visits, own, parameters, generator)
    times, kinds = visits.flat_times.copy(), np.zeros(len(states), dtype=np.int8)
    first = np.zeros(len(states), dtype=bool)
    first[visits.layout.starts] = True
    arrived = np.flatnonzero(exact[states] & ~first)
    fresh = arrived[~exact[states[arrived - 1]]]
    times[fresh] = _entry_times(visits.flat_times, states, own, parameters, fresh, generator)
    kinds[fresh] = _ABSORPTION
    stays = np.ones(len(states), dtype=bool)
    stays[arrived] = False
    stays[fresh] = True
    labels = states
    if not parameters.emission.noiseless:
        labels = draw_rows(parameters.emission.label_matrix()[states], generator)
    labels = np.where((visits.flat_states == -1) & (kinds == 0), -1, labels)
    labels[fresh] = states[fresh]
    covariates = visits.flat_covariates
    return replace(
        visits,
        flat_times=times[stays],
        flat_states=labels[stays],
        lengths=np.bincount(visits.layout.series[stays], minlength=len(visits)),
        flat_observation=kinds[stays] if exact.any() else None,
        candidates=None,
        flat_signal=None,
        flat_covariates=None if covariates is None else covariates[stays],
    )


def _states(
    visits: JumpSeries, own: Array, parameters: Parameters, generator: np.random.Generator
) -> Array:
    """(N,) states at all entries."""
    layout = visits.layout
    known = visits.flat_states[layout.starts]
    law = np.tile(parameters.initial, (len(visits), 1))
    if visits.candidates is not None and parameters.emission.noiseless:
        one_of = np.flatnonzero(known < -1)
        law[one_of] *= visits.candidates[-2 - known[one_of]]
    states = np.empty(layout.size, dtype=np.int64)
    certain = (known >= 0) & parameters.emission.noiseless
    states[layout.starts] = np.where(certain, known, draw_rows(law, generator))
    for step in range(1, int(layout.lengths.max())):
        rows = np.flatnonzero(layout.steps == step)
        gaps = visits.flat_times[rows] - visits.flat_times[rows - 1]
        matrices = transition_matrices(parameters.stack[own[rows - 1]], gaps)
        laws = matrices[np.arange(len(rows)), states[rows - 1]]
        states[rows] = draw_rows(laws, generator)
    return states


def _entry_times(
    times: Array,
    states: Array,
    own: Array,
    parameters: Parameters,
    rows: Array,
    generator: np.random.Generator,
) -> Array:
    r"""(m,) times of entry into the states of `rows`, which have no exits.

    The probability $P_{id}(s)$ to be in such a state is the distribution function of the time of
    entry; it is inverted by bisection.
    """
    start, end, rates = states[rows - 1], states[rows], parameters.stack[own[rows - 1]]
    gap, place = times[rows] - times[rows - 1], np.arange(len(rows))
    level = generator.random(len(rows))
    level = level * transition_matrices(rates, gap)[place, start, end]
    low, high = np.zeros(len(rows)), gap.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = transition_matrices(rates, middle)[place, start, end] < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(times[rows - 1] + high)
