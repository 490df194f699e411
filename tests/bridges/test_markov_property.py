"""The velocity field alone, in an Euler-Maruyama simulation, carries each snapshot to the next."""

import numpy as np
import pytest

from tests.bridges.gaussian import ROTATION
from tests.bridges.gaussian_process_data import samples
from trajinfer.bridges import SchrodingerBridge
from trajinfer.metrics import wasserstein
from trajinfer.processes import AffineDrift, LotkaVolterra, make_snapshots, simulate


def follow(bridge, x, t0, t1, n_steps, rng):
    """Euler-Maruyama steps along `velocity`, shorter towards the end, where it steers hardest."""
    ts = t1 - (t1 - t0) * (1 - np.linspace(0, 1, n_steps + 1)) ** 2
    for t, h in zip(ts[:-1], np.diff(ts), strict=True):
        noise = bridge.volatility_ * np.sqrt(h) * rng.standard_normal(x.shape)
        x = x + h * bridge.velocity(x, t) + noise
    return x


def lotka_volterra():
    process = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=0.2)
    starts = np.random.default_rng(0).uniform(4, 5, (450, 2))
    return process, make_snapshots(simulate(process, starts, [0, 1, 2], 450, 0), random_state=0)


def rotation():
    process = AffineDrift(2, ROTATION, [0, 0], volatility=0.4)
    return process, samples(np.array(ROTATION), [0, 0.7, 1.4], [2, 0], 0.1 * np.eye(2), 0.4, 150, 0)


@pytest.mark.parametrize(
    "make",
    # linear-noise velocities are compared with exact ones elsewhere; this is their long proof
    [rotation, pytest.param(lotka_volterra, marks=pytest.mark.slow)],
    ids=lambda make: make.__name__,
)
def test_the_velocity_field_reproduces_every_snapshot(make, rng):
    process, snapshots = make()
    bridge = SchrodingerBridge(process, random_state=0).fit(snapshots)
    for k in range(2):
        t0, t1 = snapshots.times[k : k + 2]
        start, goal = snapshots.points[k : k + 2]
        arrived = follow(bridge, np.repeat(start, 2, axis=0), t0, t1, 30, rng)
        # 300 draws of the 150 atoms of the goal cannot come closer than a resample of it
        floor = wasserstein(goal[rng.integers(0, 150, 300)], goal, p=2)
        moved = wasserstein(start, goal, p=2)
        assert wasserstein(arrived, goal, p=2) < 1.5 * floor + 0.02 * moved


def test_half_way_too(rng):
    process, snapshots = rotation()
    bridge = SchrodingerBridge(process, random_state=0).fit(snapshots)
    x = np.repeat(snapshots.points[0], 4, axis=0)
    half = snapshots.times[1] / 2
    ts = np.linspace(0, half, 31)
    for t, h in zip(ts[:-1], np.diff(ts), strict=True):
        x = x + h * bridge.velocity(x, t) + 0.4 * np.sqrt(h) * rng.standard_normal(x.shape)
    drawn = bridge.marginal(half, 600)
    floor = wasserstein(
        *rng.permutation(np.concatenate([drawn, drawn]))[:1200].reshape(2, 600, 2), p=2
    )
    assert wasserstein(x, drawn, p=2) < 2 * floor + 0.02
