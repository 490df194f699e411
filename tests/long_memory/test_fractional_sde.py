"""`FractionalSDE`: exact and variational fits, forecasts, what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import trajinfer
from trajinfer import FractionalSDE, InputError, IrregularSeries
from trajinfer._core.errors import ExtrapolationWarning
from trajinfer.fractional import simulate_fbm, simulate_fractional_ou
from trajinfer.fractional.nodes import default_nodes
from trajinfer.long_memory.chain import guided_proposal, make_steps
from trajinfer.long_memory.exact import ExactProcess
from trajinfer.long_memory.grid import merged_grid
from trajinfer.long_memory.linear import (
    HIGHEST_HURST,
    LOWEST_HURST,
    LinearParameters,
    NoiseBasis,
    evidence_of,
)
from trajinfer.long_memory.network import GuidedProcess

TS = np.linspace(0.0, 6.0, 31)


def returning(hurst=0.7, n=6, noise=0.1, ts=TS, seed=0):
    paths = simulate_fractional_ou(hurst, 1.0, ts, n, random_state=seed).values
    error = noise * np.random.default_rng(1000 + seed).normal(size=paths.shape)
    return IrregularSeries.from_arrays(ts, paths + error)


@pytest.fixture(scope="module")
def series():
    return returning()


@pytest.fixture(scope="module")
def exact(series):
    return FractionalSDE(random_state=0).fit(series)


@pytest.fixture(scope="module")
def variational(series):
    return FractionalSDE(random_state=0, drift="mlp", hidden=8, max_epochs=2, step=2.0, n_ou=6).fit(
        series
    )


def parameters(hurst=0.7, theta=2.0, mean=0.3, volatility=1.1, noise=0.2, start_sd=np.nan):
    values = (hurst, theta, mean, volatility, noise, start_sd)
    return LinearParameters(*(torch.tensor([v], dtype=torch.float64) for v in values))


def noise_basis(n_ou=8):
    return NoiseBasis(torch.as_tensor(default_nodes(n_ou, 1.0)), 1)


@pytest.mark.parametrize("start_sd", [np.nan, 0.5])
@pytest.mark.parametrize("largest_step", [0.2, 0.02])
def test_the_bound_is_tight_for_a_linear_drift(largest_step, start_sd):
    """With the guide alone the bound is the evidence of the discrete model, at every step."""
    times = np.array([[0.0, 0.05, 0.3, 0.31, 0.7, 1.0]])
    values = np.array([0.1, 0.2, -0.4, -0.3, np.nan, 0.9])[None, :, None]
    grid = merged_grid(times, values, None, largest_step)
    basis, at = noise_basis(), parameters(start_sd=start_sd)
    model = GuidedProcess(basis, at, at.noise, hidden=(8, 8))
    steps = make_steps(grid, basis.nodes)
    with torch.no_grad():
        guide = model.proposal(steps, grid.values, at.noise)
        paths, divergence = model.rollout(steps, guide, 400, torch.Generator().manual_seed(0))
        bounds = model.log_likelihood(paths, grid.values) - divergence
    evidence = float(evidence_of(grid, basis, at))
    error = float(bounds.std() / 20)
    # what is left is the midpoint rule in X, of second order in the step
    assert abs(float(bounds.mean()) - evidence) < 4 * error + 2.0 * largest_step**2


def test_the_gradient_of_the_bound_is_that_of_the_evidence():
    """For a linear drift, whatever the noise: paths follow the parameters through their guide."""
    times, values = np.linspace(0, 1, 11)[None], np.sin(np.arange(11.0))[None, :, None]
    at, basis = parameters(volatility=2.0, noise=0.01, start_sd=0.5), noise_basis()
    grid = merged_grid(times, values, None, 0.02)
    model = GuidedProcess(basis, at, at.noise, hidden=(8, 8))
    steps = make_steps(grid, basis.nodes)
    guide = model.proposal(steps, grid.values, model.log_noise.exp())
    paths, divergence = model.rollout(steps, guide, 200, torch.Generator().manual_seed(0))
    (model.log_likelihood(paths, grid.values) - divergence).mean().backward()
    share = (0.7 - LOWEST_HURST) / (HIGHEST_HURST - LOWEST_HURST)
    per_hurst = (HIGHEST_HURST - LOWEST_HURST) * share * (1 - share)

    def slope(name, scale):
        low, high = (
            evidence_of(grid, basis, replace(at, **{name: getattr(at, name) + move}))
            for move in (-1e-5, 1e-5)
        )
        return float(high - low) / 2e-5 * scale

    assert float(model.raw_hurst.grad) == pytest.approx(slope("hurst", per_hurst), rel=0.05)
    assert float(model.log_volatility.grad) == pytest.approx(slope("volatility", 2.0), rel=0.05)
    assert float(model.log_noise.grad) == pytest.approx(slope("noise", 0.01), abs=0.05)


@pytest.mark.parametrize("kind", ["motion", "returning"])
def test_series_that_start_at_one_place_keep_their_index(kind):
    """Taken for stationary, such series give indices of .4 to .7."""
    if kind == "motion":
        paths = simulate_fbm(0.3, TS, 24, random_state=7).values
    else:
        paths = simulate_fractional_ou(0.3, 1.0, TS, 24, start="zero", random_state=7).values
    noise = 0.05 * np.random.default_rng(1007).normal(size=paths.shape)
    series = IrregularSeries.from_arrays(TS, paths + noise)
    model = FractionalSDE(random_state=0).fit(series)
    low, high = model.hurst_interval_[0]
    assert low < 0.3 < high
    assert model.hurst_[0] == pytest.approx(0.3, abs=0.1)
    assert not model.stationary_[0]


def test_the_guide_is_the_conditional_law():
    """Means of guided paths are those of the exact smoother, and spread as its draws do."""
    times, values = np.linspace(0, 1, 11)[None], np.full((1, 11, 1), np.nan)
    values[0, [2, 7], 0] = [1.0, -1.0]
    basis, at = noise_basis(), parameters(hurst=0.3, theta=0.5)
    grid = merged_grid(times, values, times, 0.05)
    model = GuidedProcess(basis, at, at.noise, hidden=(8, 8))
    steps = make_steps(grid, basis.nodes)
    with torch.no_grad():
        guide = model.proposal(steps, grid.values, at.noise)
        paths, _ = model.rollout(steps, guide, 4000, torch.Generator().manual_seed(1))
    found = paths[:, 0, grid.queries[0], 0]
    process = ExactProcess(basis, at)
    expected = process.draws(grid, 4000, process.seeds(2, [0]))[0, :, :, 0]
    error = torch.Generator().manual_seed(3)
    found = found + at.noise * torch.randn(found.shape, generator=error, dtype=torch.float64)
    size = expected.std(0)
    assert float(((found.mean(0) - expected.mean(0)) / size).abs().max()) < 5 * (2 / 4000) ** 0.5
    assert float((found.std(0) / size - 1).abs().max()) < 0.08


def test_without_observations_the_guide_is_the_prior():
    basis, at = noise_basis(), parameters()
    grid = merged_grid(np.linspace(0, 1, 5)[None], np.full((1, 5, 1), np.nan))
    model = GuidedProcess(basis, at, at.noise, hidden=(8, 8))
    steps = make_steps(grid, basis.nodes)
    with torch.no_grad():
        guide = guided_proposal(model.law(), steps, grid.values, at.noise)
    assert not guide.offset.any()
    assert not guide.gain.any()
    assert float(guide.divergence.abs().max()) < 1e-12
    with torch.no_grad():
        _, divergence = model.rollout(steps, guide, 3, torch.Generator().manual_seed(0))
    assert float(divergence.abs().max()) < 1e-12


def test_divergence_counts_every_channel():
    """Two independent copies of a process are twice as far from the prior as one."""
    times = np.linspace(0, 1, 6)[None]
    one = np.array([0.0, 1.0, 0.5, -1.0, 0.2, 0.9])[None, :, None]
    basis, found = noise_basis(), []
    for copies in (1, 2):
        grid = merged_grid(times, np.repeat(one, copies, axis=2))
        at = LinearParameters(*(getattr(parameters(), k).repeat(copies) for k in FIELDS))
        model = GuidedProcess(basis, at, at.noise, hidden=(8, 8))
        steps = make_steps(grid, basis.nodes)
        with torch.no_grad():
            guide = model.proposal(steps, grid.values, at.noise)
            generator = torch.Generator().manual_seed(0)
            _, divergence = model.rollout(steps, guide, 4000, generator)
        found.append(float(divergence.mean()))
    assert found[1] == pytest.approx(2 * found[0], rel=0.02)


FIELDS = ("hurst", "theta", "mean", "volatility", "noise", "start_sd")


def test_parameters_are_in_units_of_the_data(series, exact):
    scaled = IrregularSeries.from_arrays(series.times * 24.0 + 1000.0, 50.0 * series.values - 3.0)
    other = FractionalSDE(random_state=0).fit(scaled)
    np.testing.assert_allclose(other.hurst_, exact.hurst_, atol=1e-3)
    np.testing.assert_allclose(other.theta_ * 24.0, exact.theta_, rtol=2e-2)
    np.testing.assert_allclose(other.mean_, 50.0 * exact.mean_ - 3.0, rtol=1e-2, atol=0.5)
    ratio = other.volatility_ / (50.0 * 24.0**-exact.hurst_ * exact.volatility_)
    np.testing.assert_allclose(ratio, 1.0, rtol=2e-2)
    shift = series.n_observations * np.log(50.0)
    assert other.elbo_ == pytest.approx(exact.elbo_ - shift, abs=0.05)


def test_learned_index_and_interval(exact):
    assert exact.stationary_.tolist() == [True]
    assert exact.hurst_.shape == (1,)
    (low, high), (hurst,) = exact.hurst_interval_[0], exact.hurst_
    assert low < hurst < high
    assert low < 0.7 < high
    assert exact.noise_[0] == pytest.approx(0.1, abs=0.08)


def test_a_fixed_index_stays(series):
    for given in (0.5, [0.5]):
        model = FractionalSDE(given, n_ou=3, random_state=0).fit(series[:1])
        assert model.hurst_.tolist() == [0.5]
        assert model.hurst_interval_.tolist() == [[0.5, 0.5]]


def test_forecasts_join_the_last_observation_and_widen(series, exact):
    forecast = exact.forecast(series, [6.0, 6.1, 8.0], n=400)
    assert forecast.samples.shape == (6, 400, 3, 1)
    spread = forecast.std()[..., 0].mean(axis=0)
    assert spread[0] < spread[1] < spread[2]
    last = series.values[:, -1, 0]
    assert np.abs(forecast.mean()[:, 0, 0] - last).max() < 0.35
    by_duration = exact.forecast(series, horizon=2.0, n=10)
    assert by_duration.ts[[0, -1]] == pytest.approx([6.1, 8.0])
    by_default = exact.forecast(series, n=2)
    assert by_default.ts[[0, -1]] == pytest.approx([6.15, 9.0])
    assert exact.forecast(series, 8.0, n=2).ts.tolist() == [8.0], "a number is one time"


def test_the_future_is_not_seen(series, exact):
    cut = series.until(4.0)
    planted = IrregularSeries.from_arrays(cut.times, cut.values)
    ours = exact.forecast(cut, [4.5, 5.0], n=20).samples
    assert np.array_equal(ours, exact.forecast(planted, [4.5, 5.0], n=20).samples)


def test_interpolation_passes_between_the_observations(series, exact):
    holes = series.with_values(np.where((series.times == TS[10])[..., None], np.nan, series.values))
    found = exact.interpolate(holes, TS[10:11], n=400)
    error = found.mean()[:, 0, 0] - series.values[:, 10, 0]
    assert np.abs(error / found.std()[:, 0, 0]).max() < 3.5
    assert found.std().mean() < exact.forecast(series.until(TS[9]), TS[10:11], n=400).std().mean()


def test_each_series_may_have_its_own_times():
    rng = np.random.default_rng(0)
    times = [np.sort(rng.uniform(0, 5, k)) for k in (7, 10, 5)]
    values = [np.cumsum(rng.normal(size=(len(t), 2)), axis=0) for t in times]
    values[0][3, 1] = np.nan
    series = IrregularSeries.from_arrays(times, values)
    model = FractionalSDE(random_state=0, n_ou=4).fit(series)
    assert model.hurst_.shape == (2,)
    asked = series.last_times[:, None] + [[0.1, 0.5]]
    found = model.forecast(series, asked, n=7)
    assert found.samples.shape == (3, 7, 2, 2)
    assert np.isfinite(found.samples).all()


def test_datetimes_go_in_and_come_out():
    dates = pd.date_range("2021-03-01", periods=12, freq="h")
    values = returning(ts=np.linspace(0, 6, 12)).values
    series = IrregularSeries.from_arrays(dates, values)
    model = FractionalSDE(0.5, random_state=0, n_ou=3).fit(series)
    found = model.forecast(series, dates[-1:] + pd.Timedelta("2h"), n=5)
    assert list(found.time_labels) == [dates[-1] + pd.Timedelta("2h")]
    # a duration may be spelled in days, or be one
    ahead = model.forecast(series, horizon=pd.Timedelta("2h"), n=5)
    same = model.forecast(series, horizon=2 / 24, n=5)
    np.testing.assert_array_equal(ahead.samples, same.samples)
    drawn = model.sample(3, pd.to_timedelta([0, 2], unit="h"))
    np.testing.assert_array_equal(drawn.values, model.sample(3, [0.0, 2 / 24]).values)
    assert drawn.to_frame()["time"].max() == pd.Timedelta("2h")


def test_variational_fit_with_a_network_forecasts_as_the_exact_one(series, exact, variational):
    assert np.abs(variational.hurst_ - exact.hurst_).max() < 0.1
    ours = variational.forecast(series, [6.5, 8.0], n=300)
    theirs = exact.forecast(series, [6.5, 8.0], n=300)
    np.testing.assert_allclose(ours.std(), theirs.std(), rtol=0.35)
    assert np.abs(ours.mean() - theirs.mean()).max() < 0.35
    assert np.isfinite(variational.elbo_)
    assert len(variational.history_) == 2


def test_student_noise_is_fitted(series):
    wild = series.values.copy()
    wild[:, 5] += 6.0
    heavy = FractionalSDE(
        0.7, random_state=0, likelihood="student_t", max_epochs=1, step=2.0, n_ou=5, hidden=8
    ).fit(series.with_values(wild))
    assert np.isfinite(heavy.forecast(series, [6.5], n=10).samples).all()


def test_channels_share_latent_processes():
    ts = TS[::2]
    series = returning(n=4, ts=ts)
    mixed = np.concatenate([series.values, -2 * series.values, 0.5 * series.values], axis=2)
    mixed = mixed + 0.05 * np.random.default_rng(1).normal(size=mixed.shape)
    series = IrregularSeries.from_arrays(ts, mixed)
    model = FractionalSDE(
        random_state=0, latent_dim=1, max_epochs=2, step=2.0, n_ou=5, hidden=8
    ).fit(series)
    assert model.hurst_.shape == (1,)
    found = model.forecast(series, [6.2], n=200).samples[:, :, 0]
    correlation = np.corrcoef(found[0].T)
    assert correlation[0, 1] < -0.5 < 0.5 < correlation[0, 2]
    assert model.sample(3, [0.0, 1.0]).values.shape == (3, 2, 3)


def test_draws_do_not_depend_on_the_order_of_calls(series, exact):
    first = exact.forecast(series, [7.0], n=5).samples
    exact.sample(2, [0.0, 1.0])
    assert np.array_equal(first, exact.forecast(series, [7.0], n=5).samples)
    other = exact.forecast(series, [7.0], n=5, random_state=1).samples
    assert not np.array_equal(first, other)


def test_draws_of_different_series_are_independent(series, exact, variational):
    """Correlations of 400 draws are 0 within 5 standard errors, though times are shared."""
    n = 400
    for model in (exact, variational):
        drawn = model.forecast(series, [6.5, 8.0], n=n).samples[:, :, 1, 0]
        correlation = np.corrcoef(drawn)[np.triu_indices(len(series), 1)]
        assert np.abs(correlation).max() < 5 / np.sqrt(n)


def test_answers_do_not_depend_on_the_other_series(exact, variational):
    rng = np.random.default_rng(0)
    times = [np.sort(rng.uniform(0, 6, k)) for k in (12, 31, 9, 20)]
    values = [np.cumsum(rng.normal(size=len(t))) / 3 for t in times]
    many = IrregularSeries.from_arrays(times, values)
    ts = [6.5, 7.0]
    for model in (exact, variational):
        together = model.predict(many, ts)
        for rows in ([2], [3, 0], [1, 2, 3]):
            np.testing.assert_allclose(model.predict(many[rows], ts), together[rows], atol=1e-8)
    drawn = exact.forecast(many, ts, n=3).samples
    np.testing.assert_allclose(exact.forecast(many[[3, 1]], ts, n=3).samples, drawn[[3, 1]])


def test_predictions_are_the_means_of_draws_and_do_not_move(series, exact, variational):
    n = 1000
    for model, paths in ((exact, np.inf), (variational, 200)):
        ts = [[8.0, 6.5, 8.0]] * len(series)
        predicted = model.predict(series, ts)
        np.testing.assert_array_equal(predicted, model.predict(series, ts))
        np.testing.assert_allclose(predicted[:, 0], predicted[:, 2], atol=1e-12)
        forecast = model.forecast(series, ts, n=n)
        error = forecast.std() * np.sqrt(1 / n + 1 / paths)
        assert (np.abs(predicted - forecast.mean()) < 5 * error).all()
    seeds = [FractionalSDE(0.5, n_ou=3, random_state=seed).fit(series[:1]) for seed in (0, 7)]
    np.testing.assert_array_equal(*(model.predict(series, [7.0]) for model in seeds))


def test_times_may_come_in_any_order(series, exact, variational):
    for model in (exact, variational):
        forward = model.forecast(series, [6.5, 7.0, 8.0], n=5)
        turned = model.forecast(series, [8.0, 6.5, 7.0], n=5)
        assert turned.ts.tolist() == [8.0, 6.5, 7.0]
        np.testing.assert_allclose(
            model.predict(series, [8.0, 6.5]), model.predict(series, [6.5, 8.0])[:, ::-1]
        )
        if model is exact:
            error = turned.samples[:, :, [1, 2, 0]] - forward.samples
            assert np.abs(error).max() < 8 * exact.noise_[0], "the same paths, with other errors"
        drawn = model.sample(4, [2.0, 0.0, 1.0]).values
        np.testing.assert_allclose(drawn[:, [1, 2, 0]], model.sample(4, [0.0, 1.0, 2.0]).values)


def test_old_names_are_understood(series, exact):
    with pytest.warns(FutureWarning, match="series= is now called X="):
        exact.predict(series=series, ts=[7.0])


def test_what_the_fit_leaves(series, exact, variational):
    for model in (exact, variational):
        assert model.n_features_in_ == 1
        assert model.feature_names_in_.tolist() == ["x0"]
        assert model.converged_
        assert model.n_iter_ >= 1
        assert model.seed_ == 0
        assert len(model.sample()) == len(series)
    with pytest.raises(AttributeError, match="call fit first"):
        _ = FractionalSDE().hurst_


def test_saved_models_forecast_the_same(series, exact, variational, tmp_path):
    series = series[:2]
    for name, model in (("exact", exact), ("variational", variational)):
        again = trajinfer.load(model.save(tmp_path / name))
        for call in ("forecast", "interpolate"):
            ours = getattr(model, call)(series, [6.0, 7.0], n=4).samples
            np.testing.assert_array_equal(
                getattr(again, call)(series, [6.0, 7.0], n=4).samples, ours
            )
        assert again.elbo_ == model.elbo_
        assert again.history_ == model.history_
        np.testing.assert_array_equal(again.predict(series, [7.0]), model.predict(series, [7.0]))
        np.testing.assert_array_equal(again.hurst_interval_, model.hurst_interval_)


def test_score_prefers_the_right_memory():
    ts = np.linspace(0, 1, 20)
    paths = simulate_fbm(0.9, ts, 12, random_state=0).values
    series = IrregularSeries.from_arrays(ts, paths)
    learned = FractionalSDE(random_state=0, n_ou=6).fit(series)
    markov = FractionalSDE(0.5, random_state=0, n_ou=6).fit(series)
    assert learned.score(series) > markov.score(series)
    assert learned.elbo_ > markov.elbo_ + 10


def test_a_second_fit_forgets_the_steps_of_the_first():
    series = returning(n=2, ts=TS[:10])
    settings = {"hurst": 0.5, "inference": "variational", "max_epochs": 1, "n_ou": 3, "hidden": 4}
    settings |= {"random_state": 0}
    slower = IrregularSeries.from_arrays(10 * series.times, series.values)
    again = FractionalSDE(**settings).fit(series).fit(slower)
    once = FractionalSDE(**settings).fit(slower)
    assert again.step_ == once.step_
    np.testing.assert_array_equal(
        again.sample(3, [0.0, 20.0]).values, once.sample(3, [0, 20]).values
    )


def test_channels_go_by_their_names():
    ts = TS[:10]
    values = returning(n=8, ts=ts).values.reshape(4, len(ts), 2) * [1.0, 100.0]
    model = FractionalSDE(0.5, n_ou=3, random_state=0).fit(
        IrregularSeries.from_arrays(ts, values, channels=["a", "b"])
    )
    turned = IrregularSeries.from_arrays(ts, values[..., ::-1], channels=["b", "a"])
    with pytest.raises(InputError, match="in this order"):
        model.forecast(turned, [ts[-1] + 1])


def test_a_score_needs_something_to_score(series, exact):
    with pytest.raises(InputError, match="last fifth"):
        exact.score(series.until(0.0))


def test_beyond_the_horizon_is_warned_of(series, exact):
    with pytest.warns(
        ExtrapolationWarning, match=r"beyond the horizon, 3 ahead .* or 9 since the start"
    ):
        exact.forecast(series, [12.0], n=2)
    wide = FractionalSDE(0.5, horizon=14.0, random_state=0, n_ou=3).fit(series)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide.forecast(series, [12.0], n=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hurst": 1.5}, "between 0 and 1"),
        ({"hurst": "guess"}, "must be 'learn'"),
        ({"hurst": [0.3, 0.4]}, "one value or 1"),
        ({"horizon": -1.0}, "positive duration"),
        ({"horizon": "soon"}, "must be a duration"),
        ({"fbm_type": 3}, "fbm_type"),
        ({"n_ou": 0}, "n_ou"),
        ({"drift": "nn"}, "drift='nn' is unknown"),
        ({"drift": "mlp", "inference": "exact"}, "needs drift='linear'"),
        ({"latent_dim": 2, "max_epochs": 1}, "more than the 1 channels"),
        ({"lr": 0.0}, "must be positive"),
    ],
)
def test_unusable_settings_are_refused(series, settings, message):
    with pytest.raises(InputError, match=message):
        FractionalSDE(**settings).fit(series)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0], [2.0]], "2 observations, at least 4"),
        (np.ones((10, 1)), "constant"),
    ],
)
def test_unusable_series_are_refused(values, message):
    series = IrregularSeries.from_arrays(np.arange(float(len(values))), [values])
    with pytest.raises(InputError, match=message):
        FractionalSDE().fit(series)


def test_unusable_times_are_refused(series, exact):
    for call, ts, message in (
        (exact.forecast, [5.0], "not lie before the last time"),
        (exact.interpolate, [-1.0], "before the first time"),
        (exact.forecast, [np.nan], "finite"),
        (exact.forecast, np.nan, "finite"),
        (exact.forecast, "later", "real numbers"),
        (exact.forecast, [], "empty"),
        (exact.interpolate, [], "empty"),
        (exact.forecast, np.zeros((2, 3)), "must be"),
        (exact.predict, [], "empty"),
        (lambda X, ts: exact.forecast(X, ts, horizon=1.0), [7.0], "got both"),
    ):
        with pytest.raises(InputError, match=message):
            call(series, ts)
    with pytest.raises(InputError, match="before the start"):
        exact.sample(2, [-1.0, 0.5])
    with pytest.raises(InputError, match="empty"):
        exact.sample(2, [])
    with pytest.raises(InputError, match="finite"):
        exact.sample(2, [0.0, np.nan])
    with pytest.raises(InputError, match="positive integer"):
        exact.sample(2.5, [0.0, 1.0])
    two = IrregularSeries.from_arrays(TS, np.zeros((1, 31, 2)))
    with pytest.raises(InputError, match="2 channels, the model 1"):
        exact.forecast(two, [7.0])
