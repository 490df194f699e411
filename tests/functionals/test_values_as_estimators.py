"""Value functions among scikit-learn's tools: chosen by folds, pickled, asked by tables."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from tests.functionals.coarse_grids import COARSE
from trajinfer import InputError, MarkovJumpProcess, Trajectories, simulate
from trajinfer.functionals import (
    Diffusion,
    ValueFunction,
    above,
    density,
    discounted,
    estimate,
    exceedance,
    fate_probabilities,
    hitting_time,
    outside,
    passage,
    states,
)
from trajinfer.processes import Brownian, DoubleWell, OrnsteinUhlenbeck

SPRING = OrnsteinUhlenbeck(1.0, 0.0, volatility=np.sqrt(2))
X = [[-0.5], [0.3]]


def squares(x):
    return x[:, 0] ** 2


def drift(_, x):
    return -x


def noise(_, x):
    return np.ones_like(x)


def test_folds_of_recorded_paths_choose_the_features():
    """The value is (x^2 + 2) / 3, which two random features cannot follow."""
    starts = np.random.default_rng(0).normal(size=(300, 1))
    paths = simulate(SPRING, starts, np.arange(0, 4, 0.1), 300, random_state=0)
    model = ValueFunction(discounted(squares, 1.0), method="lstd", random_state=0)
    search = GridSearchCV(model, {"features": [2, 10]}, cv=2).fit(paths)
    assert search.best_params_ == {"features": 10}
    at = np.array([[0.0], [1.0]])
    assert search.best_estimator_.predict(at) == pytest.approx([2 / 3, 1.0], abs=0.1)


PICKLED = {
    "exact": (hitting_time(outside(-1, 1)), DoubleWell(1.0, 1.0, volatility=0.5), {}),
    "grid": (exceedance(0.5, 1.0), SPRING, {"resolution": 20}),
    "lstd": (
        discounted(squares, 1.0),
        Diffusion(drift, noise, 1, diagonal=True),
        {"n_paths": 60, "features": 5, "step": 0.1},
    ),
    "chain": (hitting_time(states(1)), MarkovJumpProcess.from_rates([[-1, 1], [1, -1]]), {}),
}


@pytest.mark.parametrize("name", PICKLED)
def test_pickled_whole(name):
    question, process, settings = PICKLED[name]
    method = "lstd" if name == "lstd" else "auto"
    at = [0, 1] if name == "chain" else X
    model = ValueFunction(question, method=method, random_state=0, **settings).fit(process, X)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(at), model.predict(at))
    if name == "grid":
        assert np.array_equal(again.predict(at, t=0.5), model.predict(at, t=0.5))
    if name == "exact":
        assert again.elasticities_.equals(model.elasticities_)


@pytest.mark.parametrize("verb", ["predict", "gradient", "std_error"])
def test_states_of_another_size_are_told(verb):
    model = ValueFunction(hitting_time(outside(-1, 1))).fit(Brownian(volatility=1.0))
    with pytest.raises(InputError, match="X has 2 features, but ValueFunction is expecting 1"):
        getattr(model, verb)(np.zeros((3, 2)))


NAMED = Diffusion(lambda _, x: -x * [0.3, 0.6], noise, 2, diagonal=True, features=("slow", "fast"))
BOX = {"domain": ([-3.0, -3.0], [3.0, 3.0]), "resolution": 12}
RISE = exceedance(0.2, 0.5, channel="slow")


def by_value(table):
    return ValueFunction(RISE, **BOX).fit(NAMED, table).predict(table)


def by_estimate(table):
    return estimate(RISE, NAMED, table, n=20, step=0.1, random_state=0).value


def by_fates(table):
    up = {"up": above(0.5, "slow")}
    return fate_probabilities(NAMED, table, up, horizon=0.5, **BOX).probabilities


def by_passage(table):
    return passage(NAMED, above(0.5, "slow"), table, ts=[0.5], **BOX).survival


def by_density(table):
    return density(NAMED, table, [0.5], **BOX).masses


@COARSE
@pytest.mark.parametrize("door", [by_value, by_estimate, by_fates, by_passage, by_density])
def test_columns_of_a_table_are_taken_by_name(door):
    table = pd.DataFrame({"slow": [0.3, -0.2], "fast": [-1.0, 0.5]})
    turned = table[["fast", "slow"]].assign(cell=[7.0, 8.0])
    assert np.array_equal(door(turned), door(table.to_numpy()))
    with pytest.raises(InputError, match="no column 'slow', a coordinate of the process"):
        door(table.rename(columns={"slow": "slw"}))


@COARSE
def test_names_of_a_table_are_those_of_the_fit():
    table = pd.DataFrame({"a": [0.3, -0.2], "b": [-1.0, 0.5]})
    plane = OrnsteinUhlenbeck([0.3, 0.6], [0.0, 0.0], volatility=1.0)
    model = ValueFunction(exceedance(0.2, 0.5), **BOX).fit(plane, table)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert np.array_equal(model.predict(table[["b", "a"]]), model.predict(table))


def test_arrays_are_no_recorded_paths():
    model = ValueFunction(hitting_time(outside(-1, 1))).fit(Brownian(volatility=1.0))
    for ask in (model.score, model.check):
        with pytest.raises(InputError, match=r"recorded paths, got ndarray; give Trajectories\("):
            ask(np.zeros((4, 3)))


def test_some_of_the_paths():
    dates = np.array(["2020-01-01", "2020-01-03"], dtype="datetime64[D]")
    paths = Trajectories(dates, np.arange(6.0).reshape(3, 2, 1), weights=[1.0, 1.0, 2.0])
    some = paths[[0, 2]]
    assert paths.shape == (3, 2, 1)
    assert some.values[:, 0, 0].tolist() == [0.0, 4.0]
    assert some.weights == pytest.approx([1 / 3, 2 / 3])
    assert (np.asarray(some.labels) == np.asarray(paths.labels)).all()
    with pytest.raises(InputError, match="takes no paths"):
        paths[[]]
