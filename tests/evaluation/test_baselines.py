"""The anchors: straight lines, persistence, the sampling floor."""

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist

from trajinfer._core.errors import InputError
from trajinfer.data import Snapshots
from trajinfer.datasets import fetch_snapshots
from trajinfer.evaluation import exact_line, nearest_snapshot, sampling_floor
from trajinfer.metrics import exact_coupling, score_of


def test_coupling_is_the_optimum_of_the_linear_programme(rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(9, 2))
    a, b = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(9))
    plan = exact_coupling(x, y, a, b)
    assert plan.nnz <= 12 + 9 - 1
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-12)
    cost = cdist(x, y, "sqeuclidean")
    assert (plan.toarray() * cost).sum() == pytest.approx(ot.emd2(a, b, cost), rel=1e-10)


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e8, 1e170])
def test_the_optimal_coupling_does_not_depend_on_the_unit(rng, scale):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    expected = exact_coupling(x, y).toarray()
    np.testing.assert_allclose(exact_coupling(scale * x, scale * y).toarray(), expected)


def test_line_on_the_real_line_is_the_quantile_interpolation(rng):
    x, y = np.sort(rng.normal(size=30)), np.sort(rng.normal(2.0, 3.0, size=30))
    data = Snapshots([1.0, 5.0], [x[:, None], y[rng.permutation(30)][:, None]])
    points, weights = exact_line(data, 2.0)
    np.testing.assert_allclose(np.sort(points.ravel()), 0.75 * x + 0.25 * y, atol=1e-12)
    np.testing.assert_allclose(weights, 1 / 30)


def test_line_between_gaussians_is_their_geodesic(rng):
    x = rng.normal(size=(600, 1))
    data = Snapshots([0.0, 1.0], [x, 3.0 * x + 1.0])
    points, _ = exact_line(data, 0.5)
    np.testing.assert_allclose(np.sort(points, axis=0), np.sort(2.0 * x + 0.5, axis=0), atol=1e-12)


@pytest.mark.parametrize(("t", "expected"), [(-1.0, -2.0), (0.0, 0.0), (1.0, 2.0), (3.0, 8.0)])
def test_line_at_the_ends_and_beyond(t, expected):
    data = Snapshots([0.0, 1.0, 2.0], [[[0.0]], [[2.0]], [[5.0]]])
    assert exact_line(data, t)[0].item() == pytest.approx(expected)


def test_line_carries_weights():
    data = Snapshots(
        [0.0, 1.0], [[[0.0], [10.0]], [[0.0], [10.0]]], weights=[[0.75, 0.25], [0.25, 0.75]]
    )
    points, weights = exact_line(data, 0.5)
    mass = {float(p): float(w) for p, w in zip(points.ravel(), weights)}
    assert mass == pytest.approx({0.0: 0.25, 5.0: 0.5, 10.0: 0.25})


def test_line_needs_two_snapshots():
    with pytest.raises(InputError, match="two snapshots"):
        exact_line(Snapshots([0.0], [[[0.0]]]), 0.0)


def test_persistence_is_the_snapshot_before():
    data = Snapshots([0.0, 1.0, 2.0], [[[0.0]], [[1.0]], [[2.0]]])
    found = [nearest_snapshot(data, t)[0].item() for t in (-1.0, 0.5, 1.0, 1.5, 9.0)]
    assert found == [0.0, 0.0, 0.0, 1.0, 2.0]


def test_floor_of_gaussians_on_the_line(rng):
    """E W1 of two samples of n from N(0, 1) by simulation, within four standard errors."""
    n = 50
    known = [
        np.abs(np.sort(rng.normal(size=n)) - np.sort(rng.normal(size=n))).mean()
        for _ in range(2000)
    ]
    found = [
        sampling_floor(rng.normal(size=(2 * n, 1)), n_splits=1, random_state=k) for k in range(500)
    ]
    error = np.hypot(np.std(known) / np.sqrt(2000), np.std(found) / np.sqrt(500))
    assert abs(np.mean(known) - np.mean(found)) < 4 * error


def test_floor_is_repeatable_and_missing_where_there_is_nothing_to_halve():
    points = np.arange(8.0)[:, None]
    assert sampling_floor(points) == sampling_floor(points)
    assert np.isnan(sampling_floor(points[:1]))
    assert np.isnan(sampling_floor(points[:3], metric="mmd"))
    assert np.isnan(sampling_floor(points[:2], np.array([1.0, 0.0])))


@pytest.mark.parametrize(("metric", "known"), [("w1", 1.0), ("w2", 1.0), ("energy", 2.0)])
def test_scores_by_name(metric, known):
    assert score_of(metric, (np.zeros((2, 1)), None), (np.ones((3, 1)), None)) == known


def test_unknown_score():
    with pytest.raises(InputError, match="did you mean 'w2'"):
        score_of("w22", (np.zeros((2, 1)), None), (np.ones((3, 1)), None))


@pytest.mark.parametrize(
    ("name", "w2"),
    [("hesc_pca5_sbirr", 1.282), ("eb_pca5_sbirr", 1.019), ("lv_sbirr", 0.435)],
)
def test_line_on_real_data_gives_the_known_figures(shared_data, name, w2):
    data = fetch_snapshots(name, data_home=shared_data, download_if_missing=False)
    held_out = data.held_out
    scores = [
        score_of("w2", exact_line(data.train, t), (points, None))
        for t, points in zip(held_out.times, held_out.points)
    ]
    assert np.mean(scores) == pytest.approx(w2, abs=6e-4)
