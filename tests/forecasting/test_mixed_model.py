"""Mixed models of panels: the restricted likelihood, best linear unbiased forecasts, their use."""

import warnings

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.forecasting.common_curve import CommonCurve
from trajinfer.forecasting.mixed_model import (
    MEMORIES,
    MixedModel,
    fit_mixed_model,
    independent_rows,
    sums_so_far,
)
from trajinfer.forecasting.observations import Observations

GAP = 0.1


def panel(seed, n=30, rows=9, memory=0.0):
    """Levels and slopes of their own, a bent common curve, errors with a memory; times jittered."""
    rng = np.random.default_rng(seed)
    times = np.sort(np.linspace(0, 1, rows) + 0.02 * rng.uniform(-1, 1, (n, rows)), axis=1)
    kept = memory ** (np.diff(times, axis=1) / GAP)
    errors = rng.normal(size=(n, rows))
    for k in range(1, rows):
        errors[:, k] *= np.sqrt(1 - kept[:, k - 1] ** 2)
        errors[:, k] += kept[:, k - 1] * errors[:, k - 1]
    own = rng.normal(size=(n, 2)) * [2.0, 3.0]
    values = 5 + 4 * times**2 + own[:, :1] + own[:, 1:] * times + 0.5 * errors
    return IrregularSeries.from_arrays(times, values[:, :, None])


def fitted(series):
    channel = Observations.of(series).channel(0)
    curve = CommonCurve.of(channel, 0.0)
    rows, log_factor = independent_rows(channel, curve, GAP)
    number = np.repeat(np.arange(len(series)), np.diff(channel.starts))
    return channel, curve, rows, fit_mixed_model(rows, log_factor, number, curve)


@pytest.mark.parametrize("place", range(len(MEMORIES)))
def test_forecasts_are_those_of_the_dense_normal_law(place):
    """Sums along a series give what its covariance matrix does, for every memory."""
    series = panel(0, n=6)
    channel, curve, rows, _ = fitted(series)
    rng = np.random.default_rng(1)
    beta = rng.normal(size=(1, curve.width))
    covariance = np.array([[[1.5, 0.4], [0.4, 0.7]]])
    model = MixedModel(np.ones(1), np.array([place]), beta, covariance)
    at, ahead = 4, np.array([1.3])
    t, y, first = channel.times[: at + 1], channel.values[: at + 1], channel.times[:1]
    x, ahead_x = curve(t, np.repeat(first, at + 1)), curve(ahead, first)
    found = model(
        ahead_x,
        x[-1:],
        y[-1:],
        np.array([True]),
        sums_so_far(rows, channel.starts)[[at]],
        (ahead - t[-1]) / GAP,
    )
    gaps = np.abs(t[:, None] - t) / GAP
    errors = MEMORIES[place] ** gaps
    across = MEMORIES[place] ** ((ahead - t) / GAP)
    dense = x[:, :2] @ covariance[0] @ x[:, :2].T + errors
    own = ahead_x[:, :2] @ covariance[0] @ x[:, :2].T + across
    truth = ahead_x @ beta[0] + own @ np.linalg.solve(dense, y - x @ beta[0])
    np.testing.assert_allclose(found, truth, rtol=1e-9)


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_the_memory_of_the_errors_is_found(memory):
    _, _, _, model = fitted(panel(2, memory=memory))
    assert MEMORIES[model.memory[model.share.argmax()]] == memory


def test_levels_and_slopes_agree_with_another_implementation():
    """Restricted likelihood by statsmodels, of the same curve without a prior on its bends."""
    mixed = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    series = panel(3)
    channel, curve, rows, model = fitted(series)
    number = np.repeat(np.arange(len(series)), np.diff(channel.starts))
    x = curve(channel.times, channel.times[channel.starts[number]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = mixed.MixedLM(channel.values, x, number, x[:, :2]).fit(reml=True)
    beta, covariance = other.fe_params, other.cov_re / other.scale
    theirs = MixedModel(np.ones(1), np.zeros(1, dtype=int), beta[None], covariance[None])
    sums = sums_so_far(rows, channel.starts)[4::9]
    first = channel.times[::9]
    here, ahead = curve(channel.times[4::9], first), curve(channel.times[8::9], first)
    asked = (ahead, here, channel.values[4::9], np.ones(30, bool), sums, np.ones(30))
    truth = channel.values[8::9]
    ours, others = model(*asked), theirs(*asked)
    # the grid and the averaging move forecasts by a part of their error
    assert np.sqrt(np.mean((ours - others) ** 2)) < 0.35 * np.sqrt(np.mean((others - truth) ** 2))
    assert np.log(model.covariance[0, [0, 1], [0, 1]] / np.diag(covariance)) == pytest.approx(
        0, abs=np.log(2.5)
    )


def test_what_others_share_is_learned_without_a_past():
    """Asked before anything of a series is seen, the answer is the common curve."""
    channel, curve, rows, model = fitted(panel(4))
    x = curve(np.array([0.5]), np.zeros(1))
    none = np.zeros((1, *sums_so_far(rows, channel.starts).shape[1:]))
    found = model(x, x, np.zeros(1), np.array([False]), none, np.ones(1))
    assert found == pytest.approx(5 + 4 * 0.25, abs=3 * np.sqrt(4 + 9 / 4) / np.sqrt(30))


def test_series_that_count_twice_are_series_seen_twice():
    channel, curve, rows, _ = fitted(panel(5, n=5))
    _, log_factor = independent_rows(channel, curve, GAP)
    number = np.repeat(np.arange(5), 9)
    twice = fit_mixed_model(rows, log_factor, number, curve, 1.0 + (number == 4))
    again = np.flatnonzero(number == 4)
    copied = fit_mixed_model(
        np.concatenate([rows, rows[again]]),
        np.concatenate([log_factor, log_factor[again]]),
        np.concatenate([number, number[again] + 1]),
        curve,
    )
    np.testing.assert_allclose(twice.coefficients, copied.coefficients, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(twice.covariance, copied.covariance)


def test_forecasts_of_random_slopes_are_near_those_of_one_who_knows_the_law():
    """Of twelve short series, asked about sixty others: the best error plus less than a fifth."""
    rng = np.random.default_rng(6)
    t = np.arange(8.0)
    slope = 1 + 0.7 * rng.normal(size=(72, 1))
    values = 2 * rng.normal(size=(72, 1)) + slope * t + 0.6 * rng.normal(size=(72, 8))
    series = IrregularSeries.from_arrays(t, values[:, :, None])
    model = NeuralSDEForecaster(horizon=2.0, random_state=0).fit(series[:12])
    rows = model.report_.query("by == 'horizon'")
    assert (rows["mixed_model"] < rows["damped_trend"]).all()
    error = model.predict(series[12:].until(5.0), t[6:])[:, :, 0] - values[12:, 6:]
    law = 4 + 0.49 * np.outer(t, t) + 0.36 * np.eye(8)
    weights = np.linalg.solve(law[:6, :6], law[:6, 6:])
    best = t[6:] + (values[12:, :6] - t[:6]) @ weights - values[12:, 6:]
    assert np.sqrt(np.mean(error**2)) < 1.2 * np.sqrt(np.mean(best**2))
