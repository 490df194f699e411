"""Entropic couplings against POT, exact transport, and their own optimality conditions."""

import numpy as np
import ot
import pytest
import torch
from scipy.spatial.distance import cdist

from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.metrics.entropic_coupling import couple
from trajinfer.processes import Brownian


def masses(*weights):
    return torch.as_tensor(np.stack(weights)).log()


@pytest.fixture
def problem(rng):
    """Cost (S, N, M) and log-masses of three unlike segments."""
    x, y = rng.standard_normal((3, 40, 2)), 2 + rng.standard_normal((3, 30, 2))
    cost = np.stack([cdist(a, b, "sqeuclidean") for a, b in zip(x, y, strict=True)])
    a, b = rng.dirichlet(np.ones(40), 3), rng.dirichlet(np.ones(30), 3)
    scale = np.array([0.5, 5.0, 50.0]).reshape(3, 1, 1)
    return torch.as_tensor(scale * cost), torch.as_tensor(a).log(), torch.as_tensor(b).log()


def test_the_plan_is_that_of_pot(problem):
    cost, log_a, log_b = problem
    found = couple(cost, log_a, log_b)
    for k in range(3):
        a, b, c = log_a[k].exp().numpy(), log_b[k].exp().numpy(), cost[k].numpy()
        theirs = ot.sinkhorn(
            a, b, c, reg=1.0, method="sinkhorn_log", stopThr=1e-12, numItermax=200_000
        )
        np.testing.assert_allclose(found.log_plan[k].exp(), theirs, atol=1e-10)


def test_marginals_are_met(problem):
    cost, log_a, log_b = problem
    found = couple(cost, log_a, log_b)
    plan = found.log_plan.exp()
    assert (plan.sum(2) - log_a.exp()).abs().sum(1).max() < 1e-9
    assert (plan.sum(1) - log_b.exp()).abs().sum(1).max() < 1e-12
    torch.testing.assert_close(
        found.error, (plan.sum(2) - log_a.exp()).abs().sum(1), rtol=0, atol=1e-15
    )


def test_the_plan_has_the_form_of_the_optimum(problem):
    cost, log_a, log_b = problem
    found = couple(cost, log_a, log_b)
    separable = found.log_plan + cost
    expected = found.f.unsqueeze(2) + found.g.unsqueeze(1)
    torch.testing.assert_close(separable, expected, rtol=1e-13, atol=1e-10)


def test_entropy(problem):
    found = couple(*problem)
    plan = found.log_plan.exp()
    assert found.entropy_term() == pytest.approx(float(torch.special.xlogy(plan, plan).sum()))


def test_atoms_without_mass_are_padding(problem):
    cost, log_a, log_b = problem
    small = couple(
        cost[:, :30, :20],
        log_a[:, :30] - log_a[:, :30].logsumexp(1, True),
        log_b[:, :20] - log_b[:, :20].logsumexp(1, True),
    )
    a, b = torch.full((3, 40), -torch.inf).double(), torch.full((3, 30), -torch.inf).double()
    a[:, :30] = log_a[:, :30] - log_a[:, :30].logsumexp(1, True)
    b[:, :20] = log_b[:, :20] - log_b[:, :20].logsumexp(1, True)
    padded = couple(cost, a, b).log_plan.exp()
    assert torch.isfinite(padded).all()
    torch.testing.assert_close(padded[:, :30, :20], small.log_plan.exp(), rtol=0, atol=1e-11)
    assert not padded[:, 30:].any()
    assert not padded[:, :, 20:].any()


def test_an_atom_of_no_mass_among_others(problem):
    cost, log_a, log_b = problem
    log_a[:, 3] = -torch.inf
    log_a = log_a - log_a.logsumexp(1, True)
    plan = couple(cost, log_a, log_b).log_plan.exp()
    assert not plan[:, 3].any()
    assert (plan.sum(2) - log_a.exp()).abs().sum(1).max() < 1e-9


def test_a_warm_start_gives_the_same_plan_sooner(problem):
    cost, log_a, log_b = problem
    cost = 0.1 * cost  # cold starts are annealed; those of larger costs begin at exact transport
    cold = couple(cost, log_a, log_b)
    before = cold.f.clone()
    warm = couple(1.01 * cost, log_a, log_b, warm_start=cold.f)
    again = couple(1.01 * cost, log_a, log_b)
    torch.testing.assert_close(warm.log_plan.exp(), again.log_plan.exp(), rtol=0, atol=1e-9)
    assert warm.n_steps < again.n_steps
    assert torch.equal(cold.f, before)


def test_a_constant_on_the_cost_moves_the_potentials_only(problem):
    cost, log_a, log_b = problem
    offset = torch.linspace(-1e3, 1e3, 40, dtype=torch.float64).reshape(1, 40, 1)
    plain, moved = couple(cost, log_a, log_b), couple(cost + offset, log_a, log_b)
    torch.testing.assert_close(moved.log_plan.exp(), plain.log_plan.exp(), rtol=0, atol=1e-9)


def test_little_noise_is_exact_transport(rng):
    """Costs of 1e4: plain Sinkhorn would need tens of thousands of sweeps."""
    x, y = rng.standard_normal((120, 2)), 1 + rng.standard_normal((120, 2))
    squared = cdist(x, y, "sqeuclidean")
    even = np.full((1, 120), 1 / 120)
    cost = torch.as_tensor(squared)[None] / (2 * 0.01**2)
    found = couple(cost, masses(*even), masses(*even), max_steps=400)
    assert found.error.max() < 1e-6
    exact = ot.emd2([], [], squared)
    assert float((found.log_plan[0].exp() * torch.as_tensor(squared)).sum()) == pytest.approx(
        exact, rel=1e-2
    )


def far_groups(rng, sizes, ends):
    """Two groups so far apart that entries between them underflow; only some mass must cross."""
    x, y = (
        np.concatenate([rng.standard_normal((n, 3)) + off for n, off in zip(k, (0, 40))])
        for k in (sizes, ends)
    )
    return torch.as_tensor(cdist(x, y, "sqeuclidean"))[None] / 2


@pytest.mark.parametrize(
    ("sizes", "ends"),
    [((40, 20), (39, 21)), ((1, 59), (2, 58)), ((60, 10), (20, 20))],
)
def test_mass_crosses_between_groups_that_hardly_see_each_other(rng, sizes, ends):
    cost = far_groups(rng, sizes, ends)
    a, b = (rng.dirichlet(np.full(sum(k), 5.0)) for k in (sizes, ends))
    found = couple(cost, masses(a), masses(b))
    plan = found.log_plan[0].exp().numpy()
    assert np.abs(plan.sum(1) - a).sum() < 1e-9
    assert np.abs(plan.sum(0) - b).sum() < 1e-9
    need = b[: ends[0]].sum() - a[: sizes[0]].sum()
    crossing = plan[sizes[0] :, : ends[0]].sum(), plan[: sizes[0], ends[0] :].sum()
    assert crossing[0] - crossing[1] == pytest.approx(need, rel=1e-6)
    assert min(crossing) == pytest.approx(0.0, abs=1e-12)


@pytest.fixture
def sparse_clouds(rng):
    """Six problems of points far apart that weigh unlike: few entries are above 1e-300."""
    clouds = rng.standard_normal((6, 2, 60, 10))
    cost = np.stack([cdist(x, y, "sqeuclidean") for x, y in clouds]) / (2 * 0.03**2)
    return torch.as_tensor(cost), *(masses(*rng.dirichlet(np.full(60, 5.0), 6)) for _ in "ab")


def test_every_point_of_a_sparse_cloud_is_placed(sparse_clouds):
    found = couple(*sparse_clouds)
    assert found.error.max() < 1e-9
    cost, log_a, log_b = sparse_clouds
    for k in range(6):
        exact = ot.emd2(log_a[k].exp().numpy(), log_b[k].exp().numpy(), cost[k].numpy())
        transport = float((found.log_plan[k].exp() * cost[k]).sum())
        assert exact - 1e-9 * exact < transport < exact + np.log(60)


def test_a_start_that_leads_nowhere_is_left(sparse_clouds):
    start = torch.zeros_like(sparse_clouds[1])
    found = couple(*sparse_clouds, warm_start=start)
    assert found.error.max() < 1e-9


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_small_volatility_is_exact_transport(rng, dim):
    clouds = [rng.standard_normal((80, dim)), 1 + 2 * rng.standard_normal((80, dim))]
    bridge = SchrodingerBridge(volatility=0.05, random_state=0).fit(Snapshots([0, 1], clouds))
    squared = cdist(*clouds, "sqeuclidean")
    exact = ot.emd2([], [], squared)
    assert (bridge.coupling(0) * squared).sum() == pytest.approx(exact, rel=1e-2)
    assert bridge.converged_


def test_large_volatility_is_independence(rng):
    clouds = [rng.standard_normal((30, 2)), 1 + rng.standard_normal((20, 2))]
    weights = [rng.dirichlet(np.ones(n)) for n in (30, 20)]
    bridge = SchrodingerBridge(volatility=1e4, random_state=0).fit(
        Snapshots([0, 1], clouds, weights)
    )
    expected = np.outer(*(bridge.snapshots_.probabilities(k) for k in range(2)))
    np.testing.assert_allclose(bridge.coupling(0), expected, rtol=1e-6)


def test_brownian_couplings_are_those_of_pot(rng):
    """Cost |x - y|^2 / 2 at reg sigma^2 Delta; with POT's |x - y|^2 that is 2 sigma^2 Delta."""
    clouds = [rng.standard_normal((50, 2)), np.array([1, 0]) + rng.standard_normal((50, 2))]
    sigma, duration = 0.6, 2.5
    bridge = SchrodingerBridge(Brownian(volatility=[sigma, sigma]), random_state=0).fit(
        Snapshots([3.0, 3.0 + duration], clouds)
    )
    theirs = ot.sinkhorn(
        [], [], cdist(*clouds, "sqeuclidean"), reg=2 * sigma**2 * duration, stopThr=1e-12
    )
    np.testing.assert_allclose(bridge.coupling(0), theirs, atol=1e-10)


def test_every_segment_meets_its_snapshots(rng):
    sizes = (30, 7, 45, 1, 20)
    clouds = [rng.standard_normal((n, 2)) + k for k, n in enumerate(sizes)]
    weights = [rng.dirichlet(np.ones(n)) for n in sizes]
    snapshots = Snapshots([0, 0.5, 2, 2.1, 4], clouds, weights)
    bridge = SchrodingerBridge(random_state=0).fit(snapshots)
    for k in range(4):
        plan = bridge.coupling(k)
        assert plan.shape == (sizes[k], sizes[k + 1])
        assert np.abs(plan.sum(axis=1) - snapshots.probabilities(k)).sum() < 1e-6
        assert np.abs(plan.sum(axis=0) - snapshots.probabilities(k + 1)).sum() < 1e-6


def test_what_cannot_be_solved_is_reported(rng):
    x, y = rng.standard_normal((60, 2)), 1 + rng.standard_normal((60, 2))
    cost = torch.as_tensor(cdist(x, y, "sqeuclidean"))[None] * 1e4
    even = masses(np.full(60, 1 / 60))
    found = couple(cost, even, even, max_steps=1)
    assert found.error.max() > 1e-6
    assert torch.isfinite(found.f).all()
