"""Simulated moments against closed forms, every test with a false-alarm rate of at most 1e-5."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from trajinfer._core.errors import InputError, SolverError
from trajinfer.data import Trajectories
from trajinfer.processes import (
    AffineDrift,
    Brownian,
    GeometricBrownian,
    LotkaVolterra,
    OrnsteinUhlenbeck,
    PolynomialDrift,
    Repressilator,
    Vortex,
    make_snapshots,
    simulate,
)

ALPHA = 1e-5


def assert_gaussian(sample, mean, covariance):
    """The sample (n, D) has this mean and covariance: D + D(D+1)/2 tests that share ALPHA.

    Exact for Gaussian samples; the whitened sample turns any covariance into the identity.
    """
    n, dim = sample.shape
    white = np.linalg.solve(np.linalg.cholesky(covariance), (sample - mean).T).T
    n_tests = dim + dim * (dim + 1) // 2
    z = stats.norm.isf(ALPHA / n_tests / 2)
    assert np.abs(white.mean(axis=0)).max() * math.sqrt(n) < z
    centred = white - white.mean(axis=0)
    for i in range(dim):
        low, high = stats.chi2(n - 1).ppf([ALPHA / n_tests / 2, 1 - ALPHA / n_tests / 2])
        assert low < (centred[:, i] ** 2).sum() < high
        for j in range(i):
            correlation = np.corrcoef(centred[:, i], centred[:, j])[0, 1]
            assert abs(np.arctanh(correlation)) * math.sqrt(n - 3) < z


def test_brownian_motion_has_independent_gaussian_increments():
    paths = simulate(Brownian(volatility=[0.5, 2.0]), [1.0, -1.0], [0, 0.25, 1.0], 20_000, 1)
    steps = np.diff(paths.values, axis=1)
    assert_gaussian(
        steps.reshape(20_000, 4), np.zeros(4), np.diag([0.25 * 0.25, 4 * 0.25, 0.25 * 0.75, 3.0])
    )
    assert stats.kstest(steps[:, 0, 0], stats.norm(0, 0.25).cdf).pvalue > ALPHA


def test_ornstein_uhlenbeck_moments_and_memory():
    theta, mean, sigma, start = 0.8, 2.0, 0.6, -1.0
    process = OrnsteinUhlenbeck(theta, mean, volatility=sigma)
    paths = simulate(process, [start], [0, 0.5, 2.0], 20_000, 2).values[:, 1:, 0]
    t = np.array([0.5, 2.0])
    expected = mean + (start - mean) * np.exp(-theta * t)
    shared = np.minimum.outer(t, t)
    apart = np.abs(np.subtract.outer(t, t))
    covariance = sigma**2 / (2 * theta) * np.exp(-theta * apart) * (1 - np.exp(-2 * theta * shared))
    assert_gaussian(paths, expected, covariance)


def test_affine_moments_in_two_dimensions():
    matrix, offset = np.array([[-0.5, 2.0], [-2.0, -0.5]]), np.array([1.0, 0.5])
    sigma, start, t = np.array([0.3, 0.8]), np.array([1.0, -1.0]), 0.9
    process = AffineDrift(2, matrix, offset, volatility=sigma)
    sample = simulate(process, start, [0, 0.4, t], 20_000, 3).values[:, 2]
    fixed_point = -np.linalg.solve(matrix, offset)
    mean = fixed_point + expm(matrix * t) @ (start - fixed_point)
    nodes, weights = np.polynomial.legendre.leggauss(30)
    covariance = sum(
        w * t / 2 * (e @ np.diag(sigma**2) @ e.T)
        for w, e in zip(weights, (expm(matrix * t * (x + 1) / 2) for x in nodes), strict=True)
    )
    assert_gaussian(sample, mean, covariance)


def test_the_vortex_turns_on_ellipses():
    process = Vortex(1.5, [1.0, 0.5], math.log(4.0), volatility=1e-9)
    quarter = math.pi / 2 / (1.5 / 2)  # frequency s exp(-l/2)
    found = simulate(process, [1.0, 1.5], [0, quarter], 1, 0).values[0, 1]
    np.testing.assert_allclose(found, [1.0 + 0.5, 0.5], atol=1e-7)


def test_geometric_brownian_motion_is_log_normal():
    mu, sigma, t = np.array([0.3, -0.1]), np.array([0.2, 0.5]), 1.7
    process = GeometricBrownian(mu, volatility=sigma)
    sample = np.log(simulate(process, [2.0, 3.0], [0, 1, t], 20_000, 4).values[:, 2])
    expected = np.log([2.0, 3.0]) + (mu - sigma**2 / 2) * t
    assert_gaussian(sample, expected, np.diag(sigma**2 * t))


@pytest.mark.parametrize(
    ("process", "start"),
    [
        (LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=1e-9), [5.0, 4.0]),
        (Repressilator(10, 3, 1, 1, volatility=1e-9), [1.0, 1.0, 2.0]),
        (PolynomialDrift(1, 3, [[0.0], [1.0], [0.0], [-1.0]], volatility=1e-9), [0.1]),
    ],
    ids=["LotkaVolterra", "Repressilator", "double well"],
)
def test_without_noise_the_ode_is_solved(process, start):
    def slope(t, y):
        return process.f(torch.tensor(t), torch.as_tensor(y)[None]).numpy()[0]

    ts = [0.0, 1.0, 2.5]
    truth = solve_ivp(slope, (0, 2.5), start, t_eval=ts, rtol=1e-10, atol=1e-12).y.T
    coarse, fine = (
        np.abs(simulate(process, start, ts, 1, 0, step=step).values[0] - truth).max()
        for step in (0.02, 0.01)
    )
    assert coarse / fine == pytest.approx(4, rel=0.25)  # second order where there is no noise
    assert np.abs(simulate(process, start, ts, 1, 0).values[0] - truth).max() < 5e-3


def test_noise_proportional_to_the_state_is_ito():
    # dX = sigma X dW, hidden in a callable: E X stays, in Stratonovich form it would grow by
    # exp(sigma^2 t / 2) = 8 %; the mean of 40 000 draws has a standard error of .2 %.
    process = Brownian(volatility=lambda y: 0.4 * y)
    sample = simulate(process, [1.0], [0, 1.0], 40_000, 5, step=0.02).values[:, 1, 0]
    z = (sample.mean() - 1) / (sample.std() / math.sqrt(len(sample)))
    assert abs(z) < stats.norm.isf(ALPHA / 2)


# --- how it is called ---------------------------------------------------------------------------


@pytest.fixture
def process():
    return OrnsteinUhlenbeck([1.0, 2.0], 0.0, volatility=0.3)


def test_starts_may_be_one_many_or_drawn(process):
    one = simulate(process, [1.0, 2.0], [0, 1], 3, 0)
    assert one.values.shape == (3, 2, 2)
    assert (one.values[:, 0] == [1.0, 2.0]).all()
    starts = np.arange(6.0).reshape(3, 2)
    assert np.array_equal(simulate(process, starts, [0, 1], 3, 0).values[:, 0], starts)
    assert np.array_equal(simulate(process, torch.tensor(starts), [0], 3).values[:, 0], starts)

    def draw(generator):
        return torch.rand(3, 2, generator=generator)

    first, again, other = (simulate(process, draw, [0, 1], 3, seed).values for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:, 0], other[:, 0])


@pytest.mark.parametrize("make", [LotkaVolterra, Brownian])
def test_a_seed_repeats_a_simulation(make):
    process = make(volatility=0.1) if make is LotkaVolterra else Brownian(volatility=[1.0, 1.0])
    first = simulate(process, [1.0, 2.0], [0, 0.5, 1], 4, 7).values
    assert np.array_equal(first, simulate(process, [1.0, 2.0], [0, 0.5, 1], 4, 7).values)
    assert not np.array_equal(first, simulate(process, [1.0, 2.0], [0, 0.5, 1], 4, 8).values)


def test_a_generator_moves_on(process):
    generator = np.random.default_rng(0)
    first, second = (simulate(process, [0.0, 0.0], [0, 1], 4, generator).values for _ in range(2))
    assert not np.array_equal(first, second)


def test_nothing_given_is_changed(process):
    starts, before = torch.ones(3, 2), {k: v.clone() for k, v in process.state_dict().items()}
    values = simulate(process, starts, [0, 1], 3, 0).values
    values[:] = 0
    assert torch.equal(starts, torch.ones(3, 2))
    assert all(torch.equal(v, before[k]) for k, v in process.state_dict().items())


def test_paths_with_gradients_are_not_kept():
    free = LotkaVolterra(volatility=0.1)
    assert isinstance(simulate(free, [1.0, 2.0], [0, 0.1], 2, 0).values, np.ndarray)


def test_times_may_be_dates(process):
    ts = pd.date_range("2024-01-01", periods=3)
    paths = simulate(process, [0.0, 0.0], ts, 2, 0)
    assert paths.ts.tolist() == [0, 1, 2]
    assert list(paths.labels) == list(ts)


class Plain(torch.nn.Module):
    """A model of torchsde's making."""

    sde_type, noise_type = "ito", "diagonal"

    def f(self, t, y):
        return -y

    def g(self, t, y):
        return torch.full_like(y, 0.3)


def test_any_sde_is_simulated():
    sample = simulate(Plain(), [1.0], [0, 1.0], 20_000, 6, step=0.005).values[:, 1]
    # Euler's own law at this step, so that its bias does not count
    factor = 0.995
    powers = factor ** (2 * np.arange(200))
    assert_gaussian(sample, [factor**200], [[0.09 * 0.005 * powers.sum()]])


@pytest.mark.parametrize(
    ("y0", "ts", "n", "message"),
    [
        ([1.0, 2.0], [0, 0], 3, "ts must increase strictly"),
        ([1.0, 2.0], [1, 0], 3, "ts must increase strictly"),
        ([1.0, 2.0], [0, np.nan], 3, "ts must be finite"),
        ([1.0, 2.0], ["a", "b"], 3, "times must be numbers"),
        ([1.0, 2.0], [], 3, "ts|times"),
        ([1.0, 2.0, 3.0], [0, 1], 3, "y0 must have 2 columns, got 3"),
        (np.zeros((4, 2)), [0, 1], 3, r"y0 must have shape \(D,\) or \(3, D\), got \(4, 2\)"),
        (1.0, [0, 1], 3, r"y0 must have shape \(D,\)"),
        ([1.0, np.inf], [0, 1], 3, "y0 must be finite"),
        (lambda g: torch.zeros(4, 2), [0, 1], 3, r"got \(4, 2\)"),
        ([1.0, 2.0], [0, 1], 0, "n must be a positive integer, got 0"),
        ([1.0, 2.0], [0, 1], 2.5, "n must be a positive integer, got 2.5"),
        ([1.0, 2.0], [0, 1], True, "n must be a positive integer, got True"),
    ],
)
def test_bad_calls(process, y0, ts, n, message):
    with pytest.raises(InputError, match=message):
        simulate(process, y0, ts, n, 0)


def test_a_process_without_volatility_says_so():
    with pytest.raises(InputError, match="volatility of OrnsteinUhlenbeck is not known"):
        simulate(OrnsteinUhlenbeck(1.0, 0.0), [0.0], [0, 1], 3, 0)
    with pytest.raises(InputError, match="volatility of LotkaVolterra is not known"):
        simulate(LotkaVolterra(1, 1, 1, 1), [1.0, 1.0], [0, 1], 3, 0)


@pytest.mark.parametrize("step", [0.0, -0.1, np.nan])
def test_a_step_of_no_length_is_refused(step):
    with pytest.raises((InputError, SolverError)):
        simulate(LotkaVolterra(1, 1, 1, 1, volatility=0.1), [1.0, 1.0], [0, 1], 3, 0, step=step)


def test_an_explosion_is_an_error():
    cubic = PolynomialDrift(1, 3, [[0.0], [0.0], [0.0], [1.0]], volatility=0.1)
    with pytest.raises(SolverError):
        simulate(cubic, [5.0], [0, 1.0], 3, 0)


# --- snapshots ----------------------------------------------------------------------------------


def numbered(n, n_times, dates=False):
    values = np.arange(n * n_times, dtype=float).reshape(n, n_times, 1)
    ts = pd.date_range("2024-01-01", periods=n_times) if dates else np.arange(n_times)
    return Trajectories(ts, values, features=["x"])


def test_every_trajectory_is_seen_once():
    snapshots = make_snapshots(numbered(20, 4), random_state=0)
    seen = [(k, int(x) // 4) for k, p in enumerate(snapshots.points) for x in p[:, 0]]
    assert [len(p) for p in snapshots.points] == [5, 5, 5, 5]
    assert len({who for _, who in seen}) == 20
    for k, points in enumerate(snapshots.points):
        assert (points[:, 0] % 4 == k).all()
    assert snapshots.features == ("x",)


def test_times_and_numbers_may_be_chosen():
    snapshots = make_snapshots(numbered(20, 4), [1, 3], n=3, random_state=0)
    assert snapshots.times.tolist() == [1, 3]
    assert [len(p) for p in snapshots.points] == [3, 3]
    assert (snapshots.points[1][:, 0] % 4 == 3).all()


def test_who_is_seen_is_random_and_repeatable():
    first, again, other = (make_snapshots(numbered(20, 4), random_state=s) for s in (0, 0, 1))
    assert np.array_equal(first.points[0], again.points[0])
    assert not np.array_equal(np.sort(first.points[0], axis=0), np.sort(other.points[0], axis=0))


def test_dates_are_kept():
    paths = numbered(6, 3, dates=True)
    snapshots = make_snapshots(paths, paths.labels[:2], random_state=0)
    assert list(snapshots.labels) == list(paths.labels[:2])
    assert len(make_snapshots(paths)) == 3


def test_weights_of_trajectories_are_kept():
    values = np.arange(6.0).reshape(6, 1, 1)
    paths = Trajectories([0], values, weights=[1, 2, 3, 4, 5, 6])
    snapshots = make_snapshots(paths, random_state=0)
    np.testing.assert_allclose(
        snapshots.probabilities(0), (snapshots.points[0][:, 0] + 1) / 21, rtol=1e-14
    )


@pytest.mark.parametrize(
    ("times", "n", "message"),
    [
        (None, 6, "4 snapshots of 6 individuals need 24 trajectories, got 20; each is seen once"),
        ([0, 7], None, "time 7 is not on the grid"),
        (None, 0, "snapshots of"),
        (None, -1, "snapshots of"),
        ([3, 1], None, "increase strictly"),
        ([1, 1], None, "increase strictly"),
    ],
)
def test_snapshots_that_cannot_be_made(times, n, message):
    with pytest.raises(InputError, match=message):
        make_snapshots(numbered(20, 4), times, n=n, random_state=0)


def test_more_times_than_trajectories():
    with pytest.raises(InputError, match="4 snapshots of 1 individuals need 4 trajectories, got 2"):
        make_snapshots(numbered(2, 4))


def test_trajectories_with_times_of_their_own_are_refused():
    paths = Trajectories(np.arange(8.0).reshape(4, 2), np.zeros((4, 2, 1)))
    with pytest.raises(InputError, match="must share their times"):
        make_snapshots(paths)
