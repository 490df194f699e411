"""States made of phases: sojourns that are not exponential."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

import trajinfer
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess

TIMES = np.arange(0, 8, 0.5)
# down, up (1), up (2): sojourns "up" are Gamma(2) with mean 1.5, those "down" exponential, mean 1
GAMMA = np.array([[-1, 1, 0], [0, -4 / 3, 4 / 3], [4 / 3, 0, -4 / 3]])


@pytest.fixture(scope="module")
def alternating():
    hidden = jumps.simulate(GAMMA, [0, 1, 0], 250, TIMES, random_state=0)
    return JumpSeries.from_arrays(TIMES, np.array(["down", "up", "up"])[hidden.states])


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


# phases that exponential sojourns do not tell apart may be as fast as one likes
@pytest.mark.filterwarnings("ignore:the data set no upper end to the rates")
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
        ({"phases": 2, "reversible": True}, "leave out model= and reversible="),
        ({"phases": 2, "method": "bayes"}, "by the likelihood"),
    ],
)
def test_bad_settings_are_named(alternating, options, message):
    with pytest.raises(InputError, match=message):
        MarkovJumpProcess(**options).fit(alternating)


@pytest.fixture(scope="module")
def noisy(alternating):
    """Part of the same paths, one label in twenty wrong."""
    states = alternating.states[:120]
    wrong = np.random.default_rng(3).random(states.shape) < 0.05
    names = np.array(["down", "up"])[np.where(wrong, 1 - states, states)]
    return JumpSeries.from_arrays(TIMES, names)


@pytest.fixture(scope="module")
def noisy_fit(noisy):
    return MarkovJumpProcess(phases={"up": 2}, label_noise="learn", random_state=0).fit(noisy)


def by_hand(initial, gaps, evidence):
    """Log-likelihood of one path: rates (P, P) of every interval, probabilities (T, P)."""
    law = initial * evidence[0]
    for (rates, gap), seen in zip(gaps, evidence[1:]):
        law = (law @ expm(rates * gap)) * seen
    return np.log(law.sum())


def test_wrong_labels_are_told_from_short_sojourns(noisy, noisy_fit):
    """The maximum lies above the truth by a few nats, and above the models that it contains."""
    move = expm(GAMMA * 0.5)
    law = np.tile([0.0, 1.0, 0.0], (len(noisy), 1))
    truth = 0.0
    for k, seen in enumerate(np.asarray(noisy.states).T):
        law = law if k == 0 else law @ move
        law = law * np.where(seen[:, None] == np.array([0, 1, 1]), 0.95, 0.05)
        truth += np.log(law.sum(axis=1)).sum()
        law /= law.sum(axis=1, keepdims=True)
    assert -1e-6 < noisy_fit.log_likelihood_ - truth < 9  # 8 parameters: chi-squared / 2
    assert noisy_fit.label_noise_ == pytest.approx(0.05, abs=0.03)
    plain = MarkovJumpProcess(method="mle", label_noise="learn").fit(noisy)
    assert noisy_fit.log_likelihood_ > plain.log_likelihood_ + 1
    assert noisy_fit.n_parameters_ == plain.n_parameters_ + 2


def test_the_likelihood_with_noise_is_a_sum_over_phases(noisy_fit):
    data = JumpSeries.from_arrays([0.0, 0.4, 1.5], [["up", "down", "down"]])
    e = noisy_fit.label_noise_
    up, down = np.array([e, 1 - e, 1 - e]), np.array([1 - e, e, e])
    gaps = [(noisy_fit.rates_, 0.4), (noisy_fit.rates_, 1.1)]
    value = by_hand(noisy_fit.initial_, gaps, [up, down, down])
    assert noisy_fit.log_likelihood(data) == pytest.approx(value, rel=1e-9)
    drawn = noisy_fit.sample(2000, [0.0, 5.0, 5.0], random_state=0).states
    differ = 2 * e * (1 - e)  # two labels of one state
    error = np.sqrt(differ * (1 - differ) / 2000)
    assert abs(np.mean(drawn[:, 1] != drawn[:, 2]) - differ) < 4.5 * error


def test_a_matrix_of_label_noise_is_learned_per_state(noisy, noisy_fit):
    """Phases of one state share its row; one probability for all states is contained."""
    start = jumps.LabelNoise([[0.9, 0.1], [0.1, 0.9]], learn=True)
    model = MarkovJumpProcess(
        phases={"up": 2}, method="em", label_noise=start, max_iter=40, tol=1e-5
    ).fit(noisy)
    assert model.label_noise_.shape == (2, 2)
    assert np.allclose(model.label_noise_.sum(axis=1), 1)
    assert model.log_likelihood_ > noisy_fit.log_likelihood_ - 0.5


def test_a_signal_is_that_of_the_state():
    states = jumps.simulate(GAMMA, [0, 1, 0], 40, TIMES, random_state=4).states
    level = np.array([0.0, 2.0, 2.0])[states] + np.random.default_rng(0).normal(
        0, 0.7, states.shape
    )
    data = JumpSeries.from_arrays(TIMES, None, signal=level)
    emission = jumps.GaussianEmission([0.0, 2.0], [1.0, 1.0])
    model = MarkovJumpProcess(2, phases={1: 2}, method="mle", emission=emission).fit(data)
    assert np.allclose(model.emission_.means, [0, 2], atol=0.2)
    assert np.allclose(model.emission_.stds, 0.7, atol=0.12)
    one = JumpSeries.from_arrays([0.0, 0.4], None, signal=[[1.8, 0.3]])
    density = np.exp(model.emission_.log_density(np.array([1.8, 0.3])))[:, [0, 1, 1]]
    value = by_hand(model.initial_, [(model.rates_, 0.4)], density)
    assert model.log_likelihood(one) == pytest.approx(value, rel=1e-9)


@pytest.fixture(scope="module")
def treated():
    """Treatment doubles the rate of leaving "up" from both phases, of a Coxian law."""
    tables = []
    for x in (0, 1):
        out = np.array([0.3, 1.2]) * 2**x
        rates = np.array([[-1 - out[0], 1, out[0]], [0, -out[1], out[1]], [1, 0, -1.0]])
        states = jumps.simulate(rates, [1, 0, 0], 200, TIMES, random_state=x).states
        rows = np.repeat(np.arange(200) + 200 * x, len(TIMES))
        names = np.array(["up", "up", "down"])[states.ravel()]
        tables.append(
            pd.DataFrame({"id": rows, "t": np.tile(TIMES, 200), "state": names, "treated": x})
        )
    frame = pd.concat(tables)
    return JumpSeries.from_frame(frame, id="id", time="t", state="state", covariates=["treated"])


@pytest.fixture(scope="module")
def effect_fit(treated):
    return MarkovJumpProcess(phases={"up": 2}, covariates="all", random_state=0).fit(treated)


def test_effects_of_covariates_are_those_on_links_of_states(treated, effect_fit):
    table = effect_fit.effects_.set_index(["from", "to"])
    assert list(table.index) == [("down", "up"), ("up", "down")]
    for link, truth in ((("up", "down"), np.log(2)), (("down", "up"), 0.0)):
        row = table.loc[link]
        assert abs(row["log_ratio"] - truth) < 4.5 * row["std_error"] < 1.5
    none = MarkovJumpProcess(phases={"up": 2}).fit(treated)
    plain = MarkovJumpProcess(covariates="all").fit(treated)
    assert effect_fit.log_likelihood_ > none.log_likelihood_ + 5
    assert effect_fit.log_likelihood_ > plain.log_likelihood_ - 1e-4
    assert effect_fit.n_parameters_ == none.n_parameters_ + 2


def test_rates_with_phases_and_covariates(effect_fit):
    """Effects leave the move to the next phase alone; the likelihood is a sum over phases."""
    before, after = effect_fit.rates(x=[0]), effect_fit.rates(x=[1])
    ratio = np.exp(effect_fit.effects_.set_index(["from", "to"])["log_ratio"])
    assert np.allclose(after[1, 2], before[1, 2])
    assert np.allclose(after[[1, 2], 0], ratio["up", "down"] * before[[1, 2], 0])
    frame = pd.DataFrame({"id": 0, "t": [0.0, 0.4, 1.5], "state": ["up", "up", "down"]})
    frame["treated"] = [0, 1, 1]
    one = JumpSeries.from_frame(frame, id="id", time="t", state="state", covariates=["treated"])
    up = np.array([0, 1.0, 1.0])
    value = by_hand(effect_fit.initial_, [(before, 0.4), (after, 1.1)], [up, up, 1 - up])
    assert effect_fit.log_likelihood(one) == pytest.approx(value, rel=1e-9)
