"""Positive series whose level lies far below that of all series of the fit."""

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster, NeuralSDEInterpolator

RNG = np.random.default_rng(0)
TIMES = np.tile(np.arange(12.0), (20, 1))


def of_levels(levels: np.ndarray, noise: float) -> IrregularSeries:
    values = levels[:, None] * np.exp(noise * RNG.normal(size=(len(levels), 12)))
    return IrregularSeries.from_arrays(TIMES[: len(levels)], values)


MANY = of_levels(np.geomspace(50.0, 500.0, 20), 0.02)
LOW = of_levels(np.array([0.005]), 0.02)


@pytest.mark.parametrize("dynamics", ["lead", "langevin"])
def test_forecasts_start_where_a_series_is(dynamics: str) -> None:
    model = NeuralSDEForecaster(dynamics, horizon=2.0, max_epochs=1, random_state=0).fit(MANY)
    samples = model.forecast(LOW, [12.0], 500).samples
    assert (samples > 0).all()
    if dynamics == "lead":
        assert 0.003 < model.predict(LOW, [12.0])[0, 0, 0] < 0.1
    assert samples.min() < 1.0  # values below 18 were moved above it


def test_gaps_are_filled_where_a_series_is() -> None:
    values = LOW.values.copy()
    values[0, 6] = np.nan
    gap = IrregularSeries.from_arrays(TIMES[:1], values)
    model = NeuralSDEInterpolator(max_epochs=1, random_state=0).fit(MANY)
    drawn = model.interpolate(gap, [6.0], 500).samples
    assert (drawn > 0).all()
    assert np.median(drawn) < 5.0
