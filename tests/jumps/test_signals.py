"""From a continuous signal to states and rates."""

import numpy as np
import pytest
from scipy.linalg import expm

from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries

RATES = np.array([[-1.0, 1.0], [2.0, -2.0]])
MEANS, STDS = np.array([0.0, 3.0]), np.array([0.8, 1.2])


@pytest.fixture(scope="module")
def recording():
    truth = jumps.simulate(RATES, [0.5, 0.5], 30, np.arange(200) * 0.05, random_state=0)
    noise = np.random.default_rng(0).normal(size=truth.states.shape)
    values = MEANS[truth.states] + STDS[truth.states] * noise
    return truth, JumpSeries.from_arrays(truth.times, None, signal=values)


def test_times_help_to_label(recording):
    truth, series = recording
    share = {
        method: (
            jumps.states_from_signal(series, 2, method=method, random_state=0).states
            == truth.states
        ).mean()
        for method in ("mixture", "hmm")
    }
    assert share["mixture"] > 0.92
    assert share["hmm"] > 0.98


def test_rates_and_emissions_together(recording):
    """Within 5 standard errors; the emission of 6000 values is known to about 2 %."""
    _, series = recording
    emission = jumps.fit_mixture(series, 2, random_state=0)
    model = jumps.MarkovJumpProcess(2, method="mle", emission=emission).fit(series)
    off = ~np.eye(2, dtype=bool)
    assert (np.abs(model.rates_ - RATES)[off] < 5 * model.std_errors_[off]).all()
    assert np.allclose(model.emission_.means, MEANS, atol=0.15)
    assert np.allclose(model.emission_.stds, STDS, rtol=0.1)
    posterior = model.predict_proba(series[:3], [0.0, 1.0])
    assert np.allclose(posterior.sum(axis=2), 1)


def test_bad_input_is_named(recording):
    truth, series = recording
    with pytest.raises(InputError, match="no signal"):
        jumps.states_from_signal(truth, 2)
    with pytest.raises(InputError, match="'mixture' or 'hmm'"):
        jumps.states_from_signal(series, 2, method="kmeans")
    with pytest.raises(InputError, match="too few"):
        jumps.fit_mixture([1.0, 2.0], 2)
    with pytest.raises(InputError, match="positive"):
        jumps.GaussianEmission([0, 1], [1, 0])


def test_a_value_far_from_all_means_does_not_underflow():
    """200 is over 200 deviations from both means; the likelihood by hand for a single path."""
    emission = jumps.GaussianEmission([0.0, 3.0], [0.5, 0.5], learn=False)
    model = jumps.MarkovJumpProcess.from_rates(RATES, initial=[0.5, 0.5], emission=emission)
    series = JumpSeries.from_arrays([[0.0, 1.0]], None, signal=[[200.0, 0.1]])
    logs = -0.5 * ((np.array([[200.0], [0.1]]) - emission.means) / 0.5) ** 2
    logs -= np.log(0.5 * np.sqrt(2 * np.pi))
    moves = np.log(expm(RATES))
    paths = np.log(0.5) + logs[0][:, None] + moves + logs[1]
    expected = np.logaddexp.reduce(paths.ravel())
    assert model.log_likelihood(series) == pytest.approx(expected, rel=1e-12)
    law = np.exp(np.logaddexp.reduce(paths, axis=1) - expected)
    assert np.allclose(model.predict_proba(series, [0.0])[0, 0], law, atol=1e-12)
    labels = jumps.states_from_signal(
        JumpSeries.from_arrays([np.arange(7.0)], None, signal=[[0, 0.1, -0.1, 3, 3.1, 2.9, 900]]),
        2,
        random_state=0,
    )
    assert labels.states[0, -1] == 1
