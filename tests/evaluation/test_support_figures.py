"""Values that real series never take are flagged, and honest ones are not."""

import numpy as np
import pytest

from trajinfer.evaluation.generation.exchangeable import fewest_alone, joint_limits
from trajinfer.evaluation.generation.samples import Samples
from trajinfer.evaluation.generation.support import support_figures


def walk(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 12, 1)).cumsum(axis=1) / 3


def flagged(make, change=lambda values: values, sizes=(100, 60, 60), seed=0):
    parts = [make(n, seed + i) for i, n in enumerate(sizes)]
    samples = Samples.of(parts[0], parts[1], change(parts[2]), None, np.random.default_rng(0))
    return {figure.metric for figure in support_figures(samples) if figure.flagged}


def counts(n, seed):
    return np.random.default_rng(seed).poisson(np.exp(walk(n, seed))).astype(float)


def positive(n, seed):
    return np.exp(walk(n, seed))


def constants(n, seed):
    value = np.random.default_rng(seed).integers(0, 2, (n, 1, 1))
    return np.concatenate([walk(n, seed), np.repeat(value, 12, axis=1)], axis=2)


def shaken(values):
    return values + 0.1 * np.random.default_rng(9).normal(size=values.shape)


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (counts, shaken),
        (positive, lambda x: x - 0.5),
        (constants, shaken),
        (lambda n, s: (walk(n, s) > 0).astype(float), lambda x: 0.9 * x),
    ],
    ids=["broken counts", "below zero", "constants that move", "a level between"],
)
def test_what_cannot_be_is_flagged(make, change):
    assert "impossible_values" in flagged(make, change)
    assert not flagged(make)


def test_one_value_far_out_is_flagged():
    def blown_up(values):
        values[3, 5] = 300.0
        return values

    assert flagged(walk, blown_up) == {"farthest_value"}


@pytest.mark.parametrize("law", ["normal", "heavy"])
def test_honest_extremes_are_no_fault(law):
    def make(n, seed):
        rng = np.random.default_rng(seed)
        steps = rng.normal(size=(n, 12, 1)) if law == "normal" else rng.standard_t(2.2, (n, 12, 1))
        return steps.cumsum(axis=1)

    # at most .6 % each: three or more of forty happen once in five hundred
    assert sum(bool(flagged(make, seed=10 * k)) for k in range(40)) <= 2


def test_series_that_stand_alone_by_chance():
    # all of k among 30 of 120: (30 * 29 * 28 * 27) / (120 * 119 * 118 * 117) = .0033
    assert fewest_alone(30, 90, 0.004) == 4
    assert fewest_alone(30, 90, 0.003) == 5
    assert fewest_alone(1, 1, 0.1) == 2


def test_joint_limits_are_exceeded_as_often_as_promised():
    rng = np.random.default_rng(0)
    draws = {name: rng.exponential(size=999) for name in "abcdef"}
    limits = joint_limits(draws, 0.05)
    fresh = np.stack([rng.exponential(size=20_000) for _ in limits])
    share = (fresh > np.array(list(limits.values()))[:, None]).any(axis=0).mean()
    # quantile of 999 draws: standard error sqrt(.05 * .95 / 999) = .007
    assert share == pytest.approx(0.05, abs=0.025)


def rounded_to(unit):
    return lambda values: np.round(values / unit) * unit


@pytest.mark.parametrize("unit", [0.1, 1e-3, 1e-6])
def test_decimals_that_no_real_series_has_are_flagged(unit):
    """Both ways; a generator in single precision has the decimals that it means."""
    rounded = rounded_to(unit)
    assert flagged(walk, rounded) == {"impossible_values"}

    def tenths(n, seed):
        return np.round(walk(n, seed), 1)

    assert flagged(tenths, lambda x: x + 0.04) == {"impossible_values"}
    assert not flagged(tenths, lambda x: x.astype(np.float32).astype(float))
    assert not flagged(tenths)


def test_decimals_of_computation_are_not_flagged():
    assert not flagged(walk, rounded_to(1e-12))
    assert not flagged(walk, lambda x: x * (1 + 1e-15))
