"""Score models of long series: the answers of dense algebra, at a cost in proportion to length."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from trajinfer import IrregularSeries
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.scores import ScoreSeries, kernel, long_entries
from trajinfer.scores.incomplete_mixture import Observed, Parts, maximised
from trajinfer.scores.knot_law import KnotLaw, sparse_reach
from trajinfer.scores.seen import Seen
from trajinfer.scores.series_score_model import SeriesScoreModel
from trajinfer.scores.surprise import surprise_of


@pytest.fixture(scope="module")
def law():
    """Two parts of two channels at four knots, the second channel nearly without noise."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 8, 8))
    mixture = GaussianMixture([0.4, 0.6], rng.normal(size=(2, 8)), roots @ roots.swapaxes(1, 2))
    return KnotLaw(mixture, np.arange(4.0), np.array([0.3, 0.01]), np.array([0.5, 2.0]))


@pytest.fixture(scope="module")
def past(law):
    """A draw of 110 entries, of which some lie before and after the knots."""
    rng = np.random.default_rng(1)
    times, channels = np.sort(rng.uniform(-2, 6, 110)), rng.integers(0, 2, 110)
    values = law.entries(times, channels).sample(1, random_state=2)[0].numpy()
    return Seen(times, channels, values)


def test_densities_and_surprises_are_those_of_dense_algebra(law, past, monkeypatch):
    dense = law.entries(past.times, past.channels)
    wanted = surprise_of(dense, past.values)
    monkeypatch.setattr(long_entries, "_MANY", 0)
    density = long_entries.log_density_along(law, past)
    assert density == pytest.approx(float(dense.log_prob(past.values[None])[0]), rel=1e-9)
    found = long_entries.surprise_along(law, past)
    np.testing.assert_allclose(found.log_density, wanted.log_density, atol=1e-7)
    np.testing.assert_allclose(found.normal_score, wanted.normal_score, atol=1e-7)


def test_draws_have_the_moments_of_dense_algebra(law):
    """Of both parts, given few values: 12 means and 78 covariances within 4.5 standard errors.

    A false alarm in 1600 runs.
    """
    past = Seen(
        np.array([-1.0, 0.3, 1.2, 3.5, 5.0]), np.array([0, 1, 0, 1, 1]), np.linspace(-1, 1, 5)
    )
    asked = Seen(np.tile([-2.0, -0.5, 0.5, 2.9, 4.0, 6.0], 2), np.repeat([0, 1], 6), np.zeros(12))
    means, covariances = law.at(
        np.concatenate([past.times, asked.times]), np.concatenate([past.channels, asked.channels])
    )
    parts = []
    for mean, covariance in zip(means.numpy(), covariances.numpy(), strict=True):
        gain = np.linalg.solve(covariance[:5, :5], covariance[:5, 5:]).T
        density = stats.multivariate_normal(mean[:5], covariance[:5, :5]).logpdf(past.values)
        left = covariance[5:, 5:] - gain @ covariance[:5, 5:]
        parts.append((density, mean[5:] + gain @ (past.values - mean[:5]), left))
    share = np.exp([one[0] for one in parts]) * law.mixture.weights.numpy()
    share /= share.sum()
    assert share.min() > 0.05
    wanted = sum(w * m for w, (_, m, _) in zip(share, parts, strict=True))
    second = sum(w * (c + np.outer(m, m)) for w, (_, m, c) in zip(share, parts, strict=True))
    drawn = long_entries.drawn_along(law, past, asked, 20_000, 3)
    products = drawn[:, :, None] * drawn[:, None, :]
    for found, truth in ((drawn, wanted), (products, second)):
        error = found.std(axis=0) / np.sqrt(len(drawn))
        assert (np.abs(found.mean(axis=0) - truth) < 4.5 * error).all()


@pytest.mark.parametrize("smooth", [False, True])
def test_likelihoods_of_kernels_are_those_of_dense_algebra(smooth):
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 1, 300))
    off = np.sin(6 * times) + 0.3 * rng.normal(size=300)
    along = kernel._by_places if smooth else kernel._markov
    for length in (0.03, 0.1, 1.0):
        for noise in (0.02, 0.3):
            square, log_det = kernel._dense(times, off, smooth, length, noise**2)
            found = along(times, off, length, noise**2)
            assert found[0] == pytest.approx(square, rel=1e-4)
            assert found[1] == pytest.approx(log_det, abs=5e-3)


def test_turned_values_say_what_all_of_them_say():
    """Against series of which no value is turned: a step of the fit, and densities."""
    rng = np.random.default_rng(0)
    knots, series = np.linspace(0, 1, 5), []
    for n in (3, 40, 90):
        times, channels = np.sort(rng.uniform(0, 0.8, n)), rng.integers(0, 2, n)
        values = np.sin(6 * times) + channels + 0.2 * rng.normal(size=n)
        series.append((values, sparse_reach(times, channels, knots, 2)))
    start = Parts(np.ones(1), np.zeros((1, 10)), np.eye(10)[None] + 0.5, 0.3)
    turned = [Observed.of(*one) for one in series]
    whole = [Observed(values, reach.toarray()) for values, reach in series]
    assert [len(one.values) for one in turned] == [3, 10, 10]
    found, wanted = (maximised(part, start, 1, 0.5, 0) for part in (turned, whole))
    np.testing.assert_allclose(found.means, wanted.means, rtol=1e-7)
    np.testing.assert_allclose(found.covariances, wanted.covariances, rtol=1e-6, atol=1e-9)
    assert found.noise == pytest.approx(wanted.noise, rel=1e-9)
    for one, other in zip(turned, whole, strict=True):
        assert found.log_density(one) == pytest.approx(found.log_density(other), rel=1e-9)


def test_no_matrix_grows_with_the_square_of_a_series(monkeypatch):
    """Entries of the matrices that a fit and its answers invert, factor and turn."""
    sizes = []

    def counted(function):
        def inner(matrix, *rest, **named):
            sizes.append(np.prod(matrix.shape))
            return function(matrix, *rest, **named)

        return inner

    for module, name in (
        (np.linalg, "cholesky"),
        (np.linalg, "solve"),
        (np.linalg, "eigh"),
        (torch.linalg, "inv"),
        (torch.linalg, "eigh"),
        (torch.linalg, "cholesky"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    totals = []
    for longest in (10, 2000):
        rng = np.random.default_rng(0)
        times = [np.sort(rng.uniform(0, 1, n)) for n in [10] * 21 + [longest]]
        walks = [np.sin(6 * t) + 0.3 * rng.normal(size=len(t)) for t in times]
        series = IrregularSeries.from_arrays(times, walks)
        sizes.clear()
        model = ScoreSeries(n_components=1, random_state=0).fit(series)
        model.anomaly(series)
        model.log_likelihood(series)
        model.forecast(series, [1.1], n=2)
        totals.append(sum(sizes))
    # ten times the values; one of their covariances alone would have 4 000 000 entries
    assert totals[1] <= 2 * totals[0] + 1e6


def test_a_law_of_long_series_knows_what_it_was_drawn_from():
    """Gaps and odd values of a series of 2000 values, which outnumber all others."""
    rng = np.random.default_rng(0)
    times = [np.sort(rng.uniform(0, 1, n)) for n in [20] * 21 + [2000]]
    curves = [np.sin(6 * t) + rng.normal() for t in times]
    noisy = [x + 0.3 * rng.normal(size=len(x)) for x in curves]
    noisy[-1][::7] = np.nan
    series = IrregularSeries.from_arrays(times, noisy)
    model = ScoreSeries(n_components=1, random_state=0).fit(series)
    filled = model.fill(series)[-2000:]
    gap = np.isnan(noisy[-1])
    assert (filled["x0_filled"] == gap).all()
    # a curve that so many values tell leaves nothing but their noise
    off = (filled["x0"] - curves[-1]).to_numpy()[gap]
    assert np.sqrt(np.mean(off**2)) < 0.1
    fresh = curves[-1] + 0.3 * rng.normal(size=2000)
    held = (filled["x0_low"] < fresh) & (fresh < filled["x0_high"])
    # .90 within 4 standard errors of 286 values
    assert held.to_numpy()[gap].mean() == pytest.approx(0.9, abs=0.07)
    called = np.nanmean(np.where(gap, np.nan, model.p_values(series)[-1, :, 0] <= 0.05))
    assert called == pytest.approx(0.05, abs=0.025)


def test_draws_of_gaps_are_asked_where_something_is_missing(monkeypatch):
    """Cost and memory follow the gaps; asking at every time gives the same answers."""
    rng = np.random.default_rng(0)
    lengths = [10] * 20 + [500]
    values = [rng.normal(size=(n, 2)).cumsum(0) for n in lengths]
    for whole in values:
        whole[3, 1] = np.nan
    times = [np.sort(rng.uniform(0, n, n)) for n in lengths]
    series = IrregularSeries.from_arrays(times, values)
    model = ScoreSeries(random_state=0).fit(series)
    asked, draws = [], SeriesScoreModel.draws

    def counted(self, past, ts, *given, **named):
        asked.append(len(ts))
        return draws(self, past, ts, *given, **named)

    monkeypatch.setattr(SeriesScoreModel, "draws", counted)
    filled, score = model.fill(series), model.score(series)
    assert asked[:21] == [2] * 21
    monkeypatch.setattr(SeriesScoreModel, "ties_times", True)
    everywhere = model.fill(series)
    assert asked[-21:] == lengths
    assert model.score(series) == score
    gaps = filled["x1_filled"]
    pd.testing.assert_frame_equal(filled[gaps], everywhere[gaps])
    known = filled[~gaps]
    np.testing.assert_allclose(known["x0_low"], known["x0"], rtol=1e-9)
    np.testing.assert_allclose(known["x0_high"], known["x0"], rtol=1e-9)
