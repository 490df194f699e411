import math

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import norm

from trajinfer._core.errors import InputError, NotConverged
from trajinfer.metrics import energy_distance, sinkhorn_divergence, wasserstein


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(25, 2)), rng.normal(size=(30, 2)) + 0.5


def _pot(x, y, p, reg):
    cost = cdist(x, y) ** p
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    plan = ot.sinkhorn(a, b, cost, reg, method="sinkhorn_log", numItermax=20_000, stopThr=1e-12)
    return (plan * cost).sum() + reg * (plan * np.log(plan / np.outer(a, b))).sum()


@pytest.mark.parametrize("p", [1, 2])
def test_agrees_with_pot(clouds, p):
    x, y = clouds
    expected = _pot(x, y, p, 0.3) - (_pot(x, x, p, 0.3) + _pot(y, y, p, 0.3)) / 2
    assert sinkhorn_divergence(x, y, p, reg=0.3, tol=1e-9) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("p", [1, 2])
def test_small_regularisation_gives_exact_transport(clouds, p):
    # The entropic cost exceeds the exact one by at most reg * log n, and debiasing takes most away.
    x, y = clouds
    value = sinkhorn_divergence(x, y, p, reg=2e-3, tol=1e-4, max_iter=50_000)
    assert value == pytest.approx(wasserstein(x, y, p) ** p, abs=2e-3 * math.log(30))


def test_large_regularisation_gives_half_the_energy_distance(clouds):
    x, y = clouds
    assert sinkhorn_divergence(x, y, 1, reg=1e5) == pytest.approx(
        energy_distance(x, y) / 2, rel=1e-4
    )


def _gaussian_entropic(s, t, shift, reg):
    # One dimension, cost |x-y|^2, reg = 2 v: the optimal plan is Gaussian with covariance c below.
    v = reg / 2
    c = (math.sqrt(4 * s * t + v**2) - v) / 2
    mutual = -0.5 * math.log(1 - c**2 / (s * t))
    return shift**2 + s + t - 2 * c + reg * mutual


def test_gaussians_on_a_grid_meet_the_closed_form():
    # Weighted grid points out to 6 sd, a seventh of a sd apart.
    grid = np.linspace(-6, 6, 85)
    mass = norm.pdf(grid)
    s, t, shift, reg = 1.0, 2.25, 0.7, 0.8
    value = sinkhorn_divergence(grid, shift + 1.5 * grid, 2, (mass, mass), reg=reg, tol=1e-10)
    own = (_gaussian_entropic(s, s, 0, reg) + _gaussian_entropic(t, t, 0, reg)) / 2
    assert value == pytest.approx(_gaussian_entropic(s, t, shift, reg) - own, rel=1e-6)


def test_zero_for_equal_samples_and_weights_count_like_rows(clouds):
    x, y = clouds
    assert sinkhorn_divergence(x, x) == pytest.approx(0, abs=1e-4)
    counts = np.random.default_rng(1).integers(0, 3, len(x))
    repeated = sinkhorn_divergence(np.repeat(x, counts, axis=0), y, reg=0.5, tol=1e-9)
    weighted = sinkhorn_divergence(x, y, weights=(counts, None), reg=0.5, tol=1e-9)
    assert weighted == pytest.approx(repeated, rel=1e-7)


def test_stopping_early_costs_the_second_order_only(clouds):
    x, y = clouds
    assert sinkhorn_divergence(x, y) == pytest.approx(
        sinkhorn_divergence(x, y, tol=1e-10), rel=1e-6
    )


def test_default_regularisation_follows_the_unit(clouds):
    x, y = clouds
    value = sinkhorn_divergence(x, y)
    assert sinkhorn_divergence(1000 * x, 1000 * y) == pytest.approx(1e6 * value, rel=1e-6)


def test_failures_are_said(clouds):
    x, y = clouds
    with pytest.raises(NotConverged, match="larger reg"):
        sinkhorn_divergence(x, y, reg=1e-4, tol=1e-12, max_iter=3)
    with pytest.raises(InputError, match="reg must be positive"):
        sinkhorn_divergence(x, y, reg=0.0)
    with pytest.raises(InputError, match="p must be"):
        sinkhorn_divergence(x, y, 3)
    with pytest.raises(InputError, match="give reg="):
        sinkhorn_divergence(x, y[:1])
