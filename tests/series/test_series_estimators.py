"""What the estimators of irregular series promise, whatever their dynamics."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer import (
    InputError,
    IrregularSeries,
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
    load,
)
from trajinfer._core.seeding import Seeds
from trajinfer.sde import SolverRegularization
from trajinfer.series.by_name import PURE
from trajinfer.series.controls import Controls
from trajinfer.series.forecast_examples import examples_of, holdout_split
from trajinfer.series.network import RECURRENT
from trajinfer.series.recent import recent
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.series.step_grid import step_grid
from trajinfer.training import Callback, Checkpoint

DYNAMICS = (*PURE, *RECURRENT)
SMALL = {"hidden": 6, "max_epochs": 2, "n_samples": 2, "step": 1.0, "random_state": 0}


def waves(n=24, n_times=15, seed=0, **given):
    """Slow and fast waves at times of their own, a third of their values missing."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    times = np.sort(rng.uniform(0, 5, (n, n_times)), axis=1)
    phase = rng.uniform(0, 0.5, (n, 1))
    first = np.sin((1 + 2 * labels[:, None]) * times + phase)
    values = np.stack([first, np.cos(times)], axis=2) + 0.05 * rng.normal(size=(n, n_times, 2))
    whole = IrregularSeries.from_arrays(times, values, labels=labels, **given)
    return whole.drop_observations(0.3, seed)


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_every_dynamics_classifies_and_forecasts(dynamics):
    series, small = waves(12, 10), SMALL | {"step": 0.5}
    model = NeuralSDEClassifier(dynamics, experts=(), **small).fit(series)
    proba = model.predict_proba(series)
    assert proba.shape == (12, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    model = NeuralSDEForecaster(dynamics, horizon=1.0, cutoffs=1, **small).fit(series)
    assert np.isfinite(model.forecast(series, [6.0, 7.0], 3).samples).all()


@pytest.mark.parametrize(
    "dynamics",
    # every dynamics is fitted above; these learn as "langevin" does
    ["langevin", *(pytest.param(d, marks=pytest.mark.slow) for d in ("linear_noise", "geometric"))],
)
def test_a_classifier_learns_what_can_be_learned(dynamics):
    model = NeuralSDEClassifier(
        dynamics, step=0.5, hidden=12, max_epochs=35, lr=2e-2, experts=(), random_state=0
    )
    model.fit(waves(40))
    assert model.score(waves(40, seed=1)) >= 0.9


def test_a_regressor_learns_what_can_be_learned():
    train, test = waves(40), waves(40, seed=1)
    settings = {"step": 0.5, "hidden": 12, "max_epochs": 25, "lr": 2e-2, "experts": ()}
    model = NeuralSDERegressor(random_state=0, **settings)
    model.fit(train, 3.0 + 10.0 * train.labels)
    assert model.score(test, 3.0 + 10.0 * test.labels) > 0.6


def test_a_forecaster_beats_the_last_value():
    rng = np.random.default_rng(0)
    times = np.arange(30.0)
    speed = rng.normal(size=(60, 1))
    series = IrregularSeries.from_arrays(times, (speed * times)[:, :, None])
    model = NeuralSDEForecaster(
        horizon=5, cutoffs=1, step=5, hidden=8, max_epochs=150, lr=1e-2, random_state=0
    )
    model.fit(series[:40])
    past, future = series[40:].until(24), series[40:].after(24)
    error = model.predict(past, future.times) - future.values
    naive = past.values[:, -1:] - future.values
    assert np.mean(error**2) < 0.2 * np.mean(naive**2)


@pytest.mark.parametrize("interpolation", ["hermite", "natural_cubic", "linear", "rectilinear"])
def test_values_that_were_dropped_change_nothing(interpolation):
    batch = SeriesBatch(
        torch.linspace(0, 1, 8, dtype=torch.float64).expand(3, -1),
        torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0)),
        torch.zeros(3, 0),
        torch.ones(3, dtype=torch.float64),
    )
    whole = IrregularSeries.from_arrays(batch.times.numpy(), batch.values.numpy())
    spoilt = whole.values.copy()
    drop = np.random.default_rng(0).random(spoilt.shape) < 0.4
    spoilt[drop] = 1e6
    answers = []
    for values in (whole.values, spoilt):
        kept = IrregularSeries.from_arrays(whole.times, np.where(drop, np.nan, values))
        model = NeuralSDEForecaster(interpolation=interpolation, horizon=0.3, **SMALL)
        answers.append(model.fit(kept).predict(kept, [1.1, 1.2]))
    assert np.array_equal(*answers)


def test_the_future_changes_nothing():
    series = waves()
    planted = series.values.copy()
    planted[series.times > 3.0] *= 100.0
    other = series.with_values(planted)
    model = NeuralSDEForecaster(horizon=1.0, cutoffs=1, **SMALL).fit(series)
    first, second = (model.predict(s.until(3.0), [4.0, 5.0]) for s in (series, other))
    assert np.array_equal(first, second)


def test_padding_changes_nothing():
    series = waves(6)
    longer = waves(1, n_times=40, seed=3)
    model = NeuralSDEForecaster(horizon=1.0, cutoffs=1, **(SMALL | {"stochastic": False}))
    model.fit(series)
    alone = model.predict(series, [6.0, 7.0])
    beside = model.predict(IrregularSeries.concatenate([series, longer]), [6.0, 7.0])
    np.testing.assert_allclose(beside[:6], alone, atol=1e-6)


def test_a_batch_costs_its_longest_series_not_the_union_of_times():
    start = torch.zeros(50, dtype=torch.float64)
    end = torch.linspace(0.5, 1.0, 50, dtype=torch.float64)
    grid = step_grid(start, end, None, 0.1)
    assert grid.times.shape == (50, 11)
    assert torch.equal(grid.times[:, -1], end)
    assert bool((grid.times.diff(dim=1) >= 0).all())


def test_queries_are_hit_exactly():
    queries = torch.tensor([[1.05, 1.3], [1.0, 1.0]], dtype=torch.float64)
    ends = torch.ones(2, dtype=torch.float64)
    grid = step_grid(torch.zeros(2, dtype=torch.float64), ends, queries, 0.1)
    assert torch.equal(grid.times.gather(1, grid.asked), queries)
    assert float(grid.times.diff(dim=1).max()) <= 0.1 + 1e-12


def test_slopes_at_the_end_come_from_observed_pairs():
    nan = torch.nan
    batch = SeriesBatch(
        torch.tensor([[0.0, 0.2, 0.6, 1.0]], dtype=torch.float64),
        torch.tensor([[[1.0, 5.0], [2.0, nan], [4.0, nan], [nan, nan]]]),
        torch.zeros(1, 0),
        torch.ones(1, dtype=torch.float64),
    )
    end = recent(batch, 1, 0.1)
    assert end.last.tolist() == [[4.0, 5.0]]
    slope, age, gap = (end.features[0, 2 * k : 2 * k + 2] for k in (1, 2, 3))
    torch.testing.assert_close(slope, torch.tensor([0.1 * 2.0 / 0.4, 0.0]))
    torch.testing.assert_close(age, torch.tensor([0.4, 1.0]))
    torch.testing.assert_close(gap, torch.tensor([0.4, 0.0]))


def test_derivative_of_the_controls_is_that_of_their_values():
    series = waves(3)
    batch = SeriesBatch(
        torch.tensor(series.times),
        torch.tensor(series.values),
        torch.zeros(3, 0),
        torch.tensor(series.last_times),
    )
    controls = Controls(batch, "hermite", 1e9, 15.0)
    t = torch.linspace(1.01, 3.97, 20, dtype=torch.float64).expand(3, -1)
    step = 1e-6
    difference = (controls.evaluate(t + step) - controls.evaluate(t - step)) / (2 * step)
    slopes = slice(4, 6)
    found = controls.derivative(t)
    difference[..., slopes] = 0.0
    torch.testing.assert_close(found, difference, atol=2e-4, rtol=1e-4)


class Break(Callback):
    """Breaks the run off, as a user does, after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch(self, run):
        if run.epoch == self.epoch:
            raise KeyboardInterrupt


def test_resumed_training_equals_unbroken_training(tmp_path):
    series = waves(12, 8)

    def fitted(folder, epoch):
        callbacks = [Checkpoint(tmp_path / folder), Break(epoch)]
        settings = SMALL | {"max_epochs": 4, "batch_size": 4, "step": 2.5}
        model = NeuralSDEClassifier(experts=("linear",), callbacks=callbacks, **settings)
        return model.fit(series)

    with pytest.raises(KeyboardInterrupt):
        fitted("broken", 2)
    unbroken, resumed = fitted("whole", None), fitted("broken", None)
    assert np.array_equal(unbroken.predict_proba(series), resumed.predict_proba(series))


def test_statics_are_used():
    rng = np.random.default_rng(0)
    statics = rng.normal(size=(40, 1))
    times = np.arange(5.0)
    series = IrregularSeries.from_arrays(times, np.ones((40, 5, 1)), statics=statics)
    settings = {"step": 1, "hidden": 8, "max_epochs": 40, "lr": 2e-2, "experts": ()}
    model = NeuralSDERegressor(random_state=0, **settings)
    model.fit(series, 2 * statics[:, 0])
    assert model.score(series, 2 * statics[:, 0]) > 0.8


def test_solver_penalties_are_part_of_the_loss():
    penalty = SolverRegularization("stiffness", mode="local", weight=0.1)
    model = NeuralSDEClassifier(regularization=penalty, experts=(), **SMALL)
    model.fit(waves(8, 6))
    assert model.history_[-1]["penalty"] > 0


def test_intervals_of_the_interpolator_hold_what_they_promise(tmp_path):
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, (8, 60)), axis=1)
    values = np.sin(1.5 * times + rng.uniform(0, 6, (8, 1))) + 0.2 * rng.normal(size=times.shape)
    series = IrregularSeries.from_arrays(times, values[:, :, None])
    shown = series.drop_observations(0.5, 1)
    model = NeuralSDEInterpolator(**SMALL).fit(shown)
    filled = model.interpolate(shown, series.times, 400)
    hidden = series.mask & ~shown.mask
    error = (filled.mean() - series.values)[hidden]
    assert np.sqrt(np.mean(error**2)) < 0.3  # the noise alone makes 0.2
    low, high = filled.interval(0.9)
    inside = ((low <= series.values) & (series.values <= high))[hidden].mean()
    assert 0.82 <= inside <= 0.97
    again = load(model.save(tmp_path / "model")).interpolate(shown, series.times, 400)
    assert np.array_equal(again.samples, filled.samples)


def test_bad_input_is_refused_with_a_reason():
    series = waves(6)
    with pytest.raises(InputError, match="one class only"):
        NeuralSDEClassifier(**SMALL).fit(series, np.zeros(6))
    with pytest.raises(InputError, match="no labels"):
        NeuralSDEClassifier(**SMALL).fit(IrregularSeries.from_arrays([0.0, 1.0], np.ones((3, 2))))
    model = NeuralSDEClassifier(**SMALL).fit(series)
    with pytest.raises(InputError, match="1 channels"):
        model.predict(IrregularSeries.from_arrays([0.0, 1.0], np.ones((3, 2))))
    with pytest.raises(InputError, match="no pure dynamics 'langevn'; did you mean 'langevin'"):
        NeuralSDEClassifier("langevn", **SMALL).fit(series)
    with pytest.raises(InputError, match="lr must be positive"):
        NeuralSDEClassifier(**(SMALL | {"lr": -1.0})).fit(series)
    forecaster = NeuralSDEForecaster(horizon=1.0, cutoffs=1, **SMALL).fit(series)
    with pytest.raises(InputError, match="ends at"):
        forecaster.forecast(series, [0.0, 1.0])
    with pytest.raises(InputError, match="no series has observations both"):
        NeuralSDEForecaster(horizon=50.0, **SMALL).fit(series)


def test_one_observation_a_missing_and_a_constant_channel_are_fine():
    values = np.full((6, 4, 3), np.nan)
    values[:, :, 0] = np.random.default_rng(0).normal(size=(6, 4))
    values[:, :, 1] = 7.0
    values[0, 1:] = np.nan
    series = IrregularSeries.from_arrays(np.arange(4.0), values)
    model = NeuralSDEClassifier(**SMALL).fit(series, [0, 1, 0, 1, 0, 2])  # a class with one member
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.predict_proba(series)).all()


@pytest.mark.parametrize("n", [1, 3, 12])
def test_a_holdout_split_is_tried_on_what_it_has_not_seen(n):
    times = np.arange(60.0)
    series = IrregularSeries.from_arrays(times, np.random.default_rng(0).normal(size=(n, 60, 1)))
    examples = examples_of(series, horizon=4.0, window=np.inf, n_cutoffs=30)
    learned, tried = holdout_split(examples, 4.0, seed=0)
    assert len(learned)
    assert len(tried)
    for name in np.unique(examples.rows[tried]):
        own = learned[examples.rows[learned] == name]
        if n < 8:
            ends = examples.future.last_times[own].max()
            assert ends <= examples.cutoff[tried][examples.rows[tried] == name].min()
        else:
            assert not len(own)


def test_spreads_of_one_series_are_calibrated_on_its_later_part():
    """Intervals of 90 % cover 200 new independent values, within four standard errors."""
    values = np.random.default_rng(0).normal(size=(1, 400, 1))
    series = IrregularSeries.from_arrays(np.arange(400.0), values)
    model = NeuralSDEForecaster(
        hidden=8, max_epochs=15, cutoffs=60, horizon=5.0, window=50.0, random_state=0
    ).fit(series.until(199.0))
    cutoffs = np.arange(199.0, 399.0, 5.0)
    past = IrregularSeries.concatenate([series.until(t) for t in cutoffs])
    future = np.stack([values[0, int(t) + 1 : int(t) + 6] for t in cutoffs])
    low, high = model.forecast(past, cutoffs[:, None] + np.arange(1.0, 6.0), 200).interval(0.9)
    covered = ((low <= future) & (future <= high)).mean()
    assert covered == pytest.approx(0.9, abs=4 * (0.09 / 200) ** 0.5)


@pytest.mark.parametrize(
    ("unit", "origin"), [(1e-3, 1e7), (1.0, 1e10), (1e-200, 0.0), (1e200, 0.0)]
)
def test_channels_are_standardised_in_any_unit_and_far_from_zero(unit, origin):
    column = np.linspace(-1.0, 1.0, 11)[None, :, None]
    series = IrregularSeries.from_arrays(np.arange(11), origin + unit * column)
    batch = Scaling.of(series, time_origin=0.0, time_scale=1.0).batch(series)
    torch.testing.assert_close(
        batch.values, torch.tensor(column / column.std(), dtype=torch.float32), rtol=1e-5, atol=1e-5
    )


def test_a_constant_channel_keeps_its_unit_whatever_rounding_does_to_its_mean():
    values = np.full((1, 1001, 1), 0.1)
    values[0, ::2] = 0.3 - 0.2
    series = IrregularSeries.from_arrays(np.arange(1001), values)
    scaling = Scaling.of(series, time_origin=0.0, time_scale=1.0)
    assert scaling.values.scale.tolist() == [1.0]


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (["a", np.nan], "NaN"),
        (["a", None], "NaN"),
        (np.array(["a", np.nan], dtype=object), "NaN"),
        (np.array(["a", 1], dtype=object), "mix"),
        (np.array(["2020-01-01", "2021-01-01"], dtype="M8[ns]"), "names or numbers"),
    ],
)
def test_labels_that_name_no_class_are_refused(labels, complaint):
    series = IrregularSeries.from_arrays([0.0, 1.0], np.ones((2, 2)))
    with pytest.raises(InputError, match=complaint):
        NeuralSDEClassifier(max_epochs=1).fit(series, labels)


@pytest.mark.parametrize("horizon", [pd.Timedelta("36h"), np.timedelta64(36, "h"), np.float32(1.5)])
def test_a_forecaster_with_any_kind_of_horizon_is_saved(horizon, tmp_path):
    days = pd.date_range("2020-01-01", periods=12, freq="12h")
    values = np.random.default_rng(0).normal(size=(3, 12, 1))
    series = IrregularSeries.from_arrays(days, values)
    model = NeuralSDEForecaster(
        hidden=np.int64(4), horizon=horizon, cutoffs=np.int64(2), max_epochs=1, random_state=0
    ).fit(series)
    assert model.horizon_ == pytest.approx(1.5)
    again = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(
        again.predict(series, horizon=1.0), model.predict(series, horizon=1.0)
    )
    assert again.fit(series).horizon_ == model.horizon_


@pytest.mark.parametrize("horizon", ["2D", pd.Timedelta("2D"), np.timedelta64(2, "D"), True])
def test_a_duration_in_days_is_refused_where_times_are_numbers(horizon):
    series = IrregularSeries.from_arrays(np.arange(12.0), np.ones((3, 12)))
    with pytest.raises(InputError, match=r"which are numbers, got .*; give a number"):
        NeuralSDEForecaster(horizon=horizon, max_epochs=1).fit(series)


def test_columns_in_another_order_or_of_another_name_are_refused(tmp_path):
    table = pd.DataFrame({"id": [0, 0, 1, 1], "t": [0.0, 1.0] * 2, "a": 1.0, "b": [1.0, 2, 3, 4]})

    def read(channels):
        return IrregularSeries.from_frame(table, id="id", time="t", channels=channels)

    series = read(["a", "b"])
    model = NeuralSDEClassifier(hidden=4, max_epochs=1, experts=(), random_state=0)
    model.fit(series, [0, 1])
    for one in (model, load(model.save(tmp_path / "model"))):
        with pytest.raises(InputError, match=r"columns of these series are \('b', 'a'\)"):
            one.predict(read(["b", "a"]))
        with pytest.raises(InputError, match="those of the fit were"):
            one.predict(
                IrregularSeries.from_arrays(series.times, series.values, channels=["a", "c"])
            )
        unnamed = IrregularSeries.from_arrays(series.times, series.values)
        np.testing.assert_array_equal(one.predict_proba(unnamed), one.predict_proba(series))


def test_series_of_two_observations_have_nothing_to_hide_and_nothing_to_score():
    values = np.random.default_rng(0).normal(size=(10, 2, 1))
    short = IrregularSeries.from_arrays([0.0, 1.0], values)
    model = NeuralSDEInterpolator(hidden=4, max_epochs=10, n_hidings=1, random_state=0).fit(short)
    assert np.isfinite(model.interpolate(short, [0.5], 3).samples).all()
    with pytest.raises(InputError, match="nothing can be hidden"):
        model.score(short)


def test_an_interpolator_learns_from_channels_with_holes_of_their_own():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 12, 2))
    values[rng.random(values.shape) < 0.3] = np.nan
    series = IrregularSeries.from_arrays(np.arange(12.0), values)
    model = NeuralSDEInterpolator(hidden=4, max_epochs=10, n_hidings=1, random_state=0).fit(series)
    start = model.network_.plan.build(Seeds.of(model.seed_).weights).state_dict()
    moved = [name for name, p in model.network_.state_dict().items() if not p.equal(start[name])]
    assert any(name.startswith("head") for name in moved)


@pytest.mark.parametrize("dynamics", ["langevin", "gru"])
def test_latent_forecasts_stay_within_the_bounds_of_their_channels(dynamics):
    rng = np.random.default_rng(0)
    values = np.stack([rng.lognormal(-2, 1, (40, 16)), rng.poisson(1.0, (40, 16))], axis=2)
    times = np.sort(rng.uniform(0, 10, (40, 16)), axis=1)
    series = IrregularSeries.from_arrays(times, values, channels=["dose", "count"])
    model = NeuralSDEForecaster(dynamics, hidden=4, max_epochs=2, n_samples=2, random_state=0)
    drawn = model.fit(series).forecast(series, horizon=2.0, n=50).samples
    assert model.channel_kinds_["dose"] == "positive"
    assert (drawn[..., 0] > 0).all()
    assert (drawn[..., 1] >= 0).all()
    assert (drawn[..., 1] == np.round(drawn[..., 1])).all()
    if dynamics == "gru":  # the cheapest: without bounds samples do leave them
        wide = model.set_params(bounds={"dose": (None, None)}).fit(series)
        assert wide.bounds_["dose"] == (None, None)
        assert (wide.forecast(series, horizon=2.0, n=50).samples[..., 0] < 0).any()
