"""What grids state of their errors covers the truth, and their limit is better than their cells."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm, solve_continuous_lyapunov
from scipy.special import ndtr

from tests.functionals.coarse_grids import COARSE
from trajinfer.functionals import (
    Diffusion,
    Functional,
    ValueFunction,
    above,
    ball,
    below,
    density,
    discounted,
    exceedance,
    expected,
    fate_probabilities,
    hitting_probability,
    hitting_time,
    passage,
    stationary,
    where,
)
from trajinfer.processes import AffineDrift, Brownian, DoubleWell, GeometricBrownian

X = np.random.default_rng(1).uniform(-0.9, 0.9, (30, 2))
RADIUS, LEVEL = 1.5, 0.5


def turning(speed, dim=2):
    """A spring that turns in its first plane: how long it stays in a ball does not know of that."""
    matrix = -np.eye(dim)
    matrix[0, 1], matrix[1, 0] = speed, -speed
    return AffineDrift(dim, matrix, np.zeros(dim), volatility=1.0), matrix


def time_in_ball(x):
    """By the radius alone, in the plane: 2 / r e^{r^2} times the integral of u e^{-u^2}."""
    return quad(lambda r: np.expm1(r**2) / r, np.linalg.norm(x), RADIUS)[0]


def covered(found, stated, truth):
    return (np.abs(found - truth) <= stated + 1e-9).all()


@pytest.mark.parametrize("speed", [0.0, 3.0, 10.0, 30.0, 100.0])
def test_a_ball_that_is_left_turning(speed):
    """However fast it turns, what is stated is of use: times are up to 2.2."""
    process, _ = turning(speed)
    model = ValueFunction(hitting_time(~ball([0.0, 0.0], RADIUS)), method="grid", random_state=0)
    model.fit(process, X)
    truth = np.array([time_in_ball(x) for x in X])
    assert covered(model.predict(X), model.std_error(X), truth)
    assert np.abs(model.predict(X) - truth).max() < 1e-3
    assert 0 < model.std_error(X).max() < 0.025


@COARSE
@pytest.mark.parametrize(("dim", "speed", "horizon"), [(2, 3.0, 0.5), (3, 0.0, 2.0), (3, 3.0, 2.0)])
def test_a_level_at_the_horizon(dim, speed, horizon):
    """The law at the horizon is normal; the level lies anywhere in a cell."""
    process, matrix = turning(speed, dim)
    starts = np.resize(X, (20, dim))
    mean = (starts @ expm(matrix * horizon).T)[:, 0]
    truth = ndtr((mean - LEVEL) / np.sqrt(-np.expm1(-2 * horizon) / 2))
    model = ValueFunction(exceedance(LEVEL, horizon), method="grid", random_state=0)
    model.fit(process, starts)
    assert covered(model.predict(starts), model.std_error(starts), truth)
    assert np.abs(model.predict(starts) - truth).max() < {0.0: 1.5e-3, 3.0: 1.2e-2}[speed]


@pytest.mark.parametrize("speed", [3.0, 30.0])
def test_a_discounted_square_of_what_turns(speed):
    """By Lyapunov's equation; paths that look for the domain must not wind out of it."""
    process, matrix = turning(speed)
    form = solve_continuous_lyapunov((matrix - 0.25 * np.eye(2)).T, -np.diag([1.0, 0.0]))
    truth = np.einsum("nd,de,ne->n", X, form, X) + np.trace(form) / 0.5
    model = ValueFunction(discounted(lambda x: x[:, 0] ** 2, 0.5), method="grid", random_state=0)
    model.fit(process, X)
    assert covered(model.predict(X), model.std_error(X), truth)
    assert np.abs(model.predict(X) - truth).max() < 5e-3
    assert model.std_error(X).max() < 0.1


def test_a_domain_that_holds_too_little_of_the_payoff():
    """Few paths go far, but what they are paid grows: the wider domain tells."""
    process, start = GeometricBrownian(0.05, volatility=0.2), np.array([[100.0]])
    call = expected(lambda x: np.maximum(x[:, 0] - 100, 0), 1.0, discount=0.05)
    for seed in range(3):
        model = ValueFunction(call, random_state=seed).fit(process, start)
        assert covered(model.predict(start), model.std_error(start), 10.4505836)


def oblique(angle):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def drift(_, x):
        u = x @ turn.T
        return np.stack([u[:, 0] - u[:, 0] ** 3, -u[:, 1]], axis=1) @ turn

    def along(x):
        return x @ turn[0]

    process = Diffusion(drift, lambda _, x: np.full_like(x, 0.5), 2, diagonal=True)
    up = where(lambda x: along(x) >= 1, lambda x: 1 - along(x))
    return process, up, where(lambda x: along(x) <= -1, lambda x: along(x) + 1), along


def reached(x, drift, noise, t):
    """The chance that a Brownian motion with drift has passed 1, by reflection."""
    far, sd = 1 - x, noise * np.sqrt(t)
    back = np.exp(2 * drift * far / noise**2) * ndtr((-drift * t - far) / sd)
    return ndtr((drift * t - far) / sd) + back


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.5])
def test_fates_between_oblique_walls(angle):
    process, up, down, along = oblique(angle)
    starts = 0.7 * X
    table = fate_probabilities(process, starts, {"up": up, "down": down}, random_state=0)
    line = ValueFunction(hitting_probability(above(1.0), before=below(-1.0)))
    truth = line.fit(DoubleWell(1.0, 1.0, volatility=0.5)).predict(along(starts))
    assert covered(table.probabilities[:, 0], table.std_errors[:, 0], truth)
    assert np.abs(table.probabilities[:, 0] - truth).max() < 5e-5
    assert 0 < table.std_errors.max() < 5e-3


@pytest.mark.parametrize("dim", [1, 2])
def test_passages_on_a_grid(dim):
    process = AffineDrift(dim, np.zeros((dim, dim)), [0.4] * dim, volatility=0.6)
    starts, ts = np.zeros((2, dim)), [0.25, 1.0, 2.0]
    starts[1, 0] = 0.4
    law = passage(process, above(1.0), starts, ts=ts, method="grid", resolution=60)
    truth = [[1 - reached(x, 0.4, 0.6, t) for t in ts] for x in starts[:, 0]]
    assert covered(law.survival, law.std_error, truth)
    assert (law.std_error > 0).all()
    assert law.std_error.max() < 1e-2


def test_walls_of_a_box_at_fourth_order():
    """Survival in a box is a product of that between walls, .6119465 at .3 and T = .5."""
    question = Functional(terminal=1.0, stop={~where(inside, room): 0.0}, horizon=0.5)
    at = np.array([[0.3, 0.3]])
    settings = {"domain": ([-1.0, -1.0], [1.0, 1.0]), "resolution": 40}
    model = ValueFunction(question, method="grid", **settings).fit(
        Brownian(dim=2, volatility=1), at
    )
    assert model.predict(at)[0] == pytest.approx(0.6119465**2, abs=2e-5)
    assert covered(model.predict(at), model.std_error(at), 0.6119465**2)


def inside(x):
    return np.abs(x).max(axis=1) < 1


def room(x):
    return np.abs(x).max(axis=1) - 1


def test_laws_state_their_distance_from_the_truth():
    def start(x):
        return np.exp(-((x - [1.0, 0.0]) ** 2).sum(axis=1) / 0.18)

    spring, matrix = turning(2.0)
    box = {"domain": ([-4.0, -4.0], [4.0, 4.0]), "resolution": 40}
    later, rest = density(spring, start, [0.5], **box), stationary(spring, **box)
    mean = expm(matrix * 0.5) @ [1.0, 0.0]
    variance = 0.09 * np.exp(-1.0) - np.expm1(-1.0) / 2
    for law, m, v in ((later, mean, variance), (rest, np.zeros(2), 0.5)):
        x = law.grid.centers
        truth = np.exp(-((x - m) ** 2).sum(axis=1) / (2 * v)) / (2 * np.pi * v)
        off = np.abs(law.densities[0] - truth).sum() * np.prod(law.grid.sizes)
        assert off < law.error[0] < 20 * off
