"""Observations, examples, variograms, features and mixtures, one by one."""

import numpy as np
import pytest
from scipy.special import ndtr

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.forecasting.folds import Blocks
from trajinfer.forecasting.mixture import fit_mixture
from trajinfer.forecasting.observations import Observations, segment_search
from trajinfer.forecasting.pairs import PairSource
from trajinfer.forecasting.quantiles import ErrorQuantiles
from trajinfer.forecasting.range_maximum import RangeMaximum
from trajinfer.forecasting.spread import fit_spread
from trajinfer.forecasting.variogram import Variogram


def walks(n=30, seed=0, longest=40):
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(n):
        times = np.sort(rng.uniform(0, 20, rng.integers(2, longest)))
        values = rng.normal(size=(len(times), 2)).cumsum(axis=0)
        values[rng.random(values.shape) < 0.3] = np.nan
        values[0, 0] = 0.0
        parts.append((times, values))
    return IrregularSeries.from_arrays([t for t, _ in parts], [v for _, v in parts])


def test_pairs_are_all_pairs_within_the_horizon():
    data = Observations.of(walks())
    source = PairSource.of(data, 5.0)
    pairs = source.draw(np.random.default_rng(0), 10**6, 10**6)
    series, found = data.series, set(zip(pairs.cut.tolist(), pairs.target.tolist(), strict=True))
    expected = {
        (i, j)
        for i in range(len(data.times))
        for j in range(i + 1, len(data.times))
        if series[i] == series[j] and data.times[j] - data.times[i] <= 5.0
    }
    assert found == expected
    assert len(pairs) == len(source) == len(expected)


def test_drawn_pairs_are_few_and_every_cut_is_drawn_as_often():
    data = Observations.of(walks(longest=200))
    source = PairSource.of(data, 5.0)
    count = np.zeros(len(data.times))
    for seed in range(200):
        pairs = source.draw(np.random.default_rng(seed), 60, 10**6)
        assert np.bincount(pairs.series, minlength=data.n_series).max() <= 60 + 4
        assert (data.times[pairs.target] - data.times[pairs.cut] <= 5.0).all()
        assert (pairs.target > pairs.cut).all()
        count[np.unique(pairs.cut)] += 1
    longest = int(np.argmax(np.diff(data.starts)))
    rows = np.arange(data.starts[longest], data.starts[longest + 1])
    often = count[rows][source.count[rows] >= 4]
    p = often.mean() / 200
    assert often.std() < 2 * np.sqrt(200 * p * (1 - p))


def test_cutoffs_bound_the_cuts_of_a_series():
    data = Observations.of(walks())
    source = PairSource.of(data, 5.0, cutoffs=3)
    assert np.bincount(data.series[source.count > 0]).max() == 3


def test_segments_are_searched_each_by_itself():
    keys = np.array([1.0, 3.0, 5.0, 0.0, 2.0])
    first, end = np.array([0, 0, 3, 3, 3]), np.array([3, 3, 5, 5, 3])
    found = segment_search(keys, first, end, np.array([3.0, 0.5, 2.5, -1.0, 9.0]))
    assert found.tolist() == [1, -1, 4, 2, 2]


def test_maxima_of_ranges():
    x = np.random.default_rng(0).permutation(50)
    first = np.random.default_rng(1).integers(0, 50, 200)
    last = np.minimum(first + np.random.default_rng(2).integers(0, 50, 200), 49)
    expected = [x[a : b + 1].max() for a, b in zip(first, last, strict=True)]
    assert RangeMaximum.of(x)(first, last).tolist() == expected


@pytest.mark.parametrize(
    ("shape", "nugget"), [(lambda h: h, 0.0), (lambda h: h**2, 0.0), (lambda h: 1 + h, 1.0)]
)
def test_a_variogram_tends_to_its_noise(shape, nugget):
    """Rough paths, smooth paths, and rough ones with noise of measurement of variance 1/2."""
    rng = np.random.default_rng(0)
    lead = rng.uniform(0.05, 4.0, 40_000)
    v = Variogram.fit(lead, np.sqrt(shape(lead)) * rng.standard_normal(len(lead)))
    h = np.array([0.1, 0.5, 1.0, 2.0, 4.0])
    np.testing.assert_allclose(v(h), shape(h), rtol=0.15, atol=0.02)
    assert v.nugget == pytest.approx(nugget, abs=0.15)
    assert v(np.array(1e-6)) == pytest.approx(nugget, abs=0.15)


def test_a_mixture_gives_each_its_share_and_the_useless_none():
    rng = np.random.default_rng(0)
    a, b, useless = rng.normal(size=(3, 5000))
    y = (0.7 * a + 0.2 * b + 0.1 * rng.normal(size=5000))[:, None]
    x = np.stack([0 * a, a, b, useless], axis=1)[:, None]
    share = rng.uniform(size=(5000, 1))
    mixture = fit_mixture(("persistence", "a", "b", "useless"), x, y, share, 5000)
    np.testing.assert_allclose(mixture.shares[:, 0].mean(axis=0), [0.1, 0.7, 0.2, 0], atol=0.02)
    np.testing.assert_allclose(mixture.shares.sum(axis=2), 1.0)


def test_quantiles_of_errors_are_inverted_and_cover():
    rng = np.random.default_rng(0)
    share = rng.uniform(size=(6000, 1))
    errors = rng.exponential(size=(6000, 1)) * (1 + share)
    quantiles = ErrorQuantiles.fit(errors, share)
    z = quantiles.normal(errors, share)
    inner = np.abs(z) < 2.5
    np.testing.assert_allclose(quantiles(z, share)[inner], errors[inner], atol=1e-9)
    low, high = (quantiles(np.full((6000, 1), q), share) for q in (-1.6449, 1.6449))
    for third in range(3):
        rows = (3 * share).astype(int) == third
        inside = ((low <= errors) & (errors <= high))[rows].mean()
        assert inside == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / rows.sum()) + 0.01)


def test_quantiles_of_few_errors_cover_errors_to_come():
    """Twelve normal errors, 2000 times: coverage within three standard errors of 90 %."""
    rng = np.random.default_rng(0)
    n, far = 12, np.ones((1, 1))
    errors = rng.normal(size=(2000, n, 1))
    fits = [ErrorQuantiles.fit(one, np.ones((n, 1))) for one in errors]
    chance = {}
    for name, laws in (("plain", fits), ("to come", [f.of_errors_to_come(n) for f in fits])):
        low, high = (np.array([f(z * far, far)[0, 0] for f in laws]) for z in (-1.6449, 1.6449))
        chance[name] = ndtr(high) - ndtr(low)
    assert chance["plain"].mean() < 0.86
    standard_error = chance["to come"].std() / np.sqrt(2000)
    assert chance["to come"].mean() == pytest.approx(0.9, abs=3 * standard_error + 0.015)


def test_many_errors_need_no_wider_quantiles():
    rng = np.random.default_rng(0)
    quantiles = ErrorQuantiles.fit(rng.exponential(size=(500, 1)), rng.uniform(size=(500, 1)))
    again = quantiles.of_errors_to_come(1e6)
    np.testing.assert_allclose(again.values, quantiles.values, atol=1e-3)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_errors_that_grow_with_the_level_have_spreads_that_do(exponent):
    """The exponent within .1 of the truth where there are many errors."""
    rng = np.random.default_rng(0)
    times = np.arange(3000.0)
    level = rng.normal(size=3000)
    law = NeuralSDEForecaster(horizon=5.0, hidden=4, max_epochs=1, random_state=0)
    model = law.fit(IrregularSeries.from_arrays(times[:60], level[None, :60, None])).model_.law
    past = IrregularSeries.from_arrays(times[:60], level[None, :60, None])
    asked = model.ask(past, np.linspace(60.0, 64.0, 3000)[None])
    mean = model.units.center + model.units.scale * level[:, None]
    error = rng.normal(size=(3000, 1)) * np.exp(exponent * np.clip(level, -2, 2))[:, None]
    spread = fit_spread(asked, mean, error, model.units, None, 3000)
    assert spread.exponent[0] == pytest.approx(exponent, abs=0.1)
    ratio = error / spread(asked, mean, model.units, None)
    for part in (level < -0.5, np.abs(level) < 0.5, level > 0.5):
        assert ratio[part].std() == pytest.approx(1.0, rel=4 / np.sqrt(2 * part.sum()) + 0.05)


def test_blocks_in_time_keep_a_gap_of_one_horizon():
    series = IrregularSeries.from_arrays(np.arange(200.0), np.zeros((1, 200)))
    data = Observations.of(series)
    pairs = PairSource.of(data, 10.0).draw(np.random.default_rng(0), 10**6, 10**6)
    folds = Blocks(4, 10.0)
    for part in range(4):
        learned = pairs[folds.trains(data, pairs, part)]
        held = pairs[folds.held(data, pairs) == part]
        begin, end = data.times[held.target].min(), data.times[held.target].max()
        early = data.times[learned.target] < begin
        assert (data.times[learned.cut][~early] > end + 10.0 - 1e-9).all()
        assert len(held)
        assert len(learned)
