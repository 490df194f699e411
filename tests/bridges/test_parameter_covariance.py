"""Errors of the refined parameters: a closed form, and fits with one weight moved."""

import copy

import numpy as np
import pytest

from trajinfer import InputError, SchrodingerBridge
from trajinfer.bridges.parameter_covariance import ParameterLaw, influence
from trajinfer.processes import (
    DoubleWell,
    NeuralDrift,
    OrnsteinUhlenbeck,
    PolynomialDrift,
)
from trajinfer.references.parameter_vector import ParameterVector

TIMES = (0.0, 0.5, 1.0)


def cloud(n, seed=0):
    """Points (3 n, 1) of three snapshots and their times."""
    rng = np.random.default_rng(seed)
    points = [rng.normal(shift, 0.6, (n, 1)) for shift in (1.0, 0.7, 0.4)]
    return np.concatenate(points), np.repeat(TIMES, n)


def test_error_of_a_constant_drift_is_that_of_a_difference_of_means():
    rng = np.random.default_rng(1)
    first, last = rng.normal(0.0, 1.0, (40, 1)), rng.normal(1.0, 0.5, (25, 1))
    X, y = np.concatenate([first, last]), np.repeat([0.0, 2.0], [40, 25])
    bridge = SchrodingerBridge(PolynomialDrift(1, 0), volatility=0.7, random_state=0).fit(X, y)
    scale = float(bridge.reference_.scale[0])
    error = bridge.parameter_errors()["coefficients"][0, 0] * scale
    truth = np.sqrt(first.var() / 40 + last.var() / 25) / 2.0
    assert error == pytest.approx(truth, rel=1e-5)
    drawn = bridge.draw_references(400, random_state=0)
    offsets = [float(sde.values()["coefficients"].detach()[0, 0]) * scale for sde in drawn]
    center = (last.mean() - first.mean()) / 2
    assert abs(np.mean(offsets) - center) < 4 * truth / 20
    assert np.std(offsets) == pytest.approx(truth, rel=4 / np.sqrt(2 * 400))


@pytest.mark.parametrize(
    ("reference", "chosen"),
    [
        # rows of the first, a middle, the last snapshot
        (OrnsteinUhlenbeck(0.9, 0.3, volatility=0.8).learn("theta", "mean"), (2, 13, 20)),
        pytest.param(
            DoubleWell(0.8, 0.9, volatility=0.7).learn("b"), (13,), marks=pytest.mark.slow
        ),
    ],
    ids=["Gaussian laws", "quadrature"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_influence_is_the_slope_of_the_fit_in_a_weight(reference, chosen):
    n, size = 8, 0.1
    X, y = cloud(n)

    def fitted(start, row, change):
        weights = np.ones(len(X))
        weights[row] += change
        bridge = SchrodingerBridge(start, tol=1e-7, random_state=0)
        return bridge.fit(X, y, sample_weight=weights)

    def moved(sde, numbers):
        vector = ParameterVector(sde := copy.deepcopy(sde))
        vector.set(vector.get() + numbers)
        return np.ravel(list(sde.parameters_dict().values()))

    center = fitted(reference, 0, 0.0).bridge_
    _, rows = influence(center)
    for row in chosen:
        of_points, place = rows[row // n], row % n
        # weights are normalised: more for one point is less for the others
        slope = (of_points[place] - of_points.mean(axis=0)) / n
        # in own units: the natural ones, in which numbers are searched for, follow the data
        expected = [moved(center.reference.sde, sign * size * slope) for sign in (1, -1)]
        found = [
            np.ravel(list(fitted(center.reference.sde, row, sign * size).parameters_.values()))
            for sign in (1, -1)
        ]
        assert found[0] - found[1] == pytest.approx(expected[0] - expected[1], rel=0.02, abs=1e-4)


def test_errors_in_own_units_and_seeds():
    X, y = cloud(60)
    bridge = SchrodingerBridge(OrnsteinUhlenbeck(volatility=0.8), random_state=0).fit(X, y)
    errors, law = bridge.parameter_errors(), ParameterLaw.of(bridge.bridge_)
    theta = bridge.parameters_["theta"][0]
    # theta is searched for by its logarithm
    assert errors["theta"][0] == pytest.approx(theta * np.sqrt(law.covariance[0, 0]), rel=1e-4)
    one, two = (bridge.draw_references(2, random_state=5) for _ in range(2))
    assert one[0].parameters_dict() == two[0].parameters_dict()
    assert one[0].parameters_dict() != one[1].parameters_dict()


def test_what_has_no_errors_says_why():
    X, y = cloud(8)
    fixed = SchrodingerBridge(OrnsteinUhlenbeck(1.0, 0.0, volatility=0.8)).fit(X, y)
    with pytest.raises(InputError, match="nothing was refined"):
        fixed.parameter_errors()
    many = SchrodingerBridge(NeuralDrift(1, hidden=(32,)), n_refinements=0).fit(X, y)
    with pytest.raises(InputError, match="nothing was refined"):
        many.draw_references(3)
    with pytest.raises(InputError, match="97 learnable numbers has no useful normal law"):
        ParameterLaw.of(many.bridge_)
    mixed = SchrodingerBridge(OrnsteinUhlenbeck(volatility=0.8), backend="mixture").fit(X, y)
    with pytest.raises(InputError, match="mixtures of Gaussians"):
        mixed.parameter_errors()
