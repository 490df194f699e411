"""Filled tables: what was observed stays, bounds hold, other channels at the time count."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries, NeuralSDEInterpolator, load
from trajinfer.filling.cross_channel import Surroundings
from trajinfer.series.corrected_smoother import CorrectedSmoother

SMALL = {"hidden": 4, "max_epochs": 1, "n_samples": 2, "step": 2.0, "random_state": 0}


def twins(n_times=120, seed=0):
    """Two positive channels that move together from one time to the next, without memory."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n_times)
    values = np.exp(np.stack([level, 0.8 * level], axis=1) + 0.1 * rng.normal(size=(n_times, 2)))
    gone = rng.random(n_times) < 0.25
    shown = values.copy()
    shown[gone, 0] = np.nan
    make = IrregularSeries.from_arrays
    times = np.arange(float(n_times))[None]
    return make(times, shown[None], channels=["a", "b"]), values, gone


@pytest.fixture(scope="module")
def model():
    return NeuralSDEInterpolator(**SMALL).fit(twins()[0])


def test_a_filled_table_keeps_what_was_observed_and_the_bounds(model, tmp_path):
    series, values, gone = twins()
    table = model.fill(series)
    np.testing.assert_array_equal(table["a_filled"], gone)
    assert not table["b_filled"].any()
    np.testing.assert_array_equal(table["a"][~gone], values[~gone, 0])
    np.testing.assert_array_equal(table["b"], values[:, 1])
    assert table["a"].notna().all()
    assert (table[["a", "a_low", "b_low"]] >= 0).all(axis=None)
    inside = (table["a_low"] <= values[:, 0]) & (values[:, 0] <= table["a_high"])
    assert 0.75 <= inside[gone].mean() <= 1.0
    np.testing.assert_array_equal(table["a_low"][~gone], values[~gone, 0])
    assert model.channel_kinds_ == {"a": "positive", "b": "positive"}
    again = load(model.save(tmp_path / "model")).fill(series)
    assert again.equals(table)
    with pytest.raises(InputError, match="level"):
        model.fill(series, level=1.0)


def test_another_channel_at_the_same_time_counts(model):
    series, values, gone = twins()
    error = model.predict(series, series.times)[0, gone, 0] - values[gone, 0]
    lines = np.interp(np.flatnonzero(gone), np.flatnonzero(~gone), values[~gone, 0])
    assert np.mean(error**2) < 0.5 * np.mean((lines - values[gone, 0]) ** 2)
    assert model.shares_["a"]["ridge"] + model.shares_["a"]["kernel"] > 0.5


def test_samples_hold_to_observations_and_times_come_in_the_order_asked(model):
    series, values, _ = twins()
    asked = np.array([7.0, 3.5, 3.0, 7.0])
    forecast = model.interpolate(series, asked, 20)
    for place, time in ((0, 7), (2, 3), (3, 7)):
        np.testing.assert_array_equal(forecast.samples[0, :, place, 1], values[time, 1])
    assert np.ptp(forecast.samples[0, :, 1, 1]) > 0


def test_neighbours_leave_out_what_was_observed_at_the_time():
    values = np.array([[[1.0, np.nan], [5.0, 2.0], [3.0, np.nan]]])
    times = np.array([[0.0, 1.0, 4.0]])
    around = Surroundings.of(times, values, np.array([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(around.line[0, :, 0], [1.5, 5.0 - 2.0 / 3, 3.0])
    np.testing.assert_array_equal(around.now[0, :, 0], [5.0, np.nan, np.nan])
    np.testing.assert_array_equal(around.line[0, :, 1], [0.0, 2.0, 2.0])


def test_bounds_that_are_given_hold():
    series, _, _ = twins()
    model = NeuralSDEInterpolator(bounds={"a": (None, None)}, **SMALL).fit(series)
    assert model.bounds_["a"] == (None, None)
    with pytest.raises(InputError, match="bounds are given for"):
        NeuralSDEInterpolator(bounds={"c": (0, None)}, **SMALL).fit(series)


@pytest.mark.parametrize("seen", [1, 2])
def test_a_channel_seen_once_or_twice_a_series_has_intervals_of_its_own_size(seen):
    rng = np.random.default_rng(4)
    n_series, n_times = 120, 6
    times = np.sort(rng.uniform(0, 10, (n_series, n_times)), axis=1)
    often = rng.normal(size=(n_series, 1)) + rng.normal(0, 0.3, (n_series, n_times))
    rare = rng.normal(size=(n_series, 1)) + rng.normal(0, 0.1, (n_series, n_times))
    places = rng.permuted(np.tile(np.arange(n_times), (n_series, 1)), axis=1)
    shown = np.where((places < seen) & (np.arange(n_series) < 60)[:, None], rare, np.nan)
    series = IrregularSeries.from_arrays(times, np.stack([often, shown], axis=2))
    small = NeuralSDEInterpolator(hidden=2, max_epochs=1, n_hidings=1, n_samples=1, random_state=0)
    model = small.fit(series)
    nowhere = slice(60, None)  # series in which the channel was never seen: its law over series
    low, high = model.interpolate(series[nowhere], times[nowhere], n=200).interval(0.9)
    inside = (low[:, 0, 1] <= rare[nowhere, 0]) & (rare[nowhere, 0] <= high[:, 0, 1])
    # 60 independent series: a coverage of .9 leaves this range in one case of a thousand
    assert inside.mean() >= 0.75
    assert (high - low)[:, 0, 1].mean() < 2 * 2 * 1.645 * rare[:, 0].std()


def test_a_long_series_is_filled_beside_none_of_the_others(model, monkeypatch):
    """Times that laws are drawn at: those of the table three times at most, not 40 x 400."""
    rng = np.random.default_rng(0)
    lengths = [10] * 39 + [400]
    values = [np.exp(rng.normal(size=(n, 2))) for n in lengths]
    for part in values:
        part[3] = np.nan, 1.0
    times = [np.arange(float(n)) for n in lengths]
    series = IrregularSeries.from_arrays(times, values, channels=["a", "b"])
    sizes, samples = [], CorrectedSmoother.samples

    def counted(self, data, weights, times, n, seed):
        sizes.append(times.size)
        return samples(self, data, weights, times, n, seed)

    monkeypatch.setattr(CorrectedSmoother, "samples", counted)
    table = model.fill(series)
    model.score(series)
    assert sum(sizes) <= 2 * 3 * len(table)
    alone = model.fill(series[:1])
    pd.testing.assert_series_equal(alone["a"], table["a"][:10], rtol=1e-6)
