"""Periods in noise: draws have the power at them that the series have."""

import numpy as np
import pytest

from trajinfer import DirectedChainGenerator, IrregularSeries
from trajinfer.generation.rhythm import Rhythm


def waves(n, n_times, period, noise, seed, spread=0.0):
    rng = np.random.default_rng(seed)
    turns = np.arange(n_times) / period + rng.uniform(0, 1, (n, 1))
    size = np.exp(spread * rng.normal(size=(n, 1)))
    return size * np.sin(2 * np.pi * turns) + noise * rng.normal(size=(n, n_times))


def share_at(x, period):
    power = (np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1)) ** 2).mean(axis=0)
    return power[round(x.shape[1] / period)] / power[1:].sum()


@pytest.mark.parametrize(
    ("n", "n_times", "period", "noise", "spread"),
    [(120, 48, 12, 0.3, 0.4), (120, 50, 5, 1.0, 0.0), (40, 96, 24, 0.5, 0.4), (120, 48, 3, 0.5, 0)],
)
def test_the_power_at_a_period_in_noise_is_kept(n, n_times, period, noise, spread):
    x = waves(n, n_times, period, noise, 0, spread)
    series = IrregularSeries.from_arrays(np.arange(float(n_times)), x[..., None])
    drawn = DirectedChainGenerator(random_state=0).fit(series).sample(300).values[..., 0]
    assert share_at(drawn, period) == pytest.approx(share_at(x, period), rel=0.2)
    assert drawn.std() == pytest.approx(x.std(), rel=0.1)


def test_rows_are_foretold_as_by_the_regression_on_all_rows_before():
    x = waves(80, 40, 8, 0.5, 1)[..., None]
    rhythm = Rhythm.of(x, np.full(80, 40))
    assert rhythm.frequency == pytest.approx([2 * np.pi / 8], rel=0.01)
    design = rhythm.waves(np.arange(40))[:, 0]
    row = 17
    gram = design[:row].T @ design[:row] + np.diag(rhythm.ridge[0])
    rule = np.linalg.solve(gram, design[:row].T @ (x[:, :row, 0] - rhythm.mean[0]).T)
    np.testing.assert_allclose(rhythm.foretold(x)[:, row, 0], design[row] @ rule, atol=1e-9)
    # the ridge is noise over the variance of an amplitude: .25 / .5
    assert rhythm.ridge[0, 1] == pytest.approx(0.5, rel=0.15)


def test_noise_and_walks_have_no_rhythm():
    rng = np.random.default_rng(0)
    for rows in (rng.normal(size=(100, 30, 2)), rng.normal(size=(100, 30, 2)).cumsum(axis=1)):
        assert not len(Rhythm.of(rows, np.full(100, 30)).channels)
