"""Galerkin, LSTD and the martingale loss against exact values; diagnosis; elasticities."""

import numpy as np
import pytest

from trajinfer import InputError, simulate
from trajinfer.functionals import (
    Diffusion,
    Functional,
    ValueFunction,
    above,
    ball,
    below,
    box,
    discounted,
    hitting_probability,
    hitting_time,
    where,
)
from trajinfer.processes import Brownian, DoubleWell, OrnsteinUhlenbeck

COMMITTOR = hitting_probability(above(1.0), before=below(-1.0))
WELL = DoubleWell(1.0, 1.0, volatility=0.7)
INSIDE = np.linspace(-0.99, 0.99, 101)[:, None]
STARTS = np.random.default_rng(0).uniform(-1, 1, (500, 1))


@pytest.fixture(scope="module")
def truth():
    return ValueFunction(COMMITTOR).fit(WELL).predict(INSIDE)


def error(model, truth):
    return np.sqrt(np.mean((model.predict(INSIDE) - truth) ** 2))


@pytest.mark.parametrize(("features", "largest"), [(9, 1e-4), (15, 1e-6)])
def test_galerkin_on_the_line(truth, features, largest):
    model = ValueFunction(COMMITTOR, method="galerkin", features=features, random_state=0)
    model.fit(WELL, STARTS)
    assert np.abs(model.predict(INSIDE) - truth).max() < largest
    step = 1e-5
    slope = (model.predict([0.2 + step]) - model.predict([0.2 - step])) / (2 * step)
    assert model.gradient([0.2])[0] == pytest.approx(slope, rel=1e-5)


def test_galerkin_in_ten_dimensions():
    """Mean time to leave a ball; only the radius matters."""
    process = OrnsteinUhlenbeck(np.ones(10), np.zeros(10), volatility=1.2)
    leave = hitting_time(~ball(np.zeros(10), 1.5))
    model = ValueFunction(leave, features=300, random_state=0).fit(process, np.zeros((1, 10)))
    direction = np.random.default_rng(1).normal(size=10)
    points = np.outer([0.0, 0.75, 1.35], direction / np.linalg.norm(direction))
    found = model.predict(points)
    assert found == pytest.approx([0.1801368, 0.1397536, 0.0384021], abs=2e-3)
    assert (np.abs(found - [0.1801368, 0.1397536, 0.0384021]) < 0.01).all()
    assert model.method_.startswith("galerkin")
    assert (model.std_error(points) < 4e-3).all()


def test_oblique_walls_by_their_distance(truth):
    """A double well along (1, 1), a spring across: the committor is that of the line."""
    turn = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)

    def drift(t, x):
        u = x @ turn.T
        return np.stack([u[:, 0] - u[:, 0] ** 3, -u[:, 1]], axis=1) @ turn

    process = Diffusion(drift, lambda t, x: np.full_like(x, 0.7), 2, diagonal=True)
    right = where(lambda x: x @ turn[0] >= 1, lambda x: 1 - x @ turn[0])
    left = where(lambda x: x @ turn[0] <= -1, lambda x: 1 + x @ turn[0])
    starts = np.random.default_rng(0).uniform(-0.6, 0.6, (400, 2))
    question = hitting_probability(right, before=left)
    model = ValueFunction(question, method="galerkin", features=100, random_state=1)
    wanted = np.interp(starts @ turn[0], INSIDE[:, 0], truth)
    assert np.abs(model.fit(process, starts).predict(starts) - wanted).max() < 2e-4


def test_a_distance_with_corners_where_the_process_goes_is_refused():
    def distance(x):
        return 1 - np.abs(x).max(axis=1)

    square = where(lambda x: distance(x) <= 0, distance)
    model = ValueFunction(hitting_time(square), method="galerkin", features=60, random_state=0)
    with pytest.raises(InputError, match="a Where has corners"):
        model.fit(Brownian(dim=2, volatility=1.0), [[0.0, 0.0], [0.5, 0.5]])


def test_noise_handed_over_makes_paths_precise(truth):
    settings = {"features": 12, "n_paths": 400, "step": 0.02, "random_state": 1}
    lstd = ValueFunction(COMMITTOR, method="lstd", **settings).fit(WELL, STARTS)
    assert error(lstd, truth) < 5e-3
    martingale = ValueFunction(COMMITTOR, method="martingale", **settings).fit(WELL, STARTS)
    assert error(martingale, truth) < 8e-3


@pytest.mark.slow
def test_lstd_with_small_steps(truth):
    settings = {"features": 15, "n_paths": 2000, "step": 0.005, "random_state": 1}
    assert (
        error(ValueFunction(COMMITTOR, method="lstd", **settings).fit(WELL, STARTS), truth) < 1e-3
    )


@pytest.fixture(scope="module")
def paths():
    return simulate(WELL, STARTS[np.arange(400) % 500], np.arange(0, 6, 0.05), 400, 0)


def test_recorded_paths_alone(truth, paths):
    model = ValueFunction(COMMITTOR, features=9).fit(paths)
    assert "recorded" in model.method_
    assert error(model, truth) < 0.03


def test_a_wrong_value_is_found_out(truth):
    fresh = simulate(WELL, STARTS[:300], np.arange(0, 4, 0.02), 300, 7)
    right = ValueFunction(COMMITTOR).fit(WELL)
    wrong = ValueFunction(COMMITTOR).fit(OrnsteinUhlenbeck(1.0, 0.0, volatility=0.7))
    assert not right.check(fresh)["flagged"].any()
    assert wrong.check(fresh)["flagged"].any()
    assert right.score(fresh) > wrong.score(fresh)


def test_discounted_rewards_from_paths():
    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=np.sqrt(2))
    starts = np.random.default_rng(0).normal(size=(500, 1))
    question = discounted(lambda x: x[:, 0] ** 2, 1.0)
    settings = {"features": 15, "n_paths": 400, "step": 0.05, "random_state": 1}
    model = ValueFunction(question, method="lstd", **settings).fit(process, starts)
    x = np.linspace(-1.5, 1.5, 11)
    assert model.predict(x) == pytest.approx((x**2 + 2) / 3, abs=0.02)
    exact = ValueFunction(question, method="galerkin", domain=([-6.0], [6.0])).fit(process, starts)
    assert exact.predict(x) == pytest.approx((x**2 + 2) / 3, abs=1e-6)


def test_elasticities_of_a_mean_time():
    """Time and state may be rescaled, which ties the elasticities: a + b / 1 + sigma are known."""
    well = DoubleWell(1.0, 1.0, volatility=0.5)
    model = ValueFunction(hitting_time(above(0.0))).fit(well, [[-1.0]])
    table = model.elasticities_.set_index("parameter")["elasticity"]
    # T(a, b, s) with all rates times c and noise times root c is T / c
    assert table["a"] + table["b"] + table["volatility[0]"] / 2 == pytest.approx(-1.0, abs=1e-3)
    assert table["volatility[0]"] < -2


def test_what_features_cannot_do_is_refused():
    process = OrnsteinUhlenbeck(np.ones(4), np.zeros(4), volatility=1.0)
    corners = Functional(running=1.0, stop={~box(-np.ones(4), np.ones(4)): 0.0})
    with pytest.raises(InputError, match="has corners"):
        ValueFunction(corners).fit(process, np.zeros((1, 4)))
    with pytest.raises(InputError, match="100 paths are too few for 60 features"):
        ValueFunction(COMMITTOR, method="lstd", n_paths=100, features=60).fit(WELL, STARTS)
    horizon = hitting_probability(above(1.0), horizon=1.0)
    with pytest.raises(InputError, match="no horizon"):
        ValueFunction(horizon, method="galerkin").fit(WELL, STARTS)


def test_polynomials_on_the_line_are_as_many_as_a_steep_well_needs():
    steep = DoubleWell(1.0, 1.0, volatility=0.4)
    question = hitting_time(above(1.0))
    exact = ValueFunction(question).fit(steep, STARTS).predict(STARTS)
    model = ValueFunction(question, method="galerkin", random_state=0).fit(steep, STARTS)
    assert model.predict(STARTS) == pytest.approx(exact, rel=1e-9)


def test_functions_that_cannot_meet_the_equation_are_told_with_their_error():
    """Around a small ball the committor of a Brownian motion is 1/r, far from any smooth sum."""
    starts = np.array([[0.6, 0.0, 0.0], [0.0, 0.8, 0.0]])
    truth = (5 - 1 / np.array([0.6, 0.8])) / 4
    question = hitting_probability(~ball(np.zeros(3), 1.0), before=ball(np.zeros(3), 0.2))
    model = ValueFunction(question, method="galerkin", features=75, random_state=0)
    with pytest.warns(UserWarning, match="off by about"):
        model.fit(Brownian(dim=3, volatility=1.0), starts)
    off = np.abs(model.predict(starts) - truth)
    assert (off > 0.02).all()
    assert (off < 2 * model.std_error(starts)).all()
