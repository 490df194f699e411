"""Seasons in the changes of series whose level does not come back."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import IrregularSeries
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.repeated_changes import repeated_period


def channel(times, values):
    series = IrregularSeries.from_arrays(times, [np.reshape(v, (-1, 1)) for v in values])
    return Observations.of(series).channel(0)


def wandering(n, period, rng):
    """A walk with drift and a season of the size of its steps."""
    profile = 1.5 * rng.normal(size=period)
    return (0.3 + rng.normal(size=n)).cumsum() + profile[np.arange(n) % period]


@pytest.mark.parametrize(("period", "n"), [(4, 60), (7, 80), (12, 90)])
def test_a_season_on_a_walk_is_found(period, n):
    rng = np.random.default_rng(0)
    found = [
        repeated_period(channel([np.arange(float(n))], [wandering(n, period, rng)]))
        for _ in range(20)
    ]
    assert np.isclose(found, period).sum() >= 16


def test_chance_seldom_gives_a_period():
    """Of 150 walks at most one has a period, of 150 times white noise at most six."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(150, 60))
    walks, noise = (
        [repeated_period(channel([np.arange(60.0)], [x])) for x in values]
        for values in (steps.cumsum(axis=1), steps)
    )
    assert np.count_nonzero(walks) <= 1
    assert np.count_nonzero(noise) <= 6


def test_what_happens_to_all_series_at_once_is_no_season():
    """Of 50 panels of 15 walks with one shock per step at most one has a period."""
    rng = np.random.default_rng(0)
    times = [np.arange(24.0)] * 15
    found = []
    for _ in range(50):
        steps = rng.normal(size=24) + 0.3 * rng.normal(size=(15, 24))
        found.append(repeated_period(channel(times, list(steps.cumsum(axis=1)))))
    assert np.count_nonzero(found) <= 1


def test_many_series_show_a_season_that_one_does_not():
    """Shocks of their own: the mean change of forty series has a clear season of five."""
    rng = np.random.default_rng(0)
    season = 0.5 * np.array([1.0, -1.0, 1.0, -1.0, 0.0])[np.arange(25) % 5]
    values = list(season + rng.normal(size=(40, 25)).cumsum(axis=1))
    assert repeated_period(channel([np.arange(25.0)], values[:1])) == 0.0
    assert repeated_period(channel([np.arange(25.0)] * 40, values)) == pytest.approx(5)


def test_months_are_steps_whatever_their_days():
    dates = pd.date_range("2001-01-01", periods=72, freq="MS")
    days = (dates - dates[0]).days.to_numpy(float)
    values = wandering(72, 12, np.random.default_rng(0))
    assert repeated_period(channel([days], [values])) == pytest.approx(365.25, abs=0.5)


def test_series_that_begin_at_other_phases_share_a_season():
    """Alone neither of the two shows it; missing rows do not shift the phase."""
    rng = np.random.default_rng(3)
    x = wandering(64, 12, rng)
    y = x[:40] + rng.normal(size=40).cumsum()
    kept = np.delete(np.arange(64), [20, 33])
    one = channel([kept.astype(float)], [x[kept]])
    both = channel([kept.astype(float), np.arange(5.0, 40.0)], [x[kept], y[5:]])
    assert repeated_period(one) == pytest.approx(12)
    assert repeated_period(both) == pytest.approx(12)


@pytest.mark.parametrize("n", [1, 2, 12, 20])
def test_few_values_show_none(n):
    values = np.random.default_rng(0).normal(size=n)
    assert repeated_period(channel([np.arange(float(n))], [values])) == 0.0


def test_times_at_random_show_none():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 90, 90))
    assert repeated_period(channel([times], [np.sin(2 * np.pi * times / 12)])) == 0.0
