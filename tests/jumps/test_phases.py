"""States made of phases: sojourns that are not exponential."""

import numpy as np
import pytest
from scipy.linalg import expm

import trajinfer
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess

TIMES = np.arange(0, 8, 0.5)


@pytest.fixture(scope="module")
def alternating():
    """Sojourns "up" are Gamma(2) with mean 1.5, those "down" exponential with mean 1."""
    rates = np.array([[-4 / 3, 4 / 3, 0], [0, -4 / 3, 4 / 3], [1, 0, -1.0]])
    hidden = jumps.simulate(rates, [1, 0, 0], 250, TIMES, random_state=0)
    return JumpSeries.from_arrays(TIMES, np.array(["up", "up", "down"])[hidden.states])


@pytest.fixture(scope="module")
def phased(alternating):
    return MarkovJumpProcess(phases={"up": 2}, random_state=0).fit(alternating)


def test_the_law_of_a_sojourn_is_recovered(alternating, phased):
    """Both rates of the Gamma law and the other one, each within 4.5 standard errors."""
    for link in (("up (1)", "up (2)"), ("up (2)", "down"), ("down", "up (1)")):
        place = tuple(phased.rate_labels_.index(label) for label in link)
        truth = 1.0 if link[0] == "down" else 4 / 3
        assert abs(phased.rates_[place] - truth) < 4.5 * phased.std_errors_[place], link
    plain = MarkovJumpProcess(method="mle").fit(alternating)
    assert plain.aic_ - phased.aic_ > 20
    assert phased.n_parameters_ == 4
    assert plain.goodness_of_fit(clock="entry", n_gaps=1).refuted
    assert phased.goodness_of_fit(clock="entry", n_gaps=1).p_values[0] > 1e-3


def test_phases_are_never_worse_than_none():
    """The plain model is contained; exponential sojourns, three data sets."""
    for seed in range(3):
        data = jumps.simulate([[-1, 1], [0.5, -0.5]], [1, 0], 30, TIMES, random_state=seed)
        plain = MarkovJumpProcess(method="mle").fit(data)
        phased = MarkovJumpProcess(phases=2).fit(data)
        assert phased.log_likelihood_ > plain.log_likelihood_ - 1e-4


def test_answers_are_of_states(alternating, phased):
    """Laws of states from products over phases by hand."""
    assert phased.states_ == ("down", "up")
    assert phased.rate_labels_ == ("down", "up (1)", "up (2)")
    law = expm(phased.rates_ * 0.7)
    by_hand = np.stack([law[[0, 1], 0], law[[0, 1], 1:].sum(axis=1)], axis=1)
    assert np.allclose(phased.transition_probabilities(0.7), by_hand)
    assert np.allclose(phased.time_in_state(3.0).sum(axis=1), 3.0)
    probabilities = phased.predict_proba(alternating, [0.5, 0.75, 20.0])
    assert probabilities.shape == (250, 3, 2)
    seen = alternating.states[:, 1]
    assert np.allclose(probabilities[np.arange(250), 0, seen], 1.0)
    assert np.allclose(probabilities[:, 2], phased.stationary_distribution(), atol=1e-3)
    assert phased.most_probable_states(alternating).states.tolist() == alternating.states.tolist()
    drawn = phased.sample(2000, TIMES, random_state=1)
    share = (drawn.states == 1).mean(axis=0)
    expected = phased.model_.mean_law(alternating, TIMES)[:, 1]
    assert np.abs(share - expected).max() < 4.5 * 0.5 / np.sqrt(2000)


def test_the_likelihood_is_a_sum_over_phases(phased):
    """Three observations, against products of blocks."""
    data = JumpSeries.from_arrays([0.0, 0.4, 1.5], [["up", "up", "down"]])
    p = expm(phased.rates_ * 0.4), expm(phased.rates_ * 1.1)
    start = phased.initial_[1:]
    value = np.log((start @ p[0][1:, 1:]) @ p[1][1:, 0])
    assert phased.log_likelihood(data) == pytest.approx(value, rel=1e-9)


def test_a_death_ends_the_phases(tmp_path):
    rates = np.array([[-1, 0.9, 0, 0.1], [0, -1, 0.8, 0.2], [0.5, 0, -0.8, 0.3], [0, 0, 0, 0]])
    hidden = jumps.simulate(rates, [1, 0, 0, 0], 150, TIMES, random_state=1)
    names = np.array(["well", "well", "ill", "dead"])[hidden.states]
    data = JumpSeries.from_arrays(TIMES, names)
    with pytest.warns(jumps.IdentifiabilityWarning, match="'dead' is never left"):
        model = MarkovJumpProcess(phases={"well": 2}, random_state=0).fit(data)
    assert model.absorbing_ == ("dead",)
    assert model.rates_[model.rate_labels_.index("dead")].tolist() == [0, 0, 0, 0]
    again = trajinfer.load(model.save(tmp_path / "model"))
    table = model.rate_table().set_index(["from", "to"])
    for (start, end), row in table.iterrows():
        place = model.rate_labels_.index(start), model.rate_labels_.index(end)
        assert row["rate"] == model.rates_[place]
        assert row["lower"] <= row["rate"] <= row["upper"]
    assert {("well (1)", "well (2)"), ("well (2)", "ill")} <= set(table.index)
    assert np.array_equal(again.predict_proba(data, [0.3]), model.predict_proba(data, [0.3]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phases": {"upp": 2}}, "did you mean 'up'"),
        ({"phases": {"up": 0}}, "a number from 1"),
        ({"phases": 2, "label_noise": 0.1}, "leave out label_noise="),
        ({"phases": 2, "method": "bayes"}, "by the likelihood"),
    ],
)
def test_bad_settings_are_named(alternating, options, message):
    with pytest.raises(InputError, match=message):
        MarkovJumpProcess(**options).fit(alternating)
