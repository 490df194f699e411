"""Transforms of rows: exact inverses, bars in order, hurdles, constraints, joined windows."""

import numpy as np
import pytest

from trajinfer import InputError, IrregularSeries
from trajinfer.generation import QuantisedRows, RelativeRows
from trajinfer.generation.constraints import LinearConstraints
from trajinfer.generation.recordings import join_windows
from trajinfer.generation.row_transform import average_before

BARS = ("Open", "High", "Low", "Close", "Volume", "Gold")


def prices(n=200, seed=0):
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(0.02 * rng.normal(size=n).cumsum())
    opening = close * np.exp(0.01 * rng.normal(size=n))
    top, bottom = np.maximum(opening, close), np.minimum(opening, close)
    shadows = 0.01 * np.maximum(rng.normal(size=(2, n)), 0)
    volume = np.exp(10 + 0.3 * rng.normal(size=n))
    gold = 1000 * np.exp(0.01 * rng.normal(size=n).cumsum())
    rows = (opening, top * np.exp(shadows[0]), bottom * np.exp(-shadows[1]), close, volume, gold)
    return np.stack(rows, axis=-1)


def test_price_bars_are_inverted_exactly():
    rows = prices()[None]
    transform = RelativeRows()
    state = transform.learn(rows[0], BARS)
    latents = transform.forward(rows, state, np.random.default_rng(0))
    assert np.isnan(latents.rows[:, 0]).all()
    assert np.isfinite(latents.rows[:, 1:]).all()
    back = transform.inverse(latents.rows[:, 11:], latents.zero, latents.levels[:, 10], state)
    assert np.allclose(back, rows[:, 11:], rtol=1e-10)


def test_bars_keep_their_order_whatever_the_latents():
    transform = RelativeRows()
    state = transform.learn(prices(), BARS)
    wild = np.random.default_rng(0).normal(size=(50, 30, 6))
    out = transform.inverse(wild, wild > 9, np.zeros((50, 3)), state)
    o, h, low, c = np.moveaxis(out[..., :4], -1, 0)
    assert (h >= np.maximum(o, c)).all()
    assert (low <= np.minimum(o, c)).all()
    assert (out > 0).all()


def test_prices_that_cannot_be_are_refused():
    rows = prices()
    rows[5, 4] = 0.0
    with pytest.raises(InputError, match="'Volume' holds 0"):
        RelativeRows().learn(rows, BARS)
    rows = prices()
    rows[3, 1] = rows[3, 2] * 0.5
    with pytest.raises(InputError, match="high or low"):
        RelativeRows().learn(rows, BARS)


def readings(n=400, seed=0):
    rng = np.random.default_rng(seed)
    power = np.round(np.exp(rng.normal(3, 0.5, n)) / 0.05) * 0.05
    gas = rng.poisson(3.0, n) * (rng.random(n) > 0.2)
    return np.stack([power, gas, rng.normal(size=n)], axis=-1)


def test_meter_readings_are_inverted_exactly():
    rows = readings()
    transform = QuantisedRows(period=24)
    state = transform.learn(rows, ("power", "gas", "heat"))
    assert state["quantum"].tolist() == [0.05, 1.0, 0.0]
    latents = transform.forward(rows[None], state, np.random.default_rng(0))
    assert (latents.zero[0, :, 1] == (rows[:, 1] == 0)).all()
    assert not latents.zero[0][:, [0, 2]].any()
    back = transform.inverse(latents.rows, latents.zero, latents.levels[:, 0], state)
    assert np.allclose(back[0], rows, atol=1e-9)


def test_readings_beyond_the_hurdle_are_never_zero():
    transform = QuantisedRows(period=24)
    state = transform.learn(readings(), ("power", "gas", "heat"))
    low = np.full((1, 5, 3), -9.0)
    zero = np.zeros((1, 5, 3), dtype=bool)
    zero[0, 2, 1] = True
    out = transform.inverse(low, zero, state["quantum"][None], state)
    assert out[0, :, 1].tolist() == [1, 1, 0, 1, 1]
    assert (out[0, :, 0] >= 0.05).all()


def test_sums_copies_and_constants_are_found_and_rebuilt():
    rng = np.random.default_rng(0)
    a, b = np.round(rng.normal(size=(2, 100)), 2)
    rows = np.stack([a, np.full(100, 3.0), b, a + b, a, 0.5 * b + 1], axis=-1)
    found = LinearConstraints.of(rows)
    assert found.kept == (0, 2)
    again = found.rebuild(found.drop(rows))
    assert np.abs(again - rows).max() < 1e-12
    assert (again[:, 3] == again[:, 0] + again[:, 2]).all()
    noisy = rows + 1e-3 * rng.normal(size=rows.shape)
    assert len(LinearConstraints.of(noisy).kept) == 6


def test_sliding_windows_become_one_recording():
    rows = np.random.default_rng(0).normal(size=(60, 2))
    windows = np.lib.stride_tricks.sliding_window_view(rows, 12, axis=0).transpose(0, 2, 1)
    kept = [k for k in range(len(windows)) if not 15 <= k < 35]
    records = join_windows(IrregularSeries.from_arrays(np.arange(12.0), windows[kept]))
    assert records.lengths.tolist() == [26, 25]
    assert np.array_equal(records.values[0, :26], rows[:26])
    assert np.array_equal(records.values[1, :25], rows[35:])
    assert records.window == 12


def test_days_with_dates_follow_one_another_and_gaps_split_them():
    rows = np.random.default_rng(0).normal(size=(10, 24, 1))
    days = np.array([0, 1, 2, 3, 6, 7, 8, 9, 10, 11])
    records = join_windows(IrregularSeries.from_arrays(days[:, None] + np.arange(24) / 24, rows))
    assert records.lengths.tolist() == [96, 144]
    assert np.allclose(records.first, [0, 6])
    assert np.array_equal(records.values[1, :144, 0], rows[4:].ravel())


def test_other_persons_on_the_same_clock_stay_apart():
    rows = np.random.default_rng(0).normal(size=(5, 8, 1))
    assert len(join_windows(IrregularSeries.from_arrays(np.arange(8.0), rows)).lengths) == 5
    apart = np.arange(8.0) + np.arange(5)[:, None]
    assert len(join_windows(IrregularSeries.from_arrays(apart, rows)).lengths) == 5


def test_unequal_steps_or_lengths_are_refused():
    with pytest.raises(InputError, match="equal steps"):
        join_windows(IrregularSeries.from_arrays([0.0, 1.0, 3.0], np.zeros((2, 3, 1))))
    uneven = IrregularSeries.from_arrays(
        [np.arange(3.0), np.arange(4.0)], [np.zeros((3, 1)), np.zeros((4, 1))]
    )
    with pytest.raises(InputError, match="equal length"):
        join_windows(uneven)


def test_averages_see_only_what_came_before():
    rows = np.random.default_rng(0).normal(size=(2, 6, 1))
    found = average_before(rows, 1.0, np.zeros(1))
    current = np.zeros((2, 1))
    for t in range(6):
        assert np.allclose(found[:, t], current)
        current = 0.5 * current + 0.5 * rows[:, t]
