"""The transition likelihood: coefficients of known equations, quiet channels, irregular gaps."""

import numpy as np
import pytest
import torch

from trajinfer.generation import DirectedChainSDE, TransitionLikelihood
from trajinfer.generation.chain import Chain
from trajinfer.generation.observed import ObservedPaths

QUICK = TransitionLikelihood(n_steps=150, batch_size=512, lr=1e-2, decay=0.98)
SMALL = (32,)


def observed(values, times, complete=None, systems=None):
    tensor = torch.as_tensor(values, dtype=torch.float32)
    grid = torch.as_tensor(times, dtype=torch.float64).expand(len(tensor), -1).contiguous()
    seen = ~tensor.isnan().any(-1) if complete is None else complete
    return ObservedPaths(grid, tensor, seen, systems)


def ornstein_uhlenbeck(n=400, n_times=41, step=0.025, rate=2.0, seed=0):
    """Two channels; the noise of the second follows that of the first with correlation 0.8."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    rows = [x]
    for _ in range(n_times - 1):
        first, second = rng.normal(size=(2, n))
        noise = np.stack([first, 0.8 * first + 0.6 * second], axis=1)
        x = x - rate * x * step + np.sqrt(step) * noise
        rows.append(x)
    return np.stack(rows, axis=1), np.arange(n_times) * step


def test_drift_and_diffusion_of_a_linear_equation():
    values, times = ornstein_uhlenbeck()
    paths = observed(values, times)
    sde = DirectedChainSDE(paths.units(), noise="triangular", hidden=SMALL, random_state=0)
    QUICK.train(sde, paths, seed=0)
    x = torch.tensor([[-1.0, 0.5], [0.0, 0.0], [1.0, -0.5]])
    with torch.no_grad():
        drift, sigma = sde.f_and_g(torch.tensor(0.5), x)
    # standard error of a drift that is estimated from 400 paths of length 1
    assert torch.allclose(drift, -2 * x, atol=0.35)
    expected = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    assert torch.allclose(sigma @ sigma.mT, expected.expand(3, 2, 2), atol=0.08)


def test_gaps_are_taken_as_they_are():
    values, times = ornstein_uhlenbeck(seed=1)
    values = values[:, :, :1].copy()
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    paths = observed(values, times)
    pairs = paths.transitions()
    assert float(pairs.gap.max()) > 0.07
    assert len(pairs) == int(paths.complete.sum()) - len(paths)
    assert paths.units().step == pytest.approx(0.025)
    sde = DirectedChainSDE(paths.units(), hidden=SMALL, random_state=0)
    QUICK.train(sde, paths, seed=0)
    with torch.no_grad():
        sigma = sde.g(torch.tensor(0.5), torch.zeros(1, 1))
    assert float(sigma) == pytest.approx(1.0, abs=0.06)


def test_a_channel_without_noise_is_found():
    rng = np.random.default_rng(0)
    n, step = 300, 0.02
    x, rows = np.stack([rng.normal(size=n), rng.normal(size=n)], axis=1), []
    for _ in range(30):
        rows.append(x)
        noise = np.sqrt(step) * np.stack([rng.normal(size=n), np.zeros(n)], axis=1)
        x = x + step * np.stack([-x[:, 0], x[:, 0]], axis=1) + noise
    paths = observed(np.stack(rows, axis=1), np.arange(30) * step)
    sde = DirectedChainSDE(paths.units(), hidden=SMALL, random_state=0)
    TransitionLikelihood(n_steps=300, batch_size=512, lr=1e-2, decay=0.98).train(sde, paths, seed=0)
    assert sde.noisy.tolist() == [1, 0]


def test_the_loss_is_the_weighted_density_written_out():
    values, times = ornstein_uhlenbeck(n=50)
    paths = observed(values, times)
    sde = DirectedChainSDE(paths.units(), noise="triangular", random_state=3)
    pairs = paths.transitions()[torch.arange(20)]
    with torch.no_grad():
        drift, sigma = sde.coefficients(pairs.t, pairs.x, None)
        found = TransitionLikelihood(beta=0.0).loss(sde, pairs, None)
    ratio = pairs.gap / sde.step
    scaled = pairs.change / sde.increment
    law = torch.distributions.MultivariateNormal(
        drift * ratio, scale_tril=sigma * ratio.sqrt()[:, :, None]
    )
    constant = np.log(2 * np.pi) + torch.log(ratio).mean()
    assert float(found) == pytest.approx(float(-law.log_prob(scaled).mean() - constant), abs=1e-5)


def test_a_random_neighbour_is_ignored_and_never_the_target():
    values, times = ornstein_uhlenbeck(n=200)
    paths = observed(values[:, :, :1], times)
    sde = DirectedChainSDE(paths.units(), neighbour="one", hidden=SMALL, random_state=0)
    QUICK.train(sde, paths, seed=0)
    x = torch.zeros(50, 1)
    others = torch.linspace(-2, 2, 50)[:, None]
    with torch.no_grad():
        over_neighbours = sde.coefficients(torch.tensor(0.5), x, others)[0].std()
        over_states = sde.coefficients(torch.tensor(0.5), others, x)[0].std()
    assert over_neighbours < 0.35 * over_states


def test_a_pool_learns_the_pull_to_the_mean_of_the_system():
    rng = np.random.default_rng(0)
    n_systems, size, step = 60, 10, 0.05
    x = rng.normal(size=(n_systems, 1)) + rng.normal(size=(n_systems, size))
    rows = [x]
    for _ in range(20):
        pull = 3 * (x.mean(axis=1, keepdims=True) - x)
        x = x + step * pull + 0.3 * np.sqrt(step) * rng.normal(size=x.shape)
        rows.append(x)
    values = np.stack(rows, axis=-1).reshape(-1, 21, 1)
    systems = torch.arange(n_systems).repeat_interleave(size)
    paths = observed(values, np.arange(21) * step, systems=systems)
    sde = DirectedChainSDE(paths.units(), neighbour="pool", hidden=SMALL, random_state=0)
    TransitionLikelihood(n_steps=200, batch_size=512, lr=1e-2, decay=0.98).train(sde, paths, seed=0)
    own = torch.zeros(2, 1)
    others = torch.stack([torch.full((size, 1), 1.0), torch.full((size, 1), -1.0)])
    seen = sde.pooled(own, others, torch.ones(2, size, dtype=torch.bool))
    with torch.no_grad():
        drift = sde.coefficients(torch.tensor(0.5), own, seen)[0] * sde.increment / sde.step
    assert drift[:, 0].tolist() == pytest.approx([3, -3], abs=0.8)


def test_starts_are_smoothed_and_point_masses_kept():
    values = np.random.default_rng(0).normal(size=(100, 3, 2))
    values[:, 0, 1] = 7.0
    paths = observed(values, [0.0, 1.0, 2.0])
    chain = Chain(DirectedChainSDE(paths.units(), random_state=0), paths, 1.0)
    starts = chain.starts(500, torch.Generator().manual_seed(0)).numpy()
    assert (starts[:, 1] == 7).all()
    assert not np.isin(starts[:, 0], values[:, 0, 0].astype(np.float32)).any()
    assert starts[:, 0].std() == pytest.approx(values[:, 0, 0].std(), rel=0.15)
