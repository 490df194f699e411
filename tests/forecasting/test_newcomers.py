"""Forecasts of channels of which a series has said nothing yet."""

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster

LEVELS = np.geomspace(1.0, 300.0, 20)


def growing(n_late: int, *, told: bool) -> IrregularSeries:
    """Twenty populations that grow by a hundredth; the first rows of the largest are not known."""
    rng = np.random.default_rng(0)
    times = np.tile(np.arange(12.0), (20, 1))
    values = LEVELS[:, None] * np.exp(0.01 * times + 0.01 * rng.normal(size=times.shape))
    values[-n_late:, :2] = np.nan
    if not told:
        return IrregularSeries.from_arrays(times, values)
    other = np.log(LEVELS)[:, None] + 0.05 * rng.normal(size=times.shape)
    return IrregularSeries.from_arrays(times, np.stack([values, other], axis=2))


def stranger(other: float | None = None) -> IrregularSeries:
    row = [np.nan] if other is None else [np.nan, other]
    return IrregularSeries.from_arrays(np.zeros((1, 1)), np.array([[row]]))


def test_one_series_that_began_late_says_little_of_others() -> None:
    model = NeuralSDEForecaster(horizon=3.0, max_epochs=1, random_state=0)
    forecast = model.fit(growing(1, told=False)).forecast(stranger(), np.array([[1.0, 3.0]]), 2000)
    low, high = np.quantile(forecast.samples[0, :, :, 0], [0.05, 0.95], axis=0)
    assert (model.predict(stranger(), np.array([[1.0, 3.0]])) < 150).all()
    assert (low < np.quantile(LEVELS, 0.15)).all()
    assert (high > np.quantile(LEVELS, 0.85)).all()


def test_what_another_channel_tells_is_used_where_many_began_late() -> None:
    model = NeuralSDEForecaster(horizon=3.0, max_epochs=1, random_state=0)
    model.fit(growing(20, told=True))
    low, high = (
        model.predict(stranger(np.log(level)), np.array([[3.0]]))[0, 0, 0] for level in (3.0, 30.0)
    )
    assert 4 < high / low < 12


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_belief_is_a_shrunk_regression_over_series(sign: float) -> None:
    from trajinfer.forecasting.newcomers import Newcomers

    class Past:
        last = np.zeros((4, 1))
        age = np.full((4, 1), np.nan)

    class Asked:
        history = Past()

    said, truth = np.array([[1.0], [1.0], [2.0], [5.0]]), np.array([[2.0], [0.0], [3.0], [np.nan]])
    found = Newcomers.fit(Asked(), np.array([0, 0, 1, 1]), sign * said, truth, np.array([4.0]))
    belief = 2 / 8 * (1 + 6) / (1 + 4) if sign > 0 else 0.0
    errors = np.array([2.0, 0.0, 3.0]) - belief * np.array([1.0, 1.0, 2.0])
    square = (errors[:2] ** 2).mean() + errors[2] ** 2
    np.testing.assert_allclose(found.belief, [belief])
    np.testing.assert_allclose(found.scale, [np.sqrt((square + 6 * 16.0) / 8)])
