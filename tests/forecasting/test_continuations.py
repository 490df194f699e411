"""Smoothing and autoregression against second implementations, and the scale of the values."""

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.data.channel_kinds import ChannelKinds
from trajinfer.forecasting.autoregression import fit_autoregression
from trajinfer.forecasting.folds import LaterTimes
from trajinfer.forecasting.learning_curve import growth_lately
from trajinfer.forecasting.mixture import fit_mixture
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.recent_steps import recent_steps
from trajinfer.forecasting.smoothing import SEASONS, TRENDS, smoothed
from trajinfer.forecasting.value_scale import ValueScale


def table(*series):
    """Channel and table of series given as (times, values)."""
    data = Observations.of(
        IrregularSeries.from_arrays([t for t, _ in series], [x[:, None] for _, x in series])
    )
    return data.channel(0), data


def one_by_one(times, x, setting, period):
    """Levels, slopes and seasons of one series with gaps of 1, in plain words."""
    alpha, beta, phi, gamma = setting
    early = max(1, period)
    level, slope, states = x[:early].mean(), 0.0, [(np.nan, np.nan)] * early
    season = list(x[:early] - level)
    if not period:
        level, states, season = x[0], [(x[0], 0.0)], [0.0]
    for k in range(early, len(x)):
        s = times[k] - times[k - 1]
        reach = phi * (1 - phi**s) / (1 - phi)
        own = season[k - period] if period else 0.0
        error = x[k] - (level + reach * slope + own)
        weight = max(1 - (1 - alpha) ** s, 1 / (k + 1))
        turn = max(beta, 1 / k) if beta else 0.0
        level = level + reach * slope + weight * error
        slope = phi**s * slope + turn * weight * error / s
        season.append(own + (max(gamma, 1 / (k // early + 1)) if period else 0.0) * error)
        states.append((level, slope))
    return np.array(states), np.array(season)


@pytest.mark.parametrize("period", [0, 4])
def test_smoothing_of_many_series_is_that_of_each(period):
    """Series of lengths 30, 1 and 11, with gaps of 1 and 2 where there is no season."""
    rng = np.random.default_rng(0)
    series = []
    for n in (30, 1, 11):
        times = np.cumsum(rng.integers(1, 2 if period else 3, n)).astype(float)
        series.append((times, rng.normal(size=n).cumsum()))
    channel, _ = table(*series)
    found = smoothed(channel, 1.0, float(period))
    for g, setting in enumerate(SEASONS if period else TRENDS):
        for k in (0, 2):
            own = slice(channel.starts[k], channel.starts[k + 1])
            states, season = one_by_one(*series[k], setting, period)
            np.testing.assert_allclose(found.level[own, g], states[:, 0], atol=1e-9)
            np.testing.assert_allclose(found.slope[own, g], states[:, 1], atol=1e-9)
            if period:
                np.testing.assert_allclose(found.season[own, g], season, atol=1e-9)


def fitted(x, period, steps=12, depth=8, n_series=1):
    channel, _ = table((np.arange(float(len(x))), x))
    rows, zeros = np.arange(len(x)), np.zeros(len(x), dtype=int)
    back, reached = recent_steps(channel, zeros, zeros, rows, 1.0, depth + 1)
    made = fit_autoregression(x, back, reached, x.mean(), 1.0, period, steps, n_series)
    return made, back[-1:, :-1]


def test_a_return_to_the_mean_costs_less_where_many_series_show_it(rng):
    x = np.zeros(400)
    for k in range(1, 400):
        x[k] = 0.5 * x[k - 1] + rng.normal()
    alone, of_many = fitted(x, 0)[0], fitted(x, 0, n_series=100)[0]
    assert alone.criterion - of_many.criterion == pytest.approx(4 * 0.99 / 400, rel=0.02)


def test_an_autoregression_is_found_and_continued_step_by_step():
    """x' = 1.4 x - .55 x_before: the forecast is the recursion, within the error of 4000 values."""
    rng = np.random.default_rng(0)
    x = np.zeros(4000)
    for k in range(2, 4000):
        x[k] = 1.4 * x[k - 1] - 0.55 * x[k - 2] + rng.normal()
    made, back = fitted(x, 0)
    lead = np.arange(1, 9)
    found = made(np.full(8, x[-1]), np.repeat(back, 8, axis=0), lead.astype(float)) + x[-1]
    expected = list(x[-2:])
    for _ in lead:
        expected.append(1.4 * expected[-1] - 0.55 * expected[-2])
    np.testing.assert_allclose(found, expected[2:], atol=0.15)
    between = made(x[-1:], back, np.array([1.5])) + x[-1]
    assert between[0] == pytest.approx(0.5 * (found[0] + found[1]))


def test_averaged_continuations_are_the_averages_of_all():
    """Each function continued by hand, then averaged; the shares sum to one."""
    x = np.random.default_rng(1).normal(size=60).cumsum()
    made, back = fitted(x, 0)
    assert len(made.share) > 3
    assert made.share.sum() == pytest.approx(1)
    every = []
    for constant, weights in zip(made.constants, made.weights, strict=True):
        path = list(x)
        for _ in range(6):
            before = np.array(path[-2 : -2 - len(weights) + 1 : -1])
            moved = constant + weights[0] * (path[-1] - x.mean())
            path.append(path[-1] + moved + weights[1:] @ (before - path[-1]))
        every.append(path[60:])
    found = made(np.full(6, x[-1]), np.repeat(back, 6, axis=0), np.arange(1.0, 7.0)) + x[-1]
    np.testing.assert_allclose(found, made.share @ np.array(every), atol=1e-9)


def test_a_walk_is_seldom_drawn_to_its_mean():
    """Ten steps after walks of 60: on average under a third of the way that a return would go."""
    rng = np.random.default_rng(0)
    way, gone = [], []
    for _ in range(40):
        x = rng.normal(size=60).cumsum()
        made, back = fitted(x - x.mean(), 0)
        moved = made(x[-1:] - x.mean(), back, np.array([10.0]))[0]
        gone.append(-moved * np.sign(x[-1] - x.mean()))
        way.append(abs(x[-1] - x.mean()))
    assert np.mean(gone) < 0.33 * np.mean(way)


def test_lines_and_seasons_are_continued_exactly():
    rng = np.random.default_rng(0)
    month = np.arange(80)
    x = 0.3 * month + rng.normal(size=12)[month % 12] + 1e-6 * rng.normal(size=80)
    made, back = fitted(x[:60], 12, depth=12)
    lead = np.arange(1.0, 21.0)
    found = made(np.full(20, x[59]), np.repeat(back, 20, axis=0), lead) + x[59]
    np.testing.assert_allclose(found, x[60:], atol=1e-3)


def test_no_continuation_explodes():
    """Doubling at every step is within reach of one step only."""
    x = 2.0 ** np.arange(30) + np.random.default_rng(0).normal(size=30)
    for steps, grows in ((1, True), (20, False)):
        made, back = fitted(x, 0, steps=steps)
        moved = made(x[-1:], back, np.array([float(steps)]))[0]
        assert (moved > 0.9 * x[-1]) == grows


def test_values_a_step_back_stand_still_before_the_first_one():
    times = np.array([0.0, 1.0, 3.0, 4.0])
    channel, data = table((times, np.array([1.0, 2.0, 6.0, 5.0])))
    rows = np.arange(4)
    back, reached = recent_steps(channel, data.series, 0 * rows, rows, 1.0, 3)
    np.testing.assert_allclose(back[3], [1.0, -1.0, -3.0])  # 6, 4 between 2 and 6, 2
    np.testing.assert_allclose(back[1], [-1.0, -1.0, -1.0])
    assert reached.tolist() == [0, 1, 3, 3]


def growing(n, noise=0.05):
    """Quarters with seasons and noise in proportion to a level that grows."""
    rng = np.random.default_rng(0)
    quarter = np.arange(n)
    season = np.array([0.0, 0.3, 0.1, -0.4])[quarter % 4]
    return np.exp(0.04 * quarter + season + noise * rng.normal(size=n))


@pytest.mark.parametrize(
    ("values", "logs"),
    [
        (growing(60), True),
        (growing(19), False),  # few values
        (growing(60) - 0.9, False),  # not all of them positive
        (20 + np.random.default_rng(0).normal(size=60).cumsum(), False),
    ],
    ids=["growth", "few", "signs", "walk"],
)
def test_logarithms_are_taken_where_changes_follow_the_level(values, logs):
    _, data = table((np.arange(float(len(values))), values))
    kinds = ChannelKinds.of(data.values)
    scale = ValueScale.of(data, kinds, 4.0, np.random.default_rng(0))
    assert scale.logs.tolist() == [logs]
    np.testing.assert_allclose(scale.back(scale.into(data.values)), data.values)


@pytest.mark.parametrize(("grows", "least", "most"), [(True, 0.6, 1.0), (False, 0.0, 0.1)])
def test_logarithms_of_twenty_values_are_taken_where_these_grow_in_proportion(grows, least, most):
    taken = []
    for seed in range(60):
        walk = np.random.default_rng(seed).normal(size=20).cumsum()
        values = np.exp(0.15 * (walk + np.arange(20) / 2)) if grows else walk - walk.min() + 2.0
        _, data = table((np.arange(20.0), values))
        scale = ValueScale.of(data, ChannelKinds.of(data.values), 2.0, np.random.default_rng(0))
        taken.append(bool(scale.logs[0]))
    assert least <= np.mean(taken) <= most


def test_growth_over_many_sizes_is_modelled_by_its_logarithms():
    """Exponentials of twelve walks with drift, which end hundreds of times as high: all of them.

    The squares of their errors are those of the last few values.
    """
    logs, ratio = [], []
    for seed in range(12):
        steps = 0.07 + 0.15 * np.random.default_rng(seed).normal(size=120)
        values = np.exp(steps.cumsum())
        _, data = table((np.arange(120.0), values))
        scale = ValueScale.of(data, ChannelKinds.of(data.values), 4.0, np.random.default_rng(0))
        logs.append(bool(scale.logs[0]))
        ratio.append(values[-1] / values[0])
    assert min(ratio) > 100
    assert all(logs)


def test_means_of_logarithms_are_those_that_held_out_values_confirm():
    """Lognormal values: the whole way where the spread is true, none where it is far too wide."""
    rng = np.random.default_rng(0)
    location = 0.3 * rng.normal(size=(20_000, 1))
    truth = location + 0.8 * rng.normal(size=location.shape)
    z, chance = np.polynomial.hermite_e.hermegauss(25)
    chance = chance / chance.sum()
    scale = ValueScale(np.array([True]), np.array([1e-9]), np.ones(1), np.ones(1))
    for wide, share in ((1.0, 1.0), (3.0, 0.01)):
        errors = np.broadcast_to(0.8 * wide * z, (20_000, 1, 25))
        made = scale.confirmed(location, errors, chance, truth, 1e6)
        assert made.above[0] == pytest.approx(share, abs=0.06)
    exact = scale.means(location, np.broadcast_to(0.8 * z, (20_000, 1, 25)), chance)
    np.testing.assert_allclose(exact, np.exp(location + 0.32), rtol=1e-6)


def test_growth_and_its_seasons_go_on_in_the_forecast():
    """A year ahead, at three origins: half of the error of the last year; intervals cover."""
    x, errors, inside = growing(72, noise=0.02), [], []
    for n in (60, 64, 68):
        series = IrregularSeries.from_arrays(np.arange(float(n)), x[None, :n, None])
        model = NeuralSDEForecaster(horizon=4.0, random_state=0).fit(series)
        later = np.arange(n, n + 4.0)
        forecast = model.forecast(series, later, 400)
        low, high = forecast.interval(0.9)
        truth = x[n : n + 4]
        errors.append([model.predict(series, later)[0, :, 0] - truth, x[n - 4 : n] - truth])
        inside.append((low[0, :, 0] < truth) & (truth < high[0, :, 0]))
        assert (forecast.samples > 0).all()
    ours, last_year = np.sqrt(np.square(errors).mean(axis=(0, 2)))
    assert ours < 0.5 * last_year
    assert np.mean(inside) >= 0.75
    assert model.report_["error"].max() < 0.2 * x.std()


def test_weights_count_as_repeated_pairs_do():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 1, 3)), rng.normal(size=(60, 1))
    weight, share = rng.integers(1, 4, 60), rng.uniform(size=(60, 1))
    names = ("a", "b", "c")
    weighted = fit_mixture(names, x, y, share, 50.0, weight)
    again = np.repeat(np.arange(60), weight)
    effective = 50.0 * weight.sum() ** 2 / (weight**2).sum() / 60
    repeated = fit_mixture(names, x[again], y[again], share[again], effective)
    np.testing.assert_allclose(weighted.shares, repeated.shares, atol=1e-6)


def test_what_was_learned_from_more_counts_more():
    weight = LaterTimes().weight(np.arange(8))
    assert (np.diff(weight) > 0).all()
    assert weight[0] == pytest.approx(1 / 16)


def test_a_season_answers_a_whole_period_ahead_where_times_are_rounded():
    """Months as decimals of a year: no expert of seasons is left without an answer."""
    times = np.round(1973 + np.arange(60) / 12, 6)
    x = np.sin(2 * np.pi * times) + 0.1 * np.random.default_rng(0).normal(size=60)
    series = IrregularSeries.from_arrays(times, x[None, :, None])
    law = NeuralSDEForecaster(horizon=1.00001, random_state=0).fit(series).model_.law
    assert law.units.periods[0] == pytest.approx(1.0, abs=1e-5)
    for n in range(40, 48):
        asked = law.ask(series[:1].until(times[n]), times[None, n + 1 : n + 13])
        assert not np.isnan(asked.seasonal).any()
        assert not np.isnan(asked.seasons[0]).any()


def test_a_season_counts_from_the_last_value_of_its_own_channel():
    """A channel that is three steps older than the cut: its past seasons give its increments."""
    times, period, cut, age = np.arange(72.0), 12, 60, 3
    x = np.sin(2 * np.pi * times / period)
    values = np.stack([x, np.roll(x, 2)], axis=1)
    series = IrregularSeries.from_arrays(times, values[None])
    law = NeuralSDEForecaster(horizon=8.0, random_state=0).fit(series).model_.law
    assert law.units.periods == pytest.approx(period)
    values[cut - age + 1 : cut + 1, 1] = np.nan
    past = IrregularSeries.from_arrays(times[: cut + 1], values[None, : cut + 1])
    asked = law.ask(past, times[None, cut + 1 : cut + 9])
    increments = values[cut + 1 : cut + 9, 1] - values[cut - age, 1]
    for kind in range(5):
        np.testing.assert_allclose(asked.seasonal[:, 1, kind], increments, atol=1e-12)
    assert not np.isnan(asked.seasons[1]).any()


def test_errors_that_grew_are_taken_at_their_late_size():
    """Errors of 1 early and 3 late, weights 0 and 1: a factor 3 over their root mean square."""
    early, late = np.ones((50, 1)), 3 * np.ones((50, 1))
    weight = np.repeat([0.0, 1.0], 50)
    grown, shrunk = np.vstack([early, late]), np.vstack([late, early])
    np.testing.assert_allclose(growth_lately(grown, weight), 3 / np.sqrt(5))
    np.testing.assert_allclose(growth_lately(shrunk, weight), 1.0)
