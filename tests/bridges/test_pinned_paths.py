"""Paths of nonlinear references between two points, against a generator on a grid."""

import numpy as np
import pytest
import torch

from tests.bridges.double_well_bridge import DoubleWellBridge
from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.processes import Brownian, DoubleWell, OrnsteinUhlenbeck
from trajinfer.references.dynamics import frozen_dynamics_of
from trajinfer.references.pinned_paths import pinned_paths
from trajinfer.references.tied_drifts import backward_drifts, forward_controls
from trajinfer.references.transitions import Transitions

STRENGTH, VOLATILITY = 3.0, 0.9


def clouds(seed, n):
    """From the barrier to both wells, one third and two thirds."""
    rng = np.random.default_rng(seed)
    sides = [rng.normal(-1, 0.3, (n // 3, 1)), rng.normal(1, 0.3, (n - n // 3, 1))]
    return [rng.normal(0.0, 0.3, (n, 1)), np.concatenate(sides)]


def fitted(points, backend):
    reference = DoubleWell(STRENGTH, STRENGTH, volatility=VOLATILITY)
    bridge = SchrodingerBridge(reference, n_refinements=0, backend=backend, random_state=0)
    return bridge.fit(Snapshots([0, 1], points))


def compared_with_the_grid(points, backend, n_drawn):
    """How far marginals and drifts are off at three times between the snapshots."""
    truth = DoubleWellBridge(*(x[:, 0] for x in points), STRENGTH, VOLATILITY)
    bridge = fitted(points, backend)
    return [
        (
            truth.distance(t, bridge.marginal(t, n_drawn)[:, 0]),
            truth.error(t, lambda x, t=t: bridge.velocity(x, t)),
        )
        for t in (0.25, 0.5, 0.75)
    ]


def test_marginals_and_velocity_across_a_barrier_are_those_of_the_grid():
    # Gaussian bridges were .09, .28 and .25 off, Gaussian velocities .58, .28 and .16
    for off, error in compared_with_the_grid(clouds(0, 120), "linear_noise", n_drawn=2000):
        assert off < 0.06
        assert error < 0.05


def test_coordinates_that_do_not_meet_are_pinned_each_by_itself():
    n = 1000
    law = Transitions(frozen_dynamics_of(DoubleWell(1.0, 1.0, volatility=0.7, dim=2)))
    ends = torch.tensor([[-1.0, 0.2], [1.0, -0.5]]).double()
    shares = (torch.arange(33).double() + 0.5) / 33
    generator = torch.Generator().manual_seed(0)
    start, end = (x.expand(n, -1) for x in ends)
    found, effective = pinned_paths(law, (0.0, 1.0), (start, end), shares, generator)
    assert effective > 0.5
    for d, (x, y) in enumerate(ends.T.numpy()):
        truth = DoubleWellBridge(np.array([x]), np.array([y]), 1.0, 0.7)
        # 1000 points of deviation .5 are .013 +- .006 off by chance; steps and guesses add .01
        assert truth.distance(0.5, found[16, :, d].numpy()) < 0.045


def test_guesses_of_a_linear_drift_weigh_the_same_and_are_its_bridges():
    process = OrnsteinUhlenbeck(2.0, 0.5, volatility=0.6)
    law = Transitions(frozen_dynamics_of(process).linearised(), 32)
    start, end = (torch.full((4000, 1), x).double() for x in (-1.0, 1.5))
    shares = torch.tensor([0.2, 0.5, 0.9]).double()
    generator = torch.Generator().manual_seed(0)
    found, effective = pinned_paths(law, (0.0, 1.0), (start, end), shares, generator)
    assert effective == pytest.approx(1.0, abs=1e-6)
    rate, level, variance = 2.0, 0.5, 0.36 / 4
    for s, seen in zip(shares.tolist(), found[..., 0].numpy(), strict=True):
        ahead, whole = np.exp(-rate * (1 - s)), np.exp(-rate)
        spread, final = (variance * (1 - np.exp(-2 * rate * t)) for t in (s, 1.0))
        gain = spread * ahead / final
        mean = level + (-1.0 - level) * np.exp(-rate * s)
        mean += gain * (1.5 - level - (-1.0 - level) * whole)
        deviation = np.sqrt(spread - gain * ahead * spread)
        # four standard errors
        assert seen.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(4000))
        assert seen.std() == pytest.approx(deviation, rel=4 / np.sqrt(8000))


def test_drifts_tied_to_a_path_are_those_of_short_bridges():
    times = torch.tensor([0.0, 0.1, 0.3, 0.4, 1.0]).double()
    paths = torch.randn(5, 3, 1, generator=torch.Generator().manual_seed(0)).double()
    free = Transitions(frozen_dynamics_of(Brownian(dim=1, volatility=0.6)))
    wide = (times[[2, 3, 4]] - times[[1, 2, 3]]).reshape(3, 1, 1)
    found = forward_controls(free, times, paths, 1)
    torch.testing.assert_close(found, (paths[2:] - paths[1:-1]) / wide)
    wide = (times[[1, 2, 3]] - times[[0, 0, 1]]).reshape(3, 1, 1)
    found = backward_drifts(free, times, paths, 2)
    torch.testing.assert_close(found, (paths[[0, 0, 1]] - paths[1:-1]) / wide)
    rate, variance = 2.0, 0.36 / 4
    held = Transitions(frozen_dynamics_of(OrnsteinUhlenbeck(rate, 0.0, volatility=0.6)))
    h = (times[[3, 4, 4]] - times[[1, 2, 3]]).reshape(3, 1, 1)
    flow, spread = (-rate * h).exp(), variance * (1 - (-2 * rate * h).exp())
    controls = 0.36 * flow / spread * (paths[[3, 4, 4]] - flow * paths[1:-1])
    torch.testing.assert_close(forward_controls(held, times, paths, 2), controls)
    h = (times[1:-1] - times[:-2]).reshape(3, 1, 1)
    flow, spread = (-rate * h).exp(), variance * (1 - (-2 * rate * h).exp())
    drifts = rate * paths[1:-1] - 0.36 / spread * (paths[1:-1] - flow * paths[:-2])
    torch.testing.assert_close(backward_drifts(held, times, paths, 1), drifts)


@pytest.mark.slow  # turns of proportional fitting: 25 CPU seconds
def test_proportional_fitting_across_a_barrier_comes_near_the_grid():
    # on Gaussian bridges marginals were .10 to .28 and drifts .61 to 1.09 off
    for off, error in compared_with_the_grid(clouds(0, 300), "ipf", n_drawn=4000):
        assert off < 0.08
        assert error < 0.35
