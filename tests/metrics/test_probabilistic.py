import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from trajinfer._core.errors import InputError
from trajinfer.metrics import crps


def _by_pairs(members, y):
    n = len(members)
    spread = np.abs(members[:, None] - members).sum() / (2 * n * (n - 1))
    return np.abs(members - y).mean() - spread


def test_agrees_with_the_double_sum():
    members = np.random.default_rng(0).normal(size=17)
    assert crps(members, 0.4) == pytest.approx(_by_pairs(members, 0.4), rel=1e-12)


def test_every_entry_of_an_array_is_scored_on_its_own():
    samples = np.random.default_rng(1).normal(size=(4, 9, 3))
    truth = np.random.default_rng(2).normal(size=(4, 3))
    scores = crps(samples, torch.from_numpy(truth), axis=1)
    assert scores.shape == (4, 3)
    assert scores[2, 1] == pytest.approx(_by_pairs(samples[2, :, 1], truth[2, 1]), rel=1e-12)
    assert crps(samples, truth, axis=-2) == pytest.approx(scores)


@pytest.mark.parametrize("n", [2, 5, 200])
def test_expectation_is_the_score_of_the_gaussian_whatever_n(n):
    y = 0.7
    truth = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / math.sqrt(math.pi)
    reps = 40_000 // n
    scores = crps(np.random.default_rng(n).normal(size=(n, reps)), np.full(reps, y))
    # 4.5 standard errors: false alarms 7e-6; dividing by n^2 is off by 60 of them at n = 2.
    assert abs(scores.mean() - truth) < 4.5 * scores.std(ddof=1) / math.sqrt(reps)


def test_far_from_zero_no_digits_are_lost():
    members = np.random.default_rng(3).normal(size=50)
    assert crps(members + 1e8, 1e8 + 0.5) == pytest.approx(crps(members, 0.5), abs=1e-7)


@pytest.mark.parametrize(
    ("samples", "observed", "axis", "message"),
    [
        ([1.0], 1.0, 0, "two members"),
        (np.zeros((5, 2)), np.zeros(3), 0, "must agree"),
        (np.zeros((5, 2)), np.zeros(5), 2, "no axis"),
        ([1.0, np.nan], 1.0, 0, "NaN"),
        ([1.0, 2.0], np.nan, 0, "NaN"),
    ],
)
def test_bad_input_is_refused(samples, observed, axis, message):
    with pytest.raises(InputError, match=message):
        crps(samples, observed, axis=axis)
