"""Data on which a narrow interval around a wrong rate is near: one test per kind."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import IdentifiabilityWarning, MarkovJumpProcess
from trajinfer.jumps.fit import _at_rest

TWO = np.array([[-0.3, 0.3], [0.6, -0.6]])
STAGES = np.array([[-0.3, 0.2, 0.1], [0.1, -0.4, 0.3], [0, 0, 0.0]])
LAW = [2 / 3, 1 / 3]
LIKELIHOOD_METHODS = ("mle", "em", "map", "auto")


def bursts(ratio, n=60, seed=0, **options):
    """Three bursts of ten labels an hour apart; the bursts are `ratio` hours apart."""
    hours = np.concatenate([np.arange(10) + (9 + ratio) * k for k in range(3)]).astype(float)
    return jumps.simulate(TWO, LAW, n, hours, random_state=seed, **options)


def panel(rates, labels, n=300, *, ends=False, seed=0):
    """Visits every 1.5 years; with `ends`, nothing is written after the first row of death."""
    times = np.arange(0.0, 12, 1.5)
    paths = jumps.simulate(rates, [1, 0, 0], n, times, random_state=seed)
    frame = pd.DataFrame({"id": np.repeat(range(n), len(times)), "t": np.tile(times, n)})
    frame["state"] = np.array(labels)[paths.states.ravel()]
    if ends:
        gone = frame["state"].eq(labels[-1])
        frame = frame[~(gone & gone.groupby(frame["id"]).shift(fill_value=False))]
    return JumpSeries.from_frame(frame, id="id", time="t", state="state")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # EM alone is slow
@pytest.mark.parametrize("ratio", [1, 1000, 50_000])
@pytest.mark.parametrize("method", LIKELIHOOD_METHODS)
def test_gaps_of_several_scales(method, ratio):
    """The likelihood of the truth is reached, and its rates lie in the 99.99 % region."""
    data = bursts(ratio)
    model = MarkovJumpProcess(2, method=method, random_state=0).fit(data)
    truth = MarkovJumpProcess.from_rates(TWO, LAW).log_likelihood(data)
    assert model.log_likelihood_ > truth - 0.5
    z = np.log(model.rates_[[0, 1], [1, 0]] / [0.3, 0.6])
    deviations = (model.std_errors_ / model.rates_)[[0, 1], [1, 0]]
    assert (np.abs(z) < 4 * deviations).all()


@pytest.mark.filterwarnings("ignore:the data rule out the rates of the network")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # EM alone is slow
@pytest.mark.parametrize(
    ("ratio", "noise", "rivals"),
    [
        *itertools.product([1, 4380], [0.0], [("mle", "em", "map", "amortized")]),
        *itertools.product([1, 4380], ["learn"], [("mle", "map", "amortized")]),
        # 500 steps of EM, which end where the maximum of "mle" is
        *(pytest.param(r, "learn", ("em",), marks=pytest.mark.slow) for r in (1, 4380)),
    ],
)
def test_auto_is_as_likely_as_every_other_method(ratio, noise, rivals):
    data = bursts(ratio, n=30, label_noise=0.05 if noise else 0.0)
    others = [
        MarkovJumpProcess(2, method=m, label_noise=noise).fit(data).log_likelihood_ for m in rivals
    ]
    auto = MarkovJumpProcess(2, label_noise=noise, random_state=0).fit(data)
    assert auto.log_likelihood_ > max(others) - 0.5


@pytest.mark.parametrize("ratio", [1, 4380])
def test_the_network_alone_says_where_the_data_rule_it_out(ratio):
    """It knows one scale of gaps, and is far off where there are two."""
    data = bursts(ratio)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IdentifiabilityWarning)
        model = MarkovJumpProcess(2, method="amortized").fit(data)
    truth = MarkovJumpProcess.from_rates(TWO, LAW).log_likelihood(data)
    told = [str(w.message) for w in caught if "rule out the rates of the network" in str(w.message)]
    assert bool(told) == (model.log_likelihood_ < truth - 20)
    assert bool(told) == (ratio > 1)


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [1, 30, 1000, 50_000])
def test_intervals_of_bursts_cover_the_truth(ratio):
    """40 data sets, two rates each, nearly independent; 85 % of 95 % is 4 standard errors."""
    inside = []
    for seed in range(40):
        model = MarkovJumpProcess(2, random_state=0).fit(bursts(ratio, seed=seed))
        low, high = np.moveaxis(model.intervals_, -1, 0)
        inside.append(((low <= TWO) & (high >= TWO))[[0, 1], [1, 0]])
    assert np.mean(inside) > 0.85


@pytest.fixture(scope="module")
def learned():
    data = bursts(4380, n=100, label_noise=0.05)
    return MarkovJumpProcess(2, method="mle", label_noise="learn").fit(data)


@pytest.mark.parametrize("held", [0.01, 0.05, 0.1])
def test_learned_noise_is_no_worse_than_any_value_it_contains(held, learned):
    data = bursts(4380, n=100, label_noise=0.05)
    fixed = MarkovJumpProcess(2, method="mle", label_noise=held).fit(data)
    assert learned.log_likelihood_ > fixed.log_likelihood_ - 1e-3


def test_constraints_are_no_better_than_free_rates():
    data = bursts(500, n=100)
    free = MarkovJumpProcess(2, method="mle").fit(data).log_likelihood_
    balanced = MarkovJumpProcess(2, method="mle", reversible=True).fit(data).log_likelihood_
    assert balanced == pytest.approx(free, abs=1e-3)  # two states always balance


@pytest.mark.parametrize(
    "method",
    # "auto" goes on from where "em" and "mle" end
    ["auto", *(pytest.param(m, marks=pytest.mark.slow) for m in ("em", "mle", "map"))],
)
def test_states_that_look_alike_have_no_ceiling(method):
    """Fast exchange between two states with one label: only the likelihood sets the rates."""
    rates = np.array([[-2.0, 2.0, 0], [4.0, -5.0, 1.0], [0, 0.5, -0.5]])
    paths = jumps.simulate(rates, [0.4, 0.3, 0.3], 1, np.arange(0, 400, 0.05), random_state=0)
    labels = [[0 if s == 0 else [1, 2] for s in paths.states[0]]]
    data = JumpSeries.from_arrays(paths.times, labels, categories=[0, 1, 2])
    model = MarkovJumpProcess(method=method, links=rates > 0, random_state=0).fit(data)
    truth = MarkovJumpProcess.from_rates(rates).log_likelihood(data)
    assert model.log_likelihood_ > truth - 0.5
    assert model.converged_


@pytest.mark.parametrize(
    ("method", "ends"),
    list(itertools.product(["mle", "em", "map", "auto", "bayes"], [False, True])),
)
def test_a_state_that_nobody_leaves_is_absorbing_and_said(method, ends):
    data = panel(STAGES, ["normal", "low", "dead"], n=40, ends=ends)
    with pytest.warns(IdentifiabilityWarning, match="'dead' is never left, and taken"):
        model = MarkovJumpProcess(method=method, random_state=0).fit(data)
    dead, normal = model.states_.index("dead"), model.states_.index("normal")
    assert model.absorbing_ == ("dead",)
    assert (model.rates_[dead] == 0).all()
    assert expm(100 * model.rates_)[normal, dead] > 0.999
    low, high = model.intervals_[dead, normal]
    assert low == 0
    if ends:
        assert high == np.inf  # nobody was watched there
    else:
        assert 0 < high < 0.1


def test_absorbing_is_the_users_word():
    data = panel(STAGES, ["normal", "low", "dead"], n=60, ends=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = MarkovJumpProcess(method="mle", absorbing="dead").fit(data)
    assert said.absorbing_ == ("dead",)
    with pytest.warns(IdentifiabilityWarning, match="'dead' is never left; only an upper limit"):
        free = MarkovJumpProcess(method="mle", absorbing=()).fit(data)
    dead = free.states_.index("dead")
    low, high = free.intervals_[dead, 1 - dead]
    assert low == 0
    assert 0 < free.rates_[dead, 1 - dead] < high < 0.1
    with pytest.raises(InputError, match=r"'normal' .* left again"):
        MarkovJumpProcess(method="mle", absorbing=["normal"]).fit(data)
    with pytest.raises(InputError, match="names 'deed'"):
        MarkovJumpProcess(method="mle", absorbing="deed").fit(data)


def test_an_absorbing_state_behind_label_noise():
    data = panel(STAGES, ["a", "b", "dead"], n=100)
    model = MarkovJumpProcess(method="mle", label_noise=0.02, absorbing="dead").fit(data)
    assert (model.rates_[model.states_.index("dead")] == 0).all()


@pytest.mark.parametrize("method", ["auto", pytest.param("mle", marks=pytest.mark.slow)])
@pytest.mark.parametrize("noise", [0.05, pytest.param("learn", marks=pytest.mark.slow)])
def test_rows_that_end_at_death_stay_dead_behind_label_noise(method, noise):
    """Stages are mixed up, death is not; the search alone lets .06 to .3 a year return."""
    clean = panel(STAGES, ["normal", "low", "dead"], n=80, ends=True)
    frame, rng = clean.to_frame(), np.random.default_rng(1)
    wrong = frame["state"].ne("dead") & (rng.random(len(frame)) < 0.05)
    other = frame["state"].map({"normal": "low", "low": "normal"})
    frame["state"] = frame["state"].where(~wrong, other)
    data = JumpSeries.from_frame(frame, id="id", time="time", state="state")
    with pytest.warns(IdentifiabilityWarning, match="'dead' is never left, and taken"):
        model = MarkovJumpProcess(method=method, label_noise=noise, random_state=0).fit(data)
    assert model.absorbing_ == ("dead",)
    dead = model.states_.index("dead")
    assert np.isinf(np.delete(model.intervals_[dead, :, 1], dead)).all()


@pytest.mark.filterwarnings("ignore::trajinfer.jumps.IdentifiabilityWarning")
def test_labels_that_are_followed_by_sets_do_not_end_a_path():
    rows = [["a", "b", ["a", "c"]], ["a", "b", ["a", "c"]], ["c", "a", "b"], ["c", "a", "b"]]
    rows = [*rows, ["a", "c", "b"]]
    data = JumpSeries.from_arrays([0.0, 1.0, 2.0], rows)
    model = MarkovJumpProcess(method="mle").fit(data)
    assert model.absorbing_ == ()


def test_a_short_watch_does_not_make_a_state_absorbing():
    data = JumpSeries.from_arrays([0.0, 1.0, 2.0], [["a", "a", "b"], ["a", "a", "a"]])
    with pytest.warns(IdentifiabilityWarning, match="'b' is never left; only an upper limit"):
        model = MarkovJumpProcess(method="mle").fit(data)
    assert model.absorbing_ == ()


@pytest.mark.parametrize("method", ["mle", "auto"])
def test_no_rates_give_alternating_labels(method):
    """P(0 -> 1) + P(1 -> 0) > 1 has no rate matrix: the interval has no upper end."""
    rng, states = np.random.default_rng(0), np.zeros((100, 20), int)
    for k in range(1, 20):
        flips = rng.random(100) < np.where(states[:, k - 1] == 0, 0.7, 0.6)
        states[:, k] = np.where(flips, 1 - states[:, k - 1], states[:, k - 1])
    names = np.array(["up", "down"])[states]
    data = JumpSeries.from_arrays(np.arange(20.0), names)
    with pytest.warns(IdentifiabilityWarning, match=r"'down' -> 'up'.* go to infinity"):
        model = MarkovJumpProcess(method=method, random_state=0).fit(data)
    assert np.isinf(model.intervals_[[0, 1], [1, 0], 1]).all()
    assert (model.intervals_[[0, 1], [1, 0], 0] > 1).all()


def alternating(law, n=200, n_times=20):
    """Labels of a chain in steps whose law no rate matrix may give."""
    law, rng = np.asarray(law), np.random.default_rng(0)
    states = np.zeros((n, n_times), int)
    states[:, 0] = rng.integers(len(law), size=n)
    for k in range(1, n_times):
        states[:, k] = (rng.random(n)[:, None] > law.cumsum(axis=1)[states[:, k - 1]]).sum(axis=1)
    return np.arange(float(n_times)), np.array(["a", "b", "c"])[states]


@pytest.mark.filterwarnings("ignore:the likelihood keeps rising")
@pytest.mark.parametrize(
    "method", ["mle", *(pytest.param(m, marks=pytest.mark.slow) for m in ("map", "auto", "bayes"))]
)
def test_rates_at_infinity_leave_the_stationary_law_as_wide_as_the_labels_do(method):
    """4000 labels: sd .0079 were they independent, .0067 as they alternate with factor -.3."""
    data = alternating([[0.3, 0.7], [0.6, 0.4]])
    model = MarkovJumpProcess(method=method, random_state=0).fit(data)
    low, high = model.interval("stationary_distribution", level=0.9)
    assert low[0] < 6 / 13 < high[0]
    width = (high - low)[0] / (2 * 1.645)
    assert 0.005 < width < 0.012
    if method != "bayes":  # its prior settles the speed
        times = model.interval("relaxation_times")
        assert times[0][0] < 0.01 < 0.05 < times[1][0] < 1


@pytest.mark.parametrize("method", ["auto", pytest.param("mle", marks=pytest.mark.slow)])
def test_rates_that_may_be_infinite_are_named_where_the_best_ones_are_finite(method):
    """Beside a slow third state the likelihood falls by .6 at infinity: no interval excludes it."""
    data = alternating([[0.3, 0.69, 0.01], [0.59, 0.4, 0.01], [0.02, 0.02, 0.96]])
    with pytest.warns(IdentifiabilityWarning, match="no upper end to the rates 'a' -> 'b', 'b'"):
        model = MarkovJumpProcess(method=method, random_state=0).fit(data)
    assert np.isinf(model.intervals_[[0, 1], [1, 0], 1]).all()
    assert model.intervals_[2, :2, 1].max() < 0.1
    assert model.profile_interval("a", "b")[1] == np.inf


def test_alternation_beside_fast_rates_that_are_determined():
    """States 0 and 1 alternate as no rates do, states 2 and 3 as rates of .74 and 1.5 do."""
    law = np.zeros((4, 4))
    law[:2, :2], law[2:, 2:] = [[0.1, 0.9], [0.9, 0.1]], [[0.7, 0.3], [0.6, 0.4]]
    rng, states = np.random.default_rng(0), np.zeros((200, 12), int)
    states[:, 0] = rng.integers(4, size=200)
    for k in range(1, 12):
        states[:, k] = (rng.random(200)[:, None] > law.cumsum(axis=1)[states[:, k - 1]]).sum(axis=1)
    with pytest.warns(IdentifiabilityWarning) as said:
        model = MarkovJumpProcess(random_state=0).fit((np.arange(12.0), states))
    rising = [str(w.message) for w in said if "to infinity" in str(w.message)]
    assert len(rising) == 1
    assert "the rates 0 -> 1, 1 -> 0 go" in rising[0]
    assert np.isinf(model.intervals_[[0, 1], [1, 0], 1]).all()
    assert (model.intervals_[[2, 3], [3, 2], 1] < 3).all()


@pytest.mark.parametrize("method", ["mle", "em", "map", "auto", "bayes", "amortized"])
@pytest.mark.parametrize("share", [pytest.param(0.5, marks=pytest.mark.slow), 0.1])
def test_groups_that_never_mix(share, method):
    """The law within a group is known, its weight is not: P(state a) is anything in [0, 2/3]."""
    paths = jumps.simulate(
        [[-1.0, 1.0], [2.0, -2.0]], [0.5, 0.5], 300, [0, 0.3, 0.9, 2, 2.5], random_state=0
    )
    k = int(300 * share)
    names = np.array(["a", "b", "c", "d"])
    states = np.concatenate([paths.states[:k], paths.states[k:] + 2])
    with pytest.warns(IdentifiabilityWarning, match=r"\['a', 'b'\]; \['c', 'd'\] were never"):
        model = MarkovJumpProcess(method=method, random_state=0).fit((paths.times, names[states]))
    assert model.groups_ == [("a", "b"), ("c", "d")]
    low, high = model.interval("stationary_distribution")
    assert low[0] < 0.02
    assert 0.55 < high[0] < 0.85
    slowest = [ends[0] for ends in model.interval("relaxation_times")]
    assert slowest[0] < 400 < 1e5 < slowest[1]
    assert slowest[0] <= model.relaxation_times()[0] <= slowest[1]
    with pytest.warns(IdentifiabilityWarning, match="weight of a group"):
        model.stationary_distribution()


@pytest.mark.parametrize("settings", [{}, {"method": "map"}, {"reversible": True}])
def test_ends_of_intervals_are_open_or_apart(settings):
    """A rate of which nothing is known has no interval, and none of width zero."""
    data = panel(STAGES, ["a", "b", "dead"], n=60, ends=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        model = MarkovJumpProcess(**settings).fit(data)
    low, high = np.moveaxis(model.intervals_, -1, 0)
    assert np.isnan(np.diag(low)).all()
    known = ~np.isnan(low)
    assert (low[known] < high[known]).all()
    assert ((low <= model.rates_) & (model.rates_ <= high))[known].all()


@pytest.mark.parametrize("noise", [0.02, "learn"])
def test_exact_jumps_with_label_noise_have_no_unit_of_time(noise):
    """The likelihood is a density: it shifts by log(unit) per jump, and the estimates scale."""
    paths = jumps.simulate([[-1, 1], [2, -2.0]], [1, 0], 20, horizon=5.0, random_state=0)
    rng = np.random.default_rng(1)
    states = np.where(rng.random(paths.states.shape) < 0.02, 1 - paths.states, paths.states)
    rows = [s[:n] for s, n in zip(states, paths.lengths)]
    kinds = [["snapshot"] + ["jump"] * (n - 1) for n in paths.lengths]

    def fitted(unit):
        times = [t[:n] * unit for t, n in zip(paths.times, paths.lengths)]
        data = JumpSeries.from_arrays(times, rows, observation=kinds)
        return MarkovJumpProcess(2, method="mle", label_noise=noise).fit(data)

    one, other = fitted(1.0), fitted(1e4)
    n_jumps = sum(int((np.diff(row) != 0).sum()) for row in rows)
    assert np.allclose(other.rates_ * 1e4, one.rates_, rtol=1e-3)
    assert other.label_noise_ == pytest.approx(one.label_noise_, rel=1e-2)
    shift = one.log_likelihood_ - other.log_likelihood_
    assert shift == pytest.approx(n_jumps * np.log(1e4), rel=1e-4)


def test_weights_count_paths():
    data = panel(STAGES + np.diag([0, 0, 0]), ["a", "b", "dead"], n=60)
    weights = np.arange(60) % 3
    for noise in (0.0, 0.05):
        model = MarkovJumpProcess(method="mle", absorbing="dead", label_noise=noise)
        weighted = model.fit(data, sample_weight=weights)
        rates, value = weighted.rates_, weighted.log_likelihood_
        repeated = model.fit(data[np.repeat(np.arange(60), weights)])
        assert np.allclose(rates, repeated.rates_, rtol=1e-4, atol=1e-6)
        assert value == pytest.approx(repeated.log_likelihood_)
    with pytest.raises(InputError, match="60 numbers"):
        model.fit(data, sample_weight=[1.0])


def test_a_search_that_gains_nothing_is_at_rest():
    climbing = [-100.0 + 0.5 * k for k in range(40)]
    assert not _at_rest(climbing, 1e-8)
    assert not _at_rest([-80.0] * 15, 1e-8)
    assert _at_rest([*climbing, *[-85.0] * 20], 1e-8)
