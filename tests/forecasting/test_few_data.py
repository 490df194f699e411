"""Few series or short ones: what is held out, which experts answer, seasons, and bias."""

import numpy as np
import pytest

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.forecasting.calendar import shown_period
from trajinfer.forecasting.experts import ridge_columns
from trajinfer.forecasting.features import _past_seasons
from trajinfer.forecasting.folds import Blocks, LaterTimes, WholeSeries, folds_of
from trajinfer.forecasting.mixture import fit_mixture
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import PairSource
from trajinfer.forecasting.quantiles import WEIGHTS, ErrorQuantiles


def one(values):
    return IrregularSeries.from_arrays(
        np.arange(float(len(values))), np.reshape(values, (1, -1, 1))
    )


def flat(n, rows):
    return Observations.of(
        IrregularSeries.from_arrays(np.arange(float(rows)), np.zeros((n, rows, 1)))
    )


@pytest.mark.parametrize(
    ("n", "rich", "kind"),
    [(8, True, WholeSeries), (7, True, Blocks), (3, False, WholeSeries), (2, False, LaterTimes)],
)
def test_what_is_held_out_follows_what_there_is(n, rich, kind):
    assert isinstance(folds_of(flat(n, 9), n, 2.0, 4, 0, rich=rich), kind)


def test_later_times_are_predicted_from_earlier_ones_alone():
    data = flat(2, 90)
    pairs = PairSource.of(data, 10.0).draw(np.random.default_rng(0), 10**6, 10**6)
    folds = LaterTimes()
    held = folds.held(data, pairs)
    assert (data.times[pairs.cut[held < 0]] < 0.25 * 89).all()
    for part in range(folds.count - 1):
        learned = folds.trains(data, pairs, part)
        assert learned.any()
        assert data.times[pairs.target[learned]].max() < data.times[pairs.cut[held == part]].min()
    assert folds.trains(data, pairs, folds.count - 1).all()
    assert not (held == folds.count - 1).any()


@pytest.mark.parametrize("rows", [40, 50, 61, 72])
def test_a_year_is_found_in_few_years_with_growth(rows):
    month = np.arange(rows)
    values = (
        0.3 * month
        + 3 * np.sin(2 * np.pi * month / 12)
        + np.random.default_rng(0).normal(scale=0.3, size=rows)
    )
    channel = Observations.of(one(values)).channel(0)
    assert shown_period(channel, float(rows - 1)) == 12.0


def test_a_walk_has_no_season():
    """Of forty walks of 80 steps, with and without drift, at most four are given a period."""
    rng = np.random.default_rng(0)
    found = [
        shown_period(Observations.of(one((drift + rng.normal(size=80)).cumsum())).channel(0), 79.0)
        for drift in np.repeat([0.0, 0.5], 20)
    ]
    assert np.count_nonzero(found) <= 4


def test_seasons_with_growth_are_continued_exactly():
    """Profile + slope: all that allow for growth are exact; the last season lacks it."""
    period, slope = 12, 0.5
    profile = np.random.default_rng(0).normal(size=period)

    def value(t):
        return profile[t % period] + slope * t

    last, asked = 60, np.array([63, 72, 80])
    whole = np.ceil((asked - last) / period)
    back = (whole[:, None] + np.arange(3)) * period
    then, start = value((asked[:, None] - back).astype(int)), value((last - back).astype(int))
    found = _past_seasons(np.full(3, value(last)), whole, then, start)
    truth = value(asked) - value(last)
    np.testing.assert_allclose(found[:, 2:], np.stack([truth] * 3, axis=1), atol=1e-12)
    np.testing.assert_allclose(found[:, 0], truth - slope * period * whole, atol=1e-12)
    then[:, 0] = np.nan
    assert np.isnan(_past_seasons(np.zeros(3), whole, then, start)).all()


def test_experts_without_an_answer_leave_their_shares_to_the_others():
    """A good expert that answers half of the time has all there and nothing elsewhere."""
    rng = np.random.default_rng(0)
    y, other = rng.normal(size=(2, 2000))
    good = y.copy()
    good[::2] = np.nan
    x = np.stack([0 * y, good, 0.5 * y + 0.1 * other], axis=1)[:, None]
    share = rng.uniform(size=(2000, 1))
    mixture = fit_mixture(("persistence", "good", "other"), x, y[:, None], share, 2000)
    mixed = mixture(x, share)[:, 0]
    np.testing.assert_allclose(mixed[1::2], y[1::2], atol=0.05)
    np.testing.assert_allclose(mixed[::2], x[::2, 0, 2], atol=0.05)
    assert (mixture.without_all[:, 0, 1] == 0).all()


@pytest.mark.parametrize(("n", "least", "most"), [(2, 0.3, 0.7), (1000, 0.95, 1.0)])
def test_few_stretches_do_not_decide_between_like_experts(n, least, most):
    """Two experts, errors 1 and 1.05: level after two stretches, decided after a thousand."""
    rng = np.random.default_rng(0)
    y, a, b = rng.normal(size=(3, 4000))
    x = np.stack([100 + 0 * y, y + a, y + 0.9975 * a + 0.33 * b], axis=1)[:, None]
    mixture = fit_mixture(("persistence", "better", "worse"), x, y[:, None], np.ones((4000, 1)), n)
    assert least <= mixture.shares[2, 0, 1] <= most


def test_a_bias_that_chance_explains_is_not_added():
    """The mean of n errors counts where it is larger than its standard error."""
    share = np.ones((400, 1))
    errors = np.random.default_rng(0).normal(0.2, 1.0, size=(400, 1))
    fit = ErrorQuantiles.fit(errors, share)
    few, many = fit.of_errors_to_come(4), fit.of_errors_to_come(4000)
    np.testing.assert_allclose(fit.mean[2], errors.mean(), atol=0.02)
    np.testing.assert_allclose(few.mean_at(share)[:1], 0.0, atol=0.01)
    np.testing.assert_allclose(many.mean, fit.mean, rtol=0.02)


def test_a_curve_that_few_series_share_is_learned_from_the_others():
    """Six decays from a start of their own: a fifth of the error of the last value."""
    rng = np.random.default_rng(0)
    times = np.arange(12.0)
    start = rng.uniform(5, 15, 8)[:, None]
    values = start * np.exp(-times / 4) + 0.05 * rng.normal(size=(8, 12))
    series = IrregularSeries.from_arrays(times, values[:, :, None])
    model = NeuralSDEForecaster(horizon=3.0, random_state=0).fit(series[:6])
    assert model.is_rough_
    past, later = series[6:].until(2.0), np.array([3.0, 4.0, 5.0])
    error = model.predict(past, later)[:, :, 0] - values[6:, 3:6]
    persistence = values[6:, 2:3] - values[6:, 3:6]
    assert np.sqrt(np.mean(error**2)) < 0.2 * np.sqrt(np.mean(persistence**2))


def test_a_ridge_of_few_pairs_sees_little_of_the_other_channels():
    """Its own past and their last moves and levels; of many pairs it sees all columns."""
    values = np.random.default_rng(0).normal(size=(1, 60, 4)).cumsum(axis=1)
    series = IrregularSeries.from_arrays(np.arange(60.0), values)
    law = NeuralSDEForecaster(horizon=6.0, random_state=0).fit(series).model_.law
    n_features = len(law.design.center)
    width = 1 + n_features + 2 * law.design.n_moves
    many = ridge_columns(law.design, n_features, 4, rich=True)
    assert {len(where) for where in many} == {width}
    for part in law.parts:
        assert max(len(where) for where in part.ridge.columns) < 0.5 * width


@pytest.mark.parametrize("n", [3.0, 5.0, 30.0])
def test_skewed_errors_of_few_stretches_bring_no_mean(n):
    """Errors of mean zero with a long upper tail: wider by the factor of few, no higher."""
    rng = np.random.default_rng(0)
    errors = rng.exponential(size=(3000, 1)) - 1.0
    fit = ErrorQuantiles.fit(errors - errors.mean(), np.ones((3000, 1)))
    to_come = fit.of_errors_to_come(n)
    np.testing.assert_allclose(to_come.mean, 0.0, atol=1e-9)
    width, before = (q.values[:, :, -1] - q.values[:, :, 0] for q in (to_come, fit))
    assert (width > before).all()


def test_a_shock_that_is_over_widens_the_law():
    """The mean of the errors is not added, and their mean square is what was held out."""
    errors = np.random.default_rng(0).normal(1.5, 1.0, size=(4000, 1))
    fit = ErrorQuantiles.fit(errors, np.ones((4000, 1)))
    many = np.full((3, 1), 1e9)  # for distances, so that the mean alone is left to chance
    shock, bias = (fit.of_errors_to_come(9.0, 1e9, many, biased=b) for b in (False, True))
    np.testing.assert_allclose(shock.mean, 0.0, atol=1e-9)
    np.testing.assert_allclose(shock.values**2 @ WEIGHTS, fit.values**2 @ WEIGHTS, rtol=1e-6)
    np.testing.assert_allclose(bias.mean, fit.mean, rtol=0.1)
    assert (np.ptp(bias.values, axis=2) < 0.7 * np.ptp(shock.values, axis=2)).all()


def test_few_errors_have_the_shape_of_a_normal_law_and_many_their_own():
    """Skewness, the difference of the arms of 90 % beside their sum, stays as k / (k + 20)."""
    errors = np.random.default_rng(0).exponential(size=(3000, 1)) - 1.0
    fit = ErrorQuantiles.fit(errors - errors.mean(), np.ones((3000, 1)))

    def lean(quantiles):
        centre = np.full((2, 1), 0.5)
        low, high = quantiles(np.array([[-1.645], [1.645]]), centre)[:, 0]
        middle = quantiles(np.zeros((1, 1)), centre[:1])[0, 0]
        return (high + low - 2 * middle) / (high - low)

    few, many = (lean(fit.of_errors_to_come(4.0, 1e9, np.full((3, 1), k))) for k in (5.0, 1e9))
    assert many == pytest.approx(lean(fit), abs=0.02)
    assert few == pytest.approx(0.2 * lean(fit), abs=0.06)
