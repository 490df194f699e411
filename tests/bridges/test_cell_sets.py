"""Fates, descendants and ancestors of sets of cells, against couplings and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tests.bridges.gaussian import GaussianBridge
from trajinfer import SchrodingerBridge, Snapshots, load
from trajinfer._core.errors import InputError


@pytest.fixture(scope="module")
def snapshots():
    rng = np.random.default_rng(0)
    clouds = [rng.normal(k, 1.0, (20 + 5 * k, 2)) for k in range(3)]
    weights = [rng.uniform(0.5, 2.0, len(x)) for x in clouds]
    return Snapshots([0.0, 1.0, 2.5], clouds, weights)


@pytest.fixture(scope="module")
def bridge(snapshots):
    return SchrodingerBridge(random_state=0).fit(snapshots)


def chained(bridge):
    """Conditional laws of the last snapshot given every cell of the first, from couplings."""
    plans = [bridge.coupling(k) for k in (0, 1)]
    return (plans[0] / plans[0].sum(1, keepdims=True)) @ (plans[1] / plans[1].sum(1, keepdims=True))


def test_fates_are_sums_of_couplings(bridge, snapshots):
    right = snapshots.points[2][:, 0] > 2.2
    shares = bridge.fates({"right": right}, t0=0.0, t1=2.5)
    assert list(shares.columns) == ["right", "other"]
    np.testing.assert_allclose(shares["right"], chained(bridge)[:, right].sum(1), atol=1e-6)
    np.testing.assert_allclose(shares.sum(1), 1.0)
    by_position = bridge.fates({"right": lambda x: x[:, 0] > 2.2}, t0=0.0, t1=2.5)
    np.testing.assert_array_equal(by_position, shares)


def test_descendants_and_ancestors_are_sums_of_couplings(bridge, snapshots):
    law = chained(bridge)
    mass = np.zeros(20)
    mass[[2, 7]] = 0.5, 1.5
    np.testing.assert_allclose(bridge.push(mass, 0.0, 2.5), mass @ law, atol=1e-6)
    joint = law * snapshots.probabilities(0)[:, None]
    later = np.zeros(30)
    later[4] = 2.0
    expected = 2.0 * joint[:, 4] / joint[:, 4].sum()
    np.testing.assert_allclose(bridge.pull(later, 0.0, 2.5), expected, atol=1e-6)
    whole = bridge.push(snapshots.probabilities(0), 0.0, 1.0)
    np.testing.assert_allclose(whole, snapshots.probabilities(1), atol=1e-6)


def test_a_table_of_sets_is_the_mean_of_fates(bridge, snapshots):
    sets = {"low": lambda x: x[:, 1] < 0.5, "high": lambda x: x[:, 1] > 1.5}
    table = bridge.transition_table(sets, t0=0.0, t1=2.5)
    fates = bridge.fates(sets, t0=0.0, t1=2.5)
    low = snapshots.points[0][:, 1] < 0.5
    expected = np.average(fates[low], axis=0, weights=snapshots.probabilities(0)[low])
    np.testing.assert_allclose(table.loc["low"], expected)
    assert list(table.columns) == ["low", "high", "other"]
    np.testing.assert_allclose(table.sum(1), 1.0)


@pytest.fixture(scope="module", params=["mixture", "thinned"])
def gaussians(request):
    """Two Gaussians in a plane, of which fates across a line are known."""
    law = GaussianBridge.of(
        [[-0.5, 1.0], [-1.0, -0.5]],
        0.0,
        0.7,
        [1, 0],
        np.diag([0.3, 0.2]),
        [0, 0.5],
        0.3 * np.eye(2),
    )
    rng = np.random.default_rng(1)
    clouds = [
        rng.multivariate_normal(m, S, 1500) for m, S in ((law.mu0, law.S0), (law.mu1, law.S1))
    ]
    how = {"backend": "mixture"} if request.param == "mixture" else {"max_samples": 500}
    data = Snapshots([0.0, 1.0], clouds)
    return law, SchrodingerBridge(law.reference(), random_state=0, **how).fit(data), data


def test_every_cell_has_its_fate_and_not_atoms_alone(gaussians):
    law, bridge, data = gaussians
    slope = law.C0T.T @ np.linalg.inv(law.S0)
    mean = law.mu1 + (data.points[0] - law.mu0) @ slope.T
    spread = (law.S1 - slope @ law.C0T)[0, 0]
    expected = norm.sf(0.0, mean[:, 0], np.sqrt(spread))
    found = bridge.fates({"right": lambda y: y[:, 0] > 0}, t0=0, t1=1)["right"]
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.06
    assert np.corrcoef(found, expected)[0, 1] > 0.98


def test_descendants_of_cells_that_are_no_atoms(gaussians):
    law, bridge, data = gaussians
    left = (data.points[0][:, 0] < 1.0).astype(float)
    pushed = bridge.push(left, 0, 1)
    assert pushed.sum() == pytest.approx(left.sum())
    slope = law.C0T.T @ np.linalg.inv(law.S0)
    expected = law.mu1 + (data.points[0][left > 0].mean(0) - law.mu0) @ slope.T
    # means of 1500 points, of which half are chosen, with variances below .5
    np.testing.assert_allclose(pushed @ data.points[1] / pushed.sum(), expected, atol=0.1)
    back = bridge.pull(pushed, 0, 1)
    assert (back > 0).all()


def test_loaded_bridges_give_the_same_fates(gaussians, tmp_path):
    _, bridge, _ = gaussians
    sets = {"right": lambda y: y[:, 0] > 0}
    again = load(bridge.save(tmp_path / "bridge"))
    np.testing.assert_array_equal(again.fates(sets, t0=0, t1=1), bridge.fates(sets, t0=0, t1=1))


def test_without_growth_mass_is_constant_and_nobody_divides(bridge, snapshots):
    np.testing.assert_array_equal(bridge.mass([2.5, 0.0, 1.3]), np.ones(3))
    np.testing.assert_array_equal(bridge.growth_rate(snapshots.points[0], 0.4), np.zeros(20))
    assert bridge.push(snapshots.probabilities(0), 0, 2.5).sum() == pytest.approx(bridge.mass(2.5))
    with pytest.raises(InputError, match="before the first snapshot"):
        bridge.mass([-1.0])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda b: b.fates({}, t0=0, t1=1), "at least one set"),
        (lambda b: b.fates({"a": np.ones(3, bool)}, t0=0, t1=1), "boolean mask over the 25 cells"),
        (lambda b: b.fates({"a": np.ones(25)}, t0=0, t1=1), "boolean mask"),
        (lambda b: b.fates({"other": np.ones(25, bool)}, t0=0, t1=1), "name of the rest"),
        (
            lambda b: b.fates({"a": np.ones(25, bool), "b": np.ones(25, bool)}, t0=0, t1=1),
            "cell 0 is in two sets, a and b",
        ),
        (lambda b: b.fates({"a": np.ones(25, bool)}, t0=0, t1=0.7), "no snapshot at time 0.7"),
        (lambda b: b.push(np.ones(20), 1, 0), "t0 must lie before t1"),
        (lambda b: b.push(np.ones(25), 0, 1), "mass"),
        (lambda b: b.pull(-np.ones(25), 0, 1), "mass"),
    ],
)
def test_questions_that_make_no_sense_are_refused(bridge, ask, message):
    with pytest.raises(InputError, match=message):
        ask(bridge)
