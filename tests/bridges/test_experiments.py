"""Experiments that share their dynamics, against one alone and against the truth."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from tests.bridges.gaussian import ROTATION
from tests.bridges.gaussian_process_data import grids, samples
from trajinfer import SchrodingerBridge, Snapshots
from trajinfer._core.errors import InputError
from trajinfer.bridges import fit_together
from trajinfer.processes import AffineDrift

TURN = np.array(ROTATION)
SIGMA = 0.5


def experiment(start, times, n, seed):
    return samples(TURN, times, start, 0.1 * np.eye(2), SIGMA, n, seed)


@pytest.fixture(scope="module")
def data():
    return {
        "east": experiment([2.0, 0.0], [0.0, 0.5, 1.0], 60, 0),
        "north": experiment([0.0, 1.5], [0.0, 0.3, 0.9, 1.2], 50, 1),
    }


@pytest.fixture(scope="module")
def bridges(data):
    estimator = SchrodingerBridge(AffineDrift(2, volatility=SIGMA), random_state=0)
    return fit_together(estimator, data)


def test_they_have_one_reference_and_their_own_couplings(bridges, data):
    east, north = bridges["east"], bridges["north"]
    np.testing.assert_array_equal(east.parameters_["matrix"], north.parameters_["matrix"])
    assert east.coupling(0).shape == (60, 60)
    assert north.coupling(2).shape == (50, 50)
    assert east.given_snapshots is data["east"]
    assert north.converged_


def test_together_they_settle_what_neither_can():
    """Two moments of one pair give five equations for six numbers; two pairs give ten."""
    starts = (([2.0, 0.0], np.diag([0.3, 0.1])), ([0.0, 1.0], np.diag([0.1, 0.2])))
    pairs = [grids(TURN, [0.0, 0.5], *start, SIGMA, step=0.5, reach=3.5) for start in starts]
    reference = AffineDrift(2, volatility=SIGMA, ridge=0.0)
    bridges = fit_together(
        SchrodingerBridge(reference, tol=1e-5, random_state=0), {"a": pairs[0], "b": pairs[1]}
    )
    found = bridges["a"].parameters_
    np.testing.assert_allclose(found["matrix"], TURN, atol=0.03)
    np.testing.assert_allclose(found["offset"], 0.0, atol=0.03)


def test_one_experiment_twice_is_that_experiment(data):
    """Objectives add up: the same data again change nothing but the weight of the ridge."""
    east = data["east"]
    reference = AffineDrift(2, volatility=SIGMA, ridge=0.0)
    estimator = SchrodingerBridge(reference, tol=1e-6, random_state=0)
    twice = fit_together(estimator, {"a": east, "b": east})["a"]
    once = SchrodingerBridge(reference, tol=1e-6, random_state=0).fit(east)
    np.testing.assert_allclose(twice.parameters_["matrix"], once.parameters_["matrix"], atol=2e-3)


def test_a_refined_reference_is_taken_as_it_is(data):
    """Handed to another bridge it stood at its neutral start again."""
    first = SchrodingerBridge(AffineDrift(2), n_refinements=2, random_state=0)
    with pytest.warns(ConvergenceWarning):
        first.fit(data["east"])
    second = SchrodingerBridge(first.reference_, n_refinements=0, random_state=0)
    second.fit(data["north"])
    np.testing.assert_array_equal(second.parameters_["matrix"], first.parameters_["matrix"])


@pytest.mark.parametrize(
    ("words", "other", "message"),
    [
        ({"volatility": "learn"}, {}, "correction|corrected"),
        ({"backend": "mixture"}, {}, "no atoms"),
        ({}, {"flat": Snapshots([0, 1], [np.zeros((3, 1)), np.ones((3, 1))])}, "1 coordinates"),
        ({}, {"still": Snapshots([0], [np.zeros((3, 2))])}, "two are needed"),
    ],
)
def test_what_cannot_be_shared_is_refused(data, words, other, message):
    with pytest.raises(InputError, match=message):
        fit_together(SchrodingerBridge(AffineDrift(2), **words), {**data, **other})


def test_no_experiments_are_refused():
    with pytest.raises(InputError, match="by name"):
        fit_together(SchrodingerBridge(), {})
