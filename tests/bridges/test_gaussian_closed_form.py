"""The exact backend against the closed form between Gaussians (four references, one rotating)."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.bridges.gaussian import CASES, ROTATION, TABLE, GaussianBridge, bures_wasserstein2, grid
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.references.bridge_law import bridge_law
from trajinfer.references.dynamics import dynamics_of
from trajinfer.references.transitions import Transitions

HALF = torch.tensor([0.5], dtype=torch.float64)
ZERO, ONE = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)


@pytest.fixture(scope="module", params=CASES)
def name(request):
    return request.param


# The drift at t sees the ends through a Gaussian kernel of variance Phi(T - t). Points farther
# apart than it is wide show as ripples: 2e-2 in B of the expanding case at a third of a sd.
SPACING = {"Brownian": 1 / 3, "contracting": 1 / 3, "expanding": 1 / 8, "rotating": 1 / 3}


@pytest.fixture(scope="module")
def fitted(name):
    truth = CASES[name]
    bridge = SchrodingerBridge(truth.reference(), backend="exact", random_state=0)
    return bridge.fit(truth.snapshots(step=SPACING[name]))


def covariance_under(plan, x, y):
    x_mean, y_mean = plan.sum(axis=1) @ x, plan.sum(axis=0) @ y
    return (x - x_mean).T @ plan @ (y - y_mean)


def slope(bridge, t, x):
    """Derivative of the velocity at x by central differences."""
    step = 1e-4 * np.eye(len(x))
    up, down = bridge.velocity(x + step, t), bridge.velocity(x - step, t)
    return (up - down).T / 2e-4


def test_the_formulas_give_the_table(name):
    truth, values = CASES[name], TABLE[name]
    B, v = truth.drift(0.5)
    for found, expected in zip(
        (truth.mean(0.5), truth.cov(0.5), truth.C0T, B, v), values, strict=True
    ):
        np.testing.assert_allclose(np.squeeze(found), expected, atol=6e-7)


def test_a_third_of_a_standard_deviation_is_fine_enough_for_the_coupling():
    truth = CASES["expanding"]
    bridge = SchrodingerBridge(truth.reference(), random_state=0).fit(truth.snapshots())
    found = covariance_under(bridge.coupling(0), *bridge.snapshots_.points)
    np.testing.assert_allclose(found, truth.C0T, rtol=2e-5)


def test_coupling(name, fitted):
    # cutting the Gaussians at 5 sd alone costs 1.5e-5 of their variances
    points = fitted.snapshots_.points
    found = covariance_under(fitted.coupling(0), *points)
    np.testing.assert_allclose(found, CASES[name].C0T, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(np.squeeze(found), TABLE[name][2], rtol=2e-5, atol=1e-5)
    assert fitted.converged_


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5])
def test_velocity(name, fitted, t):
    truth = CASES[name]
    B, v = truth.drift(t) if t else truth.drift(1e-9)
    np.testing.assert_allclose(fitted.velocity(truth.mean(t)[None], t)[0], v, atol=1e-5)
    np.testing.assert_allclose(slope(fitted, t, truth.mean(t)), B, atol=1e-5)


def test_velocity_at_the_numbers_of_the_table(name, fitted):
    mean, _, _, B, v = TABLE[name]
    mean = np.atleast_1d(mean)
    np.testing.assert_allclose(fitted.velocity(mean[None], 0.5)[0], np.atleast_1d(v), atol=1e-5)
    np.testing.assert_allclose(slope(fitted, 0.5, mean), np.atleast_2d(B), atol=1e-5)


def test_a_rotating_reference_gives_no_gradient_field():
    B = TABLE["rotating"][3]
    assert abs(B[0][1] - B[1][0]) > 3.9


def test_mean_and_covariance_of_the_path_law(name, fitted):
    """From the coupling and the Gaussian bridges, without sampling."""
    truth, (x, y), plan = CASES[name], fitted.snapshots_.points, fitted.coupling(0)
    start = torch.tensor(x)[None]
    law = bridge_law(Transitions(dynamics_of(fitted.reference_), 8), ZERO, start, ONE, HALF)
    offset = law.expected(torch.zeros_like(start))[0, 0].detach().numpy()
    gain = law.gains[0].detach().numpy().reshape(truth.A.shape)
    onward = law.to_end[0].detach().numpy().reshape(truth.A.shape)
    spread = law.noises[0].detach().numpy().reshape(truth.A.shape)
    a, b = plan.sum(axis=1), plan.sum(axis=0)
    mean = a @ offset + gain @ (b @ y)
    cross = covariance_under(plan, offset, y) @ gain.T
    covariance = spread - gain @ onward @ spread + cross + cross.T
    covariance += covariance_under(np.diag(a), offset, offset)
    covariance += gain @ covariance_under(np.diag(b), y, y) @ gain.T
    np.testing.assert_allclose(mean, truth.mean(0.5), atol=1e-5)
    np.testing.assert_allclose(covariance, truth.cov(0.5), atol=1e-4)
    np.testing.assert_allclose(np.squeeze(mean), TABLE[name][0], atol=1e-5)
    np.testing.assert_allclose(np.squeeze(covariance), TABLE[name][1], atol=1e-4)


def test_conditional_means_forwards(name, fitted):
    truth = CASES[name]
    x = truth.mean(0.25) + np.linspace(-0.3, 0.5, len(truth.A))
    for t in (0.25, 0.6, 1.0):
        # x_t given x_s is Gaussian with the closed form's covariances (the law is Markov)
        expected = truth.mean(t) + _cov_between(truth, 0.25, t).T @ np.linalg.solve(
            truth.cov(0.25), x - truth.mean(0.25)
        )
        np.testing.assert_allclose(fitted.predict(x[None], 0.25, [t])[0, 0], expected, atol=2e-5)


def _cov_between(truth, s, t):
    """Cov(x_s, x_t) of the bridge, from the rest of the bridge between s and T."""
    if t == s:
        return truth.cov(s)
    rest = truth._replace(mu0=truth.mean(s), S0=truth.cov(s), T=truth.T - s)
    return rest.cov_with_start(t - s) if t < truth.T else truth.cov_with_end(s)


def test_samples_have_the_moments(name, fitted):
    """Draws are stratified, so that the z-values are rather smaller than normal ones; the normal
    bound at a false-alarm rate of 1e-5 for all of them together still holds."""
    truth, n = CASES[name], 20_000
    z = stats.norm.isf(1e-6)
    for t in (0.2, 0.5, 0.8):
        sample = fitted.marginal(t, n)
        white = np.linalg.solve(np.linalg.cholesky(truth.cov(t)), (sample - truth.mean(t)).T).T
        assert np.abs(white.mean(axis=0)).max() < z / np.sqrt(n)
        # fourth moments of a Gaussian: variance of a product is 1, of a square 2
        second = white.T @ white / n - np.eye(len(truth.A))
        assert np.abs(second).max() < z * np.sqrt(2 / n) + 1e-4


def test_paths_have_the_covariance_of_start_and_middle(name, fitted):
    truth, n = CASES[name], 20_000
    paths = fitted.sample(n, [0.0, 0.5, 1.0]).values
    scale = np.sqrt(np.outer(np.diag(truth.S0), np.diag(truth.cov(0.5))))
    found = (paths[:, 0] - truth.mu0).T @ (paths[:, 1] - truth.mean(0.5)) / n
    error = np.abs(found - truth.cov_with_start(0.5)) / scale
    assert error.max() < stats.norm.isf(1e-6) * np.sqrt(2 / n)


def test_a_snapshot_of_the_bridge_itself_changes_nothing():
    truth = CASES["rotating"]
    ends = truth.snapshots(step=0.5, reach=4.0)
    middle, weights = grid(truth.mean(0.4), truth.cov(0.4), 0.5, 4.0)
    three = Snapshots(
        [0.0, 0.4, 1.0],
        [ends.points[0], middle, ends.points[1]],
        [ends.weights[0], weights, ends.weights[1]],
    )
    bridge = SchrodingerBridge(truth.reference(), random_state=0).fit(three)
    for t in (0.2, 0.7):
        x = truth.mean(t) + np.array([0.2, -0.1])
        B, v = truth.drift(t)
        expected = v + B @ (x - truth.mean(t))
        np.testing.assert_allclose(bridge.velocity(x[None], t)[0], expected, atol=5e-4)
    first, second = bridge.coupling(0), bridge.coupling(1)
    composed = first @ (second / second.sum(axis=1, keepdims=True))
    found = covariance_under(composed, three.points[0], three.points[2])
    np.testing.assert_allclose(found, truth.C0T, atol=2e-4)


@pytest.mark.parametrize(
    ("dim", "n"),
    [
        (2, 600),
        (5, 600),
        pytest.param(2, 2000, marks=pytest.mark.slow),
        pytest.param(5, 2000, marks=pytest.mark.slow),
        pytest.param(10, 2000, marks=pytest.mark.slow),
    ],
)
def test_sampled_gaussians(dim, n, rng):
    """A rotation of 2 with contraction .5, random covariances; published: .19 (d = 2)."""
    turn = np.zeros((dim, dim))
    for k in range(0, dim - 1, 2):
        turn[k, k + 1], turn[k + 1, k] = 2.0, -2.0
    covariances = []
    for _ in range(2):
        basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        covariances.append(basis @ np.diag(rng.uniform(0.05, 0.4, dim)) @ basis.T)
    means = rng.standard_normal((2, dim)) / np.sqrt(dim)
    truth = GaussianBridge.of(
        turn - 0.5 * np.eye(dim),
        0.0,
        np.sqrt(0.5),
        means[0],
        covariances[0],
        means[1],
        covariances[1],
    )
    clouds = [rng.multivariate_normal(m, c, n) for m, c in zip(means, covariances, strict=True)]
    bridge = SchrodingerBridge(truth.reference(), random_state=0).fit(Snapshots([0, 1], clouds))
    for t in (0.25, 0.5, 0.75):
        drawn = bridge.marginal(t, 4000)
        found = bures_wasserstein2(drawn.mean(0), np.cov(drawn.T), truth.mean(t), truth.cov(t))
        assert found < 0.02 * dim * 2000 / n
    C0T = covariance_under(bridge.coupling(0), *clouds)
    # every entry has a sampling error of about .2 / sqrt(n); a false alarm needs 6 of them
    assert np.abs(C0T - truth.C0T).max() < 6 * 0.3 / np.sqrt(n)


def test_the_reference_need_not_be_centred():
    truth = GaussianBridge.of(
        ROTATION, [3.0, -2.0], [0.3, 0.7], [1, 0], 0.2 * np.eye(2), [2, 1], 0.1 * np.eye(2), T=1.0
    )
    bridge = SchrodingerBridge(truth.reference(), random_state=0).fit(truth.snapshots(0.5, 4.0))
    x = truth.mean(0.3) + np.array([0.1, 0.1])
    B, v = truth.drift(0.3)
    np.testing.assert_allclose(
        bridge.velocity(x[None], 0.3)[0], v + B @ (x - truth.mean(0.3)), atol=1e-3
    )
