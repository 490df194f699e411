"""What a series may be made of: filters against dense covariances, weights, and who is asked."""

from dataclasses import fields

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.structural_filter import filtered
from trajinfer.forecasting.structures import Structures, harmonics

ANYWHERE = 1e7
PERIOD = 4.0


def channel_of(times, values, lengths):
    starts = np.concatenate([[0], np.cumsum(lengths)])
    data = Observations(times, values[:, None], starts, np.zeros((len(lengths), 0)))
    return data.channel(0)


def some(structures, index):
    return Structures(*(getattr(structures, f.name)[index] for f in fields(structures)))


def covariance(structures, g, t):
    """(n, n) of the values at whole steps t in units of sigma, in closed form, undamped slopes."""
    own = {f.name: float(getattr(structures, f.name)[g]) for f in fields(structures)}
    first = np.minimum(t[:, None], t[None, :])
    apart = np.abs(t[:, None] - t[None, :])
    made = ANYWHERE + own["level"] * first + own["start"] ** 2 * np.outer(t, t)
    steps = np.arange(1, t.max() + 1)
    reached = np.maximum(t[:, None] - steps, 0.0)  # by a shock of the slope at each step
    made += own["moving"] * reached @ reached.T
    swing = own["swing"] / (1 - own["decay"] ** 2)
    made += swing * own["decay"] ** apart * np.cos(own["angle"] * apart)
    for k in range(1, harmonics(PERIOD, 1.0) + 1):
        wave = np.cos(2 * np.pi * k * apart / PERIOD)
        made += (own["season"] ** 2 + own["wander"] * first) * wave
    return made + own["noise"] * np.eye(len(t))


@pytest.mark.parametrize("seasonal", [False, True])
def test_filters_are_what_dense_covariances_say(seasonal):
    """Weights and forecasts of every undamped structure, at steps with gaps."""
    rng = np.random.default_rng(0)
    t = np.array([0.0, 1, 2, 4, 5, 8, 9, 10, 11, 13])
    y = rng.normal(size=len(t)).cumsum()
    every = Structures.of(seasonal=seasonal)
    structures = some(every, np.flatnonzero(every.damping == 1))
    period = PERIOD if seasonal else 0.0
    channel = channel_of(t, y, [len(t)])
    ahead = np.array([1.0, 2.0, 5.0])
    logs, forecasts = [], []
    moved = y - y[0]
    for g in range(len(structures.level)):
        full = covariance(structures, g, np.append(t, t[-1] + ahead))
        own, across = full[: len(t), : len(t)], full[len(t) :, : len(t)]
        solved = np.linalg.solve(own, moved)
        quadratic = moved @ solved
        logs.append(-0.5 * np.linalg.slogdet(own)[1] - 0.5 * (len(t) - 1) * np.log(quadratic))
        forecasts.append(across @ solved - moved[-1])
    weights = np.exp(np.array(logs) - max(logs))
    expected = weights @ np.array(forecasts) / weights.sum()
    states = filtered(channel, structures, 1.0, period)
    rows = np.full(len(ahead), len(t) - 1)
    found = states.increments(rows, ahead, (t[-1] + ahead) / (period or 1.0), structures)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_damped_slopes_are_continued_as_their_recursion_says():
    """One structure, no noise but of the level: level and slope by hand."""
    every = Structures.of(seasonal=False)
    chosen = np.flatnonzero((every.damping < 1) & (every.level == 1) & (every.moving == 0.3))
    structures = some(every, chosen)
    y = np.random.default_rng(0).normal(size=12).cumsum()
    state, p = np.zeros(2), np.diag([ANYWHERE, 0.3**2])
    move = np.array([[1.0, 0.9], [0.0, 0.9]])
    for k, value in enumerate(y - y[0]):
        if k:
            state, p = move @ state, move @ p @ move.T + np.diag([1.0, 0.3])
        gain = p[:, 0] / p[0, 0]
        state, p = state + gain * (value - state[0]), p - np.outer(gain, p[0])
    expected, slope, level = [], state[1], 0.0
    for _ in range(3):
        slope *= 0.9
        level += slope
        expected.append(level)
    states = filtered(channel_of(np.arange(12.0), y, [12]), structures, 1.0, 0.0)
    found = states.increments(np.full(3, 11), np.arange(1.0, 4), np.zeros(3), structures)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_every_series_is_filtered_by_itself():
    """Three of several lengths in one table, one of them in another unit."""
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=n).cumsum() for n in (9, 14, 5)]
    times = [np.arange(float(len(part))) for part in parts]
    structures = Structures.of(seasonal=False)
    together = filtered(
        channel_of(np.concatenate(times), np.concatenate(parts), [9, 14, 5]), structures, 1.0, 0.0
    )
    ends = np.cumsum([9, 14, 5]) - 1
    ahead = np.full(3, 4.0)
    found = together.increments(ends, ahead, ahead, structures)
    for k, (time, part) in enumerate(zip(times, parts, strict=True)):
        alone = filtered(channel_of(time, 7 + 100 * part, [len(part)]), structures, 1.0, 0.0)
        own = alone.increments(np.array([len(part) - 1]), ahead[:1], ahead[:1], structures)
        np.testing.assert_allclose(own[0], 100 * found[k], rtol=1e-5)


def test_lines_are_continued_far_better_than_by_their_ends():
    """Ten lines with noise: a third of what the drift from end to end misses the mean by."""
    structures, t = Structures.of(seasonal=False), np.arange(40.0)
    ahead = np.arange(1.0, 6)
    squares = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        slope = rng.uniform(0.05, 0.5)
        y = slope * t + rng.normal(size=40)
        states = filtered(channel_of(t, y, [40]), structures, 1.0, 0.0)
        made = y[-1] + states.increments(np.full(5, 39), ahead, ahead, structures)
        drift = y[-1] + ahead * (y[-1] - y[0]) / 39
        squares.append([np.mean((x - slope * (39 + ahead)) ** 2) for x in (made, drift)])
    ours, by_ends = np.mean(squares, axis=0)
    assert ours < by_ends / 3


@pytest.mark.parametrize(("n", "answers"), [(1, True), (4, False)])
def test_structures_are_asked_of_a_series_alone(n, answers):
    """A line alone lends them most of the forecast; of several series others learn."""
    rng = np.random.default_rng(1)
    values = 0.5 * np.arange(60.0) + rng.normal(size=(n, 60))
    series = IrregularSeries.from_arrays(np.arange(60.0), values[:, :, None])
    model = NeuralSDEForecaster(horizon=5.0, random_state=0).fit(series)
    shares = model.model_.shares()
    own = shares.loc[shares["expert"] == "structural", "share"]
    assert (own > 0.5).all() == answers
    assert (own > 0).any() == answers
