"""Unequal, weighted, single, identical, far apart, constant: a result or a clear word."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.metrics import wasserstein
from trajinfer.processes import AffineDrift, Brownian, LotkaVolterra


@pytest.fixture
def clouds(rng):
    return [rng.standard_normal((n, 2)) + k for k, n in enumerate((12, 20, 9))]


def fit(times, points, weights=None, **options):
    options = {"volatility": 0.5, "random_state": 0} | options
    return SchrodingerBridge(**options).fit(Snapshots(times, points, weights))


def test_a_weight_of_two_is_a_row_twice(clouds):
    doubled = [np.concatenate([c[:1], c]) for c in clouds]
    weights = [np.concatenate([[2.0], np.ones(len(c) - 1)]) for c in clouds]
    twice, weighted = fit([0, 1, 2], doubled), fit([0, 1, 2], clouds, weights)
    for k in range(2):
        folded = twice.coupling(k)
        folded[1] += folded[0]
        folded = folded[1:]
        folded[:, 1] += folded[:, 0]
        np.testing.assert_allclose(weighted.coupling(k), folded[:, 1:], atol=1e-10)
    x = np.array([[0.3, 0.2]])
    np.testing.assert_allclose(weighted.velocity(x, 0.4), twice.velocity(x, 0.4), atol=1e-8)
    np.testing.assert_allclose(
        weighted.predict(x, 0.4, [1.5, 2.0]), twice.predict(x, 0.4, [1.5, 2.0]), atol=1e-8
    )


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_a_weight_of_two_is_a_row_twice_in_a_refinement(clouds):
    doubled = [np.concatenate([c[:1], c]) for c in clouds]
    weights = [np.concatenate([[2.0], np.ones(len(c) - 1)]) for c in clouds]
    reference = AffineDrift(2, np.zeros((2, 2)), [0.0, 0.0]).learn("matrix", "offset")
    options = {"reference": reference, "tol": 1e-7, "n_refinements": 8}
    twice = fit([0, 1, 2], doubled, **options)
    weighted = fit([0, 1, 2], clouds, weights, **options)
    for name in ("matrix", "offset"):
        np.testing.assert_allclose(weighted.parameters_[name], twice.parameters_[name], atol=2e-3)


def test_a_row_of_no_weight_is_no_row(clouds):
    weights = [np.ones(len(c)) for c in clouds]
    weights[0][3] = weights[1][0] = weights[2][8] = 0.0
    kept = [c[w > 0] for c, w in zip(clouds, weights, strict=True)]
    without, weighted = fit([0, 1, 2], kept), fit([0, 1, 2], clouds, weights)
    plan = weighted.coupling(0)
    assert not plan[3].any()
    assert not plan[:, 0].any()
    np.testing.assert_allclose(
        plan[np.ix_(weights[0] > 0, weights[1] > 0)], without.coupling(0), atol=1e-10
    )
    paths = weighted.sample(200, [0, 2]).values
    assert not (paths[:, 0] == clouds[0][3]).all(axis=1).any()
    assert not (paths[:, 1] == clouds[2][8]).all(axis=1).any()


def test_snapshots_of_one_individual(clouds):
    bridge = fit([0, 1, 2], [clouds[0], clouds[1][:1], clouds[2]])
    np.testing.assert_allclose(bridge.coupling(0), np.full((12, 1), 1 / 12), atol=1e-12)
    paths = bridge.sample(50, [0.0, 1.0, 2.0]).values
    assert (paths[:, 1] == clouds[1][0]).all()
    np.testing.assert_allclose(
        bridge.predict(clouds[0][:3], 0, [1.0])[:, 0], np.tile(clouds[1][0], (3, 1)), atol=1e-12
    )


def test_one_individual_at_every_time():
    bridge = SchrodingerBridge(random_state=0).fit(
        Snapshots([0, 1, 3], [[[0.0]], [[1.0]], [[2.0]]])
    )
    assert (bridge.sample(5).values[:, :, 0] == [0, 1, 2]).all()
    assert (bridge.volatility_ > 0).all()
    spread = bridge.marginal(0.5, 4000).std()
    assert spread == pytest.approx(float(bridge.volatility_[0]) * 0.5, rel=0.06)


def test_identical_snapshots(clouds):
    bridge = fit([0, 1], [clouds[0], clouds[0]], volatility=0.1)
    plan = bridge.coupling(0)
    np.testing.assert_allclose(plan, plan.T, atol=1e-9)
    assert (plan.argmax(axis=1) == np.arange(12)).all()
    still = SchrodingerBridge(AffineDrift(2), random_state=0).fit(
        Snapshots([0, 1, 2], [clouds[0]] * 3)
    )
    matrix, offset = still.parameters_["matrix"], still.parameters_["offset"]
    drift = clouds[0] @ matrix.T + offset
    assert np.abs(drift).mean() < 0.1


def test_two_individuals_at_the_same_place(clouds):
    cloud = np.concatenate([clouds[0], clouds[0]])
    bridge = fit([0, 1], [cloud, clouds[1]])
    np.testing.assert_allclose(bridge.coupling(0)[:12], bridge.coupling(0)[12:], atol=1e-12)


def test_a_very_long_time(clouds):
    """Brownian motion forgets where it came from; so does a reference that returns."""
    independent = np.full((12, 20), 1 / 240)
    np.testing.assert_allclose(fit([0, 1e8], clouds[:2]).coupling(0), independent, rtol=1e-5)
    reference = AffineDrift(2, -np.eye(2), [0, 0], volatility=0.5)
    bridge = fit([0, 1e3], clouds[:2], reference=reference, volatility=None)
    np.testing.assert_allclose(bridge.coupling(0), independent, rtol=1e-8)
    middle = bridge.marginal(500.0, 4000)
    assert np.abs(np.cov(middle.T) - 0.125 * np.eye(2)).max() < 0.02


def test_a_very_short_time(clouds):
    bridge = fit([0, 1e-9], [clouds[0], clouds[0] + 1e-6])
    assert (bridge.coupling(0).argmax(axis=1) == np.arange(12)).all()


def test_uneven_times(clouds):
    bridge = fit([0.0, 1e-3, 100.0], clouds)
    paths = bridge.sample(200, [0, 5e-4, 1e-3, 50.0, 100.0])
    assert np.isfinite(paths.values).all()
    assert paths.at(50.0).std() > 2 * paths.at(5e-4).std()


@pytest.mark.parametrize("reference", [Brownian(dim=1), AffineDrift(1)], ids=["Brownian", "affine"])
def test_one_dimension(rng, reference):
    clouds = [rng.standard_normal((30, 1)) * s + m for s, m in ((1.0, 0.0), (0.5, 1.0), (0.3, 1.5))]
    bridge = SchrodingerBridge(reference, random_state=0).fit(Snapshots([0, 1, 2], clouds))
    assert bridge.sample(4, [0, 0.5, 2]).values.shape == (4, 3, 1)
    # in one dimension the coupling of little noise is the monotone one
    sharp = SchrodingerBridge(volatility=1e-2, random_state=0).fit(Snapshots([0, 1], clouds[:2]))
    partner = sharp.coupling(0).argmax(axis=1)
    assert (np.diff(partner[np.argsort(clouds[0][:, 0])]) != 0).all()
    ranks = np.argsort(np.argsort(clouds[1][:, 0]))[partner[np.argsort(clouds[0][:, 0])]]
    assert (ranks == np.arange(30)).all()


def test_points_hundreds_of_standard_deviations_apart(clouds):
    """The default volatility is .3 of the spread: here the step is 1000 spreads long."""
    far = [clouds[0], clouds[1] + 3000.0]
    bridge = SchrodingerBridge(random_state=0).fit(Snapshots([0, 1], far))
    plan = bridge.coupling(0)
    assert np.abs(plan.sum(axis=1) - 1 / 12).sum() < 1e-6
    middle = bridge.marginal(0.5, 500)
    np.testing.assert_allclose(middle.mean(axis=0), (far[0].mean(0) + far[1].mean(0)) / 2, atol=0.5)
    moving = SchrodingerBridge(AffineDrift(2), random_state=0).fit(Snapshots([0, 1], far))
    assert moving.converged_
    np.testing.assert_allclose(
        moving.forecast([1.0 + 1e-6], 50).mean(), far[1].mean(0)[None], atol=1.0
    )


def test_far_apart_under_a_tiny_volatility_is_solved_or_said():
    """Thousands of standard deviations: the marginals are met, or a warning says they are not."""
    rng = np.random.default_rng(3)
    clouds = [rng.standard_normal((40, 2)), 2 + rng.standard_normal((40, 2))]
    bridge = SchrodingerBridge(volatility=1e-4, random_state=0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        bridge.fit(Snapshots([0, 1], clouds))
    error = np.abs(bridge.coupling(0).sum(axis=1) - 1 / 40).sum()
    assert bridge.converged_ == (error < 1e-6)
    messages = [str(w.message) for w in said if issubclass(w.category, ConvergenceWarning)]
    assert any("miss their marginals" in m for m in messages) == (not bridge.converged_)


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_a_constant_coordinate(clouds):
    flat = [np.column_stack([c, np.full(len(c), 7.0)]) for c in clouds]
    bridge = SchrodingerBridge(random_state=0).fit(Snapshots([0, 1, 2], flat))
    assert (bridge.volatility_ > 0).all()
    paths = bridge.sample(100, [0, 0.5, 1, 2]).values
    assert (paths[:, [0, 2, 3], 2] == 7.0).all()
    assert np.isfinite(paths).all()
    affine = SchrodingerBridge(AffineDrift(3), n_refinements=3, random_state=0)
    affine.fit(Snapshots([0, 1, 2], flat))
    assert np.isfinite(affine.parameters_["matrix"]).all()


def test_nothing_varies_at_all():
    bridge = SchrodingerBridge(random_state=0).fit(Snapshots([0, 1], [np.ones((5, 2))] * 2))
    assert (bridge.volatility_ > 0).all()
    np.testing.assert_allclose(bridge.coupling(0), np.full((5, 5), 0.04), rtol=1e-9)


def test_coordinates_of_unlike_size_have_volatilities_of_their_own(clouds):
    wide = [c * [1.0, 1e6] for c in clouds]
    bridge = SchrodingerBridge(random_state=0).fit(Snapshots([0, 1, 2], wide))
    ratio = bridge.volatility_[1] / bridge.volatility_[0]
    spreads = np.mean([c.std(axis=0) for c in clouds], axis=0)
    assert ratio == pytest.approx(1e6 * spreads[1] / spreads[0], rel=1e-9)
    alike = SchrodingerBridge(random_state=0).fit(Snapshots([0, 1, 2], clouds))
    assert alike.volatility_[0] == alike.volatility_[1]


def test_groups_that_lie_apart_make_no_unlike_units():
    rng = np.random.default_rng(0)
    groups = [rng.normal(0, 0.05, (100, 3)) for _ in range(2)]
    for cloud in groups:
        cloud[80:, 0] += 3.0
    spread = np.mean([c.std(axis=0) for c in groups], axis=0)
    assert spread[0] > 10 * spread[1:].max()
    alike = SchrodingerBridge(random_state=0).fit(Snapshots([0, 1], groups))
    np.testing.assert_allclose(alike.volatility_, 0.3 * spread.mean(), rtol=1e-12)
    units = [c * [1.0, 1.0, 1e3] for c in groups]
    unlike = SchrodingerBridge(random_state=0).fit(Snapshots([0, 1], units))
    np.testing.assert_allclose(unlike.volatility_, 0.3 * spread * [1, 1, 1e3], rtol=1e-12)


def test_the_default_volatility_is_a_third_of_the_spread(clouds):
    bridge = SchrodingerBridge(random_state=0).fit(Snapshots([0.0, 3.0, 4.0], clouds))
    spread = np.mean([c.std(axis=0) for c in clouds])
    np.testing.assert_allclose(bridge.volatility_, 0.3 * spread / np.sqrt(2.0), rtol=1e-12)


def test_a_volatility_of_the_reference_is_kept_and_may_be_overridden(clouds):
    reference = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=[0.3, 0.4])
    own = SchrodingerBridge(reference, random_state=0).fit(Snapshots([0, 1, 2], clouds))
    assert own.volatility_.tolist() == [0.3, 0.4]
    other = fit([0, 1, 2], clouds, reference=reference, volatility=[0.6, 0.7])
    assert other.volatility_.tolist() == [0.6, 0.7]
    assert reference.volatility.tolist() == [0.3, 0.4]


def test_a_volatility_may_depend_on_the_state(clouds):
    positive = [np.exp(c) for c in clouds]
    bridge = fit([0, 1, 2], positive, volatility=lambda y: 0.3 * y)
    assert callable(bridge.volatility_)
    assert bridge.converged_
    assert wasserstein(bridge.marginal(1.0, 300), positive[1], p=2) < 0.2


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_two_snapshots_are_enough(clouds):
    bridge = SchrodingerBridge(AffineDrift(2), random_state=0).fit(Snapshots([0, 1], clouds[:2]))
    assert bridge.sample(3).values.shape == (3, 2, 2)


def test_float32_data(clouds):
    single = [c.astype(np.float32) for c in clouds]
    bridge, double = fit([0, 1, 2], single), fit([0, 1, 2], clouds)
    np.testing.assert_allclose(bridge.coupling(0), double.coupling(0), atol=1e-6)
    assert bridge.sample(3).values.dtype == np.float64
