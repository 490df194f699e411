"""Grids too narrow or too coarse for the law that moves on them are told at every door."""

import numpy as np
import pytest
from scipy.special import ndtr

from trajinfer import InputError
from trajinfer.functionals import (
    Diffusion,
    ValueFunction,
    above,
    ball,
    below,
    exceedance,
    fate_probabilities,
    hitting_probability,
    hitting_time,
    occupation,
    passage,
)
from trajinfer.processes import AffineDrift, Brownian, OrnsteinUhlenbeck

START = [[0.0]]
REACH = hitting_probability(above(1.0), horizon=1.0)


def by_value(process, **settings):
    model = ValueFunction(REACH, method="grid", random_state=0, **settings)
    return float(model.fit(process, START).predict(START)[0])


def by_passage(process, **settings):
    law = passage(process, above(1.0), START, ts=[1.0], method="grid", **settings)
    return 1 - float(law.survival[0, 0])


def by_fates(process, **settings):
    targets = {"up": above(1.0)}
    table = fate_probabilities(
        process, START, targets, horizon=1.0, method="grid", random_state=0, **settings
    )
    return float(table.probabilities[0, 0])


DOORS = pytest.mark.parametrize("door", [by_value, by_passage, by_fates])


def reached(drift, noise):
    """The chance that a Brownian motion with drift passes 1 within 1, by reflection."""
    far = np.exp(2 * drift / noise**2) * ndtr((-drift - 1) / noise)
    return ndtr((drift - 1) / noise) + far


@DOORS
def test_a_domain_that_cuts_the_way_is_told(door):
    still = Brownian(volatility=1.0)
    with pytest.warns(UserWarning, match="meets the edge of the domain"):
        cut = door(still, domain=([-0.5], [1.0]), resolution=40)
    assert cut > reached(0.0, 1.0) + 0.02  # what comes back from the edge arrives
    wide = door(still, domain=([-5.0], [1.0]), resolution=60)
    assert wide == pytest.approx(reached(0.0, 1.0), rel=1e-3)


@DOORS
def test_cells_too_wide_for_the_noise_are_told_with_a_number_that_helps(door):
    drifting = AffineDrift(1, [[0.0]], [0.8], volatility=0.12)
    truth = reached(0.8, 0.12)
    with pytest.warns(UserWarning, match=r"raises the noise by \d+%.* resolution=(\d+)") as said:
        wide = door(drifting, domain=([-1.0], [1.0]), resolution=10)
    needed = int(str(said[0].message).split("resolution=")[1].split(",")[0])
    fine = door(drifting, domain=([-1.0], [1.0]), resolution=needed)  # without a warning
    assert abs(fine - truth) < 0.02 < 0.03 < abs(wide - truth)


@pytest.mark.parametrize("dim", [1, 2])
def test_a_target_between_the_centres_of_cells_is_refused(dim):
    center = np.full(dim, 0.003)
    walls = below(-1.0) | above(1.0)
    question = hitting_probability(ball(center, 0.002), before=walls)
    settings = {"method": "grid", "domain": (-np.ones(dim), np.ones(dim)), "resolution": 10}
    model = ValueFunction(question, **settings)
    with pytest.raises(InputError, match="pass by a part of the stopping set"):
        model.fit(Brownian(dim=dim, volatility=1.0), np.full((1, dim), 0.5))


def test_two_grids_of_the_plane_tell_the_error():
    x = np.array([[0.0, 0.0], [0.4, 0.0]])
    model = ValueFunction(hitting_time(~ball(np.zeros(2), 1.0)), method="grid", resolution=40)
    off = np.abs(model.fit(Brownian(dim=2, volatility=1.0), x).predict(x) - [0.5, 0.42]).max()
    assert 0 < off < model.residual_ < 0.02


@pytest.mark.parametrize("level", [0.5, 0.77])
def test_jumps_within_a_cell_count_by_their_share(level):
    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=1.0)
    times = (np.arange(4000) + 0.5) / 2000
    tail = ndtr(-level / np.sqrt(-np.expm1(-2 * times) / 2))
    settings = {"method": "grid", "domain": ([-4.0], [4.0]), "resolution": 60}
    above_at_end = ValueFunction(exceedance(level, 2.0), **settings).fit(process, START)
    assert above_at_end.predict(START)[0] == pytest.approx(tail[-1], rel=5e-3)
    spent = ValueFunction(occupation(above(level), 2.0), **settings).fit(process, START)
    assert spent.predict(START)[0] == pytest.approx(tail.mean() * 2, rel=5e-3)


def test_noise_of_some_coordinates_alone():
    """No cells are narrow enough for it: the remedy is to simulate, not a finer grid.

    At rest the place does not move, which is no reason to follow paths for ever.
    """
    spring = Diffusion(
        lambda _, x: np.stack([x[:, 1], -x[:, 0] - x[:, 1]], axis=1),
        lambda _, x: np.stack([np.zeros(len(x)), np.ones(len(x))], axis=1),
        2,
        diagonal=True,
    )
    question = hitting_probability(above(0.5), before=below(-0.5))
    with pytest.warns(UserWarning, match="noise along a coordinate is absent.* take estimate"):
        model = ValueFunction(question, resolution=20, random_state=0).fit(spring, [[0.0, 0.0]])
    assert model.predict([[0.0, 0.0]])[0] == pytest.approx(0.5, abs=0.01)
