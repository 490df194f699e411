"""A network for the drift of a bridge, against the closed form between Gaussians."""

import numpy as np
import pytest

from tests.bridges.gaussian import CASES, bures_wasserstein2
from trajinfer import SchrodingerBridge, Snapshots, load
from trajinfer._core.errors import InputError
from trajinfer.bridges import drift_bridge, matching_bridge

LAW = CASES["rotating"]
MODULES = {"_PATH_STEPS": drift_bridge, "_CHECKED": drift_bridge}


def fitted(n, monkeypatch, **recipe):
    for name, value in recipe.items():
        monkeypatch.setattr(MODULES.get(name, matching_bridge), name, value)
    rng = np.random.default_rng(0)
    ends = ((LAW.mu0, LAW.S0), (LAW.mu1, LAW.S1))
    data = Snapshots([0.0, LAW.T], [rng.multivariate_normal(m, S, n) for m, S in ends])
    return SchrodingerBridge(LAW.reference(), backend="matching", random_state=0).fit(data)


def drift_error(bridge, t):
    """Root mean square of the miss, relative to that of the drift."""
    x = np.random.default_rng(1).multivariate_normal(LAW.mean(t), LAW.cov(t), 500)
    B, v = LAW.drift(t)
    true = v + (x - LAW.mean(t)) @ B.T
    return np.sqrt(((bridge.velocity(x, t) - true) ** 2).mean() / (true**2).mean())


def test_a_short_training_comes_near_the_drift(monkeypatch, tmp_path):
    bridge = fitted(300, monkeypatch, _STEPS=200, _PAIRS=1024, _PATH_STEPS=30, _CHECKED=500)
    assert bridge.backend_ == "matching"
    # without the network the drift is off by .65 of its size, with the sign turned by 1.3
    assert drift_error(bridge, 0.5) < 0.2
    middle = bridge.marginal(0.5, 1000)
    distance = bures_wasserstein2(middle.mean(0), np.cov(middle.T), LAW.mean(0.5), LAW.cov(0.5))
    assert distance / 2 < 0.01
    again = load(bridge.save(tmp_path / "bridge"))
    np.testing.assert_array_equal(again.velocity(middle, 0.3), bridge.velocity(middle, 0.3))
    assert again.coupling(0).shape == (300, 300)
    means = bridge.predict(middle[:3], t0=0.5, ts=[0.5, 1.0])
    np.testing.assert_allclose(means[:, 0], middle[:3])


@pytest.mark.slow
def test_a_whole_training_meets_the_closed_form(monkeypatch):
    bridge = fitted(2000, monkeypatch)
    for t in (0.25, 0.5, 0.75):
        points = bridge.marginal(t, 4000)
        distance = bures_wasserstein2(points.mean(0), np.cov(points.T), LAW.mean(t), LAW.cov(t))
        assert distance / 2 < 0.001
        assert drift_error(bridge, t) < 0.08


def test_growth_is_refused():
    data = Snapshots([0, 1], [np.zeros((3, 1)), np.ones((3, 1))])
    with pytest.raises(InputError, match="backend='matching' knows no growth"):
        SchrodingerBridge(backend="matching", growth="counts").fit(data)
