"""Couplings of all cells where some alone were coupled: marginals, laws of ends, growth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from tests.bridges.gaussian import GaussianBridge
from trajinfer import SchrodingerBridge, Snapshots

LAW = GaussianBridge.of(
    [[-0.5, 1.0], [-1.0, -0.5]],
    0.0,
    0.7,
    [1, 0],
    np.diag([0.3, 0.2]),
    [0, 0.5],
    0.3 * np.eye(2),
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    first = rng.multivariate_normal(LAW.mu0, LAW.S0, 900)
    return Snapshots([0.0, 1.0], [first, rng.multivariate_normal(LAW.mu1, LAW.S1, 1100)])


@pytest.mark.parametrize("how", [{"max_samples": 300}, {"backend": "mixture"}])
def test_all_cells_have_the_partners_that_the_closed_form_gives_them(data, how):
    plan = SchrodingerBridge(LAW.reference(), random_state=0, **how).fit(data).coupling(0)
    np.testing.assert_allclose(plan.sum(1), 1 / 900)
    np.testing.assert_allclose(plan.sum(0), 1 / 1100)
    slope = LAW.C0T.T @ np.linalg.inv(LAW.S0)
    expected = LAW.mu1 + (data.points[0] - LAW.mu0) @ slope.T
    found = 900 * plan @ data.points[1]
    # the law of an end has a variance of about .17: 64 partners, and potentials of 300 points
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.07
    rest = (LAW.S1 - slope @ LAW.C0T).diagonal()
    variance = 900 * plan @ data.points[1] ** 2 - found**2
    np.testing.assert_allclose(variance.mean(0), rest, rtol=0.15)


def test_rows_of_a_growing_population_are_its_descendants(data):
    rate = 0.8

    def growth(t, x):
        return rate * x[:, 0]

    words = {"growth": growth, "random_state": 0}
    bridge = SchrodingerBridge(LAW.reference(), max_samples=300, **words).fit(data)
    plan = bridge.coupling(0)
    np.testing.assert_allclose(plan.sum(0), 1 / 1100)
    descendants = bridge._flow(0, 1)[0].descendants(0, 1)
    rows = np.asarray(plan.sum(1))
    assert np.corrcoef(rows, descendants)[0, 1] > 0.95
    left = data.points[0][:, 0] < 1.0
    assert rows[left].sum() == pytest.approx(descendants[left].sum() / descendants.sum(), abs=0.01)


def test_weights_and_points_without_any(data):
    weights = [np.arange(len(x)) % 3.0 for x in data.points]
    weighted = Snapshots([0.0, 1.0], data.points, weights)
    plan = SchrodingerBridge(max_samples=200, random_state=0).fit(weighted).coupling(-1)
    np.testing.assert_allclose(plan.sum(1), weighted.probabilities(0), atol=1e-15)
    np.testing.assert_allclose(plan.sum(0), weighted.probabilities(1), atol=1e-15)


def test_marginals_hold_where_noise_is_too_small_for_the_partners(data):
    bridge = SchrodingerBridge(volatility=0.01, max_samples=50, random_state=0).fit(data)
    with pytest.warns(ConvergenceWarning, match="found no place"):
        plan = bridge.coupling(0)
    np.testing.assert_allclose(plan.sum(1), 1 / 900)
    np.testing.assert_allclose(plan.sum(0), 1 / 1100)
    again = SchrodingerBridge(volatility=0.01, max_samples=50, random_state=0).fit(data)
    with pytest.warns(ConvergenceWarning):
        assert (again.coupling(0) != plan).nnz == 0
