"""Fates in many coordinates, and of many states: beside the line that tells the truth."""

import numpy as np
import pytest

from trajinfer.functionals import above, ball, below, fate_probabilities
from trajinfer.functionals.monte_carlo import paths_each
from trajinfer.processes import AffineDrift

TARGETS = {"up": above(1.0), "down": below(-0.8)}
LINE = AffineDrift(1, [[-0.5]], [0.1], volatility=0.6)
FIVE = AffineDrift(5, -0.5 * np.eye(5), [0.1, 0, 0, 0, 0], volatility=0.6)
STATES = np.random.default_rng(0).normal(0, 0.4, (60, 5))


def test_features_find_fates_where_no_grid_fits():
    table = fate_probabilities(FIVE, STATES, TARGETS, random_state=0)
    truth = fate_probabilities(LINE, STATES[:, :1], TARGETS)
    assert table.method.startswith("galerkin: 5 coordinates")
    off = table.probabilities - truth.probabilities
    assert np.sqrt((off**2).mean()) < 0.02
    inside = np.abs(truth.probabilities[:, 0] - 0.5) == 0.5
    assert (off[inside] == 0).all()
    assert (table.std_errors[~inside, :2] > 0).all()
    assert table.probabilities.sum(axis=1) == pytest.approx(1.0)


def test_one_simulation_serves_all_fates():
    states = np.vstack([STATES[:20], [[1.2, 0, 0, 0, 0]]])
    settings = {"horizon": 1.0, "n": 400, "random_state": 0}
    table = fate_probabilities(FIVE, states, TARGETS, **settings)
    truth = fate_probabilities(LINE, states[:, :1], TARGETS, horizon=1.0)
    p = truth.probabilities[:, :2]
    z = (table.probabilities[:, :2] - p) / np.sqrt(np.maximum(p * (1 - p), 2e-3) / 400)
    assert (np.abs(z.mean(axis=0)) < 4 / np.sqrt(len(states))).all()
    assert np.abs(z).max() < 4.5
    assert table.probabilities[-1].tolist() == [1.0, 0.0, 0.0]
    assert table.probabilities.sum(axis=1) == pytest.approx(1.0)
    alone = fate_probabilities(FIVE, states[3:4], TARGETS, **settings)
    assert (alone.probabilities[0] == table.probabilities[3]).all()


def test_walls_with_corners_are_simulated():
    targets = {"corner": above(0.5) & above(0.0, 1), "far": ~ball(np.zeros(5), 1.5)}
    table = fate_probabilities(FIVE, 0.5 * STATES[:2], targets, n=4, random_state=0)
    assert table.method.startswith("simulate")


def test_many_states_share_the_paths():
    assert [paths_each(n) for n in (1, 20_000, 10**6)] == [400_000, 20, 20]
