"""Ordered channels are drawn at gaps of the law of real ones: zeros, quantiles, and the order."""

import numpy as np
import pytest
from scipy.stats import norm

from trajinfer import IrregularSeries, load
from trajinfer.scores import ScoreSeries
from trajinfer.scores.gap_law import GapLaw
from trajinfer.scores.hung_channels import Place, places_of

ZEROS = 0.15


@pytest.mark.parametrize("zeros", [0.0, 0.3])
def test_quantiles_of_free_gaps_give_those_of_gaps(zeros):
    rng = np.random.default_rng(0)
    gaps = rng.gamma(2.0, size=3000) * (rng.random(3000) >= zeros)
    law = GapLaw.of(rng.normal(size=5000), gaps)
    np.testing.assert_allclose(law.gap(law.free), law.gaps, rtol=1e-12)
    far = np.linspace(-9, 9, 1001)
    assert (np.diff(law.gap(far)) >= 0).all()
    assert ((law.gap(far) == 0).any()) == (zeros > 0)


def test_the_law_of_gaps_is_that_of_the_closed_form():
    """N(0, 1) to an exponential law with an atom: -log(1 - (Phi(x) - p)/(1 - p)) beyond it."""
    rng = np.random.default_rng(1)
    n = 200_000
    gaps = rng.exponential(size=n) * (rng.random(n) >= ZEROS)
    law = GapLaw.of(rng.normal(size=n), gaps)
    x = np.linspace(-0.9, 2, 30)
    truth = -np.log1p(-(norm.cdf(x) - ZEROS) / (1 - ZEROS))
    # quantiles of both samples err by at most sqrt(1/(n S)) of the share S beyond: 4.5 errors
    assert (np.abs(law.gap(x) - truth) < 4.5 * np.sqrt(2 / (n * norm.sf(x)))).all()
    assert (law.gap(np.array([-5.0, norm.ppf(ZEROS) - 0.05])) == 0).all()


def test_channels_at_the_ends_of_an_order_hang_from_the_rest():
    able, positive = np.ones(4, bool), np.array([True, True, True, False])
    bar = ((2, 0), (2, 3), (0, 1), (3, 1))
    low, high = places_of(bar, able, positive)
    assert (low.channel, low.others, low.above) == (2, (0, 3), False)
    assert (high.channel, high.others, high.above) == (1, (0, 3), True)
    assert not low.logarithm
    chain = places_of(((0, 1), (1, 2)), able, positive)
    assert chain == places_of(((0, 1), (1, 2), (0, 2)), able, positive)
    assert chain == (Place(2, (1,), True, True), Place(0, (1,), False, True))
    assert places_of(bar, np.zeros(4, bool), positive) == ()


def test_a_channel_lies_at_its_gap_from_the_nearest():
    values = np.exp(np.random.default_rng(0).normal(size=(50, 3)))
    for above, rim in ((True, values[:, 1:].max(axis=1)), (False, values[:, 1:].min(axis=1))):
        for logarithm in (True, False):
            place = Place(0, (1, 2), above, logarithm)
            np.testing.assert_allclose(
                place.at(values, place.gaps(values)), values[:, 0], rtol=1e-12
            )
            np.testing.assert_array_equal(place.at(values, np.zeros(50)), rim)


def bars(n, rng):
    """Middle, low and high, whose gaps are zero with chance .15; (n, 6, 3)."""
    middle = rng.normal(size=(n, 6)).cumsum(axis=1)
    gaps = 0.3 * rng.gamma(2.0, size=(2, n, 6)) * (rng.random((2, n, 6)) >= ZEROS)
    return np.stack([middle, middle - gaps[0], middle + gaps[1]], axis=2)


def positive_bars(n, rng):
    """Their exponentials, of which the gaps are those of logarithms."""
    return np.exp(0.3 * bars(n, rng))


@pytest.fixture(scope="module", params=[bars, positive_bars], ids=["real", "positive"])
def fitted(request):
    values = request.param(400, np.random.default_rng(0))
    series = IrregularSeries.from_arrays(np.arange(6.0), values)
    return ScoreSeries(n_components=1, random_state=0).fit(series), values


def test_draws_keep_the_order_and_the_law_of_gaps(fitted):
    model, values = fitted
    hung = model.model_.exact.hung
    assert sorted(one.place.channel for one in hung) == [1, 2]
    drawn = model.sample(1500, random_state=1).values
    assert (drawn[..., 1] <= drawn[..., 0]).all()
    assert (drawn[..., 0] <= drawn[..., 2]).all()
    for one in hung:
        real, ours = one.place.gaps(values), one.place.gaps(drawn)
        for level in (0.0, *np.quantile(real, [0.3, 0.5, 0.8])):
            share = (real <= level).mean()
            # learned from 20 000 draws and read at 9000: 4.5 errors, 16 comparisons
            error = np.sqrt(share * (1 - share) * (1 / 9000 + 1 / 20_000))
            assert abs((ours <= level).mean() - share) < 4.5 * error


def test_gaps_are_saved(fitted, tmp_path):
    model = fitted[0]
    again = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(
        again.sample(20, random_state=1).values, model.sample(20, random_state=1).values
    )


def test_what_is_observed_is_kept_and_gaps_are_drawn_beside_it(fitted):
    model, values = fitted
    hidden = np.random.default_rng(2).random(values[:10].shape) < 0.5
    hidden[:, 0, 0] = False
    shown = IrregularSeries.from_arrays(np.arange(6.0), np.where(hidden, np.nan, values[:10]))
    paths = model.interpolate(shown, np.arange(6.0), 20).samples
    known = np.broadcast_to(~hidden[:, None], paths.shape)
    np.testing.assert_allclose(
        paths[known], np.broadcast_to(values[:10, None], paths.shape)[known], rtol=1e-9, atol=1e-9
    )
    assert (paths[..., 1] <= paths[..., 0] + 1e-9).all()
    assert (paths[..., 0] <= paths[..., 2] + 1e-9).all()


def test_gaps_of_series_with_holes_are_learned_too():
    rng = np.random.default_rng(3)
    values = bars(60, rng)
    values[rng.random((60, 6)) < 0.2] = np.nan
    series = IrregularSeries.from_arrays(np.arange(6.0), values)
    model = ScoreSeries(n_components=1, random_state=0).fit(series)
    assert sorted(one.place.channel for one in model.model_.exact.hung) == [1, 2]
    drawn = model.sample(500, random_state=1).values
    assert (drawn[..., 1] <= drawn[..., 0]).all()
    assert (drawn[..., 0] <= drawn[..., 2]).all()
    for one in model.model_.exact.hung:
        real = one.place.gaps(values[~np.isnan(values).any(axis=2)])
        assert abs((one.place.gaps(drawn) == 0).mean() - (real == 0).mean()) < 0.03
