"""What the classifier of the report sees of opinions, 2048 paths against 2048 held-out ones."""

import numpy as np
import pytest

from trajinfer import DirectedChainGenerator
from trajinfer.datasets import follow_opinions, make_opinion_dynamics
from trajinfer.evaluation import generation_report
from trajinfer.evaluation.generation.two_sample import classifier_auc
from trajinfer.generation import ExpectedSignature, TransitionLikelihood

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


def last_link(crowd, links, **settings):
    """Paths of a chain, and the paths that they should not depend on."""
    chain = DirectedChainGenerator(neighbour="one", chain_steps=links, random_state=0, **settings)
    walk = chain.fit(crowd.train).walk(512, links + 1)
    return walk[-1].values, walk[0].values


def test_targets_that_were_neighbours_show_through(crowd):
    published = ExpectedSignature(
        n_steps=500, batch_size=128, lr=3e-3, depth=6, stride=4, unbiased=False, shared_batch=True
    )
    paths, partners = last_link(crowd, 1, loss=published)
    leaning = generation_report(crowd.train, crowd.hold_out, paths, neighbours=partners, n_seeds=2)
    assert "dependence" in leaning.flags
    assert leaning["dependence"].value > 0.3
    honest, partners = last_link(crowd, 5, loss=TransitionLikelihood(n_steps=1000))
    report = generation_report(crowd.train, crowd.hold_out, honest, neighbours=partners, n_seeds=2)
    assert "dependence" not in report.flags
