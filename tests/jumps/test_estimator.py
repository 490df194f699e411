"""The estimator: published fits, recovery, equivariance, hard data, conventions."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tests.jumps.jump_data import RATES, panel_series
from trajinfer import jumps
from trajinfer._core.archive import read_archive
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import IdentifiabilityWarning, LabelNoise, MarkovJumpProcess
from trajinfer.jumps.posterior_uncertainty import DrawsUncertainty
from trajinfer.jumps.profile import Profile
from trajinfer.jumps.starts import typical_rate
from trajinfer.markov.likelihood import CountData
from trajinfer.markov.rates import with_diagonal


@pytest.fixture
def panel():
    return panel_series


METHODS = ["mle", "em", "map", "auto", "amortized"]
OFF = ~np.eye(3, dtype=bool)


def paths(n=150, seed=0, **options):
    return jumps.simulate(RATES, [1, 0, 0], n, np.linspace(0, 6, 25), random_state=seed, **options)


@pytest.fixture(scope="module")
def fitted():
    return MarkovJumpProcess(3, method="mle").fit(paths())


class TestPublishedFit:
    links = np.zeros((4, 4), dtype=bool)
    links[[0, 0, 1, 1, 1, 2, 2], [1, 3, 0, 2, 3, 1, 3]] = True

    @pytest.mark.parametrize("method", ["mle", "em"])
    def test_heart_transplant_panel(self, panel, method):
        model = MarkovJumpProcess(4, method=method, links=self.links)
        model.fit(panel("cav", absorption=3))
        assert -2 * model.log_likelihood_ < 3968.799
        found = model.rates_[self.links]
        expected = [0.12787, 0.04249, 0.2251, 0.3426, 0.0403, 0.13062, 0.30646]
        assert np.allclose(found, expected, rtol=2e-3)

    def test_its_intervals(self, panel):
        model = MarkovJumpProcess(4, method="mle", links=self.links)
        found = model.fit(panel("cav", absorption=3)).intervals_[self.links]
        expected = [
            (0.1114, 0.1468),
            (0.0341, 0.0529),
            (0.1675, 0.3025),
            (0.2732, 0.4297),
            (0.0113, 0.1431),
            (0.0795, 0.2146),
            (0.2382, 0.3943),
        ]
        assert np.allclose(found, expected, atol=2e-3)

    def test_states_of_an_absorption_are_never_left(self, panel):
        model = MarkovJumpProcess(4, method="mle").fit(panel("cav", absorption=3))
        assert (model.rates_[3] == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_rates_are_recovered(method):
    """Each rate within 5 standard errors: false alarms about 6 x 6e-7."""
    model = MarkovJumpProcess(3, method=method).fit(paths(400))
    error = np.abs(model.rates_ - RATES)[OFF]
    assert (error < 5 * MarkovJumpProcess(3, method="mle").fit(paths(400)).std_errors_[OFF]).all()
    assert np.allclose(model.rates_.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("noise", "method"),
    [
        *((0.0, method) for method in METHODS),
        *(("learn", method) for method in METHODS if method != "auto"),
        # three searches from where "em" and "mle", above, end
        pytest.param("learn", "auto", marks=pytest.mark.slow),
    ],
)
def test_relabelling_and_the_unit_of_time_change_nothing(method, noise):
    data = paths(60, label_noise=0.05)
    order = np.array([2, 0, 1])
    moved = JumpSeries.from_arrays(data.times, order[data.states])
    yearly = JumpSeries.from_arrays(data.times / 365.25, data.states)
    model = MarkovJumpProcess(3, method=method, label_noise=noise)
    one, two, three = (clone(model).fit(d) for d in (data, moved, yearly))
    assert np.allclose(two.rates_[np.ix_(order, order)], one.rates_, rtol=1e-5, atol=1e-9)
    assert np.allclose(three.rates_ / 365.25, one.rates_, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
def test_posterior_draws_are_equivariant_and_converge():
    data = paths(40)
    order = np.array([1, 2, 0])
    moved = JumpSeries.from_arrays(data.times, order[data.states])
    one, two = (MarkovJumpProcess(3, method="bayes", random_state=1).fit(d) for d in (data, moved))
    assert np.allclose(two.rates_[np.ix_(order, order)], one.rates_, rtol=1e-5)
    assert np.nanmax(one.r_hat_) < 1.05
    assert np.nanmin(one.ess_) > 100
    mode = MarkovJumpProcess(3, method="map").fit(data)
    assert np.allclose(one.rates_[OFF], mode.rates_[OFF], rtol=0.35)


def test_posterior_against_the_gamma_law():
    """Complete observation: the posterior of each rate is Gamma(1 + jumps, rate + dwell)."""
    data = jumps.simulate(RATES, [1, 0, 0], 10, horizon=6.0, random_state=2)
    model = MarkovJumpProcess(3, method="bayes", random_state=0).fit(data)
    complete = CountData(data, 3)
    typical = typical_rate(complete.pairs, 3) / 2
    shape = 1 + complete.jump_counts[OFF]
    rate = np.repeat(complete.jump_dwell[:, None] + 1 / typical, 3, axis=1)[OFF]
    error = np.sqrt(shape) / rate / np.sqrt(model.ess_[OFF])
    assert (np.abs(model.rates_[OFF] - shape / rate) < 5.5 * error).all()


def test_em_never_falls():
    history = (
        MarkovJumpProcess(3, method="em", label_noise="learn")
        .fit(paths(60, label_noise=0.1))
        .history_
    )
    values = np.array([record["objective"] for record in history])
    assert (np.diff(values) > -1e-8 * np.abs(values[:-1])).all()


def test_label_noise_is_learned():
    """Probability of a wrong label within 5 binomial standard errors of all labels."""
    data = paths(300, label_noise=0.1)
    model = MarkovJumpProcess(3, method="mle", label_noise="learn").fit(data)
    assert abs(model.label_noise_ - 0.1) < 5 * np.sqrt(0.09 / data.n_observations) * 2
    given = MarkovJumpProcess(3, method="mle", label_noise=0.1).fit(data)
    ignored = MarkovJumpProcess(3, method="mle").fit(data)
    assert np.abs(ignored.rates_ - RATES).max() > 3 * np.abs(given.rates_ - RATES).max()


def test_zeros_of_a_learned_label_matrix_stay():
    truth = np.array([[0.9, 0.1, 0], [0, 1, 0], [0, 0.2, 0.8]])
    data = paths(300, label_noise=truth)
    start = np.array([[0.8, 0.2, 0], [0, 1, 0], [0, 0.4, 0.6]])
    model = MarkovJumpProcess(3, method="em", label_noise=LabelNoise(start, learn=True)).fit(data)
    assert (model.label_noise_[start == 0] == 0).all()
    assert np.abs(model.label_noise_ - truth).max() < 0.04


def test_function_of_parameters():
    def ring(theta):
        forward, back = np.exp(theta)
        return np.array([[0, forward, back], [back, 0, forward], [forward, back, 0]])

    data = jumps.simulate(
        jumps.MarkovJumpProcess.from_rates(_closed(ring(np.log([2, 0.5])))).rates_,
        np.full(3, 1 / 3),
        200,
        np.linspace(0, 4, 30),
        random_state=0,
    )
    model = MarkovJumpProcess(3, model=ring).fit(data)
    assert np.allclose(np.exp(model.theta_), [2, 0.5], rtol=0.1)
    assert model.std_errors_[0, 1] == pytest.approx(model.std_errors_[1, 2])
    free = MarkovJumpProcess(3, method="mle").fit(data)
    assert free.log_likelihood_ > model.log_likelihood_
    assert 2 * (free.log_likelihood_ - model.log_likelihood_) < 25  # chi square, 4 degrees


def _closed(matrix):
    return matrix - np.diag(matrix.sum(axis=1))


def test_detailed_balance():
    model = MarkovJumpProcess(3, method="mle", reversible=True).fit(paths())
    flux = model.stationary_distribution()[:, None] * model.rates_
    assert np.allclose(flux, flux.T, atol=1e-6)
    assert model.entropy_production() < 1e-8
    free = MarkovJumpProcess(3, method="mle").fit(paths())
    assert model.log_likelihood_ <= free.log_likelihood_


def test_links_are_selected():
    rates = _closed(np.array([[0, 1.0, 0], [0, 0, 0.8], [0.9, 0, 0]]))
    data = jumps.simulate(rates, [1, 0, 0], 200, np.linspace(0, 6, 40), random_state=0)
    model = MarkovJumpProcess(3, method="mle", links="select").fit(data)
    assert np.array_equal(model.rates_ > 0, rates > 0)


def test_boundary_has_a_profile_limit():
    """Complete observation without a jump 0 -> 2: exp(-R F) = 0.025 at the upper limit."""
    rates = _closed(np.array([[0, 1.0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0]]))
    data = jumps.simulate(rates, [1, 0, 0], 40, horizon=5.0, random_state=0)
    model = MarkovJumpProcess(3, method="mle").fit(data)
    dwell = CountData(data, 3).jump_dwell[0]
    from scipy.stats import chi2

    assert model.intervals_[0, 2, 0] == 0
    assert model.intervals_[0, 2, 1] == pytest.approx(chi2.ppf(0.95, 1) / 2 / dwell, rel=5e-3)
    assert np.isnan(model.std_errors_[0, 2])


def test_profile_interval_of_a_counted_rate():
    data = jumps.simulate(RATES, [1, 0, 0], 40, horizon=5.0, random_state=0)
    model = MarkovJumpProcess(3, method="mle").fit(data)
    low, high = model.profile_interval(0, 1)
    store = CountData(data, 3)
    n, dwell = store.jump_counts[0, 1], store.jump_dwell[0]
    for end in (low, high):
        drop = n * np.log(n / dwell / end) - (n - dwell * end)
        assert 2 * drop == pytest.approx(3.841, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
class TestHardData:
    def fit(self, method, data, n=3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdentifiabilityWarning)
            return MarkovJumpProcess(n, method=method).fit(data)

    def test_state_never_visited(self, method):
        model = self.fit(method, paths(60), 4)
        assert np.isfinite(model.rates_).all()
        top = -np.diag(self.fit("mle", paths(60)).rates_).min()
        assert model.rates_.max() < 5 * top

    def test_state_never_left(self, method):
        chain = _closed(np.array([[0, 1.0, 0.2], [0, 0, 1.0], [0, 0, 0]]))
        data = jumps.simulate(chain, [1, 0, 0], 60, np.linspace(0, 5, 20), random_state=0)
        model = self.fit(method, data)
        assert model.rates_[2].max() < 0.02
        assert model.rates_[0, 1] == pytest.approx(1.0, rel=0.4)

    def test_nothing_ever_happens(self, method):
        model = self.fit(method, JumpSeries.from_arrays([0.0, 1.0, 2.0], [[0, 0, 0], [1, 1, 1]]), 2)
        assert model.rates_[0, 1] < 0.5

    def test_one_observation_is_an_error(self, method):
        with pytest.raises(InputError, match="two observations"):
            MarkovJumpProcess(2, method=method).fit(JumpSeries.from_arrays([[0.0]], [[1]]))

    def test_label_outside(self, method):
        with pytest.raises(InputError, match="outside the 3 states"):
            MarkovJumpProcess(3, method=method).fit(JumpSeries.from_arrays([0.0, 1.0], [[0, 3]]))


def test_unidentified_rates_are_said():
    with pytest.warns(IdentifiabilityWarning, match="never visited"):
        MarkovJumpProcess(4, method="mle").fit(paths(20))
    slow = jumps.simulate(RATES, [1, 0, 0], 500, [0.0, 60.0, 120.0], random_state=0)
    with pytest.warns(IdentifiabilityWarning, match="not identifiable at this"):
        MarkovJumpProcess(3, method="mle", max_iter=2000).fit(slow)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mlee"}, "did you mean 'mle'"),
        ({"method": None}, "unknown method None"),
        ({"n_states": 1}, "at least 2"),
        ({"n_states": "3"}, "whole number"),
        ({"links": np.ones((2, 2))}, "links must be"),
        ({"links": "select"}, "method='mle'"),
        ({"label_noise": "lern"}, "'learn'"),
        ({"label_noise": 1.2}, "below 1"),
        ({"label_noise": None}, "below 1"),
        ({"model": lambda theta: np.ones((2, 2))}, "theta0"),
        ({"method": "amortized", "reversible": True}, "cannot use constraints"),
        ({"method": "mle", "links": np.eye(3, k=1, dtype=bool)}, "probability 0"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(InputError, match=message):
        MarkovJumpProcess(**{"n_states": 3, **options}).fit(paths(5))


def test_state_posterior(fitted):
    data = paths()
    middle = fitted.predict_proba(data, [0.0, 0.1, 6.0, 9.0])
    assert middle.shape == (150, 4, 3)
    assert np.allclose(middle.sum(axis=2), 1)
    assert (middle[:, 2].argmax(axis=1) == data.states[:, -1]).all()
    from scipy.linalg import expm

    a, b = expm(fitted.rates_ * 0.1), expm(fitted.rates_ * 0.15)
    i, j = data.states[0, :2]
    between = a[i] * b[:, j]
    assert np.allclose(middle[0, 1], between / between.sum(), atol=1e-10)
    later = np.eye(3)[data.states[0, -1]] @ expm(fitted.rates_ * 3.0)
    assert np.allclose(middle[0, 3], later, atol=1e-10)
    with pytest.raises(InputError, match="before the first"):
        fitted.predict_proba(data, [-1.0])
    stuck = MarkovJumpProcess.from_rates(np.array([[-1.0, 1.0], [0, 0]]), [1, 0])
    with pytest.raises(InputError, match="probability 0"):
        stuck.predict_proba(JumpSeries.from_arrays([0.0, 1.0, 2.0], [[0, 1, 0]]), [0.5])


def test_derived_quantities_have_intervals(fitted):
    for name in ("stationary_distribution", "relaxation_times", "entropy_production"):
        low, high = fitted.interval(name, random_state=0)
        value = getattr(fitted, name)()
        assert (low <= value).all()
        assert (value <= high).all()
    with pytest.raises(InputError, match="did you mean 'relaxation_times'"):
        fitted.interval("relaxation_time")


def test_draws_keep_the_correlation_of_the_rates():
    """Long gaps tell the ratio of two rates far better than either: against 60 bootstrap refits."""
    times = np.arange(0, 40, 0.8)
    data = jumps.simulate([[-1, 1], [1, -1]], [0.5, 0.5], 60, times, random_state=1)
    model = MarkovJumpProcess(2, method="mle", random_state=0).fit(data)
    draws = model.draw_rates(4000, random_state=0)
    refits = model.bootstrap(60, random_state=0)
    for rates, expected in ((draws, 0.6), (refits, 0.6)):
        logs = np.log(rates[:, [0, 1], [1, 0]])
        assert np.corrcoef(logs.T)[0, 1] > expected
    share, again = (r[:, 1, 0] / (r[:, 0, 1] + r[:, 1, 0]) for r in (draws, refits))
    assert np.isclose(share.std(), again.std(), rtol=0.46)
    deviations = draws[:, [0, 1], [1, 0]].std(axis=0)
    assert np.allclose(deviations, model.std_errors_[[0, 1], [1, 0]], rtol=0.1)


def test_quantities_that_are_infinite_have_infinite_ends():
    """A one-way cycle has no reverse jumps; a chain of stages never goes back."""
    cycle = _closed(np.roll(np.eye(3), 1, axis=1))
    data = jumps.simulate(cycle, [1, 0, 0], 60, np.linspace(0, 5, 20), random_state=0)
    model = MarkovJumpProcess(3, method="mle", links=cycle > 0, random_state=0).fit(data)
    assert [float(end) for end in model.interval("entropy_production")] == [np.inf, np.inf]
    stages = np.triu(cycle, -1) * np.array([[1], [1], [0]])
    data = jumps.simulate(stages, [1, 0, 0], 60, np.linspace(0, 5, 20), random_state=0)
    model = MarkovJumpProcess(3, method="mle", links=stages > 0, random_state=0).fit(data)
    low, high = model.interval("mean_first_passage_times")
    assert low[1, 0] == high[1, 0] == np.inf
    assert low[0, 1] < model.mean_first_passage_times()[0, 1] < high[0, 1] < 3


def test_a_second_fit_forgets_the_first():
    data = jumps.simulate([[-1, 1], [2, -2]], [1, 0], 8, horizon=4.0, random_state=0)
    model = MarkovJumpProcess(2, method="bayes", random_state=0).fit(data)
    model.set_params(method="mle").fit(data)
    assert not hasattr(model, "draws_")
    assert not hasattr(model, "r_hat_")
    fresh = MarkovJumpProcess(2, method="mle", random_state=0).fit(data)
    assert np.array_equal(model.draw_rates(5), fresh.draw_rates(5))


def test_bootstrap_spread_is_the_standard_error(fitted):
    """Standard deviation of 60 refits: 5 of its own standard errors are 46 %."""
    spread = fitted.bootstrap(60, random_state=0).std(axis=0)[OFF]
    assert np.allclose(spread, fitted.std_errors_[OFF], rtol=0.46)


def test_samples_have_labels_and_axis():
    data = JumpSeries.from_arrays([[0, 1, 3], [0, 2, 3]], [["a", "b", "a"], ["b", "a", "a"]])
    model = MarkovJumpProcess(method="map", random_state=0).fit(data)
    drawn = model.sample(4, [0, 1, 2])
    assert set(drawn.to_frame()["state"]) <= {"a", "b"}
    assert np.array_equal(model.sample(4, [0, 1, 2]).states, drawn.states)


def test_tables_arrays_and_pairs_agree(fitted):
    data = paths()
    for other in (data.to_frame(), (data.times, data.states)):
        assert np.allclose(MarkovJumpProcess(3, method="mle").fit(other).rates_, fitted.rates_)
    with pytest.warns(UserWarning, match="one unit of time"):
        unit = MarkovJumpProcess(3, method="mle").fit(data.states)
    assert np.allclose(unit.rates_, fitted.rates_ * 0.25, rtol=1e-4)


def test_score_is_per_observation(fitted):
    data = paths()
    assert fitted.score(data) == pytest.approx(fitted.log_likelihood_ / data.n_observations)


def test_draws_give_no_interval_to_what_is_no_rate():
    rates = np.random.default_rng(0).gamma(3.0, size=(400, 3, 3))
    draws = DrawsUncertainty(with_diagonal(rates), jumps=np.full((3, 3), 0.5))
    found, diagonal = draws.intervals(0.9), ~OFF
    for part in (found.deviations, found.lower, found.upper):
        assert np.array_equal(np.isnan(part), diagonal)
    assert (found.lower < found.upper)[~diagonal].all()


@pytest.mark.parametrize(
    "method", ["mle", "auto", "amortized", pytest.param("bayes", marks=pytest.mark.slow)]
)
def test_intervals_of_derived_quantities_are_saved(tmp_path, method):
    model = MarkovJumpProcess(3, method=method, random_state=3).fit(paths(20))
    model.save(tmp_path / "one")
    again = MarkovJumpProcess._from_archive(*read_archive(tmp_path / "one"))
    again.save(tmp_path / "two")
    third = MarkovJumpProcess._from_archive(*read_archive(tmp_path / "two"))
    for quantity in ("stationary_distribution", "entropy_production"):
        expected = model.interval(quantity)
        assert np.array_equal(again.interval(quantity), expected)
        assert np.array_equal(third.interval(quantity), expected)
    if method == "bayes":
        assert np.array_equal(again.r_hat_, model.r_hat_, equal_nan=True)
    else:
        with pytest.raises(InputError, match="not kept"):
            again.rate_intervals(0.5)


@pytest.mark.parametrize("noise", [0.0, "learn"])
def test_save_and_load(tmp_path, noise):
    data = paths(60, label_noise=0.05)
    model = MarkovJumpProcess(3, method="mle", label_noise=noise, random_state=3).fit(data)
    model.save(tmp_path / "model")
    again = MarkovJumpProcess._from_archive(*read_archive(tmp_path / "model"))
    assert np.array_equal(again.rates_, model.rates_)
    assert np.array_equal(again.intervals_, model.intervals_, equal_nan=True)
    assert again.label_noise_ == model.label_noise_
    assert again.log_likelihood(data) == pytest.approx(model.log_likelihood_, rel=1e-12)
    assert np.array_equal(again.sample(5, [0.0, 1.0]).states, model.sample(5, [0.0, 1.0]).states)
    assert again.get_params()["label_noise"] == noise


def test_sklearn_conventions():
    model = MarkovJumpProcess(3, method="mle", max_iter=50)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.stationary_distribution()
    data = paths(20)
    before = data.states.copy()
    assert model.fit(data) is model
    assert np.array_equal(before, data.states)


def test_cross_validation_over_paths():
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(MarkovJumpProcess(3), {"method": ["mle", "map"]}, cv=3).fit(paths(30))
    assert search.best_params_["method"] in ("mle", "map")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_intervals_are_kept_and_cannot_be_spoilt(monkeypatch):
    """Profiles are searched once, whoever asks: here an upper limit that needs one."""
    rates = _closed(np.array([[0, 1.0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0]]))
    data = jumps.simulate(rates, [1, 0, 0], 20, horizon=3.0, random_state=0)
    model = MarkovJumpProcess(3, method="mle").fit(data)
    kept = model.intervals_
    model.rate_intervals().upper[:] = -1.0
    monkeypatch.setattr(Profile, "end", None)
    assert np.array_equal(model.intervals_, kept, equal_nan=True)
    assert np.array_equal(model.rate_table()["upper"], kept[model.rates_ > 0][:, 1])
