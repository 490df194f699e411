"""The forecaster by its default law: coverage, coherent paths, bounds, known inputs, saving."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries, NeuralSDEForecaster, load

QUICK = {"hidden": 8, "max_epochs": 1, "random_state": 0}


def walks(n=100, steps=24, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, steps)).cumsum(axis=1)
    return IrregularSeries.from_arrays(np.arange(float(steps)), x)


@pytest.fixture(scope="module")
def of_walks():
    return NeuralSDEForecaster(horizon=6.0, **QUICK).fit(walks())


def test_spreads_of_random_walks_grow_with_the_root_of_the_lead(of_walks):
    """Standard deviations within 10 % of the truth, coverage within four standard errors."""
    lead = np.array([1, 2, 4, 6])
    whole = walks(n=400, steps=30, seed=1)
    past = whole.until(23.0)
    forecast = of_walks.forecast(past, 23.0 + lead, 400)
    sd = forecast.samples.std(axis=1)[:, :, 0].mean(axis=0)
    np.testing.assert_allclose(sd, np.sqrt(lead), rtol=0.1)
    low, high = forecast.interval(0.9)
    truth = whole.values[:, 23 + lead]
    covered = ((low <= truth) & (truth <= high)).mean(axis=(0, 2))
    np.testing.assert_allclose(covered, 0.9, atol=4 * np.sqrt(0.09 / 400) + 0.02)


def test_increments_maxima_and_sums_of_paths_are_those_of_random_walks(of_walks):
    past = walks(n=40, seed=2)
    x = of_walks.forecast(past, 23.0 + np.arange(1.0, 7.0), 400).samples[:, :, :, 0]
    x = x - past.values[:, -1:]
    true = np.random.default_rng(0).normal(size=(20_000, 6)).cumsum(axis=1)
    np.testing.assert_allclose(np.diff(x, axis=2).std(axis=1).mean(axis=0), 1.0, rtol=0.1)
    assert x.max(axis=2).std(axis=1).mean() == pytest.approx(true.max(axis=1).std(), rel=0.1)
    assert x.sum(axis=2).std(axis=1).mean() == pytest.approx(true.sum(axis=1).std(), rel=0.1)


def test_the_network_has_no_part_worth_naming_in_what_cannot_be_predicted(of_walks):
    shares = of_walks.shares_.groupby("expert")["share"].mean()
    assert shares["persistence"] > 0.4
    assert shares.sum() == pytest.approx(1.0)
    table = of_walks.report_
    assert set(table["by"]) == {"horizon", "age"}
    assert (table["error"] < 1.02 * table["persistence"]).all()
    assert not of_walks.is_rough_
    np.testing.assert_allclose(of_walks.calibration_, 1.0, atol=0.15)


def test_answers_depend_neither_on_the_order_nor_on_the_other_series(of_walks):
    past = walks(n=12, seed=3)
    whole = of_walks.predict(past, [24.0, 26.0])
    order = np.array([5, 2, 9])
    np.testing.assert_allclose(of_walks.predict(past[order], [24.0, 26.0]), whole[order], atol=1e-9)
    drawn = of_walks.forecast(past, [24.0, 26.0], 5).samples
    part = of_walks.forecast(past[order], [24.0, 26.0], 5).samples
    np.testing.assert_allclose(part, drawn[order], atol=1e-9)


def test_a_series_without_any_value_is_forecast_by_what_all_have_in_common(of_walks):
    """Its answer depends on no neighbour, and is as wide as the channel is."""
    past = walks(n=3, seed=3)
    values = past.values.copy()
    values[1] = np.nan
    holes = IrregularSeries.from_arrays(past.times, values)
    answers = of_walks.predict(holes, [24.0, 26.0])
    np.testing.assert_allclose(answers[[0, 2]], of_walks.predict(past, [24.0, 26.0])[[0, 2]])
    np.testing.assert_allclose(answers[1], of_walks.predict(holes[[1]], [24.0, 26.0])[0])
    scale = of_walks.model_.channel_scale[0]
    sd = of_walks.forecast(holes, [24.0], 400).samples.std(axis=1)[:, 0, 0]
    assert sd[1] > 0.5 * scale
    assert sd[0] == pytest.approx(1.0, rel=0.2)
    assert np.abs(answers[1]).max() < scale


def test_a_smooth_series_is_forecast_from_where_it_is():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 20, (30, 20)), axis=1)
    rate, phase = rng.uniform(0.5, 1.5, (30, 1)), rng.uniform(0, 6, (30, 1))
    series = IrregularSeries.from_arrays(times, np.sin(rate * times + phase))
    model = NeuralSDEForecaster(horizon=3.0, **QUICK).fit(series)
    later = series.last_times[:, None] + 0.01
    samples = model.forecast(series, later, 200).samples[:, :, 0, 0]
    truth = np.sin(rate * later + phase)[:, 0]
    limit = 0.03 * series.values.std()
    assert np.sqrt(np.mean((samples.mean(axis=1) - truth) ** 2)) < limit
    assert samples.std(axis=1).mean() < limit


def test_a_channel_keeps_its_own_last_value_and_age():
    """Two walks, the second of which is observed at every third time only."""
    values = np.random.default_rng(0).normal(size=(50, 25, 2)).cumsum(axis=1)
    values[:, np.arange(25) % 3 > 0, 1] = np.nan
    series = IrregularSeries.from_arrays(np.arange(25.0), values)
    model = NeuralSDEForecaster(horizon=4.0, **QUICK).fit(series.until(22.0))
    sd = model.forecast(series.until(23.0), [24.0], 400).samples.std(axis=1)[:, 0].mean(axis=0)
    np.testing.assert_allclose(sd, [1.0, np.sqrt(3.0)], rtol=0.15)  # last seen at 23 and at 21


@pytest.mark.parametrize(
    "given",
    [
        {"clouds": (0, 8)},
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param({"rain": (0.0, None), "clouds": (0, 8)}, marks=pytest.mark.slow),
    ],
)
def test_no_sample_leaves_the_bounds(given):
    rng = np.random.default_rng(0)
    rain = np.maximum(rng.normal(size=(20, 15)), 0.0)
    clouds = np.clip(np.round(4 + 4 * rng.normal(size=(20, 15))), 0, 8)
    price = np.exp(rng.normal(-2, 1, (20, 15)))
    series = IrregularSeries.from_arrays(
        np.arange(15.0),
        np.stack([rain, clouds, price], axis=2),
        channels=["rain", "clouds", "price"],
    )
    model = NeuralSDEForecaster(horizon=4.0, bounds=given, **QUICK).fit(series)
    samples = model.forecast(series, None, 200).samples
    assert samples[..., 0].min() == 0
    assert set(np.unique(samples[..., 1])) <= set(range(9))
    assert samples[..., 2].min() > 0
    assert model.bounds_["clouds"] == (0.0, 8.0)
    assert model.channel_kinds_["price"] == "positive"
    assert (model.predict(series)[..., 2] > 0).all()


def test_bounds_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="outside the bounds"):
        NeuralSDEForecaster(horizon=4.0, bounds={"x0": (0.0, 1.0)}, **QUICK).fit(walks(20))
    with pytest.raises(InputError, match="the channels are x0"):
        NeuralSDEForecaster(horizon=4.0, bounds={"y": (0.0, 1.0)}, **QUICK).fit(walks(20))


def test_inputs_that_are_known_ahead_are_used():
    rng = np.random.default_rng(0)
    dose = rng.normal(size=(60, 14))
    effect = 2 * dose + 0.1 * rng.normal(size=dose.shape)
    series = IrregularSeries.from_arrays(
        np.arange(14.0), np.stack([dose, effect], axis=2), channels=["dose", "effect"]
    )
    model = NeuralSDEForecaster(horizon=3.0, future=["dose"], **QUICK).fit(series)
    past, later = series.until(11.0), series.after(11.0)
    predicted = model.predict(past, [12.0, 13.0], future=later.values[:, :, :1])
    error = predicted[:, :, 1] - later.values[:, :, 1]
    assert np.sqrt(np.mean(error**2)) < 0.3 * effect.std()
    with pytest.raises(InputError, match="forecast needs future="):
        model.predict(past, [12.0])


def test_a_saved_forecaster_answers_bit_for_bit(of_walks, tmp_path):
    again = load(of_walks.save(tmp_path / "model"))
    past = walks(n=5, seed=4)
    assert np.array_equal(again.predict(past), of_walks.predict(past))
    first, second = (m.forecast(past, None, 7).samples for m in (again, of_walks))
    assert np.array_equal(first, second)
    assert again.history_ == of_walks.history_
    assert again.report_.equals(of_walks.report_)


def test_few_series_have_rough_intervals_and_no_network():
    model = NeuralSDEForecaster(horizon=5.0, **QUICK).fit(walks(n=1, steps=60))
    assert model.is_rough_
    assert "network" not in set(model.shares_["expert"])


def drifting_days(n, rows, seed):
    """A wave of the hour of the day on a drift that a static tells, read at random hours."""
    rng = np.random.default_rng(seed)
    hours = np.sort(rng.uniform(0, 60, (n, rows)), axis=1)
    slope = rng.normal(size=n)
    values = slope[:, None] * hours / 12 + 2 * np.sin(2 * np.pi * hours / 24)
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), rows),
            "when": pd.Timestamp("2024-03-01") + pd.to_timedelta(hours.ravel(), unit="h"),
            "x": (values + 0.05 * rng.normal(size=values.shape)).ravel(),
            "slope": np.repeat(slope, rows),
        }
    )
    return IrregularSeries.from_frame(
        frame, id="id", time="when", channels=["x"], statics=["slope"], time_unit="h"
    )


def test_statics_and_the_hour_of_the_day_tell_what_one_observation_cannot():
    """The error from a single first row is less than half of persistence's."""
    model = NeuralSDEForecaster(horizon=12.0, **QUICK).fit(drifting_days(80, 16, 0))
    fresh = drifting_days(60, 4, 1)
    past = IrregularSeries.concatenate([fresh[[k]].until(fresh.times[k, 0]) for k in range(60)])
    ahead = fresh.times[:, 1:] <= fresh.times[:, :1] + 12
    later = np.asarray(fresh.axis.decode(fresh.times[:, 1:].ravel())).reshape(60, 3)
    predicted = model.predict(past, later)[:, :, 0]
    truth, last = fresh.values[:, 1:, 0], fresh.values[:, :1, 0]
    error, persistence = (np.sqrt(np.mean((x - truth)[ahead] ** 2)) for x in (predicted, last))
    assert error < 0.5 * persistence
