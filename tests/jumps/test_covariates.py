"""Covariates on rates: published fits, recovery, equal effects, changes in time, queries."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from scipy.linalg import expm

import trajinfer
from tests.jumps.jump_data import load
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import IdentifiabilityWarning, MarkovJumpProcess
from trajinfer.jumps.covariate_map import CovariateMap
from trajinfer.markov.parameters import Parameters

LINKS = np.zeros((4, 4), dtype=bool)
LINKS[[0, 0, 1, 1, 1, 2, 2], [1, 3, 0, 2, 3, 1, 3]] = True
BASE = np.array([[-1.0, 0.7, 0.3], [0.5, -0.9, 0.4], [0.2, 0.9, -1.1]])


@pytest.fixture(scope="module")
def transplants():
    data = load("panel_cav")
    table = pd.DataFrame({"id": data["subject"], "t": data["times"], "s": data["states"]})
    table["sex"], table["dage"] = data["x_sex"], data["x_dage"]
    table["o"] = np.where(table.s == 3, "absorption", "snapshot")
    return JumpSeries.from_frame(
        table, id="id", time="t", state="s", observation="o", covariates=["sex", "dage"]
    )


def transplant_fit(data, covariates):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        return MarkovJumpProcess(links=LINKS, covariates=covariates).fit(data)


def ratio(model, start, end, name):
    row = model.effects_.set_index(["from", "to", "covariate"]).loc[(start, end, name)]
    return row["hazard_ratio"], row["lower"], row["upper"]


class TestPublishedFits:
    def test_sex_on_all_rates(self, transplants):
        with pytest.warns(IdentifiabilityWarning, match="sex on 1 -> 3 are not identified"):
            model = MarkovJumpProcess(links=LINKS, covariates="sex").fit(transplants)
        assert -2 * model.log_likelihood_ == pytest.approx(3954.777, abs=0.01)
        published = {
            (0, 1): (0.5633, 0.333, 0.952),
            (0, 3): (1.129, 0.626, 2.035),
            (1, 0): (1.291, 0.492, 3.388),
            (1, 2): (1.077, 0.519, 2.231),
            (2, 1): (1.097, 0.135, 8.94),
            (2, 3): (2.414, 1.176, 4.952),
        }
        for link, values in published.items():
            assert ratio(model, *link, "sex") == pytest.approx(values, rel=0.01), link
        assert ratio(model, 1, 3, "sex")[1:] == (0.0, np.inf)
        assert model.effects_["identified"].sum() == 6

    def test_one_covariate_per_rate(self, transplants):
        model = transplant_fit(transplants, {(0, 1): ["sex"], (0, 3): "dage"})
        assert -2 * model.log_likelihood_ == pytest.approx(3947.9258, abs=0.01)
        assert ratio(model, 0, 1, "sex") == pytest.approx((0.52617, 0.32743, 0.84552), rel=0.01)
        assert ratio(model, 0, 3, "dage") == pytest.approx((1.03151, 1.01379, 1.04955), rel=0.01)

    @pytest.mark.slow  # one covariate on all rates, and two on one each, run in the default suite
    def test_two_covariates_on_all_rates(self, transplants):
        """Better than the published 3917.744, and the value is that of a plain product."""
        model = transplant_fit(transplants, ["dage", "sex"])
        assert -2 * model.log_likelihood_ < 3917.754
        assert ratio(model, 0, 1, "dage") == pytest.approx((1.01848, 1.0062, 1.0309), rel=0.01)
        assert ratio(model, 0, 3, "dage") == pytest.approx((1.03638, 1.0171, 1.0561), rel=0.01)
        assert ratio(model, 0, 1, "sex") == pytest.approx((0.57699, 0.3410, 0.9762), rel=0.01)
        value = 0.0
        for _, path in transplants.to_frame().groupby("id"):
            rates = model.rates(path.iloc[0][["sex", "dage"]].to_dict())
            for a, b in zip(path.iloc[:-1].itertuples(), path.iloc[1:].itertuples()):
                moved = expm(rates * (b.time - a.time))[a.state]
                value += np.log(moved[:3] @ rates[:3, 3] if b.state == 3 else moved[b.state])
        assert model.log_likelihood_ == pytest.approx(value, abs=1e-6)

    def test_no_effect_is_no_better(self, transplants):
        plain = MarkovJumpProcess(method="mle", links=LINKS).fit(transplants)
        assert -2 * plain.log_likelihood_ == pytest.approx(3968.7979, abs=0.01)


def treated(n=300, seed=0, effect=0.8):
    """Half of the paths are treated: the rate 0 -> 1 is exp(effect) times as large."""
    faster = BASE.copy()
    faster[0, 1] *= np.exp(effect)
    faster[0, 0] = -faster[0, 1:].sum()
    times = np.linspace(0, 5, 11)
    parts = [
        jumps.simulate(rates, [1, 0, 0], n // 2, times, random_state=seed + k).to_frame()
        for k, rates in enumerate((BASE, faster))
    ]
    for k, part in enumerate(parts):
        part["treated"], part["id"] = k, part["id"] + 1000 * k
        part["noise"] = np.random.default_rng(seed).normal(size=len(part))
    return pd.concat(parts, ignore_index=True)


def series_of(table, covariates=("treated",)):
    return JumpSeries.from_frame(
        table, id="id", time="time", state="state", covariates=list(covariates)
    )


def test_effects_are_recovered():
    """Each within 4.5 standard errors: false alarms about 6 x 7e-6."""
    model = MarkovJumpProcess(covariates="all").fit(series_of(treated()))
    effects = model.effects_
    truth = np.where((effects["from"] == 0) & (effects["to"] == 1), 0.8, 0.0)
    assert (np.abs(effects["log_ratio"] - truth) < 4.5 * effects["std_error"]).all()
    assert model.rates({"treated": 1})[0, 1] / model.rates({"treated": 0})[0, 1] == pytest.approx(
        effects["hazard_ratio"].iloc[0]
    )
    assert np.allclose(model.rates(), model.rates_)
    assert np.allclose(model.rates([0.5]), model.rates_)  # half of the intervals


def test_equal_effects_are_equal():
    data = series_of(treated())
    links = [(0, 1), (0, 2)]
    free = MarkovJumpProcess(covariates="all").fit(data)
    equal = MarkovJumpProcess(covariates="all", equal_effects=[links]).fit(data)
    first, second = equal.effects_["log_ratio"].iloc[:2]
    assert first == second
    assert equal.log_likelihood_ < free.log_likelihood_
    assert len(equal.effects_["log_ratio"].unique()) == 5


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_a_covariate_does_not_matter(unit):
    table = treated(100)
    table["scaled"] = table["treated"] * unit + 1e3 * unit
    one = MarkovJumpProcess(covariates="treated").fit(series_of(table))
    other = MarkovJumpProcess(covariates="scaled").fit(series_of(table, ["scaled"]))
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_, abs=1e-4)
    ratios = other.effects_["log_ratio"] * unit / one.effects_["log_ratio"]
    assert np.allclose(ratios, 1, rtol=5e-3)


def test_a_change_between_rows_splits_the_interval():
    """A row without a state, at which the treatment starts, against products of exponentials."""
    table = pd.DataFrame(
        {
            "id": np.repeat(range(40), 3),
            "time": np.tile([0.0, 0.7, 2.0], 40),
            "state": np.tile([0.0, np.nan, 1.0], 40),
            "treated": np.tile([0, 1, 1], 40),
        }
    )
    table.loc[table["id"].between(10, 20) & (table["time"] == 2.0), "state"] = 0.0
    table.loc[table["id"] > 30, "treated"] = 0
    data = series_of(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        model = MarkovJumpProcess(2, covariates="treated", absorbing=1).fit(data)
    off, on = (expm(model.rates({"treated": k}) * t) for k, t in ((0, 0.7), (1, 1.3)))
    whole = expm(model.rates({"treated": 0}) * 2.0)
    value = sum(
        np.log((whole if k > 30 else off @ on)[0, 0 if 10 <= k <= 20 else 1]) for k in range(40)
    )
    value += 40 * np.log(model.initial_[0])
    assert model.log_likelihood_ == pytest.approx(value, abs=1e-8)
    assert model.log_likelihood(data) == pytest.approx(value, abs=1e-8)
    assert model.predict_proba(data, [0.7])[0, 0, 0] == pytest.approx(
        off[0, 0] * on[0, 1] / (off @ on)[0, 1], rel=1e-6
    )


def test_noisy_labels_and_covariates_agree_with_known_ones():
    """The hidden engine at a vanishing error gives the likelihood of known states."""
    data = series_of(treated(60))
    known = MarkovJumpProcess(covariates="treated").fit(data)
    noisy = MarkovJumpProcess(covariates="treated", label_noise=1e-9).fit(data)
    assert noisy.log_likelihood_ == pytest.approx(known.log_likelihood_, abs=1e-3)
    assert np.allclose(noisy.effects_["log_ratio"], known.effects_["log_ratio"], atol=5e-3)


def test_gradient_by_effects():
    model = MarkovJumpProcess(covariates="treated").fit(series_of(treated(60)))
    problem = model.uncertainty_.problem
    rate_map = problem.rate_map
    assert isinstance(rate_map, CovariateMap)
    p = model.uncertainty_.result.p + 0.1 * np.sin(np.arange(12))
    first = model.initial_

    def value(q):
        return problem.data.log_likelihood(
            Parameters(rate_map.rates(q), first, model.model_.emission)
        )

    at = Parameters(rate_map.rates(p), first, model.model_.emission)
    found = problem.gradient(problem.data.expectation(at), p, at.rates)
    steps = 1e-5 * np.eye(12)
    slope = np.array([(value(p + h) - value(p - h)) / 2e-5 for h in steps])
    assert np.allclose(found, slope, rtol=1e-5, atol=1e-5 * np.abs(slope).max())


def test_it_is_saved(tmp_path):
    data = series_of(treated(60))
    model = MarkovJumpProcess(covariates={(0, 1): ["treated"]}, random_state=0).fit(data)
    again = trajinfer.load(model.save(tmp_path / "model"))
    assert np.array_equal(again.rates([1]), model.rates([1]))
    assert again.log_likelihood(data) == model.log_likelihood(data)
    pd.testing.assert_frame_equal(again.effects_, model.effects_)
    assert again.get_params()["covariates"] == {(0, 1): ["treated"]}


def test_durations():
    """Expected times add up to t, visits to what the jump rates give, by a fine sum."""
    model = MarkovJumpProcess.from_rates(BASE, [1, 0, 0])
    grid = np.linspace(0, 2, 2001)
    laws = np.stack([expm(BASE * s) for s in grid])
    times = model.time_in_state(2.0)
    assert np.allclose(times.sum(axis=1), 2.0)
    assert np.allclose(times, trapezoid(laws, grid, axis=0), atol=1e-6)
    off = BASE - np.diag(np.diag(BASE))
    assert np.allclose(model.expected_visits(2.0), times @ off)
    assert np.allclose(model.transition_probabilities(2.0), laws[-1])
    with pytest.raises(InputError, match="depend on no covariates"):
        model.transition_probabilities(1.0, x=[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariates": "treatd"}, "did you mean 'treated'"),
        ({"covariates": {(0, 7): ["treated"]}}, "a pair of labels"),
        ({"covariates": {(0, 0): ["treated"]}}, "no link from 0 to 0"),
        ({"covariates": "constant"}, "one value only"),
        ({"covariates": "treated", "method": "bayes"}, "fitted by the likelihood"),
        ({"covariates": "treated", "reversible": True}, "act on free rates"),
        ({"equal_effects": [[(0, 1), (0, 2)]]}, "give both"),
    ],
)
def test_bad_settings_are_named(options, message):
    table = treated(20).assign(constant=1.0)
    with pytest.raises(InputError, match=message):
        MarkovJumpProcess(**options).fit(series_of(table, ["treated", "constant"]))


def test_bad_covariates_are_named():
    table = treated(20)
    with pytest.raises(InputError, match=r"no number in row 3 .*ffill"):
        series_of(table.assign(treated=table["treated"].where(table.index != 3)))
    with pytest.raises(InputError, match="get_dummies"):
        series_of(table.assign(treated=table["treated"].astype(str)))
    model = MarkovJumpProcess(covariates="treated").fit(series_of(table))
    with pytest.raises(InputError, match="must give treated"):
        model.rates({"trated": 1})
    with pytest.raises(InputError, match="no covariate 'treated'"):
        model.log_likelihood(table[["id", "time", "state"]])


def test_containers_keep_covariates():
    table = treated(20)
    data = series_of(table, ["treated", "noise"])
    assert data.covariates.shape == (20, 11, 2)
    frame = data.to_frame()
    assert np.array_equal(frame["noise"], table["noise"])
    parts = JumpSeries.concatenate([data[:5], data[5:]])
    assert np.array_equal(parts.flat_covariates, data.flat_covariates)
    assert np.array_equal(data[[3]].covariates[0], data.covariates[3])
