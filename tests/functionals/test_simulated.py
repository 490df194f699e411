"""Simulation: exits between steps, controls, tilts, and independence of the company."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from trajinfer import InputError
from trajinfer.functionals import (
    Functional,
    ValueFunction,
    above,
    below,
    estimate,
    expected,
    hitting_probability,
    hitting_time,
    outside,
    where,
)
from trajinfer.functionals.exits import inverse_gaussian, touch_probability
from trajinfer.processes import (
    AffineDrift,
    Brownian,
    DoubleWell,
    GeometricBrownian,
    OrnsteinUhlenbeck,
)

STAY = Functional(terminal=1.0, stop={outside(-1, 1): 0.0}, horizon=0.5)
COMMITTOR = hitting_probability(above(1.0), before=below(-1.0))
MOTION = Brownian(volatility=1.0)


def off(answer, truth):
    """Distance to the truth in standard errors."""
    return np.abs(answer.value - truth) / answer.std_error


@pytest.mark.parametrize("exits", ["bridge", "weights"])
def test_brownian_survival_with_steps_of_an_eighth(exits):
    answer = estimate(STAY, MOTION, [0.3], n=40_000, step=1 / 8, exits=exits, random_state=0)
    assert off(answer, 0.6119465) < 4
    assert answer.std_error < 0.003
    assert answer.n_steps == 4


def test_looking_at_the_ends_of_steps_alone_misses_exits():
    answer = estimate(STAY, MOTION, [0.3], n=10_000, step=1 / 8, exits="plain", random_state=0)
    assert answer.value - 0.6119465 > 0.1


@pytest.mark.parametrize("exits", ["bridge", "weights"])
def test_mean_exit_time_with_exact_steps(exits):
    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=np.sqrt(2))
    question = hitting_time(outside(-1, 1))
    answer = estimate(question, process, [0.0], n=8_000, step=1 / 32, exits=exits, random_state=1)
    assert off(answer, 0.5957493) < 4
    assert answer.std_error < 0.01 * 0.6


def test_a_barrier_on_a_geometric_motion_in_twelve_steps():
    call = Functional(
        terminal=lambda x: np.maximum(x[:, 0] - 100, 0),
        stop={above(120.0): 0.0},
        horizon=1.0,
        discount=0.05,
    )
    process = GeometricBrownian(0.05, volatility=0.2)
    answer = estimate(
        call, process, [100.0], n=50_000, step=1 / 12, exits="weights", random_state=1
    )
    assert off(answer, 1.1760654) < 4
    assert answer.std_error < 0.013


def test_the_time_of_touching_has_its_law():
    """A bridge from a to d over a step of 1: the time of touching as drawn from fine walks."""
    rng = np.random.default_rng(0)
    a, d, n = 0.7, 0.4, 4000
    ratio = inverse_gaussian(
        np.full(n, a / d), np.full(n, a**2), rng.random(n), rng.standard_normal(n)
    )
    share = ratio / (1 + ratio)
    # density of the first touch at s of a bridge that is to end at distance d on the same side
    grid = np.linspace(1e-6, 1 - 1e-6, 20001)
    density = (
        a
        / np.sqrt(2 * np.pi * grid**3 * (1 - grid))
        * np.exp(-(a**2) / (2 * grid) - d**2 / (2 * (1 - grid)) + (d - a) ** 2 / 2)
    )
    cdf = np.cumsum(density) * (grid[1] - grid[0])
    assert cdf[-1] == pytest.approx(touch_probability(*map(np.array, (a, d, 1.0))), rel=1e-3)
    assert kstest(share, lambda s: np.interp(s, grid, cdf / cdf[-1])).pvalue > 1e-3


def test_a_control_takes_the_noise_away():
    well = DoubleWell(1.0, 1.0, volatility=0.7)
    settings = {"n": 300, "step": 1 / 32, "random_state": 0}
    plain = estimate(COMMITTOR, well, [0.3], **settings)
    controlled = estimate(COMMITTOR, well, [0.3], control="auto", **settings)
    assert off(controlled, 0.7142394) < 4 + controlled.step_error / controlled.std_error
    assert (plain.std_error / controlled.std_error) ** 2 > 100


@pytest.mark.parametrize("control", ["auto", "fitted"])
def test_a_control_of_a_call_follows_its_time_to_go(control):
    """The truth is that of Black and Scholes; a control as at the start leaves a fortieth."""
    call = expected(lambda x: np.maximum(x[:, 0] - 100, 0), 1.0, discount=0.05)
    share = GeometricBrownian(0.05, volatility=0.2)
    if control == "fitted":
        control = ValueFunction(call, resolution=60, random_state=0).fit(share, [[100.0]])
    settings = {"n": 600, "step": 1 / 50, "random_state": 0}
    plain = estimate(call, share, [100.0], **settings)
    controlled = estimate(call, share, [100.0], control=control, **settings)
    assert off(controlled, 10.4505836) < 4
    assert (plain.std_error / controlled.std_error) ** 2 > 100


def test_a_control_leaves_the_mean_of_exact_steps_alone():
    """Steps so long that the mean of Euler's would be off by ten standard errors."""
    share = GeometricBrownian(0.5, volatility=0.2)
    question = expected(lambda x: x[:, 0] ** 2, 1.0)
    settings = {"n": 4000, "step": 0.5, "random_state": 0}
    answer = estimate(question, share, [1.0], control="auto", **settings)
    assert off(answer, np.exp(2 * 0.5 + 0.04)) < 4
    euler = 2 * np.exp(0.5 + 0.02) * (np.exp(0.25) - 1.25)
    assert answer.std_error < euler / 4


@pytest.mark.parametrize("tilt", ["auto", lambda t, x: np.full((len(x), 1), 1.7 / 0.3)])
def test_a_tilt_finds_rare_events(tilt):
    question = hitting_probability(above(1.7), horizon=0.3)
    truth = 2 * norm.sf(1.7 / np.sqrt(0.3))
    settings = {"n": 4000, "step": 0.3 / 16, "random_state": 3}
    answer = estimate(question, MOTION, [0.0], tilt=tilt, **settings)
    assert off(answer, truth) < 4
    plain_error = np.sqrt(truth * (1 - truth) / 4000)
    assert (plain_error / answer.std_error) ** 2 > (500 if tilt == "auto" else 50)


def test_antithetic_pairs_of_a_linear_question_are_exact():
    drift = AffineDrift(2, [[-1.0, 0.5], [0.0, -2.0]], [1.0, 0.0], volatility=[0.3, 0.2])
    question = expected(lambda x: x[:, 0] + 2 * x[:, 1], 0.7)
    answer = estimate(question, drift, [[1.0, -1.0]], n=100, antithetic=True, random_state=0)
    flow = np.array([[np.exp(-0.7), 0.5 * (np.exp(-0.7) - np.exp(-1.4))], [0, np.exp(-1.4)]])
    mean = flow @ [1.0, -1.0] + [1 - np.exp(-0.7), 0.0]
    assert answer.value == pytest.approx(mean @ [1, 2], abs=1e-10)
    assert answer.std_error < 1e-10


def test_chunks_and_company_change_nothing():
    starts = np.array([[0.3], [-0.2], [0.3]])
    settings = {"n": 300, "step": 1 / 16, "random_state": 5}
    whole = estimate(STAY, MOTION, starts, **settings)
    parts = estimate(STAY, MOTION, starts, chunk=300, **settings)
    alone = estimate(STAY, MOTION, starts[1:2], **settings)
    assert np.array_equal(whole.value, parts.value)
    assert whole.value[1] == alone.value[0]
    assert whole.value[0] != whole.value[2]


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(InputError, match="would never end"):
        Functional(running=1.0)
    with pytest.raises(InputError, match="without a horizon"):
        Functional(terminal=1.0, stop=above(1.0), discount=-0.1)
    with pytest.raises(InputError, match="not both"):
        estimate(STAY, MOTION, [0.0], control="auto", tilt="auto")
    with pytest.raises(InputError, match="NaN"):
        estimate(STAY, MOTION, [np.nan])
    with pytest.raises(InputError, match="there is no channel 3"):
        estimate(hitting_time(above(1.0, channel=3)), MOTION, [0.0])
    with pytest.warns(UserWarning, match="already lie in the stopping set"):
        answer = estimate(hitting_time(outside(-1, 1)), MOTION, [2.0], n=10, random_state=0)
    assert answer.value == 0
    with pytest.warns(UserWarning, match="has no distance"):
        estimate(
            Functional(stop={where(lambda x: x[:, 0] > 1): 1.0}, horizon=0.1),
            MOTION,
            [0.0],
            n=10,
            random_state=0,
        )
    with pytest.raises(InputError, match="cannot be asked"):
        estimate(STAY, "a text", [0.0])
