"""What the classifier of the report sees of opinions, 2048 paths against 2048 held-out ones."""

import numpy as np
import pytest

from trajinfer.datasets import follow_opinions, make_opinion_dynamics
from trajinfer.evaluation.generation.two_sample import classifier_auc

N = 2048
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def crowd():
    return make_opinion_dynamics(4 * N, random_state=0)


def auc(series, crowd):
    own = np.arange(N)
    return classifier_auc(series, crowd.hold_out.values, own, own, [1, 2]).value


@pytest.mark.parametrize("seed", [1, 2])
def test_an_exact_simulator_passes(crowd, seed):
    found = auc(follow_opinions(crowd, N, random_state=seed).values, crowd)
    assert 0.47 <= found <= 0.53


def test_five_per_cent_more_noise_is_seen(crowd):
    assert auc(follow_opinions(crowd, N, noise=1.05, random_state=4).values, crowd) >= 0.58


def test_seven_per_cent_less_drift_is_seen(crowd):
    assert auc(follow_opinions(crowd, N, pull=0.93, random_state=5).values, crowd) >= 0.6


def test_following_one_neighbour_is_not_the_interaction_with_all(crowd):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, N)
    paths = [x]
    for partner in crowd.train.values[:N, :-1, 0].T:
        apart = x - partner
        gap = 1 - (np.abs(apart) - 0.2) ** 2
        heard = np.abs(apart) < 1.2
        weight = np.where(heard, 6 * np.exp(-0.01 / np.where(heard, gap, 1.0)), 0.0)
        x = x - 0.01 * weight * apart + 0.01 * rng.normal(size=N)
        paths.append(x)
    assert auc(np.stack(paths, axis=1)[:, :, None], crowd) > 0.99
