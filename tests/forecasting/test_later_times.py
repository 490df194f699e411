"""Many series of one time: what comes later is judged by what came later, and shocks count once."""

from dataclasses import replace

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer._core.seeding import Seeds
from trajinfer.forecasting.common_times import CommonOrigins, Independent, independent_stretches
from trajinfer.forecasting.forests import fit_forests
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import PairSource


def panel(seed, n=16, rows=24, common=1.0, own=0.5, drift=0.1):
    """An autoregression that all share, walks of their own and drifts of their own."""
    rng = np.random.default_rng(seed)
    factor = np.zeros(rows)
    for t in range(1, rows):
        factor[t] = 0.8 * factor[t - 1] + common * rng.normal()
    walks = own * rng.normal(size=(n, rows)).cumsum(axis=1)
    drifts = drift * rng.normal(size=(n, 1)) * np.arange(rows)
    return factor + walks + drifts + rng.normal(size=(n, 1))


def series_of(values):
    return IrregularSeries.from_arrays(np.arange(float(values.shape[1])), values[:, :, None])


@pytest.mark.parametrize("alike", [0.0, 0.2, 0.7])
def test_alike_errors_of_one_time_count_as_the_design_effect_says(alike):
    """300 stretches of 20 series with correlation rho: one in 1 + 19 rho is independent."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=(300, 1)), rng.normal(size=(300, 20))
    errors = np.sqrt(alike) * common + np.sqrt(1 - alike) * own
    stretch, series = (index.ravel() for index in np.indices(errors.shape))
    found = independent_stretches(errors.reshape(-1, 1), series, 3.0 * stretch, 3.0, 6000.0)
    assert found.of_means == pytest.approx(6000 / (1 + 19 * alike), rel=0.12)
    assert found.of_squares == pytest.approx(6000 / (1 + 19 * alike**2), rel=0.15)


def test_errors_of_series_that_never_meet_are_independent():
    errors, series = np.ones((50, 1)), np.arange(50)
    assert independent_stretches(errors, series, 2.0 * series, 1.0, 50.0) == Independent.all(50.0)


def test_nothing_is_learned_from_after_an_origin():
    data = Observations.of(series_of(panel(0)))
    pairs = PairSource.of(data, 4.0).draw(np.random.default_rng(0), 10**6, 10**6)
    folds = CommonOrigins.of(data, pairs)
    held = folds.held(data, pairs)
    assert folds.count == 5
    for part, origin in enumerate(folds.times):
        learned = folds.trains(data, pairs, part)
        assert learned.any()
        assert data.times[pairs.target[learned]].max() <= origin
        assert data.times[pairs.cut[held == part]].min() == origin
    assert folds.trains(data, pairs, 4).all()
    assert (np.diff(folds.weight(np.arange(4))) > 0).all()


def test_series_of_times_of_their_own_are_judged_by_others_alone():
    """Walks that share nothing: the law is the same within the times and beyond them."""
    values = panel(0, common=0.0, drift=0.0)
    model = NeuralSDEForecaster(horizon=4.0, random_state=0).fit(series_of(values))
    assert model.model_.beyond is None


def test_shared_shocks_are_not_told_by_the_other_series():
    """Beyond the table the law is another one, wider, and each past is asked of its own."""
    values = panel(1, common=2.0, own=0.2)
    series = series_of(values)
    model = NeuralSDEForecaster(horizon=4.0, random_state=0).fit(series)
    fitted = model.model_
    assert fitted.beyond is not None
    end, ahead = series.until(23.0), np.array([25.0, 27.0])
    early = series[:3].until(12.0)
    both = IrregularSeries.concatenate([early, end[3:]])
    times = np.concatenate([np.tile([14.0, 16.0], (3, 1)), np.tile(ahead, (13, 1))])
    drawn = model.forecast(both, times, 200).samples
    alone = replace(fitted, beyond=None).samples(early, times[:3], 200, Seeds.of(model.seed_).draws)
    np.testing.assert_array_equal(drawn[:3], alone)
    np.testing.assert_array_equal(drawn[3:], model.forecast(end[3:], times[3:], 200).samples)
    np.testing.assert_array_equal(model.predict(both, times)[3:], model.predict(end[3:], ahead))
    width = [np.std(drawn[rows, :, 1]) for rows in (slice(3), slice(3, None))]
    assert width[1] > 1.5 * width[0]


@pytest.mark.parametrize("rounds", [30, 120])
def test_trees_have_the_rounds_that_held_out_pairs_ask_for(rounds):
    """Noise asks for the fewest rounds, a steep function without noise for the most."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 2))
    truth = np.sin(9 * x[:, :1]) if rounds == 120 else rng.normal(size=(600, 1))
    held = np.arange(600) % 2
    forests, predicted = fit_forests(
        x, truth, held, [held != part for part in range(2)], [np.arange(2)], 0
    )
    assert [len(own[0].leaf) for own in forests] == [rounds, rounds]
    np.testing.assert_array_equal(predicted[held == 0, 0], forests[0][0](x[held == 0])[:, 0])


@pytest.mark.slow
def test_intervals_of_later_times_cover_and_means_beat_the_last_value():
    """Twelve panels of 16 series, 6 rows ahead: coverage at each third, errors of all."""
    covered, ours, last = [], [], []
    ahead = 40 + np.arange(6.0)
    for seed in range(12):
        values = panel(seed, rows=46, drift=0.3)
        series, truth = series_of(values[:, :40]), values[:, 40:]
        model = NeuralSDEForecaster(horizon=6.0, random_state=seed).fit(series)
        low, high = model.forecast(series, ahead, 200).interval(0.9)
        inside = (low[:, :, 0] <= truth) & (truth <= high[:, :, 0])
        covered.append(inside.reshape(16, 3, 2).mean(axis=(0, 2)))
        ours.append(np.mean((model.predict(series, ahead)[:, :, 0] - truth) ** 2))
        last.append(np.mean((values[:, 39:40] - truth) ** 2))
    error = np.std(covered, axis=0) / np.sqrt(12)
    assert (np.mean(covered, axis=0) > 0.85 - 3 * error).all()
    assert np.mean(ours) < 0.8 * np.mean(last)
