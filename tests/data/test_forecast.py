"""Forecasts: what follows from their sample paths."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import Forecast
from trajinfer._core.errors import InputError


@pytest.fixture
def forecast(rng):
    dates = pd.date_range("2020-01-01", periods=4, freq="2D")
    return Forecast(rng.normal(size=(3, 200, 4, 2)), dates, ("u", "v"), ("a", "b", "c"))


def test_summaries_are_those_of_the_samples(forecast):
    np.testing.assert_allclose(forecast.mean(), forecast.samples.mean(axis=1))
    np.testing.assert_allclose(forecast.std(), forecast.samples.std(axis=1))
    lower, upper = forecast.interval(0.8)
    assert lower.shape == (3, 4, 2)
    share = ((forecast.samples >= lower[:, None]) & (forecast.samples <= upper[:, None])).mean()
    assert share == pytest.approx(0.8, abs=0.01)
    assert forecast.quantile([0.1, 0.9]).shape == (2, 3, 4, 2)
    np.testing.assert_allclose(forecast.quantile(0.1), lower)


@pytest.mark.parametrize("n", [20, 100])
def test_intervals_of_few_paths_hold_as_many_new_ones_as_they_say(n):
    """4000 times: sd .005; quantiles between order statistics hold .81 with 20 paths."""
    draws = np.random.default_rng(0).normal(size=(4000, n + 1, 1, 1))
    low, high = Forecast(draws[:, :-1], [0.0]).interval(0.9)
    new = draws[:, -1]
    assert ((low <= new) & (new <= high)).mean() == pytest.approx(0.9, abs=0.015)


def test_the_table_has_a_row_per_series_time_and_channel(forecast):
    table = forecast.to_frame([0.1, 0.9])
    assert list(table.columns) == ["id", "time", "channel", "mean", "q10", "q90"]
    row = table[(table["id"] == "b") & (table["channel"] == "v")].iloc[2]
    assert row["time"] == pd.Timestamp("2020-01-05")
    assert row["mean"] == pytest.approx(forecast.mean()[1, 2, 1])
    assert row["q90"] == pytest.approx(forecast.quantile(0.9)[1, 2, 1])


def test_one_series_is_a_set_of_trajectories(forecast):
    paths = forecast.trajectories(1)
    np.testing.assert_array_equal(paths.values, forecast.samples[1])
    assert paths.labels[1] == pd.Timestamp("2020-01-03")


def test_indexing(forecast):
    part = forecast[[2, 0]]
    assert part.ids == ("c", "a")
    np.testing.assert_array_equal(part.samples, forecast.samples[[2, 0]])


def test_times_of_their_own(rng):
    ts = np.array([[0.0, 1.0], [5.0, 6.0]])
    forecast = Forecast(rng.normal(size=(2, 3, 2, 1)), ts)
    assert forecast[1].ts.tolist() == [[5.0, 6.0]]
    assert forecast.to_frame()["time"].tolist() == [0.0, 1.0, 5.0, 6.0]
    assert forecast.trajectories(1).ts.tolist() == [5.0, 6.0]


def test_times_may_stand_in_any_order(rng):
    samples = rng.normal(size=(2, 3, 2, 1))
    forecast = Forecast(samples, [4.0, 1.0])
    assert forecast.to_frame()["time"].tolist()[:2] == [4.0, 1.0]
    assert np.array_equal(forecast.in_order().samples, samples[:, :, ::-1])
    assert forecast.in_order().ts.tolist() == [1.0, 4.0]


@pytest.mark.parametrize(
    ("samples", "ts", "options", "message"),
    [
        (np.ones((1, 2, 3)), [0, 1, 2], {}, "4 axes"),
        (np.ones((1, 2, 3, 1)), [0, 1], {}, r"ts must be \(T,\) or \(B, T\)"),
        (np.ones((1, 2, 2, 1)), [0, np.nan], {}, "finite"),
        (np.ones((1, 2, 2, 1)), [0, 1], {"channels": ("a", "b")}, "2 channel names"),
        (np.ones((1, 0, 2, 1)), [0, 1], {}, "no empty axis"),
    ],
)
def test_what_is_no_forecast(samples, ts, options, message):
    with pytest.raises(InputError, match=message):
        Forecast(samples, ts, **options)


def test_levels_are_probabilities(forecast):
    with pytest.raises(InputError, match="between 0 and 1"):
        forecast.interval(1.0)
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        forecast.quantile(2.0)


def test_dates_of_every_series_are_read_as_those_of_all():
    dates = pd.date_range("2020-01-01", periods=3)
    forecast = Forecast(np.ones((2, 4, 3, 1)), np.array([dates, dates + pd.Timedelta("1D")]))
    assert forecast.to_frame().time.tolist() == [*dates, *(dates + pd.Timedelta("1D"))]
