"""Surprise of values under laws of few rows: rows that were not learned are as odd as they are."""

import warnings

import numpy as np
import pytest
from scipy import integrate, stats

from trajinfer import IrregularSeries
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.diffusion.shrinkage import log_densities_left_out, shrunk_moments
from trajinfer.evaluation.series import anomaly_table
from trajinfer.scores import ScoreDensity, ScoreSeries
from trajinfer.scores.knot_fit import fit_complete
from trajinfer.scores.surprise import surprise_of
from trajinfer.scores.tails import Tails


def normals(rng, n, dim):
    return rng.normal(size=(n, dim))


def autoregressive(rng, n, dim):
    rows = rng.normal(size=(n, dim))
    for j in range(1, dim):
        rows[:, j] = 0.9 * rows[:, j - 1] + np.sqrt(1 - 0.81) * rows[:, j]
    return rows


def walks(rng, n, dim):
    return rng.normal(size=(n, dim)).cumsum(axis=1) + rng.normal(size=(n, 1))


def three_factors(rng, n, dim):
    loads = np.random.default_rng(99 + dim).normal(size=(dim, 3))
    return rng.normal(size=(n, 3)) @ loads.T + 0.3 * rng.normal(size=(n, dim))


def smooth(rng, n, dim):
    t = np.arange(dim) / dim
    kernel = np.exp(-0.5 * ((t[:, None] - t) / 0.2) ** 2) + 1e-4 * np.eye(dim)
    return rng.normal(size=(n, dim)) @ np.linalg.cholesky(kernel).T


SHAPES = [
    (normals, 20, 6),
    (normals, 24, 24),
    (normals, 100, 30),
    (autoregressive, 24, 12),
    (autoregressive, 30, 60),
    (autoregressive, 200, 20),
    (walks, 20, 1),
    (walks, 24, 24),
    (walks, 60, 40),
    (three_factors, 24, 24),
    (three_factors, 100, 30),
    (smooth, 24, 12),
]


def as_lines(rows):
    return IrregularSeries.from_arrays(np.arange(float(rows.shape[1])), rows[:, :, None])


@pytest.mark.parametrize("share", [0.001, 0.05, 0.4, 1.0])
@pytest.mark.parametrize(("n", "dim"), [(3, 2), (10, 4), (12, 30)])
def test_rows_left_out_in_closed_form(n, dim, share):
    """Against moments computed anew without every row."""
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, dim)) @ rng.normal(size=(dim, dim))
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    spectrum, axes = np.linalg.eigh(rows.T @ rows / n)
    found = log_densities_left_out((rows @ axes) ** 2, np.maximum(spectrum, 0), n, share)
    for i in range(n):
        others = np.delete(rows, i, axis=0)
        covariance = (1 - share) * np.cov(others.T, bias=True) + share * np.eye(dim)
        off = rows[i] - others.mean(axis=0)
        exact = np.linalg.slogdet(covariance)[1] + off @ np.linalg.solve(covariance, off)
        assert found[i] == pytest.approx(-0.5 * exact, rel=1e-9)


def test_few_rows_are_shrunk_and_many_are_not():
    """Against the truth: the divergence of the law from it, beside that of plain moments."""
    rng = np.random.default_rng(0)
    mixing = np.linalg.cholesky(0.9 ** np.abs(np.arange(24)[:, None] - np.arange(24)))
    rows = rng.normal(size=(4000, 24)) @ mixing.T
    truth = stats.multivariate_normal(np.zeros(24), mixing @ mixing.T)
    fresh = rng.normal(size=(500, 24)) @ mixing.T
    behind = {}
    for n in (24, 4000):
        moments = shrunk_moments(rows[:n])
        law = stats.multivariate_normal(moments.mean, moments.covariance)
        behind[n] = (truth.logpdf(fresh) - law.logpdf(fresh)).mean()
    assert behind[24] < 12  # plain moments of 24 rows have no density here
    assert behind[4000] < 0.1
    assert shrunk_moments(rows).share == 1e-6
    np.testing.assert_allclose(
        shrunk_moments(rows).covariance, np.cov(rows.T, bias=True), atol=1e-5
    )


def test_a_density_of_as_many_columns_as_rows_knows_rows_that_it_has_not_seen():
    rng = np.random.default_rng(3)
    rows, fresh = (autoregressive(rng, n, 24) for n in (24, 200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        density = ScoreDensity("mixture", random_state=0).fit(rows)
    apart = stats.norm(rows.mean(axis=0), rows.std(axis=0, ddof=1)).logpdf(fresh).sum(axis=1)
    assert density.score_samples(fresh).mean() > apart.mean() + 3


def test_normal_scores_far_out_are_exact():
    one = GaussianMixture([1.0], [[1.0, 0.0]], [[[4.0, 0.0], [0.0, 1.0]]])
    for z in (-35.0, -1.0, 0.5, 35.0):
        found = surprise_of(one, np.array([1.0 + 2 * z, 0.0]))
        assert found.normal_score[0] == pytest.approx(z, rel=1e-6)
        assert found.log_density[0] == pytest.approx(stats.norm.logpdf(z) - np.log(2))
    two = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [[[1.0]], [[0.25]]])
    x = 0.4
    below = 0.3 * stats.norm.cdf(x + 2) + 0.7 * stats.norm.cdf((x - 1) / 0.5)
    assert surprise_of(two, np.array([x])).normal_score[0] == pytest.approx(stats.norm.ppf(below))


@pytest.mark.parametrize("tails", [Tails(1.0), Tails(1.3), Tails(0.8, 4.0)])
def test_tails_are_a_law_and_their_scale_is_found(tails):
    """The density sums to 1, p-values are uniform, and the scale is found within 4 s.e."""
    total, _ = integrate.quad(
        lambda z: float(np.exp(stats.norm.logpdf(z) + tails.log_ratio(np.array([z]))[0])), -30, 30
    )
    assert total == pytest.approx(1.0, abs=1e-4)
    rng = np.random.default_rng(0)
    z = rng.normal(size=4000)
    if np.isfinite(tails.degrees):
        z = rng.standard_t(tails.degrees, size=4000)
    z = tails.scale * z
    found = Tails.of(z, min(tails.degrees, 1e6))
    assert found.scale == pytest.approx(tails.scale, rel=4 / np.sqrt(4000))
    assert stats.kstest(tails.p_values(z), "uniform").pvalue > 1e-3


def test_values_of_series_that_were_not_learned_are_as_odd_as_they_are():
    """As many columns as rows: one value in twenty at .05, and none in a thousand beyond reach."""
    called, far = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        learned, held, fresh = (autoregressive(rng, n, 16)[..., None] for n in (14, 4, 60))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            nothing = np.empty((0, learned[0].size))
            law = fit_complete(np.arange(16.0), learned, held, "auto", seed, nothing)
        z = np.stack([surprise_of(law.mixture, row.ravel()).normal_score for row in fresh])
        called.append((law.tails.p_values(z) <= 0.05).mean())
        far.append((law.tails.p_values(z) <= 1e-4).mean())
    assert 0.02 < np.mean(called) < 0.09
    assert np.mean(far) < 0.003


def test_p_values_stand_beside_the_scores():
    rng = np.random.default_rng(1)
    series = as_lines(autoregressive(rng, 40, 5))
    model = ScoreSeries(n_components=1, random_state=0).fit(series)
    odd = series.values[:3].copy()
    odd[1, 2] += 6.0
    asked = as_lines(odd[..., 0])
    p, scores = model.p_values(asked), model.anomaly(asked)
    both = model.oddness(asked)
    np.testing.assert_array_equal(both.score, scores)
    np.testing.assert_array_equal(both.p_value, p)
    assert p.shape == scores.shape == (3, 5, 1)
    assert p[1, 2, 0] == p.min() < 1e-4
    assert ((p >= 0) & (p <= 1)).all()
    table = anomaly_table(asked, scores, p)
    assert table["p_value"].iloc[0] == p.min()


@pytest.mark.slow
@pytest.mark.parametrize(("law", "n", "dim"), SHAPES)
def test_one_value_in_twenty_is_called_at_every_shape(law, n, dim):
    """Seventeen tables of every shape, 50 fresh series each; of one column sixty, which vary."""
    called = []
    for seed in range(17 if dim > 1 else 60):
        rng = np.random.default_rng(1000 + seed)
        series, fresh = as_lines(law(rng, n, dim)), as_lines(law(rng, 50, dim))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = ScoreSeries(random_state=0).fit(series)
        called.append((model.p_values(fresh) <= 0.05).mean())
    assert 0.03 <= np.mean(called) <= 0.08


def test_of_a_series_without_an_observation_nothing_surprises():
    walks_of_five = walks(np.random.default_rng(0), 30, 5)[:, :, None]
    series = IrregularSeries.from_arrays(np.arange(5.0), walks_of_five)
    fitted = ScoreSeries(n_components=1, random_state=0).fit(series)
    empty = series[:2].with_values(np.stack([np.full((5, 1), np.nan), walks_of_five[1]]))
    for answer in (fitted.anomaly(empty), fitted.p_values(empty)):
        assert np.isnan(answer[0]).all()
        assert np.isfinite(answer[1]).all()
    assert fitted.log_likelihood(empty)[0] == 0
    assert fitted.log_likelihood(empty)[1] == fitted.log_likelihood(series)[1]
