"""Exact answers in one dimension against closed forms and quadrature."""

import numpy as np
import pytest

from trajinfer import InputError
from trajinfer.functionals import (
    Functional,
    ValueFunction,
    above,
    ball,
    below,
    box,
    hitting_probability,
    hitting_time,
    outside,
)
from trajinfer.processes import (
    Brownian,
    DoubleWell,
    GeometricBrownian,
    OrnsteinUhlenbeck,
    PolynomialDrift,
)

COMMITTOR = hitting_probability(above(1.0), before=below(-1.0))


def value(functional, process, x, **settings):
    return ValueFunction(functional, **settings).fit(process, np.reshape(x, (-1, 1))).predict(x)


@pytest.mark.parametrize(
    ("volatility", "committor", "times", "exit"),
    [
        (0.4, (0.0663641, 0.8283766), (57.478304, 120.005742), 2.524567),
        (0.5, (0.1139468, 0.7726958), (18.426158, 41.034280), 2.090982),
        (0.7, (0.1737058, 0.7142394), (5.904996, 14.639202), 1.414605),
    ],
)
def test_double_well(volatility, committor, times, exit):
    well = DoubleWell(1.0, 1.0, volatility=volatility)
    assert value(COMMITTOR, well, [-0.5, 0.3]) == pytest.approx(committor, rel=1e-6)
    for level, time in zip((0.0, 1.0), times):
        assert value(hitting_time(above(level)), well, [-1.0]) == pytest.approx(time, rel=1e-6)
    assert value(hitting_time(outside(-1, 1)), well, [0.0]) == pytest.approx(exit, rel=1e-6)


def test_the_same_well_in_other_words():
    """A polynomial of the same drift, and a region that is a complement, answer the same."""
    cubic = PolynomialDrift(1, 3, [[0.0], [1.0], [0.0], [-1.0]], volatility=0.5)
    assert value(hitting_time(~box([-1.0], [1.0])), cubic, [0.0]) == pytest.approx(2.090982, 1e-6)


def test_ornstein_uhlenbeck():
    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=np.sqrt(2))
    assert value(hitting_time(above(1.0)), process, [0.0]) == pytest.approx(2.0934067, rel=1e-6)
    assert value(hitting_time(outside(-1, 1)), process, [0.0]) == pytest.approx(0.5957493, rel=1e-6)
    assert value(COMMITTOR, process, [0.5]) == pytest.approx(0.7182665, rel=1e-6)


def test_brownian_motion_and_its_moments():
    process = Brownian(volatility=1.0)
    assert value(hitting_time(outside(-1, 1)), process, [0.3]) == pytest.approx(0.91)
    assert value(hitting_time(outside(-1, 1), power=2), process, [0.0]) == pytest.approx(5 / 3)
    half = Functional(running=lambda x: (x[:, 0] > 0).astype(float), stop={outside(-1, 1): 0.0})
    # Green's function of the interval, integrated over its upper half
    assert value(half, process, [0.0]) == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("mu", [0.01, 0.05])
def test_a_geometric_motion_that_may_never_arrive(mu):
    """Its noise vanishes at 0, where the line ends."""
    process = GeometricBrownian(mu, volatility=0.2)
    power = 1 - 2 * mu / 0.04
    truth = min(1.0, (100 / 120) ** power)
    found = value(hitting_probability(above(120.0)), process, [100.0])
    assert found == pytest.approx(truth, rel=1e-6)
    if mu == 0.05:
        time = value(hitting_time(above(120.0)), process, [100.0])
        assert time == pytest.approx(np.log(1.2) / (mu - 0.02), rel=1e-6)


def test_high_barriers_do_not_overflow():
    for height in (200, 2000):
        well = DoubleWell(1.0, 1.0, volatility=np.sqrt(0.5 / height))
        committor = value(COMMITTOR, well, [-0.5, 0.0, 0.5])
        assert committor[1] == pytest.approx(0.5, rel=1e-6)
        assert committor[0] + committor[2] == pytest.approx(1.0)
    time = value(hitting_time(above(1.0)), DoubleWell(1.0, 1.0, volatility=0.05), [-1.0])
    kramers = 2 * np.pi / np.sqrt(2) * np.exp(0.5 / 0.05**2)  # right for a low noise alone
    assert time == pytest.approx(kramers, rel=5e-3)


def test_the_gradient_is_the_derivative():
    model = ValueFunction(COMMITTOR).fit(DoubleWell(1.0, 1.0, volatility=0.5))
    ahead, behind = model.predict([0.2 + 1e-4]), model.predict([0.2 - 1e-4])
    assert model.gradient([0.2])[0] == pytest.approx((ahead - behind) / 2e-4, rel=1e-6)


def test_what_never_ends_for_sure_is_refused():
    with pytest.raises(InputError, match=r"from 100 with probability 0\.913"):
        value(hitting_time(above(120.0)), GeometricBrownian(0.01, volatility=0.2), [100.0])
    with pytest.raises(InputError, match="mean time until then is infinite"):
        value(hitting_time(above(1.0)), Brownian(volatility=1.0), [0.0])


def test_states_in_the_stopping_set_have_the_value_paid_there():
    found = value(COMMITTOR, Brownian(volatility=1.0), [-3.0, 0.0, 2.0])
    assert found == pytest.approx([0.0, 0.5, 1.0], abs=1e-12)


def test_several_gaps_between_the_parts_of_a_set():
    """Three balls on the line: each state lies between two neighbours."""
    places = {ball([c], 0.5): float(k) for k, c in enumerate((-2.0, 0.0, 2.0))}
    found = value(Functional(stop=places), Brownian(volatility=1.0), [-1.0, 1.0])
    assert found == pytest.approx([0.5, 1.5])
