"""Weights of series in forecasts: copies in law, absent at zero, and only relative."""

import numpy as np
import pytest

from trajinfer import InputError, IrregularSeries, NeuralSDEForecaster
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import Pairs, PairSource

N = 40
WEIGHTS = np.repeat([3.0, 1.0], N)
SIGNS = np.repeat([1.0, -1.0], N)


def steps(signs=SIGNS, n_times=2, seed=0):
    """Levels that move by 1 or -1 before the last value, which nothing tells beforehand."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(signs), 1)) + 0.05 * rng.normal(size=(len(signs), n_times))
    values[:, -1] += signs
    return IrregularSeries.from_arrays(np.arange(float(n_times)), values[:, :, None])


def mean_step(series, weights=None, dynamics="lead", **settings):
    """Mean step that is forecast from what comes before it."""
    model = NeuralSDEForecaster(dynamics, horizon=1.0, random_state=0, **settings)
    last = float(series.times.max())
    past = series.until(last - 0.5)
    forecast = model.fit(series, sample_weight=weights).predict(past, [last])
    return float((forecast[:, 0, 0] - past.values[:, -1, 0]).mean())


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_of_three_is_three_copies_in_law(seed):
    series = steps(seed=seed)
    copies = series[np.repeat(np.arange(2 * N), WEIGHTS.astype(int))]
    weighted, repeated, plain = mean_step(series, WEIGHTS), mean_step(copies), mean_step(series)
    # three of four parts move by 1, the others by -1
    assert weighted == pytest.approx(0.5, abs=0.05)
    assert weighted == pytest.approx(repeated, abs=0.05)
    assert plain == pytest.approx(0.0, abs=0.05)


def test_a_network_follows_the_weights():
    few = slice(N // 2, 3 * N // 2)
    settings = {"dynamics": "gru", "hidden": 4, "max_epochs": 20, "step": 1.0, "lr": 0.1}
    found = mean_step(steps(SIGNS[few], n_times=4), WEIGHTS[few], cutoffs=1, **settings)
    assert found == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
def test_every_expert_follows_the_weights():
    series = steps(np.repeat([1.0, -1.0], 200))
    rises = [mean_step(series, w) for w in (np.repeat([3.0, 1.0], 200), None)]
    assert rises == pytest.approx([0.5, 0.0], abs=0.05)


@pytest.mark.parametrize("settings", [{}, {"dynamics": "gru", "max_epochs": 1}], ids=str)
def test_only_ratios_of_weights_count_and_zero_is_absence(settings):
    few = slice(N - 6, N + 6)
    series = steps(SIGNS[few])
    assert mean_step(series, np.full(12, 7.0), **settings) == mean_step(series, **settings)
    model = NeuralSDEForecaster(horizon=1.0, random_state=0, **settings)
    past = series.until(0.5)
    some = model.fit(series, sample_weight=np.repeat([2.0, 0.0], 6)).predict(past, [1.0])
    assert (some == model.fit(series[:6]).predict(past, [1.0])).all()


@pytest.mark.parametrize(
    "weights", [[1.0], [1.0] * 11 + [-1.0], [0.0] * 12, [np.nan] * 12, ["a"] * 12], ids=str
)
@pytest.mark.parametrize("dynamics", ["lead", "gru"])
def test_weights_that_are_none_are_refused(weights, dynamics):
    with pytest.raises(InputError, match="sample_weight"):
        NeuralSDEForecaster(dynamics).fit(steps(SIGNS[:12]), sample_weight=weights)


def pairs_of(n_series):
    data = Observations.of(steps(np.ones(n_series), n_times=7))
    return PairSource.of(data, 2.0).draw(np.random.default_rng(0), 2000, 40_000)


def neighbours(pairs: Pairs):
    """How often each two leads of one cut stand one or two places apart, in ascending order."""
    found = []
    for apart in (1, 2):
        first, later = pairs[np.arange(len(pairs) - apart)], pairs[np.arange(apart, len(pairs))]
        same = (first.cut == later.cut) & (first.target < later.target)
        found.append(np.stack([first.cut, first.target, later.target])[:, same])
    return np.unique(np.concatenate(found, axis=1), axis=1, return_counts=True)


def test_whole_cuts_are_counted_as_often_as_their_series():
    pairs, weights = pairs_of(3), np.array([1.0, 2.0, 5.0])
    counted = pairs.counted(weights / 7, 40_000, np.random.default_rng(0))
    keys, often = np.unique(
        np.stack([counted.cut, counted.target, counted.series]), axis=1, return_counts=True
    )
    assert (keys == np.stack([pairs.cut, pairs.target, pairs.series])).all()
    assert (often == weights[pairs.series]).all()
    two, once = neighbours(pairs)
    assert (once == 1).all()
    again, often = neighbours(counted)
    assert (again == two).all()
    assert (often == weights[again[0] // 7]).all()


def test_other_weights_are_met_on_average():
    pairs, weights = pairs_of(4), np.array([1.0, 1.25, 2.5, 3.1])
    counts = np.mean(
        [
            np.bincount(pairs.counted(weights, 40_000, np.random.default_rng(k)).series)
            for k in range(400)
        ],
        axis=0,
    )
    # the copies of a series differ from what is due by less than two pairs: s.e. below 2 / 20
    assert counts == pytest.approx(weights * np.bincount(pairs.series), abs=0.4)


def test_copies_are_thinned_to_what_a_fit_can_bear():
    pairs, weights = pairs_of(40), np.geomspace(1, 1000, 40)
    counted = pairs.counted(weights, 2000, np.random.default_rng(0))
    assert 1800 < len(counted) < 2200
    share = np.bincount(counted.series, minlength=40) / len(counted)
    assert share[-5:] == pytest.approx((weights / weights.sum())[-5:], rel=0.1)
