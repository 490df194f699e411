"""Series whose innovations have sizes: densities and draws by quadrature, what a fit finds."""

import numpy as np
import pytest
from scipy.stats import kstest, kurtosis, multivariate_normal

from trajinfer import IrregularSeries
from trajinfer.scores import ScoreSeries
from trajinfer.scores.cell_size_fit import fit_cell_sizes
from trajinfer.scores.cell_sizes import CellSizes
from trajinfer.scores.sized_law import SizedLaw


def normal_sizes(dim):
    """Sizes of one, normal noise: the law is one Gaussian."""
    none = np.zeros((dim, dim))
    return CellSizes(none, none, 0.5, np.ones((dim, 1)), np.zeros((dim, 1)), np.ones(1))


def wandering(lasting=0.15, passing=0.25, memory=0.8):
    """Sizes of two channels that mostly move together, and skewed noise with tails."""
    together = np.array([[1.0, 0.7], [0.7, 1.0]])
    shifts = np.array([[0.1, -0.9], [0.0, 0.0]])
    weights = np.array([[0.9, 0.1], [0.9, 0.1]])
    return CellSizes(
        lasting * together, passing * together, memory, weights, shifts, np.array([0.7, 2.0])
    )


def law_of(sizes, n_times, seed=0):
    """A law of two channels with a factor of random numbers."""
    rng, dim = np.random.default_rng(seed), 2 * n_times
    factor = np.tril(0.3 * rng.normal(size=(dim, dim)))
    np.fill_diagonal(factor, 1.0)
    return SizedLaw(
        rng.normal(size=dim), factor, sizes, np.arange(float(n_times)), np.empty((0, dim))
    )


def draw_rows(law, n, rng):
    """Rows (n, D) of a law."""
    z = law.sizes.innovations(n, law.knots, rng)
    return law.mean + z.reshape(n, -1) @ law.factor.T


def entries(dim):
    """Shares and noise of the cells themselves."""
    return np.eye(dim), 1e-8 * np.eye(dim)


def test_with_sizes_of_one_density_and_draws_are_those_of_a_gaussian():
    law, rng = law_of(normal_sizes(2), 5), np.random.default_rng(1)
    covariance, known = law.factor @ law.factor.T, rng.random(10) < 0.5
    row = draw_rows(law, 1, rng)[0]
    reach, beside = entries(10)
    exact = multivariate_normal(law.mean, covariance).logpdf(row)
    assert law.log_density(reach, beside, row) == pytest.approx(exact, abs=1e-6)
    inside = covariance[np.ix_(known, known)]
    exact = multivariate_normal(law.mean[known], inside).logpdf(row[known])
    found = law.log_density(reach[known], beside[np.ix_(known, known)], row[known])
    assert found == pytest.approx(exact, abs=1e-6)
    drawn = law.draws(reach, beside, known, row, 4000, 2)
    np.testing.assert_array_equal(drawn[:, known], np.tile(row[known], (4000, 1)))
    gain = covariance[np.ix_(~known, known)] @ np.linalg.inv(inside)
    mean = law.mean[~known] + gain @ (row - law.mean)[known]
    left = covariance[np.ix_(~known, ~known)] - gain @ covariance[np.ix_(known, ~known)]
    errors = (drawn[:, ~known].mean(axis=0) - mean) / np.sqrt(np.diag(left) / 4000)
    assert np.abs(errors).max() < 4  # five normals: passed by chance in 3 of 10 000
    np.testing.assert_allclose(np.cov(drawn[:, ~known].T), left, atol=0.2)


def by_quadrature(law, row, known):
    """Density of the known values of a row of two times and one channel, sizes that last."""
    sizes, sd = law.sizes, np.sqrt(law.sizes.lasting[0, 0])
    nodes, shares = np.polynomial.hermite_e.hermegauss(80)
    total = 0.0
    for node, share in zip(nodes, shares / shares.sum(), strict=True):
        size = np.exp(sd * node)
        for k, m in np.ndindex(2, 2):
            z = size * sizes.shifts[0, [k, m]], size * sizes.spreads[[k, m]]
            mean = law.mean + law.factor @ z[0]
            covariance = law.factor @ np.diag(z[1] ** 2) @ law.factor.T
            part = multivariate_normal(mean[known], covariance[np.ix_(known, known)])
            total += share * sizes.weights[0, k] * sizes.weights[0, m] * part.pdf(row[known])
    return np.log(total)


@pytest.mark.parametrize("known", [[True, True], [False, True]])
def test_density_is_that_of_the_integral_over_sizes(known):
    shifts = np.array([[0.2, -1.8]])
    sizes = CellSizes(
        np.array([[0.3]]),
        np.zeros((1, 1)),
        0.5,
        np.array([[0.9, 0.1]]),
        shifts,
        np.array([0.6, 2.0]),
    )
    factor = np.array([[1.0, 0.0], [0.8, 0.6]])
    law = SizedLaw(np.array([0.1, -0.2]), factor, sizes, np.arange(2.0), np.empty((0, 2)))
    row, known = np.array([2.5, -1.0]), np.array(known)
    reach, beside = entries(2)
    found = law.log_density(reach[known], beside[np.ix_(known, known)], row[known], 20_000)
    assert found == pytest.approx(by_quadrature(law, row, known), abs=0.05)


def test_hidden_values_have_uniform_ranks_among_draws():
    law, rng = law_of(wandering(), 6), np.random.default_rng(3)
    rows = draw_rows(law, 60, rng)
    known = np.array([True, True, False, True, True, False, True, False, True, True, False, False])
    ranks = []
    for row in rows:
        drawn = law.draws(*entries(12), known, row, 99, int(rng.integers(2**31)))
        ranks.append((drawn < row).mean(axis=0))
    for cell in (5, 11):  # a gap, and the end; a false alarm in 1 of 500 for each
        assert kstest(np.array(ranks)[:, cell] + 0.005, "uniform").pvalue > 0.002


def test_a_fit_finds_what_lasts_and_what_passes():
    truth, rng = wandering(), np.random.default_rng(4)
    z = truth.innovations(1500, np.arange(16.0), rng)
    found = fit_cell_sizes(z, np.ones((16, 2), dtype=bool), 1.0)
    # standard errors of moments of 1500 series are about .015
    np.testing.assert_allclose(found.lasting, truth.lasting, atol=0.06)
    np.testing.assert_allclose(found.passing, truth.passing, atol=0.08)
    assert found.memory in (0.7, 0.8, 0.9)
    real, drawn = (law.innovations(20_000, np.arange(2.0), rng) for law in (truth, found))
    for c in range(2):
        far = [np.quantile(part[..., c], [0.005, 0.05, 0.95, 0.995]) for part in (real, drawn)]
        np.testing.assert_allclose(far[1], far[0], rtol=0.2)


def volatile(n, seed):
    """Walks whose steps have a size that wanders: exp of an autoregression of deviation .6."""
    rng = np.random.default_rng(seed)
    log_size = 0.6 * rng.normal(size=n)
    steps = []
    for _ in range(12):
        steps.append(np.exp(log_size) * rng.normal(size=n))
        log_size = 0.9 * log_size + 0.6 * np.sqrt(1 - 0.81) * rng.normal(size=n)
    return np.stack(steps, axis=1).cumsum(axis=1)[..., None]


def clustering(paths):
    """Correlation of sizes of steps one and six times apart, and kurtosis of the steps."""
    steps = np.diff(paths[..., 0], axis=1)
    sizes = np.log(np.abs(steps) + 1e-3)
    near, far = (np.corrcoef(sizes[:, k:].ravel(), sizes[:, :-k].ravel())[0, 1] for k in (1, 6))
    return near, far, kurtosis(np.arcsinh(steps).ravel())


def test_draws_keep_clusters_of_volatility():
    model = ScoreSeries(random_state=0).fit(
        IrregularSeries.from_arrays(np.arange(12.0), volatile(400, 0))
    )
    assert model.model_.knots.sized is not None
    drawn = clustering(model.sample(4000).values)
    real = clustering(volatile(4000, 1))
    np.testing.assert_allclose(drawn, real, atol=0.07)
    assert real[0] > 0.15  # of steps of one size it is 0


def test_steps_of_one_size_get_no_sizes():
    walks = np.random.default_rng(5).normal(size=(150, 12, 1)).cumsum(axis=1)
    model = ScoreSeries(random_state=0).fit(IrregularSeries.from_arrays(np.arange(12.0), walks))
    assert model.model_.knots.sized is None


def test_a_function_that_never_changes_holds_in_draws():
    """Volumes relative to their mean over the window: their sum is 0."""
    walks = volatile(200, 2)
    centred = walks - walks.mean(axis=1, keepdims=True)
    series = IrregularSeries.from_arrays(np.arange(12.0), centred)
    model = ScoreSeries(random_state=0).fit(series)
    assert model.model_.knots.sized is not None
    assert np.abs(model.sample(200).values.sum(axis=1)).max() < 1e-9
    shown = series[:1].drop_observations(0.5, 0)
    filled = model.interpolate(shown, np.arange(12.0), n=20).samples
    assert np.abs(filled.sum(axis=2)).max() < 1e-9
    # the value that is left when eleven are known is known
    one = series[:1].with_values(np.where(np.arange(12)[None, :, None] == 5, np.nan, centred[:1]))
    law = model.model_.knots.sized
    past = model.model_.pasts(one)[0]
    reach = np.eye(12)
    values = np.insert(past.values, 5, 0.0)
    drawn = law.draws(reach, 1e-8 * reach, np.arange(12) != 5, values, 20, 0)[:, 5]
    assert np.abs(drawn - model.model_.latent(centred[0])[5, 0]).max() < 0.01
