"""What holds exactly in every series holds in draws, and sizes of rows are learned."""

import numpy as np
import pytest

from trajinfer import IrregularSeries, load
from trajinfer.diffusion.scale_mixture import fit_scale_mixture
from trajinfer.scores import GaussianMixture, ScoreSeries


def market(n, rng):
    """Low, middle and high that begin at a middle of 0; shares of two that sum to 1 over time."""
    middle = 0.1 * rng.standard_t(4, (n, 6)).cumsum(axis=1)
    middle -= middle[:, :1]
    low, high = (0.05 * rng.exponential(size=(n, 6)) for _ in range(2))
    share = rng.gamma(2.0, size=(n, 6))
    share /= share.sum(axis=1, keepdims=True)
    return np.stack([middle - low, middle, middle + high, share, np.exp(middle)], axis=2)


@pytest.fixture(scope="module")
def model():
    values = market(400, np.random.default_rng(0))
    return ScoreSeries(random_state=0).fit(IrregularSeries.from_arrays(np.arange(6.0), values))


def _requires(values):
    assert (values[..., 0] <= values[..., 1]).all()
    assert (values[..., 1] <= values[..., 2]).all()


def test_draws_obey_what_holds_in_every_series(model):
    exact = model.model_.exact
    assert exact.order == ((0, 1), (1, 2))
    assert len(exact.directions) == 1
    assert [relation.channel for relation in exact.smooth] == [4]
    drawn = model.sample(300).values
    _requires(drawn)
    assert (drawn[..., 3] >= 0).all()
    assert (drawn[:, 0, 1] == 0).all()
    np.testing.assert_allclose(drawn[..., 3].sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(drawn[..., 4], np.exp(drawn[..., 1]), rtol=0.02)
    off_grid = model.sample(50, [0.0, 2.5]).values
    _requires(off_grid)
    assert (off_grid[:, 0, 1] == 0).all()


def test_what_is_observed_is_kept_where_the_rest_obeys(model):
    values = market(5, np.random.default_rng(1))
    hidden = np.random.default_rng(2).random(values.shape) < 0.5
    hidden[:, 0, 3], hidden[:, 1, 3] = True, False
    shown = IrregularSeries.from_arrays(np.arange(6.0), np.where(hidden, np.nan, values))
    paths = model.interpolate(shown, np.arange(6.0), 20).samples
    known = np.broadcast_to(~hidden[:, None], paths.shape)
    given = np.broadcast_to(values[:, None], paths.shape)
    np.testing.assert_allclose(paths[known], given[known], atol=1e-9)
    np.testing.assert_allclose(paths[..., 3].sum(axis=2), 1, atol=1e-9)


def test_what_holds_is_saved(model, tmp_path):
    again = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(
        again.sample(20, random_state=1).values, model.sample(20, random_state=1).values
    )


def test_nothing_is_found_where_nothing_holds():
    values = np.random.default_rng(0).normal(size=(200, 5, 2)).cumsum(axis=1)
    series = IrregularSeries.from_arrays(np.arange(5.0), values)
    exact = ScoreSeries(random_state=0).fit(series).model_.exact
    assert exact.order == exact.smooth == ()
    assert not len(exact.directions)
    assert np.isnan(exact.still).all()


def test_a_cell_that_is_the_same_by_chance_is_not_held():
    rng = np.random.default_rng(0)
    rain = np.where(rng.random((80, 30, 1)) < 0.03, rng.exponential(size=(80, 30, 1)), 0.0)
    rain[:, 3], rain[:, 5] = 7.0, 0.0
    series = IrregularSeries.from_arrays(np.arange(30.0), rain)
    still = ScoreSeries(random_state=0).fit(series).model_.exact.still
    assert (rain == 0).all(axis=0).any()
    assert np.flatnonzero(~np.isnan(still[:, 0])).tolist() == [3]


def test_sizes_of_rows_are_recovered():
    """Rows of which one in four is three times as wide: weights, shape, and likelihood."""
    rng = np.random.default_rng(0)
    shape = np.array([[1.0, 0.6], [0.6, 1.0]])
    size = np.where(rng.random(6000) < 0.25, 3.0, 1.0)
    rows = size[:, None] * rng.multivariate_normal([0, 0], shape, 6000)
    learned, aside = rows[:5000], rows[5000:]
    law = fit_scale_mixture(learned)
    assert law.covariance.numpy() == pytest.approx(3.0 * shape, rel=0.1)
    truth = GaussianMixture([0.75, 0.25], np.zeros((2, 2)), [shape, 9 * shape])
    gain = (truth.log_prob(aside) - law.log_prob(aside)).numpy()
    assert gain.mean() < 0.01 + 3 * gain.std() / np.sqrt(len(gain))
    one = (law.log_prob(aside) - GaussianMixture.fit(learned, 1).log_prob(aside)).numpy()
    assert one.mean() > 4 * one.std() / np.sqrt(len(one))
