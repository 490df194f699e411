"""Everything fitted can be asked, or says why not; value functions are estimators."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import trajinfer
from trajinfer import (
    DirectedChainGenerator,
    ExtrapolationWarning,
    InputError,
    IrregularSeries,
    MarkovJumpProcess,
    NeuralSDEForecaster,
    SchrodingerBridge,
    ScoreSeries,
    Trajectories,
)
from trajinfer._core.seeding import seed_from
from trajinfer.functionals import (
    Chain,
    Diffusion,
    PathSource,
    ValueFunction,
    above,
    as_dynamics,
    below,
    density,
    estimate,
    exceedance,
    fate_probabilities,
    fit_interval,
    hitting_probability,
    hitting_time,
    occupation,
    outside,
    passage,
    states,
)
from trajinfer.markov import simulate as simulate_jumps
from trajinfer.processes import (
    AffineDrift,
    Brownian,
    DoubleWell,
    FractionalBrownian,
    OrnsteinUhlenbeck,
    simulate,
)
from trajinfer.sde import SDE


class Turning(SDE):
    """Stratonovich noise x dW, which drifts by x / 2 in Ito's sense."""

    dim = noise_dim = 1
    sde_type = "stratonovich"
    noise_type = "diagonal"
    commutes = True

    def f(self, t, y, context=None):
        return 0 * y

    def g(self, t, y, context=None):
        return y


def test_stratonovich_noise_is_converted():
    process = as_dynamics(Turning())
    assert isinstance(process, Diffusion)
    assert process.drift(0.0, np.array([[2.0]])) == pytest.approx(1.0)


def test_a_bridge_is_asked_in_its_own_units():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 0.2 + 0.2 * k, (20, 1)) for k in range(3)])
    bridge = SchrodingerBridge(DoubleWell(1.0, 1.0, volatility=0.5), n_refinements=0)
    bridge.fit(X, np.repeat([0, 1, 2], 20))
    process = as_dynamics(bridge)
    assert process.last == pytest.approx(X[-20:])
    assert len(process.notes) == 2
    answer = estimate(hitting_time(outside(-1.4, 1.4)), bridge, n=50, step=0.02, random_state=0)
    assert len(answer.value) == 20
    exact = ValueFunction(hitting_time(outside(-1.4, 1.4))).fit(bridge).predict(X[-20:])
    error = np.maximum(answer.std_error, 1e-9)
    assert (np.abs(answer.value - exact) / error).mean() < 2


def test_the_errors_of_a_bridge_are_carried_into_answers():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(1 - 0.3 * k, 0.6, (40, 1)) for k in range(3)])
    bridge = SchrodingerBridge(OrnsteinUhlenbeck(volatility=0.8), random_state=0)
    bridge.fit(X, np.repeat([0.0, 0.5, 1.0], 40))
    question = hitting_probability(above(1.2), before=below(0.0))
    spread = fit_interval(question, bridge, [[0.5], [0.9]], n=40, random_state=0)
    assert spread.draws.shape == (40, 2)
    exact = ValueFunction(question).fit(bridge, [[0.5]]).predict([[0.5], [0.9]])
    assert spread.value == pytest.approx(exact)
    assert ((spread.lower < spread.value) & (spread.value < spread.upper)).all()
    again = fit_interval(question, bridge, [[0.5], [0.9]], n=40, random_state=0)
    assert np.array_equal(again.draws, spread.draws)


def test_draws_in_which_a_mean_is_infinite_count_as_infinite():
    fits = [AffineDrift(1, [[a]], [0.0], volatility=1.0) for a in (-1.0, *[0.5] * 9, -2.0)]
    spread = fit_interval(hitting_time(above(1.0)), fits, [[0.0], [2.0]])
    assert np.isfinite(spread.value).all()
    assert np.isinf(spread.draws[:9, 0]).all()
    assert spread.draws[:, 1].tolist() == [0.0] * 10  # it has arrived
    assert np.isfinite(spread.draws[9]).all()


@pytest.fixture(scope="module")
def bridge():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 0.2 + 0.2 * k, (20, 1)) for k in range(3)])
    bridge = SchrodingerBridge(DoubleWell(1.0, 1.0, volatility=0.5), n_refinements=0)
    return bridge.fit(X, np.repeat([0, 1, 2], 20))


LEAVE = hitting_time(outside(-1, 1))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda b: ValueFunction(LEAVE).fit(b, [[9.0], [0.0]]), r"1 of 2 starts .* such as \[9.0"),
        (lambda b: estimate(exceedance(0.0, 3.0), b, [[0.0]], n=9), "horizon, 3, is longer .* 2"),
        (lambda b: fate_probabilities(b, [[0.0]], {"far": above(20.0)}), "1 of 1 regions asked"),
        (lambda b: passage(b, above(0.5), [[0.0]], ts=[1.0, 2.5]), "horizon, 2.5, is longer"),
        (lambda b: density(b, [[0.0]], [2.5], domain=([-3], [3])), "horizon, 2.5, is longer"),
    ],
    ids=["starts", "horizon", "target", "passage", "density"],
)
def test_a_bridge_asked_beyond_its_data_says_so(bridge, ask, said):
    with pytest.warns(ExtrapolationWarning, match=said) as caught:
        ask(bridge)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_bridge_asked_within_its_data_says_nothing(bridge):
    fates = fate_probabilities(bridge, [[0.1]], {"up": above(0.5)}, horizon=2.0)
    assert 0 < fates.probabilities[0, 0] < 1


def test_rates_and_jump_processes_are_chains():
    rates = [[-1.0, 1.0], [2.0, -2.0]]
    assert isinstance(as_dynamics(rates), Chain)
    paths = simulate_jumps(rates, [1, 0], 80, np.arange(6) / 2, random_state=0)
    model = MarkovJumpProcess(method="mle", random_state=0).fit(paths)
    question = hitting_probability(states(1), horizon=0.7)
    spread = fit_interval(question, model, [0], n=60, random_state=0)
    truth = 1 - np.exp(-0.7)
    assert spread.lower[0] < truth < spread.upper[0]
    assert spread.lower[0] < spread.value[0] < spread.upper[0]
    with pytest.raises(InputError, match="does not say how far its fit may be off"):
        fit_interval(question, MarkovJumpProcess.from_rates(rates), [0])


@pytest.fixture(scope="module")
def forecaster():
    walks = np.random.default_rng(0).normal(size=(30, 12, 1)).cumsum(axis=1)
    series = IrregularSeries.from_arrays(np.arange(12.0), walks)
    settings = {"horizon": 4.0, "max_epochs": 1, "hidden": 4, "random_state": 0}
    return NeuralSDEForecaster(**settings).fit(series), series


def test_a_forecaster_is_counted_from_the_last_value(forecaster):
    model, series = forecaster
    question = hitting_probability(above(50.0), horizon=4.0)
    answer = estimate(question, model, series[:3], n=50, random_state=0)
    assert answer.value.tolist() == [0, 0, 0]
    last = series.values[:3, -1, 0]
    reached = hitting_probability(above(float(last.min()) - 1.0), horizon=4.0)
    with pytest.warns(UserWarning, match="3 of the starts already lie in the stopping set"):
        answer = estimate(reached, model, series[:3], n=50, random_state=0)
    assert answer.value.tolist() == [1, 1, 1]


def test_samples_that_are_no_paths_answer_for_one_time_alone(forecaster):
    model, series = forecaster
    source = as_dynamics(model)
    apart = PathSource(source.draw, source.name, source.dim, coherent=False)
    with pytest.raises(InputError, match="are no paths along them"):
        estimate(hitting_probability(above(1.0), horizon=4.0), apart, series[:2], n=10)
    with pytest.raises(InputError, match="are no paths along them"):
        estimate(occupation(above(1.0), 4.0), apart, series[:2], n=10)
    answer = estimate(exceedance(-1e9, 4.0), apart, series[:2], n=10, random_state=0)
    assert answer.value.tolist() == [1.0, 1.0]


def test_a_score_model_is_counted_anew_and_from_series():
    """Walks of unit steps: from 0 at the first time, and on from the values at the fourth."""
    rng = np.random.default_rng(0)
    walks = np.concatenate([np.zeros((600, 1)), rng.normal(size=(600, 7)).cumsum(axis=1)], axis=1)
    series = IrregularSeries.from_arrays(np.arange(8.0), walks[..., None])
    model = ScoreSeries(n_components=1, random_state=0).fit(series)
    rise = hitting_probability(above(2.0), horizon=4.0)
    anew = estimate(rise, model, n=4000, step=1.0, random_state=1)
    steps = rng.normal(size=(100_000, 4)).cumsum(axis=1).max(axis=1)
    assert anew.value[0] == pytest.approx((steps >= 2).mean(), abs=0.04)
    past = series[:3].until(3.0)
    on = estimate(rise, model, past, n=4000, step=1.0, random_state=1)
    truth = [(steps >= 2 - x).mean() for x in past.values[:, -1, 0]]
    assert on.value == pytest.approx(truth, abs=0.04)


def test_starts_in_the_stopping_set_are_told():
    def stays(starts, times, n, seed):
        return np.broadcast_to(np.reshape(starts, (-1, 1, 1, 1)), (2, n, len(times), 1))

    source = PathSource(stays, "Source", 1, goes_on=True)
    question = hitting_probability(above(1.0), horizon=1.0)
    with pytest.warns(UserWarning, match="1 of the starts already lie in the stopping set"):
        assert estimate(question, source, [0.0, 2.0], n=5).value.tolist() == [0.0, 1.0]


def test_rows_with_times_of_their_own_are_not_followed():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.5, 1.5, (30, 6)), axis=1)
    series = IrregularSeries.from_arrays(times, rng.normal(size=(30, 6, 1)))
    model = DirectedChainGenerator(transform="rows", random_state=0).fit(series)
    with pytest.raises(InputError, match=r"times of their own.*transform='standard'"):
        as_dynamics(model)


def test_generators_of_rows_are_counted_at_their_rows():
    """Paths drawn for a question are those drawn at its rows."""
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(100, 6, 1)).cumsum(axis=1)
    series = IrregularSeries.from_arrays(np.arange(3.0, 15.0, 2.0), walks)
    model = DirectedChainGenerator(random_state=0).fit(series)
    question = hitting_probability(above(1.0), horizon=6.0)
    found = estimate(question, model, n=500, random_state=0)
    source = as_dynamics(model)
    paths = source.draw(None, np.arange(0.0, 7.0, 2.0), 500, seed_from(0))
    assert paths.shape == (1, 500, 4, 1)
    assert found.value[0] == (paths[0, :, :, 0] >= 1.0).any(axis=1).mean()
    survival = passage(model, above(1.0), ts=[2.0, 6.0], n=500, random_state=0).survival
    assert survival[0, 1] == pytest.approx(1 - found.value[0])
    with pytest.raises(InputError, match=r"2 to 10 after the first; the horizon is 5, take 4"):
        estimate(exceedance(1.0, 5.0), model, n=50)
    with pytest.raises(InputError, match="no step= to choose"):
        estimate(question, model, n=50, step=0.5)


def test_recorded_paths_are_counted():
    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=1.0)
    paths = simulate(process, [0.0], np.linspace(0, 2, 201), 2000, random_state=0)
    answer = estimate(occupation(above(0.0), 2.0), paths)
    assert abs(answer.value[0] - 1.0) < 4 * answer.std_error[0] + 0.01
    law = passage(paths, outside(-1, 1), ts=[0.5, 2.0])
    exact = passage(process, outside(-1, 1), [0.0], ts=[0.5, 2.0])
    assert (law.survival >= exact.survival - 4 * law.std_error).all()  # exits between are missed
    with pytest.raises(InputError, match="were recorded for 2"):
        estimate(occupation(above(0.0), 3.0), paths)


def test_what_cannot_be_asked_says_why():
    with pytest.raises(InputError, match="remembers its past"):
        as_dynamics(FractionalBrownian(0.7))
    with pytest.raises(InputError, match="volatility of DoubleWell is not known"):
        as_dynamics(DoubleWell())
    with pytest.raises(NotFittedError):
        as_dynamics(MarkovJumpProcess())
    with pytest.raises(InputError, match="2 paths are too few for 60 features"):
        ValueFunction(hitting_time(above(0.0))).fit(Trajectories([0, 1], np.zeros((2, 2, 1))))
    targets = {"high": above(0.5), "higher": above(1.0)}
    with pytest.raises(InputError, match="overlap"):
        fate_probabilities(Brownian(volatility=1.0), [[0.0]], targets)
    with pytest.raises(InputError, match="names states of a chain"):
        ValueFunction(hitting_time(states(1))).fit(Brownian(volatility=1.0), [[0.0]])


QUESTION = hitting_probability(above(1.0), before=below(-1.0))


@pytest.mark.parametrize(
    ("question", "process", "X"),
    [
        (QUESTION, DoubleWell(1.0, 1.0, volatility=0.5), [[0.2], [0.9]]),
        (exceedance(0.5, 1.0), OrnsteinUhlenbeck(1.0, 0.0, volatility=1.0), [[0.2], [0.9]]),
        (hitting_time(states(1)), [[-1.0, 1.0], [2.0, -2.0]], [0, 1]),
    ],
    ids=["exact", "grid", "chain"],
)
def test_saved_and_loaded_answers_the_same(tmp_path, question, process, X):
    model = ValueFunction(question, random_state=0).fit(process, X)
    again = trajinfer.load(model.save(tmp_path / "model"))
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.method_ == model.method_


def test_a_value_function_is_an_estimator():
    model = ValueFunction(QUESTION, resolution=50)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.predict([[0.0]])
    process = Brownian(volatility=1.0)
    before = model.fit(process).predict([[0.5]])
    model.set_params(method="gird")
    with pytest.raises(InputError, match="unknown method 'gird'; did you mean 'grid'"):
        model.fit(process)
    assert np.array_equal(model.predict([[0.5]]), before)
