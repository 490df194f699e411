"""The memory law: the same features in training and simulation, known laws recovered, hurdles."""

import numpy as np
import pytest

from trajinfer import InputError
from trajinfer.models import Calendar, Memory
from trajinfer.models.generation.memory_model import Residuals, fit_memory
from trajinfer.models.generation.memory_state import Past
from trajinfer.models.generation.row_transform import Latents

SMALL = Memory(half_lives=(2.0,), lags=(1, 3), hidden=(8,), n_steps=300, batch_size=512, patience=9)


def latents(rows, zero=None):
    zero = np.zeros(rows.shape, dtype=bool) if zero is None else zero
    free = np.where(zero, np.nan, rows)
    bounds = np.stack([np.nanmin(free, axis=(0, 1)), np.nanmax(free, axis=(0, 1))])
    return Latents(rows, zero, rows[..., :0], bounds)


def numbers(rows):
    return np.broadcast_to(np.arange(rows.shape[1]), rows.shape[:2])


def test_a_simulation_sees_the_features_it_was_trained_on():
    rng = np.random.default_rng(0)
    rows, zero = rng.normal(size=(3, 30, 2)), rng.random((3, 30, 1)) < 0.3
    memory = Memory(half_lives=(1.5, 6.0), lags=(1, 2, 7), calendar=Calendar(5, 11.0))
    past = Past.of(memory, rows, zero, numbers(rows))
    state = past.before(np.arange(3), np.full(3, 10))
    for t in range(10, 20):
        expected = past.before(np.arange(3), np.full(3, t)).features()
        assert np.allclose(state.features(), expected, atol=1e-12)
        state.advance(rows[:, t], zero[:, t])


def test_rows_without_a_whole_past_are_not_used():
    rows = np.random.default_rng(0).normal(size=(2, 12, 1))
    rows[1, 8:] = np.nan
    usable = Past.of(SMALL, rows, rows[..., :0] > 9, numbers(rows)).usable()
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
    memory = Memory(half_lives=(2.0,), lags=(1,), target=target, hidden=(8,), n_steps=400)
    model, _ = fit_memory(memory, latents(rows), numbers(rows), seed=0)
    past = model.past(latents(rows), numbers(rows))
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
    memory = Memory(half_lives=(2.0,), lags=(1,), hidden=(8,), n_steps=1500)
    data = latents(rows, switch)
    model, _ = fit_memory(memory, data, numbers(rows), seed=0)
    state = model.past(data, numbers(rows)).before(np.arange(60).repeat(20), np.full(1200, 60))
    drawn, zero = model.simulate(state, 50, rng)
    assert (drawn[zero] == 0).all()
    assert (drawn[~zero] > 0).all()
    kept = zero[:, 21:][zero[:, 20:-1]].mean()
    assert kept == pytest.approx(0.9, abs=0.03)
    assert zero[:, 20:].mean() == pytest.approx(switch[:, 40:].mean(), abs=0.05)


def test_residuals_come_from_their_own_pattern_and_phase():
    pattern = np.repeat([0, 1], 50)
    phase = np.tile(np.arange(10), 10)
    values = np.stack([pattern * 100.0, phase.astype(float)], axis=1)
    pool = Residuals.of(values, pattern, phase, 2, 10)
    asked = np.tile([3, 0], 200)
    drawn = pool.draw(np.tile([0, 1], 200), asked, 0.0, np.random.default_rng(0))
    assert (drawn[:, 0] == np.tile([0.0, 100.0], 200)).all()
    apart = np.abs(drawn[:, 1] - asked)
    assert np.minimum(apart, 10 - apart).max() == 1


def test_an_empty_phase_takes_the_pattern_as_a_whole():
    pattern, phase = np.array([0, 0, 1]), np.array([0, 1, 0])
    pool = Residuals.of(np.arange(3.0)[:, None], pattern, phase, 4, 6)
    rng = np.random.default_rng(0)
    far = pool.draw(np.full(50, 1), np.full(50, 3), 0.0, rng)
    assert (far == 2).all()
    unseen = pool.draw(np.full(50, 3), np.full(50, 3), 0.0, rng)
    assert set(unseen.ravel()) == {0.0, 1.0, 2.0}


def test_too_few_rows_are_refused():
    rows = np.random.default_rng(0).normal(size=(3, 20, 1))
    with pytest.raises(InputError, match="only 51 rows have the 3 rows before"):
        fit_memory(SMALL, latents(rows), numbers(rows), seed=0)
