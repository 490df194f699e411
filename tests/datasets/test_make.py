import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from trajinfer._core.errors import InputError
from trajinfer.datasets import (
    make_lotka_volterra,
    make_repressilator,
    make_repressilator_mrna,
    make_vortex,
)

MAKERS = [make_lotka_volterra, make_repressilator, make_repressilator_mrna, make_vortex]


def _lotka_volterra(t, y):
    return [y[0] - 0.4 * y[0] * y[1], 0.1 * y[0] * y[1] - 0.4 * y[1]]


def _repressilator(t, y):
    return 10 / (1 + np.roll(y, 1) ** 3) - y


def _with_proteins(t, y):
    m, p = y[:3], y[3:]
    return np.concatenate([1e-5 + 10 / (1 + np.roll(p, 1) ** 3) - m, m - p])


@pytest.mark.parametrize(
    ("make", "drift", "start"),
    [
        (make_lotka_volterra, _lotka_volterra, [5.0, 4.0]),
        (make_repressilator, _repressilator, [1.0, 1.05, 2.0]),
        (make_repressilator_mrna, _with_proteins, [1.0, 1.1, 2.0, 0.05, 0.05, 0.02]),
    ],
)
def test_without_noise_the_ode_is_followed(make, drift, start):
    times = [0, 0.5, 1.0, 1.5, 2.0]
    box = np.stack([start, start], axis=1)
    cloud = make(1, times, volatility=1e-9, start=box, random_state=0)
    truth = solve_ivp(drift, (0, 2), start, t_eval=times, rtol=1e-10, atol=1e-12).y.T
    found = np.concatenate(cloud.points)
    np.testing.assert_allclose(found, truth[:, : found.shape[1]], rtol=0.03)


def test_vortex_has_the_moments_of_its_linear_law():
    n, t, volatility = 40_000, 2.0, 0.3
    matrix = np.array([[0.0, 0.8 * np.exp(-0.3)], [-0.8, 0.0]])
    cloud = make_vortex(n, [t], volatility=volatility, random_state=1).points[0]
    flow = expm(matrix * t)
    grid = (np.arange(400) + 0.5) * t / 400
    noise = sum(expm(matrix * s) @ expm(matrix * s).T for s in grid) * volatility**2 * t / 400
    cov = flow @ (np.eye(2) * 0.01 / 12) @ flow.T + noise
    sd = np.sqrt(np.diag(cov))
    # 5 standard errors of a mean and of a variance: false alarms 2e-6 for the four together.
    assert (np.abs(cloud.mean(axis=0) - flow @ [0, -0.75]) < 5 * sd / np.sqrt(n)).all()
    assert (np.abs(cloud.var(axis=0) - sd**2) < 5 * sd**2 * np.sqrt(2 / n)).all()


def test_each_snapshot_is_a_fresh_simulation():
    cloud = make_vortex(2_000, [0.0, 1.0], volatility=0.01, random_state=2)
    matrix = np.array([[0.0, 0.8 * np.exp(-0.3)], [-0.8, 0.0]])
    moved = cloud.points[0] @ expm(matrix).T
    # Correlation of independent columns: sd 1/sqrt(n) = 0.022, 5 of them.
    assert abs(np.corrcoef(moved[:, 0], cloud.points[1][:, 0])[0, 1]) < 0.11
    paired = make_vortex(2_000, [0.0, 1.0], volatility=0.01, same_individuals=True, random_state=2)
    moved = paired.points[0] @ expm(matrix).T
    assert np.corrcoef(moved[:, 0], paired.points[1][:, 0])[0, 1] > 0.9


def test_the_population_starts_at_time_zero():
    late = make_lotka_volterra(30, [1.0, 2.0], volatility=1e-9, random_state=3)
    whole = make_lotka_volterra(30, [0.0, 1.0, 2.0], volatility=1e-9, random_state=3)
    np.testing.assert_allclose(late.points[0].mean(0), whole.points[1].mean(0), rtol=0.02)


@pytest.mark.parametrize("make", MAKERS)
def test_one_seed_one_answer(make):
    state = torch.get_rng_state()
    first, again, other = (make(5, [0, 1], random_state=s) for s in (7, 7, 8))
    np.testing.assert_array_equal(np.concatenate(first.points), np.concatenate(again.points))
    assert (np.concatenate(first.points) != np.concatenate(other.points)).any()
    assert torch.equal(state, torch.get_rng_state())
    assert len(first.features) == first.dim
    assert len(first.points[0]) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": [1.0, 0.5]}, "increase"),
        ({"times": [-1.0, 0.5]}, "negative"),
        ({"times": []}, "empty"),
        ({"times": [0.0, np.nan]}, "NaN"),
        ({"start": [[0.0, 1.0]]}, "2 pairs"),
        ({"start": [[1.0, 0.0], [0.0, 1.0]]}, "2 pairs"),
        ({"n": 0}, "positive integer"),
        ({"volatility": -1.0}, "positive"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        make_vortex(**options)
