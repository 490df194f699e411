"""The curve of a panel in linear experts: times in its stretches, and panels that follow one."""

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.forecasting.common_curve import CommonCurve
from trajinfer.forecasting.curve_stretches import stretch_columns
from trajinfer.forecasting.fitting import LawFit, LawSettings


def asked_of(series, horizon):
    fit = LawFit(series, LawSettings(horizon), 0)
    pairs = fit._draw(fit.rng)
    return fit, pairs, fit._ask(pairs)


@pytest.mark.parametrize("common_start", [True, False])
def test_times_in_the_stretches_make_the_moves_of_any_bent_curve(rng, common_start):
    """Increments of a curve with the knots are its slopes times the columns; twice with levels."""
    times = np.sort(rng.uniform(0, 10, size=(6, 9)), axis=1)
    times[:, 0] = 0.0 if common_start else rng.uniform(-20, 0, 6)
    series = IrregularSeries.from_arrays(times, rng.normal(size=(6, 9, 1)))
    fit, pairs, asked = asked_of(series, 4.0)
    curve = fit.units.curves[0]
    assert len(curve.knots) >= 3
    weights = rng.normal(size=curve.width)
    first = fit.data.times[fit.data.starts[pairs.series]]
    here, ahead = (fit.data.times[rows] for rows in (pairs.cut, pairs.target))
    moved = (curve(ahead, first) - curve(here, first)) @ weights
    slopes = np.cumsum(weights[1:])
    columns = stretch_columns(asked, fit.units, 0) * asked.size / fit.units.scale
    half = columns.shape[1] // 2
    np.testing.assert_allclose(columns[:, :half] @ slopes, moved, rtol=1e-9, atol=1e-9)
    level = (asked.history.last[:, 0] - fit.units.center) / fit.units.scale
    np.testing.assert_allclose(columns[:, half:] @ slopes, moved * level, rtol=1e-9, atol=1e-9)


def test_panels_without_a_curve_have_no_columns(rng):
    """Two series share no curve that could be told from their own."""
    fit, _, asked = asked_of(
        IrregularSeries.from_arrays(np.arange(30.0), rng.normal(size=(2, 30, 1))), 3.0
    )
    assert fit.units.curves[0] is None
    assert stretch_columns(asked, fit.units, 0).shape == (len(asked), 0)


def absorbed(rng, n):
    """Concentrations after a dose: rates and volumes of their own, at times close at first."""
    times = 24 * np.linspace(0, 1, 11) ** 2
    rise, fall = (
        1.5 * np.exp(0.3 * rng.normal(size=(n, 1))),
        0.09 * np.exp(0.2 * rng.normal(size=(n, 1))),
    )
    size = 10 * np.exp(0.15 * rng.normal(size=(n, 1))) * rise / (rise - fall)
    values = size * (np.exp(-fall * times) - np.exp(-rise * times))
    return times, values + 0.2 * rng.normal(size=(n, 11))


def test_few_series_that_rise_and_fall_are_forecast_by_their_curve():
    """Eight people after a dose, others asked from every cut over eight hours.

    Errors of the last value, of the mean of the others at that time and of ours over three tables.
    """
    squares = np.zeros(3)
    for seed in range(3):
        times, values = absorbed(np.random.default_rng(seed), 28)
        series = IrregularSeries.from_arrays(times, values[:, :, None])
        model = NeuralSDEForecaster(horizon=8.0, random_state=0).fit(series[:8])
        others = values[:8].mean(axis=0)
        for cut in range(10):
            ahead = np.flatnonzero((times > times[cut]) & (times <= times[cut] + 8))
            truth = values[8:][:, ahead]
            answer = model.predict(series[8:].until(times[cut]), times[ahead])[:, :, 0]
            for k, guess in enumerate((values[8:, cut, None], others[ahead], answer)):
                squares[k] += np.mean((guess - truth) ** 2)
    last, mean, ours = np.sqrt(squares)
    assert ours < 0.8 * mean < 0.8 * last


def test_the_clock_of_a_curve_is_that_of_its_columns(rng):
    """The second column is what the clock shows, by age and by time."""
    for by_age in (True, False):
        curve = CommonCurve(by_age, 3.0, 2.0, np.array([0.5]), 0.0)
        times, first = rng.uniform(size=(2, 7))
        np.testing.assert_array_equal(curve(times, first)[:, 1], curve.clock(times, first))
