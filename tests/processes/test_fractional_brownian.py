"""Drifts and diffusions of the core under fractional noise."""

import copy
import math

import numpy as np
import pytest
import torch

from trajinfer import InputError
from trajinfer.fractional import fou_covariance, markov_covariance
from trajinfer.processes import (
    AffineDrift,
    FractionalBrownian,
    GeometricBrownian,
    OrnsteinUhlenbeck,
)
from trajinfer.sde import solve


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("hurst", [0.2, 0.8])
def test_paths_without_a_drift_have_the_exact_law_of_the_approximation(hurst, kind):
    motion, n = FractionalBrownian(hurst, horizon=2.0, fbm_type=kind, volatility=1.5), 40_000
    ts = np.array([0.0, 0.3, 0.31, 2.0])
    paths = motion.simulate([1.0], ts, n, random_state=0).values[..., 0] - 1.0
    grid = ts[:, None], ts
    omega, nodes = motion.omega[0].numpy(), motion.nodes.numpy()
    expected = 1.5**2 * markov_covariance(omega, nodes, *grid, kind)[1:, 1:]
    found = (paths.T @ paths / n)[1:, 1:]
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs((found - expected) / size).max() < 4 * math.sqrt(2 / n)


def test_a_linear_drift_gives_fractional_ornstein_uhlenbeck():
    process = OrnsteinUhlenbeck(theta=1.0, mean=0.0, volatility=1.0)
    motion, n = FractionalBrownian(0.7, process, horizon=2.0), 15_000
    paths = motion.simulate([0.0], [0.0, 1.0, 2.0], n, random_state=1, step=0.05).values[:, 1:, 0]
    expected = fou_covariance(0.7, 1.0, np.array([1.0, 2.0])[:, None], np.array([1.0, 2.0]))
    found = paths.T @ paths / n
    # four standard errors, and 0.3 % for the approximation and the step
    assert np.abs(found - expected).max() < 4 * math.sqrt(2 / n) * expected.max() + 0.003


def test_index_one_half_is_the_brownian_process():
    process = OrnsteinUhlenbeck(theta=2.0, mean=1.0, volatility=0.5)
    motion, n = FractionalBrownian(0.5, process), 15_000
    paths = motion.simulate([1.0], [0.0, 1.0], n, random_state=1, step=0.05).values[:, -1, 0]
    variance = 0.25 * -math.expm1(-4.0) / 4
    assert paths.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / n) + 4e-3)


@pytest.mark.parametrize("hurst", [0.3, pytest.param(0.7, marks=pytest.mark.slow)])
def test_noise_that_depends_on_the_state_obeys_the_chain_rule(hurst):
    """In the sense of Stratonovich dX = X dB has the solution X(0) exp(B)."""
    process = GeometricBrownian(mu=0.0, volatility=0.4)
    motion, plain = FractionalBrownian(hurst, process), FractionalBrownian(hurst)
    ts = [0.0, 1.0]
    x = motion.simulate([2.0], ts, 200, random_state=5, step=1 / 2000).values[:, -1, 0]
    b = plain.simulate([0.0], ts, 200, random_state=5, step=1 / 2000).values[:, -1, 0]
    np.testing.assert_allclose(np.log(x / 2.0), 0.4 * b, atol=0.03)


def test_the_product_with_noise_needs_no_dense_matrix():
    process = AffineDrift(
        2, matrix=[[0.0, 1.0], [-1.0, 0.0]], offset=[0.0, 0.0], volatility=[0.3, 0.7]
    )
    motion = FractionalBrownian([0.3, 0.8], process, n_ou=5)
    y = torch.linspace(-1, 1, 3 * motion.dim, dtype=torch.float64).reshape(3, -1)
    v = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]], dtype=torch.float64)
    dense = torch.einsum("bdm,bm->bd", motion.g(torch.zeros(()), y), v)
    torch.testing.assert_close(motion.g_prod(torch.zeros(()), y, v), dense)
    # a channel drives its own coordinate and its own nodes only
    g = motion.g(torch.zeros(()), y)
    assert not g[:, 0, 1].any()
    assert not g[:, 2 : 2 + 5, 1].any()


def test_small_steps_of_other_solvers_agree_with_the_exact_law():
    nodes = [0.0, 0.5, 2.0]
    process = OrnsteinUhlenbeck(theta=1.0, mean=0.0, volatility=1.0)
    motion, n = FractionalBrownian(0.7, process, nodes=nodes), 20_000
    y0 = motion.start(torch.zeros(n, 1, dtype=torch.float64), 0)
    ends = [
        solve(motion, y0, [0.0, 1.0], step=0.02, method=method, random_state=1).ys[:, -1]
        for method in ("exact", "heun")
    ]
    first, second = (torch.cov(end.T) for end in ends)
    size = first.diagonal().sqrt()
    error = (first - second) / (size[:, None] * size)
    assert float(error.abs().max()) < 6 * math.sqrt(2 / n)


def test_series_may_have_their_own_times():
    motion = FractionalBrownian(0.7, n_ou=5)
    ts = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.1, 0.1]], dtype=torch.float64)
    y0 = motion.start(torch.zeros(2, 1, dtype=torch.float64), 0)
    found = solve(motion, y0, ts, random_state=0)
    assert found.stats.method == "exact"
    torch.testing.assert_close(found.ys[1, 1], found.ys[1, 2])
    assert not torch.equal(found.ys[0, 1], found.ys[0, 2])


def test_single_precision_follows_double_precision():
    motion = FractionalBrownian(0.3)
    y0 = motion.start(torch.zeros(500, 1, dtype=torch.float64), 0)
    Z = torch.randn(500, motion.dim, generator=torch.Generator().manual_seed(0)).double()
    h = torch.tensor(0.01, dtype=torch.float64)
    double = motion.exact_step(h, h, y0, None, None, Z)[:, 0]
    single = motion.exact_step(h.float(), h.float(), y0.float(), None, None, Z.float())[:, 0]
    assert float((double - single).abs().max() / double.std()) < 1e-4


def test_gradient_reaches_the_index():
    hurst = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    motion = FractionalBrownian(hurst, n_ou=6)
    y0 = motion.start(torch.zeros(50, 1, dtype=torch.float64), 0)
    solve(motion, y0, [0.0, 0.5, 1.0], random_state=0).ys[:, -1, 0].square().mean().backward()
    assert hurst.grad is not None
    assert float(hurst.grad.abs()) > 0


def test_copies_are_independent():
    motion = FractionalBrownian(0.7, n_ou=4)
    again = copy.deepcopy(motion)
    ours = motion.simulate([0.0], [0.0, 1.0], 3, random_state=0).values
    np.testing.assert_array_equal(again.simulate([0.0], [0.0, 1.0], 3, random_state=0).values, ours)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FractionalBrownian(1.0), "between 0 and 1"),
        (lambda: FractionalBrownian(0.5, horizon=0.0), "positive, finite duration"),
        (lambda: FractionalBrownian(0.5, OrnsteinUhlenbeck(theta=1.0)), "no volatility"),
        (lambda: FractionalBrownian([0.2, 0.3, 0.4], dim=2), "hurst must be"),
        (lambda: FractionalBrownian(0.5, volatility=-1.0), "volatility must be positive"),
    ],
)
def test_unusable_settings_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
