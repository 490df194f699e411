"""Diffusions on a grid: walls where they truly are, horizons and discounts."""

import numpy as np
import pytest

from trajinfer import InputError
from trajinfer.functionals import (
    Diffusion,
    Functional,
    ValueFunction,
    above,
    as_dynamics,
    discounted,
    expected,
    fate_probabilities,
    hitting_probability,
    outside,
    passage,
    where,
)
from trajinfer.functionals.methods.grid import Grid, bernoulli, grid_rates
from trajinfer.functionals.methods.grid_values import GridQuestions
from trajinfer.processes import AffineDrift, Brownian, DoubleWell, GeometricBrownian
from trajinfer.questions.shapes import below

STAY = Functional(terminal=1.0, stop={outside(-1, 1): 0.0}, horizon=0.5)


def brownian_survival(x, t):
    k = np.arange(60)[:, None]
    odd = (2 * k + 1) * np.pi / 2
    terms = (-1.0) ** k / (2 * k + 1) * np.cos(odd * x) * np.exp(-(odd**2) * t / 2)
    return 4 / np.pi * terms.sum(axis=0)


def test_survival_between_walls_at_second_order():
    errors = []
    for cells in (81, 161):
        grid = Grid(np.array([-1.0]), np.array([1.0]), (cells,))
        questions = GridQuestions.of([STAY], as_dynamics(Brownian(volatility=1.0)), grid)
        found = questions.march_to(0.5)[:, 0]
        errors.append(np.abs(found - brownian_survival(questions.centers[:, 0], 0.5)).max())
    assert errors[0] < 5e-5
    assert np.log2(errors[0] / errors[1]) > 1.9


def test_survival_and_discount_in_the_limit_of_two_grids():
    process = Brownian(volatility=1.0)
    model = ValueFunction(STAY).fit(process)
    assert model.predict([0.3]) == pytest.approx(0.6119465, rel=1e-6)
    assert model.residual_ < 1e-5
    assert model.predict([0.3], t=0.2) == pytest.approx(brownian_survival(0.3, 0.3), rel=1e-6)
    ended = Functional(terminal=1.0, stop=outside(-1, 1), discount=1.0)
    assert ValueFunction(ended).fit(process).predict([0.3]) == pytest.approx(0.5010405, rel=1e-6)


def test_passage_of_a_brownian_motion():
    law = passage(Brownian(volatility=1.0), outside(-1, 1), [[0.3], [0.0]], ts=[0.5, 1.0])
    assert law.survival[0, 0] == pytest.approx(0.6119465, rel=1e-6)
    assert law.survival[1, 1] == pytest.approx(0.3707774, rel=1e-6)
    assert law.hazard[1, 1] == pytest.approx(np.pi**2 / 8, rel=1e-3)
    assert law.mean == pytest.approx([0.91, 1.0])


def test_options_on_a_geometric_motion():
    process = GeometricBrownian(0.05, volatility=0.2)
    touched = hitting_probability(above(120.0), horizon=1.0)
    settings = {"domain": ([0.0], [120.0]), "resolution": 150}
    found = ValueFunction(touched, **settings).fit(process, [[100.0]]).predict([100.0])
    assert found == pytest.approx(0.4127119, rel=1e-4)
    call = Functional(
        terminal=lambda x: np.maximum(x[:, 0] - 100, 0),
        stop={above(120.0): 0.0},
        horizon=1.0,
        discount=0.05,
    )
    found = ValueFunction(call, **settings).fit(process, [[100.0]]).predict([100.0])
    assert found == pytest.approx(1.1760654, rel=1e-3)


def test_discounted_rewards_of_an_affine_drift():
    """V = (x^2 + 2) / 3 for the reward x^2, discount 1, drift -x, noise sqrt 2."""
    process = AffineDrift(1, [[-1.0]], [0.0], volatility=np.sqrt(2))
    model = ValueFunction(discounted(lambda x: x[:, 0] ** 2, 1.0), domain=([-7.0], [7.0]))
    found = model.fit(process, [[0.0]]).predict([-1.0, 0.0, 2.0])
    assert found == pytest.approx([1.0, 2 / 3, 2.0], rel=1e-4)


def rotated_well(angle):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def drift(t, x):
        u = x @ turn.T
        return np.stack([u[:, 0] - u[:, 0] ** 3, -u[:, 1]], axis=1) @ turn

    def across(x):
        return x @ turn[0]

    walls = {
        where(lambda x: across(x) >= 1, lambda x: 1 - across(x)): 1.0,
        where(lambda x: across(x) <= -1, lambda x: across(x) + 1): 0.0,
    }
    process = Diffusion(drift, lambda t, x: np.full_like(x, 0.7), 2, diagonal=True)
    return process, Functional(stop=walls), across


def test_oblique_walls_at_second_order():
    process, question, across = rotated_well(0.5)
    line = ValueFunction(hitting_probability(above(1.0), before=below(-1.0)))
    line.fit(DoubleWell(1.0, 1.0, volatility=0.7))
    X = np.random.default_rng(0).uniform(-1.2, 1.2, (2000, 2))
    truth = line.predict(across(X))
    errors = []
    for cells in (41, 81):
        model = ValueFunction(question, resolution=cells, domain=([-2.5, -2.5], [2.5, 2.5]))
        errors.append(np.abs(model.fit(process, X).predict(X) - truth).max())
    assert errors[1] < 1.5e-3
    assert np.log2(errors[0] / errors[1]) > 1.5


def test_fates_in_the_plane():
    process, question, across = rotated_well(0.3)
    up, down = question.stop
    X = np.random.default_rng(0).normal(0, 0.3, (50, 2))
    table = fate_probabilities(process, X, {"up": up, "down": down}, random_state=0)
    line = ValueFunction(hitting_probability(above(1.0), before=below(-1.0)))
    truth = line.fit(DoubleWell(1.0, 1.0, volatility=0.7)).predict(across(X))
    assert table.to_frame()["up"].to_numpy() == pytest.approx(truth, abs=2e-3)
    assert table.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert table.method == "grid: 2 coordinate(s): a jump process on a grid"


def test_rates_are_those_of_a_jump_process():
    steep = AffineDrift(1, [[-400.0]], [0.0], volatility=0.1)
    grid = Grid(np.array([-1.0]), np.array([1.0]), (20,))
    rates = grid_rates(as_dynamics(steep), grid, None).rates.toarray()
    off = rates - np.diag(np.diag(rates))
    assert (off >= 0).all()
    assert np.abs(rates.sum(axis=1)).max() < 1e-9 * np.abs(rates).max()
    assert bernoulli(np.array([0.0, 1e-9, 1.0])) == pytest.approx([1, 1, 1 / np.expm1(1)])


def test_what_no_grid_can_hold_is_refused():
    correlated = Diffusion(
        lambda t, x: -x, lambda t, x: np.tile([[1.0, 0.0], [0.5, 1.0]], (len(x), 1, 1)), 2, False
    )
    question = expected(lambda x: x[:, 0], 1.0)
    with pytest.raises(InputError, match="correlated"):
        ValueFunction(question, method="grid").fit(correlated, np.zeros((1, 2)))
    with pytest.raises(InputError, match="outside domain"):
        ValueFunction(STAY, domain=([-1.0], [1.0])).fit(Brownian(volatility=1.0), [[3.0]])
    many = Brownian(volatility=1.0, dim=5)
    with pytest.raises(InputError, match="3 at most"):
        ValueFunction(question, method="grid").fit(many, np.zeros((1, 5)))


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("boundary", [-1.5, -0.5, 0.5, 1.5])
def test_a_boundary_on_the_centres_of_cells_is_the_boundary_beside_it(boundary, side):
    # sums of floats lie on either side of it
    plane, edge = Brownian(volatility=np.ones(2)), np.full(2, 6.0)
    answers = []
    for at in (boundary, boundary - 1e-7 * side):
        table = fate_probabilities(
            plane,
            [[boundary - 0.4 * side, 0.0]],
            {"there": above(at) if side > 0 else below(at)},
            domain=(-edge, edge),
            resolution=36,
            horizon=0.3,
            method="grid",
        )
        answers.append(np.asarray(table.probabilities)[0, 0])
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)
