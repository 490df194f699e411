import numpy as np
import pytest

from trajinfer._core.errors import InputError
from trajinfer.datasets import (
    SeriesSplit,
    follow_opinions,
    make_fitzhugh_nagumo,
    make_opinion_dynamics,
    make_sines,
)
from trajinfer.metrics import marginal_ks


def whole(split):
    """All particles, training ones first."""
    return np.concatenate([split.train.values, split.hold_out.values])


@pytest.fixture(scope="module")
def opinions():
    return make_opinion_dynamics(2048, random_state=0)


def test_new_agents_have_the_law_of_the_crowd(opinions):
    ends = follow_opinions(opinions, 4000, random_state=5).values[:, :, 0]
    crowd = whole(opinions)[:, :, 0]
    # The largest of 101 distances, all times sharing the starts: 0.1 % bound of one distance.
    bound = 1.95 * np.sqrt(1 / 4000 + 1 / 2048)
    assert marginal_ks(ends, crowd).max() < bound
    hurried = follow_opinions(opinions, 4000, pull=1.3, random_state=5).values[:, :, 0]
    assert marginal_ks(hurried, crowd).max() > 2 * bound
    rough = follow_opinions(opinions, 4000, noise=1.5, random_state=5).values[:, :, 0]
    ratio = np.diff(rough, n=2)[:, :20].var() / np.diff(ends, n=2)[:, :20].var()
    np.testing.assert_allclose(ratio, 2.25, rtol=0.03)


@pytest.fixture(scope="module")
def neurons():
    return make_fitzhugh_nagumo(2048, random_state=0)


def test_opinions_start_uniformly_and_merge(opinions):
    paths = whole(opinions)[:, :, 0]
    assert paths.shape == (2048, 101)
    assert np.abs(paths[:, 0]).max() <= 2
    # Standard errors of the mean and of the variance of a uniform law on (-2, 2).
    assert abs(paths[:, 0].mean()) < 4 * np.sqrt(4 / 3 / 2048)
    assert abs(paths[:, 0].var() - 4 / 3) < 4 * np.sqrt(64 / 45 / 2048)
    assert paths[:, 50].std() > 0.7
    assert paths[:, -1].std() < 0.4


def test_the_mean_opinion_moves_by_noise_alone(opinions):
    steps = np.diff(whole(opinions)[:, :, 0].mean(axis=0))
    variance = 0.1**2 * 0.01 / 2048
    assert abs(steps.var() / variance - 1) < 4 * np.sqrt(2 / 100)


def test_the_quadratic_variation_is_that_of_the_noise(opinions):
    paths = whole(opinions)[:, :, 0]
    # Differences of second order cancel the drift, which is smooth, and keep three parts of four.
    rough = np.diff(paths, n=2, axis=1).var(axis=0) / 2
    np.testing.assert_allclose(rough[2:20].mean(), 0.1**2 * 0.01, rtol=0.02)


def test_the_particles_held_out_are_of_the_same_realisation(opinions):
    assert len(opinions.train) == 3 * len(opinions.hold_out)
    assert not np.intersect1d(opinions.train_groups, opinions.hold_out_groups).size
    means = [part.values[:, -1].mean() for part in (opinions.train, opinions.hold_out)]
    spread = whole(opinions)[:, -1].std()
    assert abs(means[0] - means[1]) < 4 * spread * np.sqrt(1 / 1536 + 1 / 512)


def test_the_places_give_the_paths_of_all_pairs():
    few = make_opinion_dynamics(256, random_state=3)
    from trajinfer.datasets import interacting

    limit, interacting._MOST_PAIRS = interacting._MOST_PAIRS, 1
    try:
        shared_out = make_opinion_dynamics(256, random_state=3)
    finally:
        interacting._MOST_PAIRS = limit
    np.testing.assert_allclose(shared_out.train.values, few.train.values, atol=2e-3)


def test_systems_are_split_as_wholes_and_differ():
    split = make_opinion_dynamics(32, n_systems=16, random_state=1)
    assert split.train.values.shape == (12 * 32, 101, 1)
    assert np.unique(split.train_groups).size == 12
    ends = split.train.values[:, -1, 0].reshape(12, 32)
    # The mean of a system is a sum of 32 uniform starts plus a Brownian motion over 32.
    truth = np.sqrt(4 / 3 / 32 + 0.01 / 32)
    assert abs(ends.mean(axis=1).std() / truth - 1) < 4 / np.sqrt(2 * 12)


def test_recovery_follows_its_equation_without_noise(neurons):
    v, w = np.moveaxis(whole(neurons)[:, :, :2], 2, 0)
    step = 0.08 * (v[:, :-1] + 0.7 - 0.8 * w[:, :-1]) * 0.01
    np.testing.assert_allclose(np.diff(w, axis=1), step, atol=1e-12)


def test_every_neuron_feels_the_mean_of_all(neurons):
    paths = whole(neurons)
    v, w, y = np.moveaxis(paths, 2, 0)
    mean = y.mean(axis=0)[:-1]
    now = v[:, :-1]
    drift = now - now**3 / 3 - w[:, :-1] + 0.5 - (now - 1) * mean
    residual = (np.diff(v, axis=1) - drift * 0.01) / 0.1
    scale = np.hypot(0.5, 0.2 * (now - 1) * mean)
    z = residual / scale
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.size)
    # Without the coupling in the drift the same test would fail by far.
    off = (residual - (now - 1) * mean * 0.1) / scale
    assert abs(off.mean()) > 20 / np.sqrt(z.size)


def test_starts_of_neurons(neurons):
    start = whole(neurons)[:, 0]
    sd = np.sqrt([0.4, 0.4, 0.05])
    assert (np.abs(start.mean(axis=0) - [0, 0.5, 0.3]) < 4 * sd / np.sqrt(2048)).all()
    assert (np.abs(start.std(axis=0) / sd - 1) < 4 / np.sqrt(2 * 2048)).all()


@pytest.mark.parametrize("make", [make_opinion_dynamics, make_fitzhugh_nagumo])
def test_same_seed_same_paths(make):
    first, again, other = (make(16, [0, 0.1], random_state=s).train.values for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_sines_follow_the_recurrence_of_their_frequency():
    paths = 2 * make_sines(50, 30, 2, frequency=(0.05, 0.2), random_state=0).values - 1
    middle, around = paths[:, 1:-1], paths[:, 2:] + paths[:, :-2]
    twice_cosine = (around * middle).sum(1) / (middle**2).sum(1)
    np.testing.assert_allclose(around, twice_cosine[:, None] * middle, atol=1e-9)
    frequencies = np.arccos(twice_cosine / 2) / (2 * np.pi)
    assert frequencies.min() > 0.05
    assert frequencies.max() < 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_opinion_dynamics(4), "n must be at least 8"),
        (lambda: follow_opinions(make_opinion_dynamics(16, random_state=0), 5), "1000"),
        (lambda: make_opinion_dynamics(8, n_systems=2), "n_systems must be"),
        (lambda: make_opinion_dynamics(16, [0.5, 1.0]), "first of them 0"),
        (lambda: make_fitzhugh_nagumo(16, [0.0, 0.0]), "increase"),
        (lambda: make_sines(3, frequency=(1.0, 0.0)), "frequency"),
        (lambda: make_sines(0), "n must be"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_split_refuses_groups_on_both_sides():
    paths = make_sines(4, random_state=0)
    with pytest.raises(InputError, match="both"):
        SeriesSplit(paths, paths, np.arange(4), np.arange(4))
