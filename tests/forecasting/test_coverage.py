"""Intervals cover on single short series, where little can be learned, and are told as rough."""

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster

N, HORIZON, TIMES = 40, 7, 92


def autoregression(rng, factor, n):
    x = np.zeros(n + 200)
    noise = np.sqrt(1 - factor**2) * rng.normal(size=n + 200)
    for k in range(1, n + 200):
        x[k] = factor * x[k - 1] + noise[k]
    return x[200:]


def level(rng, n):
    return autoregression(rng, 0.7, n)


def season(rng, n):
    wave = 2 * np.sin(2 * np.pi * np.arange(n) / 12 + rng.uniform(0, 6))
    return wave + autoregression(rng, 0.5, n)


def positive(rng, n):
    return np.exp(autoregression(rng, 0.8, n))


@pytest.mark.slow
@pytest.mark.parametrize("process", [level, season, positive])
def test_intervals_of_one_short_series_cover(process):
    """Coverage of 90 % over 40 series within 86 and 94 %, give or take three standard errors."""
    covered = []
    for seed in range(N):
        x = process(np.random.default_rng(seed), TIMES + HORIZON)
        series = IrregularSeries.from_arrays(np.arange(float(TIMES)), x[None, :TIMES, None])
        model = NeuralSDEForecaster(horizon=HORIZON, random_state=seed).fit(series)
        assert model.is_rough_
        low, high = model.forecast(series, TIMES + np.arange(HORIZON), 200).interval(0.9)
        truth = x[TIMES:]
        covered.append(np.mean((low[0, :, 0] <= truth) & (truth <= high[0, :, 0])))
    standard_error = np.std(covered) / np.sqrt(N)
    assert 0.86 - 3 * standard_error < np.mean(covered) < 0.94 + 3 * standard_error
