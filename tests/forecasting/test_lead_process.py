"""Noise along the lead: exact correlations, Brownian motion, more query times, unequal ages."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.optimize import approx_fprime

from trajinfer.forecasting.inertia import correlation, overlap, response, slope, transition
from trajinfer.forecasting.lead_process import LeadProcess
from trajinfer.forecasting.memory_fit import drive_correlation, fit_memory
from trajinfer.forecasting.pair_likelihood import PairLikelihood

N = 4000


def process(gamma=(0.5, 0.2), theta=(0.0, 0.5), rho=0.6, mass=(0.0, 0.0)):
    drive = np.array([[1.0, rho], [rho, 1.0]])
    return LeadProcess(np.array(gamma), np.array(theta), drive, np.array(mass))


def paths(law, times, ages, seed=0, n=N):
    shape = (law.orders, n, 1, len(times), len(law.gamma))
    noise = np.random.default_rng(seed).standard_normal(shape)
    return law.sample(np.array(times)[None], np.array(ages)[None], noise)[:, 0]


def test_correlations_along_the_lead_are_those_of_the_formula():
    law, times = process(), np.array([0.1, 0.4, 1.0])
    z = paths(law, times, [0.0, 0.0])
    for c in range(2):
        found = np.corrcoef(z[:, :, c].T)
        for i, j in [(0, 1), (0, 2), (1, 2)]:
            ratio = (times[i] / times[j]) ** law.gamma[c]
            expected = ratio * np.exp(-law.theta[c] * (times[j] - times[i]))
            assert found[i, j] == pytest.approx(expected, abs=4 / N**0.5)
        assert z[:, :, c].var(axis=0) == pytest.approx(1.0, abs=4 * (2 / N) ** 0.5)


def test_with_a_spread_of_the_root_of_the_lead_the_increments_are_those_of_brownian_motion():
    law, times = process(gamma=(0.5,) * 2, theta=(0.0,) * 2), np.array([0.25, 0.5, 1.0])
    w = paths(law, times, [0.0, 0.0])[:, :, 0] * np.sqrt(times)
    steps = np.diff(w, axis=1)
    assert steps.var(axis=0) == pytest.approx(np.diff(times), rel=4 * (2 / N) ** 0.5)
    assert np.corrcoef(w[:, 0], steps[:, 0])[0, 1] == pytest.approx(0.0, abs=4 / N**0.5)


@pytest.mark.parametrize("mass", [(0.0, 0.0), (0.2, 0.0), (0.1, 0.6)])
@pytest.mark.parametrize("ages", [(0.0, 0.0), (0.0, 0.7), (0.3, 0.1)])
def test_more_query_times_change_nothing_in_law(ages, mass):
    law = process(mass=mass)
    coarse = paths(law, [0.3, 1.0], ages)
    fine = paths(law, np.linspace(0.05, 1.0, 20), ages, seed=1)[:, [5, 19]]
    flat = [z.reshape(N, 4) for z in (coarse, fine)]
    covariance = [np.cov(z.T) for z in flat]
    np.testing.assert_allclose(covariance[0], covariance[1], atol=6 * (2 / N) ** 0.5)


def test_momentum_makes_integrated_brownian_motion():
    r"""$\mathrm{cov}(\int_0^s W, \int_0^t W) = s^2 (3 t - s) / 6$ for $s \le t$."""
    law = process(gamma=(0.375,) * 2, theta=(0.0,) * 2, mass=(3 / 16, 0.0))
    times = np.array([0.2, 0.3, 0.9])
    z = paths(law, times, [0.0, 0.0], n=20_000)[:, :, 0]
    s, t = np.minimum.outer(times, times), np.maximum.outer(times, times)
    covariance = s**2 * (3 * t - s) / 6
    size = np.sqrt(np.diag(covariance))
    found = np.cov(z.T)
    np.testing.assert_allclose(found, covariance / np.outer(size, size), atol=6 / 20_000**0.5)
    closed = law.correlation(np.array([0.2, 0.2]), np.array([0.9, 0.9]))
    assert closed[0] == pytest.approx(covariance[0, 2] / (size[0] * size[2]), rel=1e-12)


@pytest.mark.parametrize("mass", [0.0, 1e-6, 0.1, 0.25, 0.6])
@pytest.mark.parametrize("gap", [0.0, 0.1, 2.0])
def test_transitions_are_the_exponentials_of_the_drift(mass, gap):
    """Without mass they are the limit of little mass."""
    m = mass or 1e-6
    drift = np.array([[0.0, m**-0.5], [-(m**-0.5), -1 / m]])
    found = transition(np.array(gap), np.array(mass), 2)
    np.testing.assert_allclose(found, expm(gap * drift), atol=2e-3 if m < 1e-3 else 1e-6)
    assert correlation(np.array(gap), mass) == pytest.approx(found[0, 0])
    if mass > 0.01:
        ahead, behind = (correlation(np.array(gap + step), m) for step in (2e-3, 0.0))
        assert slope(np.array(gap + 1e-3), m) == pytest.approx((ahead - behind) / 2e-3, abs=1e-4)


def test_processes_of_one_noise_are_as_alike_as_their_responses():
    rate, mass = np.array([0.5, 0.3, 1.2]), np.array([0.0, 0.1, 0.6])
    found = overlap(rate, mass)
    x, weights = np.polynomial.legendre.leggauss(400)
    x, weights = 20 * (1 + x), 20 * weights
    of_z = response(rate * x[:, None], mass, 2)[:, :, 0] * np.sqrt(rate)
    np.testing.assert_allclose(found, of_z.T @ (weights[:, None] * of_z), atol=1e-6)


def test_the_cross_correlation_of_equal_ages_is_that_of_two_ornstein_uhlenbeck_processes():
    law = process(theta=(0.0, 0.0))
    z = paths(law, [0.2, 1.0], [0.0, 0.0])
    closed = 0.6 * 2 * np.sqrt(0.5 * 0.2) / (0.5 + 0.2)
    for k in range(2):
        assert np.corrcoef(z[:, k].T)[0, 1] == pytest.approx(closed, abs=4 / N**0.5)


def test_cross_correlations_are_the_integral_of_the_shared_noise():
    r"""$\int_0^h 2 \sqrt{u_1' u_2'}\,D\,e^{u(v) - u(h)}\,dv$ with $u = u_1 + u_2$, by scipy."""
    (g1, g2), (t1, t2) = gamma, theta = (0.5, 0.2), (0.0, 3.0)
    law, h = process(gamma, theta), 0.8

    def shared(v):
        rate = 2 * np.sqrt((g1 / v + t1) * (g2 / v + t2))
        return rate * (v / h) ** (g1 + g2) * np.exp(-(t1 + t2) * (h - v))

    z = paths(law, [h], [0.0, 0.0], n=400_000)[:, 0]
    expected = 0.6 * quad(shared, 0, h)[0]
    assert np.corrcoef(z.T)[0, 1] == pytest.approx(expected, abs=4 / 400_000**0.5)


def test_the_noise_before_another_channel_was_seen_is_independent_of_it():
    """A channel seen just now shares little with the error that another gathered long before."""
    law = process(gamma=(0.5, 0.5), theta=(0.0, 0.0), rho=0.9)
    z = paths(law, [1e-3, 1.0], [10.0, 0.0])
    assert abs(np.corrcoef(z[:, 0].T)[0, 1]) < 0.05
    # of the variance 11 of the older one at lead 1 the last tenth is shared
    expected = 0.9 * np.sqrt(1 / 11)
    assert np.corrcoef(z[:, 1].T)[0, 1] == pytest.approx(expected, abs=4 / N**0.5)


def test_equal_times_give_equal_values():
    z = paths(process(), [0.2, 0.2, 0.5], [0.0, 0.1], n=10)
    np.testing.assert_allclose(z[:, 0], z[:, 1], atol=1e-4)


@pytest.mark.parametrize(
    ("gamma", "theta", "white", "mass"),
    [
        (0.5, 0.0, 0.0, 0.0),
        (0.2, 2.0, 0.0, 0.0),
        (0.5, 0.0, 0.6, 0.0),
        (0.375, 0.0, 0.0, 3 / 16),
        (0.1, 2.5, 0.3, 0.5),
    ],
)
def test_the_memory_is_recovered(gamma, theta, white, mass):
    rng = np.random.default_rng(0)
    n = 4000
    a = rng.uniform(0.05, 0.8, n)
    b = a + rng.uniform(0.02, 0.5, n)
    floor, later_floor = 0.1 / (0.1 + a), 0.1 / (0.1 + b)
    rho = correlation(gamma * np.log(b / a) + theta * (b - a), mass)
    rho *= np.sqrt((1 - white * floor) * (1 - white * later_floor))
    z = rng.standard_normal(n)
    later = rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(n)
    fit = fit_memory(z, later, a, b, floor, later_floor)
    made = correlation(fit.gamma * np.log(b / a) + fit.theta * (b - a), fit.mass)
    made *= np.sqrt((1 - fit.white * floor) * (1 - fit.white * later_floor))
    assert np.abs(made - rho).max() < 0.08
    assert (fit.mass > 0.05) == (mass > 0)


def test_the_drive_is_a_correlation_matrix_that_gives_back_what_was_observed():
    gamma = np.array([0.5, 0.2, 0.3])
    observed = np.array([[1.0, 0.5, -0.3], [0.5, 1.0, 0.1], [-0.3, 0.1, 1.0]])
    drive = drive_correlation(observed, gamma)
    assert np.linalg.eigvalsh(drive).min() > 0
    back = drive * 2 * np.sqrt(np.outer(gamma, gamma)) / (gamma[:, None] + gamma)
    np.testing.assert_allclose(back, observed, atol=1e-6)


@pytest.mark.parametrize("noisy", [True, False])
def test_the_slope_of_the_likelihood_of_pairs_is_its_derivative(noisy):
    rng = np.random.default_rng(0)
    z, later_z = rng.standard_normal((2, 50))
    floor, later_floor = 0.6 * rng.random((2, 50))
    log_ratio, gap = rng.gamma(1.0, size=(2, 50))
    log_ratio[0] = gap[0] = 0.0  # a pair at one lead, whose correlation is held below 1
    loss = PairLikelihood(z, later_z, log_ratio, gap, floor, later_floor, noisy)
    for raw in ([-0.7, -2.0, -1.0], [0.5, 0.3, 1.5], [-0.7, 0.3, -1.0, -2.0]):
        numeric = approx_fprime(np.array(raw), lambda r: loss(r)[0], 1e-7)
        np.testing.assert_allclose(loss(np.array(raw))[1], numeric, rtol=1e-4, atol=1e-6)
