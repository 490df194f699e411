"""Exact transitions, covariances and simulated paths against closed forms and each other."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from scipy.special import gamma

from trajinfer import InputError
from trajinfer.fractional import default_nodes, simulate_fbm, symmetric_nodes, weights
from trajinfer.fractional.covariance import (
    fbm_covariance,
    fou_covariance,
    markov_covariance,
    stationary_fou_autocovariance,
)
from trajinfer.fractional.ou_transition import (
    ou_covariance,
    ou_transition,
    stationary_covariance,
)
from trajinfer.fractional.simulate import (
    simulate_fgn,
    simulate_fractional_ou,
    simulate_varying_hurst,
)

EVERY_H = (0.1, 0.3, 0.5, 0.7, 0.9)


def tensor(values):
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def outside(found, expected, n_samples):
    """Largest distance of a sample covariance from the truth, in standard errors."""
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)) + expected**2)
    return np.max(np.abs(found - expected) / (size / np.sqrt(n_samples) + 1e-15))


@pytest.mark.parametrize("step", [1e-9, 1e-3, 0.1, 5.0])
def test_two_half_steps_are_one_step(step):
    nodes = tensor(default_nodes(12, 1.0))
    whole, half = ou_covariance(nodes, tensor(step)), ou_covariance(nodes, tensor(step / 2))
    decay = torch.exp(-nodes * step / 2)
    twice = decay[:, None] * half * decay + half
    size = whole.diagonal().max()
    assert float((twice - whole).abs().max() / size) < 1e-12
    found = ou_transition(nodes, tensor([step, step / 2]))
    both = found.factor @ found.factor.mT
    composed = found.decay[1][:, None] * both[1] * found.decay[1] + both[1]
    assert float((composed - both[0]).abs().max() / size) < 1e-12
    assert float((found.decay[1] ** 2 - found.decay[0]).abs().max()) < 1e-12
    gain = found.gain[1] * (1 + found.decay[1])
    assert float((gain - found.gain[0]).abs().max() / step) < 1e-12


def test_a_step_of_length_zero_changes_nothing():
    found = ou_transition(tensor(default_nodes(5, 1.0)), tensor([0.0]))
    assert bool((found.decay == 1).all())
    assert not found.factor.any()
    assert not found.gain.any()


def test_the_stationary_law_is_kept_by_a_step():
    nodes = tensor(symmetric_nodes(5))
    law, step = stationary_covariance(nodes), tensor(0.3)
    decay = torch.exp(-nodes * step)
    kept = decay[:, None] * law * decay + ou_covariance(nodes, step)
    torch.testing.assert_close(kept, law, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("hurst", EVERY_H)
def test_simulated_markov_paths_have_the_closed_covariance(hurst, kind):
    ts, n = [0.03, 0.4, 1.0, 1.1, 3.0], 30_000
    paths = simulate_fbm(hurst, ts, n, "markov", fbm_type=kind, random_state=kind).values[..., 0]
    nodes = default_nodes(12, 3.0, kind)
    omega = weights(hurst, nodes, 3.0, kind, normalization="unit")
    grid = np.array(ts)
    expected = markov_covariance(omega, nodes, grid[:, None], grid, kind)
    assert outside(paths.T @ paths / n, expected, n) < 4


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize(("hurst", "tolerance"), [(0.3, 0.01), (0.5, 1e-9), (0.7, 0.01)])
def test_the_markov_covariance_approaches_that_of_fractional_brownian_motion(
    hurst, tolerance, kind
):
    grid = np.array([0.1, 0.5, 1.0])
    nodes = default_nodes(12, 1.0, kind)
    omega = weights(hurst, nodes, 1.0, kind)
    found = markov_covariance(omega, nodes, grid[:, None], grid, kind)
    exact = fbm_covariance(hurst, grid[:, None], grid, kind, normalization="kernel")
    np.testing.assert_allclose(found, exact, rtol=tolerance)


@pytest.mark.parametrize("hurst", EVERY_H)
def test_type_2_covariance_is_its_integral(hurst):
    a = hurst + 0.5

    def kernel(r):
        return ((1.7 - r) * (0.6 - r)) ** (hurst - 0.5) / gamma(a) ** 2

    expected = quad(kernel, 0, 0.6, limit=200)[0]
    found = fbm_covariance(hurst, 1.7, 0.6, 2, normalization="kernel")
    assert float(found) == pytest.approx(expected, rel=1e-7)
    assert float(fbm_covariance(hurst, 1.0, 1.0, 2)) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("method", ["davies_harte", "cholesky"])
@pytest.mark.parametrize("hurst", EVERY_H)
def test_exact_paths_have_the_exact_covariance(hurst, method):
    ts, n = np.linspace(0.5, 2.5, 5), 100_000
    paths = simulate_fbm(hurst, ts, n, method, random_state=3).values[..., 0]
    expected = fbm_covariance(hurst, ts[:, None], ts)
    assert outside(paths.T @ paths / n, expected, n) < 4


def test_channels_have_their_own_index_and_are_independent():
    paths = simulate_fbm([0.2, 0.8], np.arange(4.0), 50_000, random_state=0).values
    flat = paths[:, 1:].reshape(len(paths), -1)
    found = flat.T @ flat / len(paths)
    expected = np.zeros((6, 6))
    for channel, hurst in enumerate((0.2, 0.8)):
        block = fbm_covariance(hurst, np.arange(1.0, 4)[:, None], np.arange(1.0, 4))
        expected[channel::2, channel::2] = block
    assert outside(found, expected, len(paths)) < 4.5


def test_noise_is_the_increments_of_paths():
    noise = simulate_fgn(0.7, 64, 3, random_state=5)
    assert noise.shape == (3, 64)
    long = simulate_fgn(0.7, 20_000, 1, random_state=5)[0]
    assert long.var() == pytest.approx(1.0, abs=0.05)
    lag = float(np.mean(long[1:] * long[:-1]))
    assert lag == pytest.approx(2**0.4 - 1, abs=0.05)


def test_fractional_ou_covariances_agree_with_known_values(shared_data):
    path = shared_data / "fractional" / "fou_covariance.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    rows = pd.read_csv(path)
    for (hurst, theta), part in rows.groupby(["hurst", "theta"]):
        t, s = part["t"].to_numpy(), part["s"].to_numpy()
        started = fou_covariance(hurst, theta, t, s)
        np.testing.assert_allclose(
            started, part["cov_started_at_zero_unit_variance_fbm"], atol=2e-8
        )
        stationary = stationary_fou_autocovariance(hurst, theta, t - s)
        np.testing.assert_allclose(
            stationary, part["stationary_autocov_lag_abs_t_minus_s"], atol=2e-8
        )


# of the closed form with incomplete gamma functions, in 40 digits
LONG_LAGS = [
    (0.2, 50.0, -2.2990909720336085e-4),
    (0.2, 1e4, -4.7772862453771004e-8),
    (0.7, 300.0, 9.138815538502416e-3),
    (0.7, 1e4, 1.1147000882509128e-3),
]


@pytest.mark.parametrize(("hurst", "lag", "expected"), LONG_LAGS)
def test_long_memory_is_kept_over_thousands_of_times_of_return(hurst, lag, expected):
    found = stationary_fou_autocovariance(hurst, 1.0, lag)
    assert float(found) == pytest.approx(expected, rel=1e-9)
    # long after the start nothing is left of it
    assert float(fou_covariance(hurst, 1.0, 2 * lag, lag)) == pytest.approx(
        float(stationary_fou_autocovariance(hurst, 1.0, lag)), rel=1e-9
    )


@pytest.mark.parametrize("hurst", EVERY_H)
def test_the_series_of_long_lags_continues_the_quadrature(hurst):
    lags = np.array([40 - 1e-9, 40 + 1e-9])
    short, long = stationary_fou_autocovariance(hurst, 1.0, lags)
    # up to the accuracy of the quadrature
    assert short == pytest.approx(long, abs=1e-9)
    for early in (0.0, 0.3, 20.0, 39.0):
        short, long = fou_covariance(hurst, 1.0, lags, early)
        assert short == pytest.approx(long, abs=1e-9)


@pytest.mark.parametrize("start", ["zero", "stationary"])
def test_fractional_ou_paths_are_drawn_over_many_times_of_return(start):
    ts = np.linspace(0, 1000, 40)
    paths = simulate_fractional_ou(0.7, 10.0, ts, 2000, start=start, random_state=0).values
    expected = float(stationary_fou_autocovariance(0.7, 10.0, 0.0))
    np.testing.assert_allclose(paths[:, 1:].var(axis=0), expected, rtol=0.2)


def test_steps_far_from_zero_and_tiny_times_keep_their_size():
    n = 4000
    far = simulate_fbm(0.8, 1e9 + np.arange(4.0), n, "cholesky", random_state=0).values[..., 0]
    np.testing.assert_allclose(np.diff(far).std(axis=0), 1.0, rtol=0.05)
    ts = np.array([1e-9, 1e-6, 1e-3, 1.0])
    small = simulate_fbm(0.8, ts, n, "cholesky", random_state=0).values[..., 0]
    np.testing.assert_allclose(small.std(axis=0), ts**0.8, rtol=0.05)


@pytest.mark.parametrize("start", ["zero", "stationary"])
def test_fractional_ou_paths_have_their_covariance(start):
    ts, n = np.array([0.0, 0.2, 1.0, 2.5]), 100_000
    paths = simulate_fractional_ou(
        0.3, 2.0, ts, n, volatility=1.5, mean=4.0, start=start, random_state=1
    ).values[..., 0]
    if start == "zero":
        expected = fou_covariance(0.3, 2.0, ts[:, None], ts)
    else:
        expected = stationary_fou_autocovariance(0.3, 2.0, ts[:, None] - ts)
    assert outside((paths - 4).T @ (paths - 4) / n / 1.5**2, expected, n) < 4


def test_a_varying_index_that_is_constant_is_constant():
    ts = np.linspace(0, 2, 6)
    found = [
        simulate_varying_hurst(lambda t: 0.3 + 0 * t, ts, 3, reading=reading, random_state=0).values
        for reading in ("volterra", "incremental")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    assert not found[0][:, 0].any()


def test_readings_of_a_varying_index_differ():
    ts = np.linspace(0, 1, 50)

    def index(t):
        return 0.3 + 0.5 * t

    found = {
        reading: simulate_varying_hurst(index, ts, 10_000, reading=reading, random_state=2).values[
            :, -1, 0
        ]
        for reading in ("volterra", "incremental")
    }
    # at the end the Volterra reading is fractional Brownian motion with H = 0.8 at time 1;
    # the variance of 10 000 draws has the standard error 0.014
    assert found["volterra"].var() == pytest.approx(1.0, abs=0.04)
    assert abs(found["incremental"].var() - 1.0) > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate_fbm(0.7, [0.0, 1.0, 3.0], 2), "equal steps"),
        (lambda: simulate_fbm(0.7, [0.0, 1.0, 2.0], 2, fbm_type=2), "cholesky"),
        (lambda: simulate_fbm(0.7, [-1.0, 1.0], 2), "from 0 on"),
        (lambda: simulate_fbm(0.7, [0.0], 2), "from 0 on"),
        (lambda: simulate_fbm(1.0, [0.0, 1.0], 2), "between 0 and 1"),
        (lambda: simulate_fbm(0.7, [0.0, 1.0], 2, "hosking"), "unknown method"),
        (lambda: simulate_fractional_ou(0.7, -1.0, [0.0, 1.0], 2), "positive rate"),
        (lambda: simulate_fractional_ou(0.7, 1.0, [0.0, 1.0], 2, start="x"), "start must be"),
        (lambda: fbm_covariance(0.7, -1.0, 1.0), "must not be negative"),
        (lambda: simulate_varying_hurst(lambda t: t, [0.0, 1.0], 2), "between 0 and 1"),
    ],
)
def test_unusable_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
