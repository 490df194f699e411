"""Simulated paths against the exact laws."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import chi2

from tests.jumps.jump_data import RATES
from trajinfer import jumps
from trajinfer._core.errors import InputError


@pytest.fixture
def rates():
    return RATES.copy()


def chi_square(counts, expected):
    keep = expected > 0
    statistic = ((counts - expected)[keep] ** 2 / expected[keep]).sum()
    return chi2.sf(statistic, keep.sum() - 1)


def test_marginals_at_given_times(rates):
    """False alarms: 4 tests at 1e-6 each."""
    ts, n = np.array([0.0, 0.3, 1.1, 4.0]), 20_000
    series = jumps.simulate(rates, [0.2, 0.5, 0.3], n, ts, random_state=3)
    for k, t in enumerate(ts):
        law = np.array([0.2, 0.5, 0.3]) @ expm(rates * t)
        assert chi_square(np.bincount(series.states[:, k], minlength=3), n * law) > 1e-6


@pytest.mark.parametrize("n_times", [4, 300])
def test_neighbouring_states_have_the_law_of_their_gap(rates, n_times):
    """Four times have gaps of their own, 300 share nodes; false alarms: 11 tests at 1e-6 each."""
    gaps = np.random.default_rng(0).uniform(0.2, 1.5, n_times - 1)
    ts, n = np.concatenate([[0.0], gaps.cumsum()]), 20_000 if n_times == 4 else 1_500
    series = jumps.simulate(rates, [1, 0, 0], n, ts, random_state=5)
    for k in (0, n_times // 2, n_times - 2):
        before, after = series.states[:, k], series.states[:, k + 1]
        law = expm(rates * gaps[k])[before].sum(axis=0)
        assert chi_square(np.bincount(after, minlength=3), law) > 1e-6
        for start in np.unique(before):
            own = before == start
            expected = own.sum() * expm(rates * gaps[k])[start]
            assert chi_square(np.bincount(after[own], minlength=3), expected) > 1e-6


def test_all_jumps_and_skeleton_have_the_same_law(rates):
    n, horizon = 20_000, 1.3
    series = jumps.simulate(rates, [1, 0, 0], n, horizon=horizon, random_state=4)
    last = series.states[np.arange(n), series.lengths - 1]
    assert chi_square(np.bincount(last, minlength=3), n * expm(rates * horizon)[0]) > 1e-6
    first_hold = np.where(series.lengths > 2, series.times[:, 1], horizon)
    mean = (1 - np.exp(-1.0 * horizon)) / 1.0  # min(Exp(1), horizon)
    assert abs(first_hold.mean() - mean) < 5.5 * first_hold.std() / np.sqrt(n)


def test_label_noise_has_the_probability_asked_for(rates):
    series = jumps.simulate(
        np.zeros((4, 4)), [1, 0, 0, 0], 10_000, [0.0], label_noise=0.2, random_state=1
    )
    counts = np.bincount(series.states[:, 0], minlength=4)
    assert chi_square(counts, 10_000 * np.array([0.8, 0.2 / 3, 0.2 / 3, 0.2 / 3])) > 1e-6


def test_seeds(rates):
    one, two, three = (
        jumps.simulate(rates, [1, 0, 0], 50, [0.0, 1.0], random_state=s) for s in (1, 1, 2)
    )
    assert np.array_equal(one.states, two.states)
    assert not np.array_equal(one.states, three.states)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ts": [1.0, 0.0]}, "increase strictly"),
        ({}, "exactly one"),
        ({"ts": [0.0, 1.0], "horizon": 1.0}, "exactly one"),
        ({"horizon": -1.0}, "positive"),
        ({"ts": [0.0], "label_noise": 1.5}, "below 1"),
        ({"ts": [0.0], "label_noise": np.ones((3, 3))}, "rows"),
    ],
)
def test_bad_arguments_are_named(rates, options, message):
    with pytest.raises(InputError, match=message):
        jumps.simulate(rates, [1, 0, 0], 5, **options)


def test_a_number_in_place_of_times_is_the_horizon():
    one = jumps.simulate(RATES, [1, 0, 0], 3, 5.0, random_state=0)
    two = jumps.simulate(RATES, [1, 0, 0], 3, horizon=5.0, random_state=0)
    assert np.array_equal(one.times, two.times)
