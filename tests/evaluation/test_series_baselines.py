"""Simple methods on irregular series, against what can be computed by hand or by others."""

import numpy as np
import pandas as pd
import pytest

from trajinfer._core.errors import InputError
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.evaluation.series import (
    IncrementRidge,
    MiniRocket,
    NearestNeighbour,
    calibration,
    channel_means,
    forecast_figures,
    gaussian_process,
    linear_interpolation,
    missing_rates,
    persistence,
    resampled,
)
from trajinfer.series.experts.resampling import shared_window


def holes():
    """Two series of two channels with times of their own; the last channel of one never seen."""
    values = [
        np.array([[1.0, np.nan], [np.nan, 4.0], [3.0, 8.0]]),
        np.array([[2.0, np.nan], [6.0, np.nan]]),
    ]
    return IrregularSeries.from_arrays([[0.0, 1.0, 3.0], [1.0, 2.0]], values)


def waves(n, seed, *, length=40):
    """Sines of two frequencies with random phases, and which one each is."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    t = np.linspace(0, 1, length)
    angle = 2 * np.pi * (2 + 2 * labels[:, None]) * t + rng.uniform(0, 2 * np.pi, (n, 1))
    values = np.sin(angle) + 0.1 * rng.normal(size=angle.shape)
    names = np.array(["slow", "fast"])[labels]
    return IrregularSeries.from_arrays(t, values[:, :, None], labels=names)


def test_lines_between_observations_and_level_beyond_them():
    found = linear_interpolation(holes(), [0.0, 1.5, 3.0, 9.0])
    assert found[0].tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 8.0], [3.0, 8.0]]
    assert found[1].tolist() == [[2.0, 0.0], [4.0, 0.0], [6.0, 0.0], [6.0, 0.0]]


def test_persistence_and_means_read_observed_values_only():
    assert persistence(holes(), [5.0, 6.0])[0].tolist() == [[3.0, 8.0]] * 2
    assert channel_means(holes(), [5.0])[0].tolist() == [[2.0, 6.0]]
    dropped = holes().with_values(np.where(holes().mask, holes().values, np.nan))
    assert np.array_equal(persistence(dropped, [9.0]), persistence(holes(), [9.0]))


def test_resampling_spans_each_series():
    assert resampled(holes(), 3)[1, :, 0].tolist() == [2.0, 4.0, 6.0]


def clock(times):
    """Series that show the time."""
    return IrregularSeries.from_arrays(times, [np.array(row)[:, None] for row in times])


def test_a_window_keeps_when_things_happened():
    series = clock([[0.0, 2.0, 10.0], [1.0, 5.0, 9.0], [0.0, 3.0, 10.0], [100.0, 110.0]])
    found = resampled(series, 3, (0.0, 10.0))[:, :, 0].tolist()
    assert found[:3] == [[0.0, 5.0, 10.0], [1.0, 5.0, 9.0], [0.0, 5.0, 10.0]]
    assert found[3] == [100.0, 105.0, 110.0]  # outside of the window: its own span


def test_a_window_is_shared_where_series_begin_and_end_together():
    starts = np.linspace(0, 2, 21)
    together = [[a, 5.0, 10.0 - a] for a in starts]
    assert shared_window(clock(together)) == pytest.approx((0.2, 9.8))
    # one that goes on for ever does not widen it
    assert shared_window(clock([*together, [0.0, 900.0]])) == pytest.approx((0.2, 9.8), abs=0.1)
    assert shared_window(clock([[0.0, 1.0, 2.0 + a] for a in starts])) is None
    assert shared_window(clock([[a, 1.5 + a, 2.0 + a] for a in starts])) is None
    assert shared_window(clock([[1.0]] * 3)) is None


def test_grid_refuses_rows_that_are_not_one_per_series():
    with pytest.raises(InputError, match="ts must be"):
        linear_interpolation(holes(), np.zeros((3, 2)))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_increment_ridge_continues_a_linear_recursion(kernel):
    rng = np.random.default_rng(0)
    phase, t = rng.uniform(0, 2 * np.pi, 300), np.arange(16.0)
    paths = np.cos(0.3 * t + phase[:, None])[:, :, None]
    series = IrregularSeries.from_arrays(t[:12], paths[:, :12])
    model = IncrementRidge(kernel, n_lags=4, alpha=1e-6).fit(series[:200], paths[:200, 12:])
    error = np.abs(model.predict(series[200:]) - paths[200:, 12:])
    assert error.max() < 0.02
    moved = np.abs(persistence(series[200:], t[12:]) - paths[200:, 12:])
    assert error.mean() < 0.02 * moved.mean()


def test_gaussian_process_covers_what_it_was_not_shown():
    rng = np.random.default_rng(1)
    t = np.sort(rng.uniform(0, 10, 120))
    truth = np.sin(t) + 0.1 * rng.normal(size=120)
    seen = IrregularSeries.from_arrays(t[::2], truth[None, ::2, None])
    mean, std = gaussian_process(seen, t[1::2], n_restarts=0)
    score = (truth[1::2] - mean[0, :, 0]) / std[0, :, 0]
    assert abs((np.abs(score) < 1.645).mean() - 0.9) < 4 * np.sqrt(0.09 / 60)
    assert np.sqrt(((mean[0, :, 0] - np.sin(t[1::2])) ** 2).mean()) < 0.08
    lonely = IrregularSeries.from_arrays([0.0], [[[1.0]]])
    assert np.isnan(gaussian_process(lonely, [1.0])[0]).all()


def test_warping_equals_the_recursion_written_out():
    from trajinfer.evaluation.series.nearest_neighbour import _warped

    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 7, 2)), rng.normal(size=(3, 7, 2))

    def alone(a, b, band):
        cost = np.full((8, 8), np.inf)
        cost[0, 0] = 0.0
        for i in range(1, 8):
            for j in range(max(1, i - band), min(7, i + band) + 1):
                near = min(cost[i - 1, j], cost[i, j - 1], cost[i - 1, j - 1])
                cost[i, j] = ((a[i - 1] - b[j - 1]) ** 2).sum() + near
        return cost[7, 7]

    for band in (0, 2, 7):
        expected = [[alone(a, b, band) for b in y] for a in x]
        assert np.allclose(_warped(x, y, band), expected)


@pytest.mark.parametrize(
    "make", [NearestNeighbour, lambda: NearestNeighbour("dtw"), lambda: MiniRocket(random_state=0)]
)
def test_classifiers_tell_frequencies_apart_whatever_the_phase(make):
    train, test = waves(60, 0), waves(40, 1)
    model = make().fit(train, train.labels)
    assert (model.predict(test) == test.labels).mean() >= 0.9
    assert set(model.classes_) == {"slow", "fast"}


def test_convolutions_equal_those_of_numpy():
    from trajinfer.series.experts.convolutions import _TRIPLES, _responses

    rng = np.random.default_rng(3)
    values = rng.normal(size=(2, 20, 3))
    mixing = (rng.random((84, 3)) < 0.5).astype(float)
    found = _responses(np.einsum("btc,jc->jbt", values, mixing), 2)
    for kernel in (0, 41, 83):
        weights = np.full(9, -1.0)
        weights[_TRIPLES[kernel]] = 2.0
        dilated = np.zeros(17)
        dilated[::2] = weights
        mixed = values[1] @ mixing[kernel]
        assert np.allclose(found[kernel, 1], np.correlate(mixed, dilated, mode="same"))


def test_missing_rates_hide_the_same_for_every_method():
    seen = []

    class Constant:
        def fit(self, series, y):
            seen.append(series.n_observations)
            return self

        def score(self, series, y):
            seen.append(np.nansum(series.values))
            return 0.5

    train, test = waves(10, 0), waves(8, 1)
    table = missing_rates(lambda _: Constant(), train, test, rates=(0.0, 0.5), seeds=(0, 1))
    assert table.groupby("rate").score.mean().to_dict() == {0.0: 0.5, 0.5: 0.5}
    first = list(seen)
    missing_rates(lambda _: Constant(), train, test, rates=(0.0, 0.5), seeds=(0, 1))
    assert seen[len(first) :] == first
    assert first[0] == 2 * first[4] == train.n_observations
    with pytest.raises(InputError, match="labels"):
        missing_rates(lambda _: Constant(), holes(), test)


def test_intervals_of_the_true_law_hold_their_level_and_narrow_ones_do_not():
    rng = np.random.default_rng(4)
    truth = rng.normal(size=(300, 3, 1))
    honest = calibration(Forecast(rng.normal(size=(300, 500, 3, 1)), np.arange(3.0)), truth)
    assert (abs(honest.coverage - honest.level) < 4 * honest.standard_error + 0.01).all()
    narrow = calibration(Forecast(0.5 * rng.normal(size=(300, 500, 3, 1)), np.arange(3.0)), truth)
    assert (narrow.coverage < narrow.level - 0.1).all()
    assert isinstance(honest, pd.DataFrame)


def test_figures_leave_out_what_was_not_observed():
    rng = np.random.default_rng(5)
    forecast = Forecast(rng.normal(size=(40, 200, 2, 1)), [0.0, 1.0])
    truth = rng.normal(size=(40, 2, 1))
    truth[::2, 1] = np.nan
    figures = forecast_figures(forecast, truth)
    seen = np.isfinite(truth)
    assert figures["mse"] == pytest.approx(((forecast.mean() - truth)[seen] ** 2).mean())
    assert figures["crps"] == pytest.approx(1 / np.sqrt(np.pi), abs=0.15)
    with pytest.raises(InputError, match="no observed value"):
        forecast_figures(forecast, np.full((40, 2, 1), np.nan))
    with pytest.raises(InputError, match="truth must be"):
        calibration(forecast, truth[:3])
