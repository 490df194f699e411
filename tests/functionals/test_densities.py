"""Densities at later times and stationary laws against closed forms."""

import numpy as np
import pytest

from trajinfer import InputError
from trajinfer.functionals import (
    ValueFunction,
    as_dynamics,
    density,
    hitting_time,
    on_grid,
    states,
    stationary,
)
from trajinfer.functionals.methods.grid import added_noise, moving_rate
from trajinfer.processes import AffineDrift, DoubleWell, OrnsteinUhlenbeck

PROCESS = OrnsteinUhlenbeck(1.0, 0.0, volatility=np.sqrt(2))


def normal(x, mean, variance):
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def test_an_ornstein_uhlenbeck_density_at_second_order():
    errors = []
    for cells in (101, 201):
        law = density(
            PROCESS,
            lambda x: normal(x[:, 0], 2.0, 0.09),
            [1.0],
            domain=([-6.0], [6.0]),
            resolution=cells,
        )
        x, h = law.grid.centers[:, 0], law.grid.sizes[0]
        truth = normal(x, 2 * np.exp(-1), 0.09 * np.exp(-2) + 1 - np.exp(-2))
        errors.append(np.abs(law.at(1.0) - truth).sum() * h)
        assert law.masses.sum() == pytest.approx(1.0, abs=1e-12)
        assert (law.masses >= 0).all()
    assert errors[1] < 5e-4
    assert np.log2(errors[0] / errors[1]) > 1.9


def test_a_turning_law_in_the_plane():
    matrix = np.array([[-1.0, 2.0], [-2.0, -1.0]])
    process = AffineDrift(2, matrix, [0.0, 0.0], volatility=1.0)
    start = np.random.default_rng(0).normal([1.0, 0.0], 0.2, (200, 2))
    law = density(process, start, [0.3, 0.0], domain=([-3.5, -3.5], [3.5, 3.5]), resolution=61)
    turn = np.exp(-0.3) * np.array([[np.cos(0.6), np.sin(0.6)], [-np.sin(0.6), np.cos(0.6)]])
    assert law.mean[0] == pytest.approx(turn @ start.mean(axis=0), abs=0.02)
    assert law.mean[1] == pytest.approx(start.mean(axis=0), abs=1e-9)
    assert law.marginal(0.3, 0).sum() * law.grid.sizes[0] == pytest.approx(1.0)
    assert law.total_variation(0.0, start) < 0.25
    middle = law.log_prob(0.3, [turn @ start.mean(axis=0), [3.0, -3.0]])
    assert middle[0] > middle[1] + 3


def test_a_stationary_law():
    well = DoubleWell(1.0, 1.0, volatility=0.7)
    law = stationary(well, [[-1.0], [1.0]], random_state=0)
    x = law.grid.centers[:, 0]
    truth = np.exp((x**2 - x**4 / 2) / 0.49)
    assert law.densities[0] == pytest.approx(truth / truth.sum() / law.grid.sizes[0], abs=2e-3)
    with pytest.raises(InputError, match="give X"):
        stationary(well)


def test_a_grid_is_a_chain():
    chain = on_grid(PROCESS, ([-5.0], [5.0]), resolution=200)
    reach = [int(k) for k in np.flatnonzero(chain.centers[:, 0] >= 1.0)]
    times = ValueFunction(hitting_time(states(reach))).fit(chain)
    start = int(np.abs(chain.centers[:, 0]).argmin())
    # the walls lie at the centres of cells here, so the order is one
    assert times.predict(start)[0] == pytest.approx(2.0934, rel=0.1)
    assert chain.volumes.sum() == pytest.approx(10.0)


def test_mass_at_the_edge_is_told():
    with pytest.warns(UserWarning, match="meets the edge"):
        density(PROCESS, [[0.0]], [1.0], domain=([-1.0], [1.0]), resolution=50)


def test_wide_cells_are_told_and_the_noise_they_add_is_as_said():
    drifting = AffineDrift(1, [[0.0]], [2.0], volatility=0.3)
    with pytest.warns(
        UserWarning, match=r"raises the noise by 8\d%.* give resolution=(\d+)"
    ) as said:
        law = density(drifting, [[-3.0]], [1.0, 2.0], domain=([-5.0], [5.0]), resolution=120)
    needed = int(str(said[0].message).split("resolution=")[1].split(",")[0])
    x = law.grid.centers[:, 0]
    variance = law.masses @ x**2 - law.mean[:, 0] ** 2
    rate = np.diff(variance)[0]
    assert law.mean[:, 0] == pytest.approx([-1.0, 1.0], abs=1e-6)
    assert rate / 0.3**2 - 1 == pytest.approx(
        added_noise(as_dynamics(drifting), law.grid, law.masses[1], across=moving_rate), rel=1e-3
    )
    finer = density(drifting, [[-3.0]], [1.0, 2.0], domain=([-5.0], [5.0]), resolution=needed)
    assert finer.grid.shape == (needed,)  # without a warning


def test_cells_through_which_the_drift_carries_as_far_as_the_noise_keep_the_variance():
    """|b| h = 1.5 D: rates that are right at rest would add a fifth here."""
    drifting = AffineDrift(2, np.zeros((2, 2)), [1.0, -0.5], volatility=0.4)
    law = density(
        drifting, [[-1.0, 0.5]], [1.0, 2.0], domain=([-4.2, -4.2], [4.2, 4.2]), resolution=70
    )
    x = law.grid.centers
    variance = law.masses @ x**2 - law.mean**2
    assert law.mean == pytest.approx(np.array([[0.0, 0.0], [1.0, -0.5]]), abs=1e-4)
    assert np.diff(variance, axis=0)[0] == pytest.approx(0.4**2, rel=1e-3)
    assert (law.masses >= 0).all()
