"""The directed-chain SDE: closed forms of linear chains, systems, and what its context must be."""

import numpy as np
import pytest
import torch

from trajinfer import InputError, solve
from trajinfer.generation import DirectedChainSDE, Systems, Units
from trajinfer.generation.chain import Chain, measure_dependence
from trajinfer.generation.observed import ObservedPaths
from trajinfer.paths import linear_path

STEP = 0.05
TIMES = np.arange(21) * STEP


def units(dim=1, step=STEP):
    ones = torch.ones(dim)
    return Units(torch.zeros(dim), ones, ones, step, 0.0, 1.0)


def linear_chain(own, neighbour, deviation, kind="one"):
    """dX = (own X + neighbour X~) dt + deviation dB, written into the weights."""
    sde = DirectedChainSDE(units(), neighbour=kind, floor=0.0, random_state=0)
    with torch.no_grad():
        for parameter in sde.parameters():
            parameter.zero_()
        weight = sde.linear.layers[0].weight
        weight[0, 7] = own * STEP
        if kind == "one":
            weight[0, 8] = neighbour * STEP
        # softplus(b + 0.54) = deviation sqrt(step)
        target = max(deviation * np.sqrt(STEP), 1e-12)
        sde.net.layers[-1].bias[1] = float(np.log(np.expm1(target))) - 0.54
    return sde


def observed(paths):
    values = torch.as_tensor(paths, dtype=torch.float32)
    times = torch.as_tensor(TIMES).expand(len(values), -1).contiguous()
    return ObservedPaths(times, values, torch.ones(values.shape[:2], dtype=torch.bool))


def test_a_link_has_the_covariance_of_the_linear_recursion():
    own, pull, deviation, n = -1.0, 2.0, 0.5, 20_000
    seeds = np.random.default_rng(0).normal(size=(n, 21, 1)).cumsum(axis=1)
    chain = Chain(linear_chain(own, pull, deviation), observed(seeds), STEP)
    paths, used = next(chain.walk(n, TIMES, seed=1))
    x, y = paths[:, :, 0].numpy(), used[:, :, 0].numpy()
    # X_T = sum_k (1 + own h)^(N-1-k) (pull h Y_k + noise_k) + (1 + own h)^N X_0
    decay = 1 + own * STEP
    weights = pull * STEP * decay ** np.arange(19, -1, -1)
    explained = y[:, :20] @ weights
    start = x[:, 0] * decay**20
    noise = deviation**2 * STEP * (decay ** (2 * np.arange(20))).sum()
    rest = x[:, -1] - explained - start
    assert rest.mean() == pytest.approx(0, abs=4 * np.sqrt(noise / n))
    assert rest.var() == pytest.approx(noise, rel=4 * np.sqrt(2 / n))
    assert abs(np.corrcoef(rest, explained)[0, 1]) < 4 / np.sqrt(n)


def test_the_walk_forgets_its_seed_at_the_rate_of_the_recursion():
    n = 20_000
    noise = np.random.default_rng(0).normal(size=(n, 21, 1)) * np.sqrt(STEP)
    chain = Chain(linear_chain(-1.0, 1.0, 1.0), observed(noise.cumsum(axis=1)), STEP)
    # the map from neighbour to path, as a matrix over the grid
    gain = np.zeros((21, 21))
    for k in range(20):
        gain[k + 1] = (1 - STEP) * gain[k]
        gain[k + 1, k] += STEP
    walk = chain.walk(n, TIMES, seed=3)
    power = np.eye(21)
    for _ in range(3):
        paths, seeds = (part[:, :, 0].numpy().astype(float) for part in next(walk))
        power = gain @ power
        covariance = np.cov(seeds.T)
        expected = (power @ covariance)[-1, -1]
        found = np.mean((paths[:, -1] - paths[:, -1].mean()) * (seeds[:, -1] - seeds[:, -1].mean()))
        error = paths[:, -1].std() * seeds[:, -1].std() / np.sqrt(n)
        assert found == pytest.approx(expected, abs=4 * error)


def test_dependence_tells_a_copy_from_a_path_of_its_own():
    walks = np.random.default_rng(0).normal(size=(400, 21, 1)).cumsum(axis=1)
    own = Chain(linear_chain(-1.0, 0.0, 1.0), observed(walks), STEP)
    copy = Chain(linear_chain(-15.0, 15.0, 0.01), observed(walks), STEP)
    free = measure_dependence(own, TIMES, 1000, 2, seed=0)
    bound = measure_dependence(copy, TIMES, 1000, 2, seed=0)
    assert free.forgotten == 1
    assert bound.forgotten is None
    assert bound.links[0] > 0.9


def test_without_noise_and_with_constant_drift_a_path_is_a_line():
    sde = linear_chain(0.0, 0.0, 0.0, kind="none")
    with torch.no_grad():
        sde.net.layers[-1].bias[0] = 3.0 * STEP
        sde.noisy.zero_()
    ys = solve(sde, torch.tensor([[1.0]]), TIMES, method="euler", random_state=0).ys
    assert np.allclose(ys[0, :, 0].detach(), 1 + 3 * TIMES, atol=1e-5)


def test_triangular_noise_has_the_covariance_of_its_matrix():
    sde = DirectedChainSDE(units(2), noise="triangular", random_state=0)
    with torch.no_grad():
        sde.net.layers[-1].bias[4] = 0.8
    x = torch.zeros(20_000, 2)
    sigma = sde.g(torch.tensor(0.0), x[:1])[0].detach()
    assert float(sigma[0, 1]) == 0
    step = solve(sde, x, [0.0, STEP], method="euler", random_state=0).ys[:, 1]
    expected = (sigma @ sigma.T * STEP).numpy()
    assert np.allclose(np.cov(step.detach().T.numpy()), expected, atol=0.06 * expected.max())


def test_pooled_features_are_the_mean_over_the_own_system():
    ids = torch.tensor([4, 7, 4, 4, 7])
    systems = Systems.of(ids)
    sde = DirectedChainSDE(units(2), neighbour="pool", random_state=0)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    found = sde.seen(torch.tensor(0.0), x, systems)
    for i in range(5):
        same = (ids == ids[i]).nonzero()[:, 0]
        pairs = torch.stack([torch.cat([x[i], x[j]]) for j in same])
        assert torch.allclose(found[i], sde.psi(pairs).mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "context", "said"), [("one", None, "neighbour path"), ("pool", None, "Systems")]
)
def test_a_context_that_does_not_fit_is_refused(kind, context, said):
    sde = DirectedChainSDE(units(), neighbour=kind, random_state=0)
    with pytest.raises(InputError, match=said):
        sde.f(torch.tensor(0.0), torch.zeros(3, 1), context)


def test_unknown_neighbours_are_refused():
    with pytest.raises(InputError, match="did you mean 'none'"):
        DirectedChainSDE(units(), neighbour="nonee")


def test_times_of_each_path_see_the_neighbour_there():
    sde = linear_chain(0.0, 1.0, 0.0)
    times = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    path = linear_path(times, torch.tensor([[[0.0], [1.0]], [[0.0], [4.0]]]))
    drift = sde.f(torch.tensor([[0.25], [0.5]]), torch.zeros(2, 1), path)
    assert torch.allclose(drift, torch.tensor([[0.25], [2.0]]), atol=1e-5)
