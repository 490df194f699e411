"""Losses of whole paths: disjoint neighbours, descent, sub-steps, the critic and its bound."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trajinfer import DirectedChainGenerator, InputError, IrregularSeries
from trajinfer.generation import (
    CDECritic,
    DirectedChainSDE,
    ExpectedSignature,
    PathMMD,
    SigKernelMMD,
)
from trajinfer.generation.chain import Chain
from trajinfer.generation.critic import Critic, LipschitzBound
from trajinfer.generation.observed import ObservedPaths
from trajinfer.generation.path_losses import PathSimulator
from trajinfer.sde import SolverRegularization


def drifting(n=200, n_times=9, slope=3.0):
    """Paths with a drift that an untrained chain does not have."""
    noise = np.random.default_rng(0).normal(size=(n, n_times, 1)) * 0.3
    return noise.cumsum(axis=1) + slope * np.linspace(0, 1, n_times)[:, None]


def chain_of(values, neighbour="none", step=None, noise="diagonal"):
    tensor = torch.as_tensor(values, dtype=torch.float32)
    times = torch.linspace(0, 1, tensor.shape[1], dtype=torch.float64).expand(len(tensor), -1)
    complete = torch.ones(tensor.shape[:2], dtype=torch.bool)
    paths = ObservedPaths(times.contiguous(), tensor, complete)
    sde = DirectedChainSDE(
        paths.units(), neighbour=neighbour, noise=noise, hidden=(16,), random_state=0
    )
    return Chain(sde, paths, step or sde.step)


def end_error(chain, seed=5):
    drawn = chain.sample(400, chain.paths.times[0].numpy(), 1, seed)
    return abs(float(drawn[:, -1].mean() - chain.paths.values[:, -1].mean()))


@pytest.mark.parametrize(
    "loss",
    [
        PathMMD(n_steps=50, batch_size=64, lr=0.03),
        SigKernelMMD(n_steps=30, batch_size=24, lr=0.04),
        ExpectedSignature(n_steps=40, batch_size=64, lr=0.03, depth=3),
        ExpectedSignature(n_steps=40, batch_size=64, lr=0.03, depth=3, unbiased=False),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_each_distance_teaches_the_drift(loss):
    chain = chain_of(drifting())
    before = end_error(chain)
    loss.train(chain, seed=0)
    assert before > 2
    assert end_error(chain) < 0.35 * before


def test_sub_steps_are_taken_in_training():
    chain = chain_of(drifting(n=40), step=1 / 24)
    calls = []
    plain = chain.sde.coefficients
    chain.sde.coefficients = lambda t, x, seen: calls.append(float(t)) or plain(t, x, seen)
    PathSimulator(chain, seed=0)(torch.arange(8), 0)
    assert len(calls) == 24


def test_a_stride_simulates_and_compares_fewer_times():
    chain = chain_of(drifting(n=40))
    calls = []
    plain = chain.sde.coefficients
    chain.sde.coefficients = lambda t, x, seen: calls.append(float(t)) or plain(t, x, seen)
    coarse = PathSimulator(chain, seed=0, stride=4)
    fake, _ = coarse(torch.arange(8), 0)
    assert calls == [0.0, 0.5]
    assert fake.shape == coarse.real[:8].shape == (8, 3, 1)
    assert torch.equal(coarse.real[:, 1], chain.paths.values[:, 4])
    with pytest.raises(InputError, match="a stride of 9 leaves one of the 9 times"):
        PathSimulator(chain, seed=0, stride=9)


def test_a_penalty_on_the_steps_leaves_the_paths_and_costs_what_it_weighs():
    penalty = SolverRegularization(mode="local", estimate="doubling", weight=2.0)
    plain, found = (
        PathSimulator(replace(chain_of(drifting(n=40)), regularization=reg), seed=0)
        for reg in (None, penalty)
    )
    (fake, none), (same, cost) = (f(torch.arange(8), 0) for f in (plain, found))
    assert torch.equal(fake, same)
    assert none.item() == 0.0
    assert cost.item() > 0
    cost.backward()
    assert any(p.grad is not None and p.grad.any() for p in found.chain.sde.parameters())


def test_a_penalty_needs_a_loss_that_simulates():
    penalty = SolverRegularization(mode="local", estimate="doubling")
    series = IrregularSeries.from_arrays(np.linspace(0, 1, 9), drifting(n=40))
    with pytest.raises(InputError, match="simulates none"):
        DirectedChainGenerator(regularization=penalty).fit(series)
    loss = PathMMD(n_steps=3, batch_size=16)
    generator = DirectedChainGenerator(loss=loss, regularization=penalty, random_state=0)
    assert generator.fit(series).sample(3).values.shape == (3, 9, 1)


def test_neighbours_are_never_targets():
    values = np.arange(30.0)[:, None, None] * np.ones((30, 4, 1))
    simulator = PathSimulator(chain_of(values, "one"), seed=0)
    targets = torch.arange(10)
    generator = torch.Generator().manual_seed(0)
    seen = simulator._neighbours(targets, generator).evaluate(torch.tensor(0.5))
    assert len(seen) == 10
    assert float(seen.min()) >= 10
    shared = PathSimulator(simulator.chain, seed=0, shared=True)
    assert shared._neighbours(targets, generator).evaluate(torch.tensor(0.5))[:, 0].tolist() == [
        *range(10)
    ]


def test_a_batch_of_all_paths_leaves_no_neighbour():
    simulator = PathSimulator(chain_of(drifting(n=20), "one"), seed=0)
    with pytest.raises(InputError, match="smaller batch_size"):
        simulator(torch.arange(20), 0)


def test_only_the_last_link_carries_gradients():
    chain = chain_of(drifting(n=40), "one")
    fakes, _ = PathSimulator(chain, seed=3)(torch.arange(8), 0)
    fakes.sum().backward()
    assert all(p.grad is not None for p in chain.sde.parameters())


def test_irregular_series_are_refused():
    chain = chain_of(drifting(n=20))
    paths = chain.paths
    holes = ObservedPaths(paths.times, paths.values, paths.complete.clone())
    holes.complete[0, 3] = False
    with pytest.raises(InputError, match="complete on the same times"):
        PathSimulator(Chain(chain.sde, holes, 0.1), seed=0)


def test_the_critic_sees_the_whole_path_and_its_start():
    critic = Critic(2, 8, seed=0)
    paths = torch.randn(6, 5, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    critic(paths).sum().backward()
    assert (paths.grad.abs().amax(dim=(0, 2)) > 0).all()
    with torch.no_grad():
        moved = critic(paths + 1.0) - critic(paths)
    assert float(moved.abs().min()) > 0


def test_the_bound_holds_after_a_step():
    critic = Critic(2, 8, seed=0)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(100)
    LipschitzBound(critic).on_step(None)
    for layer in critic.modules():
        if isinstance(layer, torch.nn.Linear):
            rows = layer.weight.detach().abs().sum(dim=1)
            assert float(rows.max()) <= 1 + 1e-6


@pytest.mark.parametrize("shared", [False, True])
def test_the_game_is_played_as_published(shared):
    chain = chain_of(drifting(n=80), "one", noise=3)
    before = end_error(chain)
    game = CDECritic(
        n_steps=15, batch_size=32, lr=0.04, decay=0.9, signature_depth=3, shared_batch=shared
    )
    report = game.train(chain, seed=0)
    assert {"critic_gap", "generator_loss"} <= set(report.history[-1])
    assert end_error(chain) < 0.5 * before
