"""The most probable states of a path against all sequences of states."""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import expm

from tests.jumps.jump_data import RATES
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import GaussianEmission, MarkovJumpProcess

LAW, NOISE = np.array([0.5, 0.3, 0.2]), 0.25


def best_of_all(model, times, weights, moves=None):
    """Enumerate the 3^T sequences; weights (T, 3) of what was seen, moves of single intervals."""
    chosen, top = None, -np.inf
    for states in product(range(3), repeat=len(times)):
        value = np.log(LAW[states[0]] * weights[0][states[0]])
        for t in range(1, len(times)):
            matrix = (moves or {}).get(t, expm(RATES * (times[t] - times[t - 1])))
            value += np.log(matrix[states[t - 1], states[t]] * weights[t][states[t]])
        if value > top:
            chosen, top = states, value
    return list(chosen)


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_noisy_labels_of_unequal_paths_against_enumeration():
    generator = np.random.default_rng(0)
    model = MarkovJumpProcess.from_rates(RATES, LAW, label_noise=NOISE)
    times = [np.cumsum(generator.exponential(0.5, n) + 0.01) for n in (6, 1, 4, 6, 5)]
    labels = [generator.integers(3, size=len(t)).tolist() for t in times]
    labels[0][2] = None
    series = JumpSeries.from_arrays(times, labels)
    found = model.most_probable_states(series)
    right = np.where(np.eye(3, dtype=bool), 1 - NOISE, NOISE / 2)
    for row, (t, seen) in enumerate(zip(times, labels)):
        weights = [np.ones(3) if o is None else right[:, o] for o in seen]
        assert found.states[row, : len(t)].tolist() == best_of_all(model, t, weights)
        assert (found.states[row, len(t) :] == -1).all()


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_signals_jumps_absorptions_and_sets_against_enumeration():
    times = np.array([0.0, 0.4, 0.9, 1.1, 1.9, 2.4])
    emission = GaussianEmission([0.0, 1.0, 2.0], [0.7, 0.7, 0.7])
    signal = np.array([0.6, 1.4, np.nan, 0.2, 1.6, np.nan])
    kinds = ["snapshot", "jump", "censored", "snapshot", "snapshot", "absorption"]
    states = [None, None, [0, 2], None, None, 1]
    series = JumpSeries.from_arrays(
        [times], [states], signal=[signal], observation=[kinds], categories=[0, 1, 2]
    )
    model = MarkovJumpProcess.from_rates(RATES, LAW, emission=emission)
    weights = np.exp(-0.5 * ((np.nan_to_num(signal)[:, None] - emission.means) / 0.7) ** 2)
    weights[2], weights[5] = [1, 0, 1], 1.0
    hold = np.exp(np.diag(RATES) * 0.4)[:, None]
    off = np.where(np.eye(3, dtype=bool), 0, RATES)
    entry = np.zeros((3, 3))
    entry[:, 1] = expm(RATES * 0.5) @ off[:, 1]
    moves = {1: hold * off, 5: entry}
    found = model.most_probable_states(series).states[0].tolist()
    assert found == best_of_all(model, times, weights, moves)


def test_labels_are_corrected_and_certain_ones_kept():
    truth = jumps.simulate(RATES / 4, LAW, 100, np.arange(50) * 0.1, random_state=0)
    seen = jumps.simulate(RATES / 4, LAW, 100, np.arange(50) * 0.1, label_noise=0.1, random_state=0)
    model = MarkovJumpProcess.from_rates(RATES / 4, LAW, label_noise=0.1)
    wrong = (seen.states != truth.states).mean()
    assert (model.most_probable_states(seen).states != truth.states).mean() < 0.25 * wrong
    sure = MarkovJumpProcess.from_rates(RATES / 4, LAW)
    assert np.array_equal(sure.most_probable_states(truth).states, truth.states)


def test_impossible_paths_are_named():
    model = MarkovJumpProcess.from_rates(np.array([[-1.0, 1.0], [0, 0]]), [1, 0])
    with pytest.raises(InputError, match="probability 0"):
        model.most_probable_states(JumpSeries.from_arrays([0.0, 1.0], [[1, 0]]))
