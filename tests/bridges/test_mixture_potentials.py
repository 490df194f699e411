"""Mixture potentials against closed forms, against atoms, and at their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from tests.bridges.gaussian import GaussianBridge, bures_wasserstein2
from trajinfer import SchrodingerBridge, Snapshots, load
from trajinfer.bridges.mixture_potential import MixturePotential, gaussian_spread
from trajinfer.bridges.mixture_search import Sample, choose, divergence, search
from trajinfer.processes import AffineDrift, LotkaVolterra, simulate

SIGMA = 0.5


def rotational(dim, seed):
    """Rotation 2, contraction .5, and two Gaussians whose covariances do not commute."""
    rng = np.random.default_rng(seed)
    A = -0.5 * np.eye(dim)
    for i in range(0, dim, 2):
        A[i, i + 1], A[i + 1, i] = 2.0, -2.0

    def covariance():
        q, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
        return q * rng.uniform(0.05, 0.4, dim) @ q.T

    ends = np.eye(dim)[0]
    return GaussianBridge.of(A, 0.0, SIGMA**0.5, ends, covariance(), -ends, covariance())


def fitted(law, n, seed, **settings):
    rng = np.random.default_rng(seed)
    clouds = [rng.multivariate_normal(m, S, n) for m, S in ((law.mu0, law.S0), (law.mu1, law.S1))]
    snapshots = Snapshots([0.0, law.T], clouds)
    options = {"backend": "mixture", "random_state": 0} | settings
    return SchrodingerBridge(law.reference(), **options).fit(snapshots)


@pytest.fixture(scope="module")
def rotating():
    law = rotational(4, 0)
    return law, fitted(law, 4000, 1)


def potential(n, dim, seed):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n, dim, dim))
    spread = roots @ roots.transpose(0, 2, 1) / dim + 0.1 * np.eye(dim)
    parts = rng.normal(size=n), rng.normal(size=(n, dim)), spread
    return MixturePotential(*(torch.as_tensor(part) for part in parts))


def test_the_marginals_between_gaussians_are_those_of_the_closed_form(rotating):
    law, bridge = rotating
    assert bridge.backend_ == "mixture"
    for t in (0.25, 0.5, 0.75):
        x = bridge.marginal(t, 20_000)
        miss = bures_wasserstein2(x.mean(0), np.cov(x.T), law.mean(t), law.cov(t))
        assert miss / len(law.A) < 4e-4


def test_the_drift_between_gaussians_is_that_of_the_closed_form(rotating):
    law, bridge = rotating
    rng = np.random.default_rng(2)
    for t, most in ((0.1, 0.03), (0.5, 0.04), (0.9, 0.06)):
        x = rng.multivariate_normal(law.mean(t), law.cov(t), 1000)
        matrix, at_mean = law.drift(t)
        true = at_mean + (x - law.mean(t)) @ matrix.T
        off = bridge.velocity(x, t) - true
        assert np.sqrt((off**2).mean() / (true**2).mean()) < most


def test_paths_covary_as_in_the_closed_form(rotating):
    law, bridge = rotating
    paths = bridge.sample(20_000, ts=[0.0, 0.5, 1.0]).values
    start = paths[:, 0] - paths[:, 0].mean(0)
    for column, expected in ((1, law.cov_with_start(0.5)), (2, law.C0T)):
        found = start.T @ (paths[:, column] - paths[:, column].mean(0)) / len(paths)
        # four standard errors of a covariance of 4000 points with variances below .4
        np.testing.assert_allclose(found, expected, atol=4 * 0.4 / np.sqrt(4000))


def test_predicted_means_are_regressions_of_the_closed_form(rotating):
    law, bridge = rotating
    x = np.random.default_rng(3).multivariate_normal(law.mu0, law.S0, 50)
    means = bridge.predict(x, 0.0, [1.0, 0.5])
    slope = law.C0T.T @ np.linalg.inv(law.S0)
    expected = law.mean(1.0) + (x - law.mu0) @ slope.T
    assert np.sqrt(((means[:, 0] - expected) ** 2).mean()) < 0.05
    alone = bridge.predict(x[3:4], 0.0, [1.0, 0.5])
    np.testing.assert_allclose(alone[0], means[3], atol=1e-9)


def test_a_component_solves_the_bridge_of_its_gaussians():
    starts, ends = (potential(3, 5, seed).spread for seed in (0, 1))
    spread = gaussian_spread(starts, ends)
    torch.testing.assert_close(spread @ starts @ spread + spread, ends)


def test_later_positions_see_the_potential_through_the_noise_to_come():
    """Mass by simulation, gradient by automatic differentiation, mean by importance weights."""
    h = potential(3, 2, 4)
    noise = torch.tensor([[0.5, 0.1], [0.1, 0.3]], dtype=torch.float64)
    a = torch.tensor([[0.0, 0.0], [1.0, -0.5], [-2.0, 1.0]], dtype=torch.float64)
    a.requires_grad_()
    law = h.end_law(a, noise)
    (slope,) = torch.autograd.grad(law.log_mass.sum(), a)
    torch.testing.assert_close(law.slope, slope)
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(200_000, 2, generator=generator, dtype=torch.float64)
    for row, position in enumerate(a.detach()):
        ends = position + normal @ torch.linalg.cholesky(noise).mT
        log_h = torch.logsumexp(h.log_terms(ends), 1) + 0.5 * ends.square().sum(1)
        weights = torch.softmax(log_h, 0)
        effective = 1 / float(weights.square().sum())
        error = 4 * float(ends.std()) / effective**0.5
        torch.testing.assert_close(law.mean[row].detach(), weights @ ends, atol=error, rtol=0.0)
    start = h.end_law(a.detach())
    torch.testing.assert_close(start.log_share, torch.log_softmax(h.log_reach(a.detach()), 1))


def two_clusters(seed, n=500):
    """Two groups of starts, each of which moves to a cluster of its own."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], n)[:, None]
    start = np.concatenate([3 * sign, np.zeros((n, 3))], axis=1) + 0.5 * rng.normal(size=(n, 4))
    sign = rng.choice([-1.0, 1.0], n)[:, None]
    end = np.concatenate([4 * sign, 2 * sign, np.zeros((n, 2))], axis=1)
    return start, end + 0.5 * rng.normal(size=(n, 4))


def test_held_out_points_choose_the_number_of_components():
    start, end = (
        Sample(torch.as_tensor(x), torch.full((len(x),), 1 / len(x), dtype=torch.float64))
        for x in two_clusters(0)
    )
    generator = torch.Generator().manual_seed(0)
    found = choose(start, end, generator, tol=1e-4, max_steps=60)
    assert len(found) >= 2
    alone = Sample(end.points[end.points[:, 0] > 0], end.mass[end.points[:, 0] > 0] * 2)
    single = choose(alone.take(torch.arange(150)), alone, generator, tol=1e-4, max_steps=60)
    assert len(single) == 1
    assert divergence(found, start, end) < divergence(single, start, end)


def test_the_search_ends_where_both_sides_agree_though_components_overlap():
    generator = torch.Generator().manual_seed(0)
    start, end = (
        Sample(torch.as_tensor(x), torch.full((len(x),), 1 / len(x), dtype=torch.float64))
        for x in (0.4 * cloud for cloud in two_clusters(1))
    )
    first = choose(start, end, generator, tol=1e-4, max_steps=60)
    assert len(first) >= 2
    found = search(start, end, first, tol=1e-12, max_steps=200)
    share = torch.softmax(found.log_reach(start.points), dim=1)
    at_end = torch.softmax(found.log_terms(end.points), dim=1)
    torch.testing.assert_close(start.mass @ share, end.mass @ at_end, atol=1e-6, rtol=0)
    reached = torch.einsum("nk,knd->d", share, found.end_law(start.points).means) / len(share)
    torch.testing.assert_close(reached, end.mass @ end.points, atol=1e-5, rtol=0)


def test_mixtures_and_atoms_agree_where_points_are_dense():
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], (3, 300, 1)) * np.array([0.5, 1.0, 1.5])[:, None, None]
    clouds = [np.hstack([x, 0 * x]) + 0.3 * rng.normal(size=(300, 2)) for x in side]
    data = Snapshots([0.0, 1.0, 2.0], clouds)
    bridges = [
        SchrodingerBridge(volatility=0.5, backend=name, random_state=0).fit(data)
        for name in ("exact", "mixture")
    ]
    x = clouds[0][:20]
    atoms, mixture = (b.predict(x, 0.0, [0.5, 1.0, 1.5, 2.0]) for b in bridges)
    assert np.sqrt(((atoms - mixture) ** 2).mean()) < 0.12
    fast, slow = (b.velocity(x, 0.3) for b in bridges)
    assert np.sqrt(((fast - slow) ** 2).mean() / (slow**2).mean()) < 0.25


def test_an_affine_reference_is_refined_on_all_points():
    """Three snapshots of a known process: the matrix comes back within its sampling error."""
    A = np.array([[-0.5, 1.5], [-1.5, -0.5]])
    rng = np.random.default_rng(0)
    clouds = []
    mean, cov = np.array([2.0, 0.0]), np.diag([0.2, 0.05])
    for _ in range(4):
        clouds.append(rng.multivariate_normal(mean, cov, 2000))
        E = expm(0.5 * A)
        h = 0.5 / 200
        for _ in range(200):
            step = np.eye(2) + h * A
            cov = step @ cov @ step.T + 0.09 * h * np.eye(2)
        mean = E @ mean
    data = Snapshots([0.0, 0.5, 1.0, 1.5], clouds)
    reference = AffineDrift(2, volatility=0.3)
    bridge = SchrodingerBridge(reference, backend="mixture", random_state=0).fit(data)
    assert np.linalg.norm(bridge.parameters_["matrix"] - A) / np.linalg.norm(A) < 0.05
    falls = np.diff(bridge.objective_history_)
    assert (falls <= 1e-4 * (1 + np.abs(bridge.objective_history_[:-1]))).all()


def test_a_drift_that_bends_is_coupled_under_linear_noise():
    process = LotkaVolterra(alpha=1.0, beta=0.4, delta=0.1, gamma=0.4, volatility=0.2)
    rng = np.random.default_rng(0)
    start = rng.normal([5.0, 4.0], 0.2, (900, 2))
    paths = simulate(process, start, [0.0, 0.5, 1.0], 900, 0).values
    data = Snapshots([0.0, 0.5, 1.0], [paths[300 * k : 300 * (k + 1), k] for k in range(3)])
    bridge = SchrodingerBridge(process, backend="mixture", random_state=0).fit(data)
    middle = bridge.marginal(0.5, 2000)
    assert np.abs(middle.mean(0) - data.points[1].mean(0)).max() < 0.1
    assert bridge.converged_


def test_auto_says_what_it_takes_and_why():
    rng = np.random.default_rng(0)
    few = Snapshots([0, 1], [rng.normal(size=(50, 4)) for _ in range(2)])
    small = SchrodingerBridge(random_state=0).fit(few)
    assert small.backend_ == "exact"
    many = Snapshots([0, 1], [rng.normal(size=(2100, 4)) for _ in range(2)])
    large = SchrodingerBridge(random_state=0).fit(many)
    assert large.backend_ == large.history_[0]["backend"] == "mixture"
    assert "4410000 pairs" in large.history_[0]["reason"]
    assert [len(rows) for rows in large.atoms_] == [2100, 2100]


def test_saved_mixtures_answer_as_before(rotating, tmp_path):
    _, bridge = rotating
    again = load(bridge.save(tmp_path / "bridge"))
    x = np.zeros((3, 4))
    assert np.array_equal(again.predict(x, 0.0, 0.5), bridge.predict(x, 0.0, 0.5))
    assert np.array_equal(again.sample(5).values, bridge.sample(5).values)
    assert np.array_equal(again.velocity(x, 0.3), bridge.velocity(x, 0.3))


def test_weights_count_like_repeated_rows():
    points = torch.as_tensor(np.concatenate(two_clusters(1, 60)))
    weighted = Sample(points, torch.cat([torch.full((30,), 2.0), torch.ones(90)]).double() / 150)
    repeated = torch.cat([points, points[:30]])
    repeated = Sample(repeated, torch.full((150,), 1 / 150, dtype=torch.float64))
    start = potential(3, 4, 0)
    found, expected = (
        search(sample, sample, start, tol=1e-4, max_steps=5) for sample in (weighted, repeated)
    )
    torch.testing.assert_close(found.location, expected.location)
    torch.testing.assert_close(found.spread, expected.spread)
    torch.testing.assert_close(found.log_weight, expected.log_weight)


@pytest.mark.parametrize("shape", ["one point", "constant coordinate", "two points"])
def test_snapshots_without_spread(shape):
    rng = np.random.default_rng(0)
    clouds = [rng.normal(size=(200, 3)) for _ in range(3)]
    if shape == "one point":
        clouds[1] = np.array([[1.0, 2.0, 3.0]])
    elif shape == "two points":
        clouds[2] = np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])
    else:
        for cloud in clouds:
            cloud[:, 1] = 2.0
    data = Snapshots([0.0, 1.0, 2.0], clouds)
    bridge = SchrodingerBridge(volatility=0.5, backend="mixture", random_state=0).fit(data)
    ends = bridge.sample(2000, ts=[1.0, 2.0]).values
    for k in (1, 2):
        spread = clouds[k].std(0)
        # four standard errors of 2000 draws from 200 points
        error = 4 * spread * (1 / 2000 + 1 / 200) ** 0.5 + 1e-3
        assert (np.abs(ends[:, k - 1].mean(0) - clouds[k].mean(0)) < error).all()
    assert np.isfinite(bridge.velocity(clouds[0], 0.5)).all()
