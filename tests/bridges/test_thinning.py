"""Thinned snapshots stand for the whole ones, with weights and without."""

import numpy as np
import pytest

from trajinfer.bridges import SchrodingerBridge
from trajinfer.bridges.thinning import thin
from trajinfer.data import Snapshots


def two_clouds(rng, far=10, near=2500):
    """Half of the mass is in ten points."""
    points = np.concatenate([rng.normal(0, 1, (near, 1)), rng.normal(10, 0.1, (far, 1))])
    return points, np.concatenate([np.full(near, 0.5 / near), np.full(far, 0.5 / far)])


def test_heavy_points_keep_their_weight(rng):
    points, weights = two_clouds(rng)
    data = Snapshots([0, 1], [points] * 2, [weights] * 2)
    for seed in range(5):
        thinned, rows = thin(data, 300, seed)
        assert len(rows[0]) == 300
        assert set(range(2500, 2510)) <= set(rows[0].tolist())
        assert thinned.weights[0][thinned.points[0][:, 0] > 5].sum() == pytest.approx(0.5)


def test_weights_are_unbiased(rng, caplog):
    """Mean over 4000 seeds of the weight every point gets; z-test at 1e-6 over 60 points."""
    caplog.set_level("CRITICAL", logger="trajinfer")  # 4000 records of the same cost as the work
    weights = rng.gamma(0.5, size=60)
    weights /= weights.sum()
    data = Snapshots([0], [np.arange(60.0)[:, None]], [weights])
    given = np.zeros((4000, 60))
    for seed in range(4000):
        thinned, (rows,) = thin(data, 15, seed)
        given[seed, rows] = thinned.weights[0]
    error = given.mean(axis=0) - weights
    z = error / np.maximum(given.std(axis=0) / np.sqrt(4000), 1e-12 + 1e-9 * weights)
    assert np.abs(z).max() < 5.7


def test_equal_weights_are_a_random_part(rng):
    data = Snapshots([0], [np.arange(60.0)[:, None]])
    counts = sum(np.bincount(thin(data, 15, seed)[1][0], minlength=60) for seed in range(2000))
    sd = np.sqrt(2000 * 0.25 * 0.75)
    assert np.abs(counts - 500).max() < 5.2 * sd


def test_a_small_snapshot_leaves_room_for_its_neighbours():
    sizes = [20, 20_000, 20]
    data = Snapshots(range(3), [np.zeros((n, 1)) for n in sizes])
    assert [len(rows) for rows in thin(data, None, 0)[1]] == sizes


def test_a_bridge_meets_weighted_marginals_however_it_is_thinned(rng):
    (x, a), (y, b) = two_clouds(rng), two_clouds(rng)
    data = Snapshots([0.0, 1.0], [x, y + 1.0], [a, b])
    for seed in range(3):
        bridge = SchrodingerBridge(max_samples=150, random_state=seed).fit(data)
        assert (bridge.marginal(0.5, 2000) > 5).mean() == pytest.approx(0.5, abs=0.01)
