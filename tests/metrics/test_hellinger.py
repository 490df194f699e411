"""Hellinger distances between jump processes."""

import numpy as np
import pytest
from scipy.linalg import expm

from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.metrics import hellinger_empirical, hellinger_kernel, hellinger_marginal

P = np.array([[-1.0, 1.0], [2.0, -2.0]])
Q = 3 * P  # the same stationary law


def test_kernel_sees_rates_that_the_stationary_law_hides():
    law, ts = [2 / 3, 1 / 3], [0.2, 0.5]
    assert hellinger_marginal(P, Q, law, ts) == pytest.approx(0.0, abs=1e-7)
    assert hellinger_kernel(P, Q, ts) > 0.1
    assert hellinger_kernel(P, P, ts) == 0


def test_kernel_in_closed_form():
    a, b = expm(P * 0.4), expm(Q * 0.4)
    rows = np.sqrt(0.5 * ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(axis=1))
    assert hellinger_kernel(P, Q, [0.4]) == pytest.approx(rows.mean())
    assert hellinger_marginal(P, Q, [1, 0], [0.4]) == pytest.approx(rows[0])


def test_disjoint_laws_are_one_apart():
    stay, leave = np.zeros((2, 2)), np.array([[-1.0, 1.0], [0.0, 0.0]])
    assert hellinger_marginal(stay, leave, [1, 0], [40.0]) == pytest.approx(1.0)


def test_empirical_distance_of_the_truth_is_the_noise_floor():
    """Mean over 100 simulations against a fixed target: 6 deviations of a single one."""
    ts = np.linspace(0, 2, 20)
    target = jumps.simulate(P, [0.5, 0.5], 500, ts, random_state=0).states
    found = hellinger_empirical(target, P, [0.5, 0.5], ts, random_state=1)
    assert abs(found.mean - found.noise_floor) < 6 * found.std
    other = hellinger_empirical(target, 2 * Q, [0.5, 0.5], ts, random_state=1)
    assert other.mean > found.mean


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((P, np.zeros((3, 3)), [1.0]), "equal in shape"),
        ((P, [[0.0, 1.0], [1.0, 0.0]], [1.0]), "sum to 0"),
        ((P, Q, [1.0, 0.5]), "increase"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        hellinger_kernel(*arguments)
