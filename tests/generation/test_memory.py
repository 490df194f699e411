"""The memory law: the same features in training and simulation, known laws recovered, hurdles."""

from dataclasses import replace

import numpy as np
import pytest

from trajinfer import InputError
from trajinfer.generation import Calendar, Memory
from trajinfer.generation.history import History
from trajinfer.generation.memory_model import fit_memory
from trajinfer.generation.memory_residuals import Residuals
from trajinfer.generation.row_transform import TransformedRows
from trajinfer.generation.seasonal_profile import SeasonalProfile

SMALL = Memory(half_lives=(2.0,), lags=(1, 3), hidden=(8,), n_steps=300, batch_size=512, patience=9)


def latents(rows, zero=None):
    zero = np.zeros(rows.shape, dtype=bool) if zero is None else zero
    free = np.where(zero, np.nan, rows)
    bounds = np.stack([np.nanmin(free, axis=(0, 1)), np.nanmax(free, axis=(0, 1))])
    return TransformedRows(rows, zero, rows[..., :0], bounds)


def numbers(rows):
    return np.broadcast_to(np.arange(rows.shape[1]), rows.shape[:2])


def test_a_simulation_sees_the_features_it_was_trained_on():
    rng = np.random.default_rng(0)
    rows, zero = rng.normal(size=(3, 30, 2)), rng.random((3, 30, 1)) < 0.3
    memory = Memory(half_lives=(1.5, 6.0), lags=(1, 2, 7), calendar=Calendar(5, 11.0))
    row = numbers(rows)
    profile = SeasonalProfile.of(memory, rows.reshape(-1, 2), rows.reshape(-1, 2), row.ravel())
    past = History.of(memory, profile, rows, zero, row)
    state = past.before(np.arange(3), np.full(3, 10))
    for t in range(10, 20):
        expected = past.before(np.arange(3), np.full(3, t)).features()
        assert np.allclose(state.features(), expected, atol=1e-12)
        state.advance(rows[:, t], zero[:, t])


def test_rows_without_a_whole_past_are_not_used():
    rows = np.random.default_rng(0).normal(size=(2, 12, 1))
    rows[1, 8:] = np.nan
    flat = rows.reshape(-1, 1)
    profile = SeasonalProfile.of(SMALL, flat, flat, numbers(rows).ravel())
    usable = History.of(SMALL, profile, rows, rows[..., :0] > 9, numbers(rows)).usable()
    assert usable.sum(axis=1).tolist() == [9, 5]
    assert not usable[:, :3].any()


def autoregression(n=60, n_rows=120, phi=0.8, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.zeros((n, n_rows, 1))
    rows[:, 0] = rng.normal(size=(n, 1)) / np.sqrt(1 - phi**2)
    for t in range(1, n_rows):
        rows[:, t] = phi * rows[:, t - 1] + rng.standard_t(5, size=(n, 1))
    return rows


@pytest.mark.parametrize("target", ["level", "increment"])
def test_an_autoregression_is_recovered(target):
    rows = autoregression()
    memory = Memory(half_lives=(2.0,), lags=(1,), target=target, hidden=(8,), n_steps=200)
    model, _ = fit_memory(memory, latents(rows), numbers(rows), seed=0)
    past = model.history(latents(rows), numbers(rows))
    state = past.before(np.arange(60).repeat(20), np.full(1200, 50))
    drawn, _ = model.simulate(state, 60, np.random.default_rng(0))
    x = drawn[:, 30:, 0]
    lag_one = (x[:, 1:] * x[:, :-1]).mean() / (x**2).mean()
    assert lag_one == pytest.approx(0.8, abs=0.03)
    assert x.std() == pytest.approx(rows.std(), rel=0.06)
    kurtosis = [((v - v.mean()) ** 4).mean() / v.var() ** 2 for v in (x, rows)]
    assert kurtosis[0] == pytest.approx(kurtosis[1], rel=0.15)


def test_a_hurdle_keeps_its_share_and_its_memory():
    rng = np.random.default_rng(0)
    rows = np.abs(autoregression(seed=1)) + 1
    switch = np.zeros(rows.shape, dtype=bool)
    for t in range(1, rows.shape[1]):
        chance = np.where(switch[:, t - 1], 0.9, 0.05)
        switch[:, t] = rng.random(chance.shape) < chance
    rows = np.where(switch, 0.0, rows)
    memory = Memory(half_lives=(2.0,), lags=(1,), hidden=(8,), n_steps=600)
    data = latents(rows, switch)
    model, _ = fit_memory(memory, data, numbers(rows), seed=0)
    state = model.history(data, numbers(rows)).before(np.arange(60).repeat(20), np.full(1200, 60))
    drawn, zero = model.simulate(state, 50, rng)
    assert (drawn[zero] == 0).all()
    assert (drawn[~zero] > 0).all()
    kept = zero[:, 21:][zero[:, 20:-1]].mean()
    assert kept == pytest.approx(0.9, abs=0.03)
    assert zero[:, 20:].mean() == pytest.approx(switch[:, 40:].mean(), abs=0.05)


def pool_of(values, pattern, phase, n_patterns, period):
    return Residuals.of(values, np.ones_like(values), (pattern, phase), (n_patterns, period))


def test_residuals_come_from_their_own_pattern_and_phase():
    pattern = np.repeat([0, 1], 400)
    phase = np.tile(np.arange(10), 80)
    values = np.stack([pattern * 100.0, phase.astype(float)], axis=1)
    pool = pool_of(values, pattern, phase, 2, 10)
    asked = np.tile([3, 0], 200)
    drawn = pool.draw(np.tile([0, 1], 200), asked, 0.0, np.random.default_rng(0))
    assert (drawn == np.stack([np.tile([0.0, 100.0], 200), asked], axis=1)).all()


def test_a_rare_phase_draws_from_its_neighbours_around_the_day():
    phase = np.repeat(np.arange(12), 10)  # ten residuals each: one phase on either side is needed
    pool = pool_of(phase[:, None].astype(float), np.zeros(120, dtype=int), phase, 1, 12)
    for asked in (0, 5, 11):
        drawn = pool.draw(np.zeros(900, int), np.full(900, asked), 0.0, np.random.default_rng(1))
        found, times = np.unique(drawn, return_counts=True)
        assert set(found) == {(asked - 1) % 12, asked, (asked + 1) % 12}
        assert times.min() > 240  # thirds of 900, sd 14


def test_few_residuals_of_a_pattern_are_all_drawn():
    pattern, phase = np.array([0, 0, 1]), np.array([0, 1, 0])
    pool = pool_of(np.arange(3.0)[:, None], pattern, phase, 4, 6)
    rng = np.random.default_rng(0)
    near, far = (pool.draw(np.full(50, k), np.full(50, 3), 0.0, rng) for k in (0, 1))
    assert set(near.ravel()) == {0.0, 1.0}
    assert (far == 2).all()
    unseen = pool.draw(np.full(50, 3), np.full(50, 3), 0.0, rng)
    assert set(unseen.ravel()) == {0.0, 1.0, 2.0}


def test_the_profile_knows_the_hour_of_the_day_of_the_week():
    rng = np.random.default_rng(0)
    number = np.arange(4 * 7 * 40)  # days of four rows, forty weeks
    memory = Memory(calendar=Calendar(4))
    switched = number % 28 == 6  # at one hour of one day
    target = np.where(switched, 50.0, 0.0) + np.where(number % 4 == 1, 3.0, 1.0) * rng.normal(
        size=len(number)
    )
    profile = SeasonalProfile.of(memory, target[:, None], target[:, None], number)
    place = profile.restore(memory, np.zeros((len(number), 1)), number)[:, 0]
    # forty switches and twenty times the mean of the phase, 50 / 7
    assert place[6] == pytest.approx((40 * 50 + 20 * 50 / 7) / 60, abs=0.5)
    assert np.abs(place[(number < 28) & ~switched & (number % 4 != 2)]).max() < 1
    back = profile.standardise(memory, place[:, None] + profile.scale[number % 28], number)
    assert back == pytest.approx(np.ones_like(back))
    noise = profile.scale[:, 0]
    assert (noise[1::4] / noise[0::4]).mean() == pytest.approx(3, rel=0.15)
    last = np.full((1, 1), 7.0)
    seen = profile.features(memory, last, np.array([6]))[0]
    whole = np.sqrt((noise**2).mean())
    expected = [7 - profile.level[5, 0], place[6] / whole, np.log(noise[6] / whole)]
    assert seen == pytest.approx(expected)


def test_meters_that_switch_at_an_hour_do_so_in_simulations():
    rng = np.random.default_rng(0)
    hour = np.arange(24)
    usual = np.where((hour >= 7) & (hour < 19), 10.0, 2.0)
    rows = (np.tile(usual, (8, 30)) + 0.3 * rng.standard_normal((8, 720)))[..., None]
    memory = Memory(
        half_lives=(4.0,),
        lags=(1,),
        target="increment",
        calendar=Calendar(24, weekly=False),
        hidden=(8,),
        n_steps=300,
    )
    model, _ = fit_memory(memory, latents(rows), numbers(rows), seed=0)
    past = model.history(latents(rows), numbers(rows))
    state = past.before(np.arange(8).repeat(50), np.full(400, 240))
    drawn, _ = model.simulate(state, 48, rng)
    change = np.diff(drawn[:, 24:, 0], axis=1)
    at_seven, real = change[:, 6], np.diff(rows[:, :, 0], axis=1)[:, 6::24]
    assert at_seven.mean() == pytest.approx(8, abs=0.15)
    assert at_seven.std() == pytest.approx(real.std(), rel=0.15)
    assert np.abs(change[:, :5]).max() < 3


def test_no_scale_beyond_those_of_training():
    rows = autoregression(n=20, n_rows=40)
    memory = Memory(half_lives=(2.0,), hidden=(8,), n_steps=20, jitter=0.0)
    model, _ = fit_memory(memory, latents(rows), numbers(rows), seed=0)
    model.scales = replace(model.scales, bounds=np.array([[-np.inf], [np.inf]]))
    wild = np.zeros((50, 1)), np.full((50, 1), 1e9), np.zeros((50, 0))
    model.predict = lambda features: wild
    state = model.history(latents(rows), numbers(rows)).before(np.arange(50) % 20, np.full(50, 9))
    drawn, _ = model.simulate(state, 1, np.random.default_rng(0))
    widest = float((model.residuals.largest * np.abs(model.residuals.values).max(axis=0))[0])
    u = (drawn[:, 0, 0] - model.scales.mean[0]) / model.scales.std[0] / model.profile.scale[0, 0]
    assert 0.3 * widest < np.abs(u).max() <= widest * (1 + 1e-9)


def test_too_few_rows_are_refused():
    rows = np.random.default_rng(0).normal(size=(3, 20, 1))
    with pytest.raises(InputError, match="only 51 rows have the 3 rows before"):
        fit_memory(SMALL, latents(rows), numbers(rows), seed=0)
