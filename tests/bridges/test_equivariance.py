"""What must not matter: the order of rows, the units of state and time, the origin of time."""

import numpy as np
import pytest
from sklearn.base import clone

from tests.bridges.gaussian import ROTATION
from tests.bridges.gaussian_process_data import samples
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.processes import (
    AffineDrift,
    LotkaVolterra,
    OrnsteinUhlenbeck,
    make_snapshots,
    simulate,
)

A = np.array(ROTATION)
SIGMA = np.array([0.3, 0.6])


@pytest.fixture(scope="module")
def snapshots():
    return samples(A, [0.0, 0.5, 0.8, 1.5], [2.0, 0.0], 0.1 * np.eye(2), SIGMA, 12, 0)


@pytest.fixture(scope="module")
def positive():
    process = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=0.2)
    starts = np.random.default_rng(0).uniform(4, 5, (60, 2))
    return make_snapshots(simulate(process, starts, [0, 1, 2], 60, 0), random_state=0)


def scaled(snapshots, c=1.0, s=1.0, shift=0.0):
    return Snapshots(s * snapshots.times + shift, [c * p for p in snapshots.points])


def fixed(**options):
    return AffineDrift(2, A, [1.0, 0.5], volatility=SIGMA, **options)


def test_the_order_of_rows(snapshots, rng):
    orders = [rng.permutation(len(p)) for p in snapshots.points]
    shuffled = Snapshots(
        snapshots.times, [p[o] for p, o in zip(snapshots.points, orders, strict=True)]
    )
    plain = SchrodingerBridge(fixed(), random_state=0).fit(snapshots)
    moved = SchrodingerBridge(fixed(), random_state=0).fit(shuffled)
    for k in range(3):
        expected = plain.coupling(k)[np.ix_(orders[k], orders[k + 1])]
        np.testing.assert_allclose(moved.coupling(k), expected, atol=1e-10)
    x = np.array([[1.0, 0.5]])
    np.testing.assert_allclose(moved.velocity(x, 0.6), plain.velocity(x, 0.6), atol=1e-8)
    np.testing.assert_allclose(moved.predict(x, 0.2), plain.predict(x, 0.2), atol=1e-8)
    found = moved.objective_history_[-1]
    assert found == pytest.approx(plain.objective_history_[-1], abs=1e-8)


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_the_order_of_rows_in_a_refinement(snapshots, rng):
    orders = [rng.permutation(len(p)) for p in snapshots.points]
    shuffled = Snapshots(
        snapshots.times, [p[o] for p, o in zip(snapshots.points, orders, strict=True)]
    )
    plain, moved = (
        SchrodingerBridge(AffineDrift(2), tol=1e-7, n_refinements=8, random_state=0).fit(s)
        for s in (snapshots, shuffled)
    )
    np.testing.assert_allclose(moved.parameters_["matrix"], plain.parameters_["matrix"], atol=1e-3)


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_rows_of_a_table_may_come_in_any_order(snapshots, rng):
    X, t = snapshots.stacked()
    order = rng.permutation(len(X))
    options = {"n_refinements": 3, "random_state": 0}
    plain = SchrodingerBridge(AffineDrift(2), **options).fit(X, t)
    # the same order within every time gives the very same fit
    by_time = np.argsort(-t, kind="stable")
    reverse = SchrodingerBridge(AffineDrift(2), **options).fit(X[by_time], t[by_time])
    assert np.array_equal(reverse.parameters_["matrix"], plain.parameters_["matrix"])
    any_order = SchrodingerBridge(AffineDrift(2), **options).fit(X[order], t[order])
    np.testing.assert_allclose(
        any_order.parameters_["matrix"], plain.parameters_["matrix"], atol=0.05
    )


@pytest.mark.parametrize(("c", "s"), [(50.0, 1.0), (1.0, 1e-3), (1e-4, 300.0)])
def test_units_of_a_fixed_reference(snapshots, c, s):
    """x -> c x, t -> s t, sigma -> c s^-1/2 sigma, A -> A / s."""
    plain = SchrodingerBridge(fixed(), random_state=0).fit(snapshots)
    reference = AffineDrift(
        2, A / s, c / s * np.array([1.0, 0.5]), volatility=c / np.sqrt(s) * SIGMA
    )
    moved = SchrodingerBridge(reference, random_state=0).fit(scaled(snapshots, c, s))
    for k in range(3):
        np.testing.assert_allclose(moved.coupling(k), plain.coupling(k), atol=1e-9)
    ts = np.array([0.0, 0.3, 0.5, 1.0])
    np.testing.assert_allclose(
        moved.sample(5, s * ts).values, c * plain.sample(5, ts).values, rtol=1e-6, atol=c * 1e-6
    )
    x = np.array([[1.0, 0.5]])
    np.testing.assert_allclose(
        moved.velocity(c * x, s * 0.6), c / s * plain.velocity(x, 0.6), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "c", "s"),
    [
        (AffineDrift, 100.0, 1.0),
        (AffineDrift, 1.0, 0.01),
        (AffineDrift, 0.03, 50.0),
        (OrnsteinUhlenbeck, 0.03, 50.0),
        # one unit at a time, as above of another reference
        pytest.param(OrnsteinUhlenbeck, 100.0, 1.0, marks=pytest.mark.slow),
        pytest.param(OrnsteinUhlenbeck, 1.0, 0.01, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_units_of_a_fit_with_nothing_given(snapshots, make, c, s):
    """Neither the neutral starts, nor the default volatility, nor the ridge know of units."""
    options = {"n_refinements": 4, "random_state": 0}
    process = make(2) if make is AffineDrift else make(dim=2)
    plain = SchrodingerBridge(process, **options).fit(snapshots)
    moved = SchrodingerBridge(process, **options).fit(scaled(snapshots, c, s))
    np.testing.assert_allclose(moved.volatility_, c / np.sqrt(s) * plain.volatility_, rtol=1e-10)
    name = "matrix" if make is AffineDrift else "theta"
    np.testing.assert_allclose(
        moved.parameters_[name] * s, plain.parameters_[name], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("make", [lambda: None, lambda: fixed()], ids=["Brownian", "affine"])
@pytest.mark.parametrize("backend", ["auto", "linear_noise"])
def test_units_of_single_coordinates(snapshots, make, backend):
    """Income in dollars beside a rate per year: no coordinate hides the noise of another."""
    units = np.array([1e-3, 1e5])
    sigma = np.array([0.3, 0.6])
    plain = SchrodingerBridge(
        make(), volatility=sigma, backend=backend, n_refinements=0, random_state=0
    ).fit(snapshots)
    reference = make()
    if reference is not None:
        matrix = units[:, None] * A / units
        reference = AffineDrift(2, matrix, units * [1.0, 0.5])
    other = SchrodingerBridge(
        reference, volatility=units * sigma, backend=backend, n_refinements=0, random_state=0
    ).fit(Snapshots(snapshots.times, [units * p for p in snapshots.points]))
    for k in range(3):
        np.testing.assert_allclose(other.coupling(k), plain.coupling(k), atol=1e-8)
    paths = [b.sample(50, [0.2, 0.7, 1.0]).values for b in (plain, other)]
    np.testing.assert_allclose(paths[1] / units, paths[0], atol=1e-6)


def test_units_of_lotka_volterra(positive):
    c, s = 40.0, 7.0
    bridge = SchrodingerBridge(LotkaVolterra(), random_state=0)
    plain, moved = (clone(bridge).fit(data) for data in (positive, scaled(positive, c, s)))
    falls = np.diff(plain.objective_history_)
    assert (falls <= 1e-6 * (1 + np.abs(plain.objective_history_[:-1]))).all()
    for name, power in {"alpha": 0, "beta": -1, "delta": -1, "gamma": 0}.items():
        unit = c**power / s
        expected = plain.parameters_[name] * unit
        # one of the rates falls to zero, where nothing tells 1e-10 from 1e-14
        assert moved.parameters_[name] == pytest.approx(expected, rel=1e-3, abs=1e-7 * unit)


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_the_origin_of_time(snapshots):
    bridge = SchrodingerBridge(AffineDrift(2), n_refinements=3, random_state=0)
    later = scaled(snapshots, shift=1000.0)
    plain, moved = (clone(bridge).fit(data) for data in (snapshots, later))
    for k in range(3):
        np.testing.assert_allclose(moved.coupling(k), plain.coupling(k), atol=1e-7)
    np.testing.assert_allclose(moved.parameters_["matrix"], plain.parameters_["matrix"], atol=1e-6)
    ts = np.array([0.1, 0.5, 1.2])
    here, there = plain.sample(5, ts), moved.sample(5, ts + 1000)
    np.testing.assert_allclose(there.values, here.values, atol=1e-5)
    here, there = plain.forecast(ts + 1.5, 5), moved.forecast(ts + 1001.5, 5)
    np.testing.assert_allclose(there.values, here.values, atol=1e-5)
    x = np.array([[1.0, 0.5]])
    np.testing.assert_allclose(moved.velocity(x, 1000.7), plain.velocity(x, 0.7), atol=1e-5)


def test_a_shift_of_the_state_moves_the_offset_only(snapshots):
    by = np.array([30.0, -5.0])
    moved = Snapshots(snapshots.times, [p + by for p in snapshots.points])
    plain = SchrodingerBridge(fixed(), random_state=0).fit(snapshots)
    reference = AffineDrift(2, A, np.array([1.0, 0.5]) - A @ by, volatility=SIGMA)
    there = SchrodingerBridge(reference, random_state=0).fit(moved)
    for k in range(3):
        np.testing.assert_allclose(there.coupling(k), plain.coupling(k), atol=1e-9)
    np.testing.assert_allclose(
        there.sample(4, [0.2, 0.6]).values, plain.sample(4, [0.2, 0.6]).values + by, atol=1e-7
    )


def test_the_order_of_coordinates(snapshots):
    swapped = Snapshots(snapshots.times, [p[:, ::-1] for p in snapshots.points])
    plain = SchrodingerBridge(fixed(), random_state=0).fit(snapshots)
    reference = AffineDrift(2, A[::-1, ::-1], [0.5, 1.0], volatility=SIGMA[::-1])
    there = SchrodingerBridge(reference, random_state=0).fit(swapped)
    for k in range(3):
        np.testing.assert_allclose(there.coupling(k), plain.coupling(k), atol=1e-10)
