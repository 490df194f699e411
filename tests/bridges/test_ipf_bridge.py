"""Iterative proportional fitting against closed forms between Gaussians and entropic couplings."""

import numpy as np
import pytest
import torch

from tests.bridges.gaussian import CASES, bures_wasserstein2
from trajinfer import SchrodingerBridge, Snapshots, load
from trajinfer._core.errors import InputError
from trajinfer.bridges import drift_bridge, ipf_bridge
from trajinfer.bridges.local_features import LocalFeatures
from trajinfer.metrics import wasserstein
from trajinfer.processes import GeometricBrownian

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
    monkeypatch.setattr(drift_bridge, "_CHECKED", 500)
    bridge = fitted(400)
    assert bridge.backend_ == "ipf"
    assert max(misses(bridge, 0.5)) < 0.15
    middle = bridge.marginal(0.5, 1000)
    distance = bures_wasserstein2(middle.mean(0), np.cov(middle.T), LAW.mean(0.5), LAW.cov(0.5))
    assert distance / 2 < 0.01
    again = load(bridge.save(tmp_path / "bridge"))
    np.testing.assert_array_equal(again.velocity(middle, 0.3), bridge.velocity(middle, 0.3))
    assert again.coupling(0).shape == (400, 400)


@pytest.mark.slow
def test_all_paths_meet_the_closed_form():
    bridge = fitted(2000)
    for t in (0.25, 0.5, 0.75):
        points = bridge.marginal(t, 4000)
        distance = bures_wasserstein2(points.mean(0), np.cov(points.T), LAW.mean(t), LAW.cov(t))
        assert distance / 2 < 0.002
        assert max(misses(bridge, t)) < 0.08


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
    assert np.sqrt(((found - known) ** 2).mean() / (known**2).mean()) < 0.4
    end = turned.marginal(1.0, 400)
    assert ((end[:, 0] > 0).mean()) == pytest.approx(0.5, abs=0.05)
    assert wasserstein(end, data.points[1], p=2) < 0.3


def test_slopes_of_features_are_their_derivatives():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64) @ torch.diag(
        torch.tensor([1.0, 2.0, 0.1], dtype=torch.float64)
    )
    features = LocalFeatures.around(x.unsqueeze(0), generator)
    x.requires_grad_(True)
    phi = features(0, x)
    by_hand = torch.stack(
        [torch.autograd.grad(phi[:, f].sum(), x, retain_graph=True)[0].mean(0) for f in range(1, 9)]
    )
    torch.testing.assert_close(features.mean_slope(0, x)[1:9], by_hand)


def test_growth_and_uneven_noise_are_refused():
    data = Snapshots([0, 1], [np.ones((3, 1)), [[2.0], [3.0], [4.0]]])
    with pytest.raises(InputError, match="backend='ipf' knows no growth"):
        SchrodingerBridge(backend="ipf", growth="counts").fit(data)
    with pytest.raises(InputError, match="backend='ipf' needs noise that is the same everywhere"):
        SchrodingerBridge(GeometricBrownian(dim=1), backend="ipf").fit(data)
