"""How often the report flags samples of the very same law, and how often it finds copies."""

import numpy as np
import pytest
from scipy.stats import binom

from trajinfer.evaluation import generation_report
from trajinfer.evaluation.generation.copies import copy_figures
from trajinfer.evaluation.generation.reservoir import discriminative_score
from trajinfer.evaluation.generation.samples import Samples

SIZES = [
    ((60, 30, 30), 12, 1),
    ((200, 100, 30), 12, 1),
    ((120, 60, 60), 16, 2),
    ((40, 20, 20), 10, 1),
]


def reverting(n, n_times, dim, seed, pull=0.1):
    """Stationary first-order autoregressions (n, T, C)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dim))
    paths = [x]
    for _ in range(n_times - 1):
        x = (1 - pull) * x + np.sqrt(1 - (1 - pull) ** 2) * rng.normal(size=(n, dim))
        paths.append(x)
    return np.stack(paths, axis=1)


def flagged(sizes, n_times, dim, seed):
    sets = (reverting(n, n_times, dim, 1000 * seed + i) for i, n in enumerate(sizes))
    return bool(generation_report(*sets, n_seeds=2, random_state=seed).flags)


def test_an_honest_report_is_rarely_flagged():
    # at a rate of one in twenty, two of three come once in a hundred times
    assert sum(flagged(*SIZES[0], seed) for seed in range(3)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_at_most_one_honest_report_of_twenty_is_flagged(size):
    n = 100
    # more come once in a thousand times at a rate of one in twenty
    assert sum(flagged(*size, seed) for seed in range(n)) <= binom.ppf(0.999, n, 0.05)


def with_part(fake, place, source):
    copied = fake.copy()
    copied[place] = source
    return copied


WAYS = {
    "two channels": lambda t, f, _: with_part(f, np.s_[:, :, :2], t[:60, :, :2]),
    "one series": lambda t, f, _: with_part(f, np.s_[:1], t[:1]),
    "the first half": lambda t, f, _: with_part(f, np.s_[:, :12], t[:60, :12]),
    "a stretch": lambda t, f, _: with_part(f, np.s_[:2, 9:17, 2], t[:2, 9:17, 2]),
    "moved": lambda t, f, _: with_part(f, np.s_[4, 2:12, 0], t[70, 11:21, 2]),
    "turned": lambda t, _f, _: -t[:60],
    "reversed": lambda t, _f, _: t[:60, ::-1],
    "channels exchanged": lambda t, _f, _: t[:60, :, ::-1],
    "scaled and shifted": lambda t, f, _: with_part(f, np.s_[:1], 3.0 * t[5:6] - 2.0),
    "every second row": lambda t, f, _: with_part(f, np.s_[:2, ::2], t[:2, ::2]),
    "without every second row": lambda t, f, _: with_part(f, np.s_[:2, :12], t[:2, ::2]),
    "with rows between": lambda t, f, _: with_part(f, np.s_[:2, ::2], t[:2, :12]),
    "with noise": lambda t, _f, noise: t[:60] + noise,
    "one with noise": lambda t, f, noise: with_part(f, np.s_[7], t[7] + noise[7]),
}


def recognised(way, seed):
    train, held, fake = (reverting(n, 24, 3, 10 * seed + i) for i, n in enumerate((120, 60, 60)))
    noise = 0.02 * np.random.default_rng(seed).normal(size=(60, 24, 3))
    sets = train, held, WAYS[way](train, fake, noise)
    samples = Samples.of(*sets, None, np.random.default_rng(seed))
    return any(figure.flagged for figure in copy_figures(samples, seed)[0])


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_copies_are_recognised_whatever_the_draw(way):
    assert sum(recognised(way, seed) for seed in range(20)) >= 18


def test_the_recurrent_judge_tells_laws_apart_and_leaves_one_law_alone():
    same = [
        discriminative_score(*sets, np.arange(200), np.arange(200), seed)
        for seed in range(3)
        for sets in [[reverting(200, 20, 1, 10 * seed + i) for i in (0, 1)]]
    ]
    # of the mean of three shares of 67 series each: standard error .025
    assert abs(np.mean(same)) < 0.1
    other = reverting(200, 20, 1, 5), reverting(200, 20, 1, 6, pull=0.3)
    assert discriminative_score(*other, np.arange(200), np.arange(200), 0) > 0.3
