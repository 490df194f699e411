"""Iterative proportional fitting against closed forms between Gaussians and entropic couplings."""

import numpy as np
import pytest
import torch

from tests.bridges.gaussian import CASES, bures_wasserstein2
from trajinfer import SchrodingerBridge, Snapshots, load
from trajinfer._core.errors import InputError
from trajinfer.bridges import drift_bridge, ipf_bridge, local_features
from trajinfer.bridges.local_features import LocalFeatures
from trajinfer.bridges.proportional_fitting import ProportionalFit
from trajinfer.metrics import wasserstein
from trajinfer.processes import AffineDrift, DoubleWell, GeometricBrownian
from trajinfer.references.dynamics import dynamics_of
from trajinfer.references.problem import Problem
from trajinfer.references.transitions import Transitions

LAW = CASES["rotating"]


def fitted(n):
    rng = np.random.default_rng(0)
    ends = ((LAW.mu0, LAW.S0), (LAW.mu1, LAW.S1))
    data = Snapshots([0.0, LAW.T], [rng.multivariate_normal(m, S, n) for m, S in ends])
    return SchrodingerBridge(LAW.reference(), backend="ipf", random_state=0).fit(data)


def misses(bridge, t):
    """Of the forward and of the backward drift at time t, relative to their sizes."""
    off = np.random.default_rng(1).multivariate_normal(0 * LAW.mu0, LAW.cov(t), 500)
    B, v = LAW.drift(t)
    forward = v + off @ B.T
    backward = -forward - off @ np.linalg.inv(LAW.cov(t)) @ LAW.Q
    x = LAW.mean(t) + off
    found = (bridge.velocity(x, t), bridge.bridge_.backward_velocity(t, torch.as_tensor(x)).numpy())
    return [
        np.sqrt(((a - b) ** 2).mean() / (b**2).mean())
        for a, b in zip(found, (forward, backward), strict=True)
    ]


def test_both_drifts_come_near_the_closed_form(monkeypatch, tmp_path):
    monkeypatch.setattr(ipf_bridge, "_PATHS", 1024)
    monkeypatch.setattr(local_features, "_WAVES", 24)
    monkeypatch.setattr(drift_bridge, "_CHECKED", 500)
    bridge = fitted(400)
    assert bridge.backend_ == "ipf"
    assert max(misses(bridge, 0.5)) < 0.06
    middle = bridge.marginal(0.5, 1000)
    distance = bures_wasserstein2(middle.mean(0), np.cov(middle.T), LAW.mean(0.5), LAW.cov(0.5))
    assert distance / 2 < 0.004
    again = load(bridge.save(tmp_path / "bridge"))
    np.testing.assert_array_equal(again.velocity(middle, 0.3), bridge.velocity(middle, 0.3))
    assert again.coupling(0).shape == (400, 400)


@pytest.mark.slow
def test_all_paths_meet_the_closed_form():
    bridge = fitted(2000)
    for t in (0.25, 0.5, 0.75):
        points = bridge.marginal(t, 4000)
        distance = bures_wasserstein2(points.mean(0), np.cov(points.T), LAW.mean(t), LAW.cov(t))
        assert distance / 2 < 0.001
        assert max(misses(bridge, t)) < 0.03


@pytest.mark.slow
def test_a_population_that_parts_goes_as_its_couplings_say():
    rng = np.random.default_rng(0)
    sides = [rng.normal([side, 1.0], 0.25, (200, 2)) for side in (-1.0, 1.0)]
    data = Snapshots([0, 1], [rng.normal(0.0, 0.3, (400, 2)), np.concatenate(sides)])
    coupled, turned = (
        SchrodingerBridge(volatility=0.5, backend=name, random_state=0).fit(data)
        for name in ("exact", "ipf")
    )
    x = coupled.marginal(0.5, 500)
    known, found = (bridge.velocity(x, 0.5) for bridge in (coupled, turned))
    # the drift of points in between jumps from point to point; no drift at all would be off by 1
    assert np.sqrt(((found - known) ** 2).mean() / (known**2).mean()) < 0.15
    end = turned.marginal(1.0, 400)
    assert ((end[:, 0] > 0).mean()) == pytest.approx(0.5, abs=0.05)
    assert wasserstein(end, data.points[1], p=2) < 0.3


def test_steepness_of_features_is_the_mean_square_of_their_slopes():
    generator = torch.Generator().manual_seed(0)
    unit = torch.randn(1, 4000, 3, generator=generator, dtype=torch.float64)
    features = LocalFeatures.around(unit, generator)
    x = 100 * torch.randn(20_000, 3, generator=generator, dtype=torch.float64)
    x.requires_grad_(True)
    phi = features(0, x)
    for f in (4, 7):  # of long and short waves; over wide points, a sine has the mean square 1/2
        slope = torch.autograd.grad(phi[:, f].sum(), x, retain_graph=True)[0]
        in_deviations = slope @ torch.linalg.inv(features.whiten[0])
        mean = float(in_deviations.square().sum(1).mean())
        # five standard errors of a mean of sin^2: 5 x .71 / sqrt(20000)
        assert mean == pytest.approx(float(features.steepness[f]) / 2, rel=0.026)
    assert float(features.steepness[:4].abs().max()) == 0.0


def test_halves_of_the_paths_start_at_different_points():
    points = torch.arange(7, dtype=torch.float64).unsqueeze(1)
    mass = torch.tensor([0.0, 0.4, 0.1, 0.1, 0.1, 0.1, 0.2], dtype=torch.float64)
    problem = Problem(torch.tensor([0.0, 1.0]).double(), (points, points), (mass.log(),) * 2)
    shares = torch.tensor([0.25, 0.75]).double()
    features = LocalFeatures.around(points.expand(2, -1, -1), torch.Generator().manual_seed(0))
    law = Transitions(dynamics_of(AffineDrift(1, volatility=1.0)))
    fit = ProportionalFit(problem, law, 0, shares, features, 600)
    drawn = fit._some_points(0, torch.Generator().manual_seed(1)).squeeze(1)
    even, odd = (set(drawn[half::2].tolist()) for half in range(2))
    assert not even & odd
    assert even | odd == set(range(1, 7))


@pytest.mark.slow
def test_a_drift_that_holds_together_is_followed_back():
    """Minus a cubic drift, started where the reference hardly goes, would explode backwards."""
    rng = np.random.default_rng(0)
    sides = [rng.normal(-1, 0.3, (100, 1)), rng.normal(1, 0.3, (200, 1))]
    data = Snapshots([0, 1], [rng.normal(0.0, 0.3, (300, 1)), np.concatenate(sides)])
    bridge = SchrodingerBridge(
        DoubleWell(volatility=0.7), n_refinements=0, backend="ipf", random_state=0
    ).fit(data)
    assert bridge.bridge_.error < 0.1
    # the share of 300 points on the right is 2/3 +- .027; four standard errors
    assert (bridge.marginal(1.0, 2000) > 0).mean() == pytest.approx(2 / 3, abs=0.11)


def test_growth_and_uneven_noise_are_refused():
    data = Snapshots([0, 1], [np.ones((3, 1)), [[2.0], [3.0], [4.0]]])
    with pytest.raises(InputError, match="backend='ipf' knows no growth"):
        SchrodingerBridge(backend="ipf", growth="counts").fit(data)
    with pytest.raises(InputError, match="backend='ipf' needs noise that is the same everywhere"):
        SchrodingerBridge(GeometricBrownian(dim=1), backend="ipf").fit(data)
