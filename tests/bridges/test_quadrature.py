"""Transition densities across a barrier, and the parameters that they give."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import trajinfer
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.processes import (
    DoubleWell,
    LotkaVolterra,
    OrnsteinUhlenbeck,
    make_snapshots,
    simulate,
)
from trajinfer.references.dynamics import frozen_dynamics_of
from trajinfer.references.problem import Problem
from trajinfer.references.quadrature import Quadrature, bending, quadrature_for
from trajinfer.references.transitions import Transitions

VOLATILITY = 0.5


def wells(seed, n=100, times=6, gap=0.5):
    """Snapshots of a double well that start broadly on both sides of the barrier."""
    paths = simulate(
        DoubleWell(1.0, 1.0, volatility=VOLATILITY),
        lambda g: 1.5 * torch.randn(n * times, 1, generator=g, dtype=torch.float64),
        np.arange(times) * gap,
        n * times,
        seed,
        step=0.01,
    )
    return make_snapshots(paths, n=n, random_state=seed)


def fokker_planck(x0, duration, grid):
    """Density of the double well by a conservative scheme on a fine grid, from a narrow start."""
    width, spacing = 0.05, grid[1] - grid[0]
    start = np.exp(-0.5 * ((grid - x0) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    edges = (grid[1:] + grid[:-1]) / 2
    drift = (1 - edges**2) * edges

    def change(_, p):
        flux = drift * (p[1:] + p[:-1]) / 2 - VOLATILITY**2 / 2 * np.diff(p) / spacing
        return -np.diff(flux, prepend=0.0, append=0.0) / spacing

    solved = solve_ivp(change, (0, duration), start, method="BDF", rtol=1e-8, atol=1e-10)
    return width, solved.y[:, -1]


def test_the_density_across_a_barrier_is_that_of_the_fokker_planck_equation():
    grid = np.linspace(-3, 3, 601)
    width, expected = fokker_planck(0.1, 1.0, grid)
    dynamics = frozen_dynamics_of(DoubleWell(1.0, 1.0, volatility=VOLATILITY))
    nodes = torch.linspace(-3.5, 3.5, 200, dtype=torch.float64)
    starts, weights = np.polynomial.hermite_e.hermegauss(15)
    one = torch.tensor(1.0, dtype=torch.float64)
    errors = []
    for longest in (1.0, 0.04, 0.02, 0.01):
        density = Quadrature.of(dynamics, nodes, longest).log_density(
            0 * one, torch.as_tensor(0.1 + width * starts), one, torch.as_tensor(grid)
        )
        found = (weights / weights.sum()) @ density.exp().numpy()
        errors.append(np.abs(found - expected).max() / expected.max())
    assert errors[0] > 0.2  # one Gaussian
    assert errors[3] < 0.005
    np.testing.assert_allclose(errors[2:] / np.array(errors[1:3]), 0.5, atol=0.1)  # first order


def test_it_is_used_only_where_gaussian_laws_are_wrong():
    problem = Problem.of(wells(0, n=20))
    well = Transitions(frozen_dynamics_of(DoubleWell(1.0, 1.0, volatility=VOLATILITY)))
    assert bending(well, problem.batches) > 0.2
    assert quadrature_for(well, problem.batches) is not None
    straight = Transitions(frozen_dynamics_of(OrnsteinUhlenbeck(1.0, 0.0, volatility=0.5)))
    assert quadrature_for(straight, problem.batches) is None
    quiet = Transitions(frozen_dynamics_of(DoubleWell(1.0, 1.0, volatility=0.02)))
    assert quadrature_for(quiet, problem.batches) is None
    plane = Problem.of(Snapshots([0, 1], [np.full((3, 2), 4.0)] * 2))
    wave = Transitions(frozen_dynamics_of(LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=3.0)))
    assert quadrature_for(wave, plane.batches) is None


def test_a_bridge_across_a_barrier_is_saved_and_answers(tmp_path):
    reference = DoubleWell(1.0, 1.0, volatility=VOLATILITY)
    bridge = SchrodingerBridge(reference, random_state=0).fit(wells(0, n=30))
    assert bridge.history_[-1]["kind"] == "quadrature"
    again = trajinfer.load(bridge.save(tmp_path / "model"))
    assert np.array_equal(again.coupling(0), bridge.coupling(0))
    x = np.array([[0.2], [-1.0]])
    for ask in (
        lambda b: b.sample(5, [0.0, 0.3, 2.5]).values,
        lambda b: b.predict(x, 0.1, [0.3, 1.0]),
        lambda b: b.velocity(x, 0.1),
    ):
        assert np.isfinite(ask(bridge)).all()
        assert np.array_equal(ask(again), ask(bridge))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_parameters_across_a_barrier_are_right():
    """Means over ten data sets within three standard errors; Gaussian laws gave .76 for 1."""
    fits = []
    for seed in range(10):
        bridge = SchrodingerBridge(DoubleWell(), volatility=VOLATILITY, random_state=0)
        fits.append(list(bridge.fit(wells(seed)).parameters_.values()))
    error = np.mean(fits, axis=0) - 1.0
    assert (np.abs(error) < 3 * np.std(fits, axis=0, ddof=1) / np.sqrt(10)).all(), fits
