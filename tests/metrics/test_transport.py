import math

import numpy as np
import ot
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from trajinfer._core.errors import InputError, NotConverged
from trajinfer.metrics import bures_wasserstein, samples, sliced_wasserstein, wasserstein


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_a_shift_costs_its_length(rng, p, dim):
    x, v = rng.standard_normal((60, dim)), rng.standard_normal(dim)
    assert wasserstein(x, x + v, p) == pytest.approx(np.linalg.norm(v), abs=1e-12)


def test_gradient_of_a_convex_function_is_the_optimal_map(rng):
    # x -> A x + v with A symmetric positive definite: the squared cost is exactly mean |x - T x|^2.
    root = rng.standard_normal((3, 3))
    matrix, v = root @ root.T + 0.1 * np.eye(3), np.array([1.0, -2.0, 0.5])
    x = rng.standard_normal((80, 3))
    moved = x @ matrix + v
    expected = math.sqrt(((x - moved) ** 2).sum(axis=1).mean())
    assert wasserstein(x, rng.permutation(moved), p=2) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_equal_sizes_agree_with_the_assignment_problem(rng, p):
    x, y = rng.standard_normal((40, 2)), rng.standard_normal((40, 2)) * 2
    cost = cdist(x, y) ** p
    best = cost[linear_sum_assignment(cost)].mean() ** (1 / p)
    assert wasserstein(x, y, p) == pytest.approx(best, rel=1e-12)


def test_line_agrees_with_scipy_and_with_the_network_simplex(rng):
    x, y, a, b = rng.normal(size=31), rng.normal(size=47), rng.random(31), rng.random(47)
    a[3] = 0.0
    ours = wasserstein(x, y, 1, (a, b))
    assert ours == pytest.approx(wasserstein_distance(x, y, a, b), rel=1e-12)
    squared = ot.emd2(a / a.sum(), b / b.sum(), (x[:, None] - y) ** 2)
    assert wasserstein(x, y, 2, (a, b)) == pytest.approx(math.sqrt(squared), rel=1e-10)
    padded = [np.column_stack([z, np.zeros_like(z)]) for z in (x, y)]
    assert wasserstein(*padded, 1, (a, b)) == pytest.approx(ours, rel=1e-10)


def test_quantiles_of_two_gaussians_on_the_line():
    x = np.sort(np.random.default_rng(1).standard_normal(500))
    x = (x - x.mean()) / x.std()
    assert wasserstein(x, 3 + 2.5 * x, p=2) == pytest.approx(math.hypot(3, 1.5), rel=1e-12)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("p", [1, 2])
def test_weights_count_like_repeated_rows(rng, p, dim):
    x, y, counts = rng.normal(size=(12, dim)), rng.normal(size=(9, dim)), rng.integers(0, 4, 12)
    weighted = wasserstein(x, y, p, (counts, None))
    assert weighted == pytest.approx(wasserstein(np.repeat(x, counts, axis=0), y, p), rel=1e-10)


def test_one_point_against_many(rng):
    y = rng.normal(size=(7, 2))
    expected = math.sqrt((y**2).sum(axis=1).mean())
    assert wasserstein(np.zeros((1, 2)), y, 2) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_extreme_units_neither_overflow_nor_vanish(rng, scale):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(25, 2))
    expected = scale * wasserstein(x, y, 2)
    assert wasserstein(scale * x, scale * y, 2) == pytest.approx(expected, rel=1e-9)


def test_tensors_are_taken_and_left_alone(rng):
    x = torch.from_numpy(rng.normal(size=(10, 2))).requires_grad_()
    y = x.detach().clone() + 1
    assert wasserstein(x, y, 2) == pytest.approx(math.sqrt(2))
    assert isinstance(wasserstein(x, y), float)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((0, 2)), np.zeros((3, 2))), "empty"),
        (([[np.nan, 0.0]], [[0.0, 0.0]]), "NaN"),
        (([[np.inf, 0.0]], [[0.0, 0.0]]), "infinity"),
        ((np.zeros((3, 2)), np.zeros((3, 3))), "same dimension, got 2 and 3"),
        ((np.zeros((3, 2)), np.zeros((3, 2, 1))), r"\(n, D\)"),
        ((np.zeros((3, 2)), np.zeros((3, 2)), 3), "p must be 1 or 2"),
        ((np.zeros(2), np.zeros(2), 1, ([1.0, 1.0, 1.0], None)), r"shape \(2,\)"),
        ((np.zeros(2), np.zeros(2), 1, ([1.0, -1.0], None)), "non-negative"),
        ((np.zeros(2), np.zeros(2), 1, ([0.0, 0.0], None)), "positive sum"),
        ((np.zeros(3), np.zeros(3), 1, [1.0, 1.0, 1.0]), "pair"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        wasserstein(*arguments)


def test_an_unfinished_network_simplex_raises(rng, monkeypatch):
    exact = ot.emd2

    def hurried(a, b, cost, **options):
        return exact(a, b, cost, **{**options, "numItermax": 1})

    monkeypatch.setattr(ot, "emd2", hurried)
    with pytest.raises(NotConverged, match="network simplex"):
        wasserstein(rng.normal(size=(50, 2)), rng.normal(size=(50, 2)))


def test_sliced_is_exact_on_the_line(rng):
    x, y = rng.normal(size=30), rng.normal(size=20)
    for p in (1, 2):
        assert sliced_wasserstein(x, y, p) == pytest.approx(wasserstein(x, y, p), rel=1e-10)


@pytest.mark.parametrize("p", [1, 2])
def test_sliced_agrees_with_pot_on_its_directions(rng, p, monkeypatch):
    x, y, a = rng.normal(size=(30, 3)), rng.normal(size=(20, 3)) + 1, rng.random(30)
    directions = np.random.default_rng(5).standard_normal((64, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    theirs = ot.sliced_wasserstein_distance(x, y, a / a.sum(), None, projections=directions.T, p=p)
    ours = sliced_wasserstein(x, y, p, (a, None), n_projections=64, random_state=5)
    assert ours == pytest.approx(theirs, rel=1e-10)
    monkeypatch.setattr(samples, "BLOCK", 500)
    blocked = sliced_wasserstein(x, y, p, (a, None), n_projections=64, random_state=5)
    assert blocked == pytest.approx(ours, rel=1e-12)


def test_sliced_shift_has_the_mean_projection():
    # E <theta, v>^2 = |v|^2 / D; relative sd of the mean over L is sqrt(2 (D-1)/(D+2) / L), here
    # 0.0108, halved by the root: 5 sd = 0.027 (false alarms 6e-7).
    x, v = np.random.default_rng(2).normal(size=(20, 4)), np.array([3.0, 0.0, 0.0, 0.0])
    value = sliced_wasserstein(x, x + v, n_projections=8_500)
    assert value == pytest.approx(3 / 2, rel=0.027)


def test_sliced_has_its_own_generator(rng):
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(20, 3))
    assert sliced_wasserstein(x, y) == sliced_wasserstein(x, y)
    other = sliced_wasserstein(x, y, random_state=np.random.default_rng(1))
    assert other != sliced_wasserstein(x, y)
    with pytest.raises(InputError, match="n_projections"):
        sliced_wasserstein(x, y, n_projections=0)


def _covariance(rng, dim):
    root = rng.standard_normal((dim, dim))
    return root @ root.T / dim


@pytest.mark.parametrize("dim", [1, 2, 6])
def test_bures_agrees_with_matrix_roots(rng, dim):
    a, b, m = _covariance(rng, dim), _covariance(rng, dim), rng.standard_normal(dim)
    root = sqrtm(a)
    squared = m @ m + np.trace(a + b - 2 * sqrtm(root @ b @ root).real)
    assert bures_wasserstein(m, a, np.zeros(dim), b) == pytest.approx(math.sqrt(squared), rel=1e-8)


def test_bures_is_the_transport_cost_of_moment_matched_points(rng):
    # Points whose moments are exact, moved by the optimal linear map, attain the Gaussian distance.
    x = rng.standard_normal((60, 2))
    x -= x.mean(axis=0)
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    cov = np.cov(x.T, bias=True)
    moved = x @ matrix + 1.0
    value = bures_wasserstein(np.zeros(2), cov, np.ones(2), matrix @ cov @ matrix)
    assert value == pytest.approx(wasserstein(x, moved, 2), rel=1e-10)


def test_bures_keeps_its_digits_near_equality(rng):
    a = _covariance(rng, 4)
    assert bures_wasserstein(np.zeros(4), a, np.zeros(4), a) < 1e-13
    scaled = bures_wasserstein(np.zeros(4), a, np.zeros(4), a * (1 + 1e-9) ** 2)
    assert scaled == pytest.approx(1e-9 * math.sqrt(np.trace(a)), rel=1e-5)


def test_bures_takes_singular_covariances():
    assert bures_wasserstein([0, 0], np.diag([4.0, 0.0]), [0, 0], np.diag([0.0, 9.0])) == (
        pytest.approx(math.sqrt(13))
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, 0.0], np.eye(3), [0.0, 0.0], np.eye(2)), r"\(D, D\)"),
        (([0.0], [[1.0]], [0.0, 0.0], np.eye(2)), "same dimension"),
        (([0.0, 0.0], [[1.0, 2.0], [0.0, 1.0]], [0.0, 0.0], np.eye(2)), "symmetric"),
        (([0.0], [[-1.0]], [0.0], [[1.0]]), "semi-definite"),
        (([np.nan], [[1.0]], [0.0], [[1.0]]), "NaN"),
    ],
)
def test_bures_refuses_what_is_no_gaussian(arguments, message):
    with pytest.raises(InputError, match=message):
        bures_wasserstein(*arguments)
