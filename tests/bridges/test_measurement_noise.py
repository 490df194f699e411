"""Noise of measurement of known size, against laws without it."""

import numpy as np
import pytest

import trajinfer
from tests.bridges.gaussian import ROTATION
from tests.bridges.gaussian_process_data import grids
from trajinfer import SchrodingerBridge, Snapshots
from trajinfer._core.errors import InputError
from trajinfer.bridges.deconvolution import without_noise
from trajinfer.evaluation import cell_intervals
from trajinfer.metrics import wasserstein
from trajinfer.processes import AffineDrift

TURN = np.array(ROTATION)
START = ([2.0, 0.0], 0.1 * np.eye(2))
TIMES = np.linspace(0, 2, 5)
SIGMA, NOISE = 0.5, 0.4


def cleaned(y, noise, weights=None):
    data = Snapshots([0.0], [y], None if weights is None else [weights])
    return without_noise(data, np.broadcast_to(noise, y.shape[1]).astype(float), 0).points[0]


def test_a_gaussian_loses_the_covariance_of_the_noise_and_nothing_else():
    rng = np.random.default_rng(0)
    y = rng.normal(0, [1.0, 0.6], (300, 2)) @ np.array([[1.0, 0.4], [0.0, 1.0]])
    noise = np.array([0.3, 0.2])
    x = cleaned(y, noise)
    np.testing.assert_allclose(x.mean(0), y.mean(0), atol=1e-12)
    expected = np.cov(y.T, bias=True) - np.diag(noise**2)
    np.testing.assert_allclose(np.cov(x.T, bias=True), expected, atol=1e-10)


def test_clusters_are_freed_of_noise_each():
    """As a whole they are so wide that a stretch of all would leave each cluster as it was."""
    rng = np.random.default_rng(1)
    sides = np.where(rng.random(800) < 0.5, -2.0, 2.0)
    x = (sides + rng.normal(0, 0.3, 800))[:, None]
    y = x + rng.normal(0, 0.6, x.shape)
    found = cleaned(y, 0.6)
    for side in (-1, 1):
        # a variance of .09 + .36 from 400 points has a standard error of .03
        spread = found[side * found[:, 0] > 0].var()
        assert spread == pytest.approx(0.09, abs=0.09)
    assert wasserstein(found, x, p=2) < 0.5 * wasserstein(y, x, p=2)


def test_what_is_all_noise_becomes_one_place():
    rng = np.random.default_rng(2)
    found = cleaned(np.array([3.0, 1.0]) + rng.normal(0, 0.2, (200, 2)), 0.25)
    np.testing.assert_allclose(found.std(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(found.mean(0), [3.0, 1.0], atol=5 * 0.2 / np.sqrt(200))


def test_coordinates_without_noise_and_the_order_of_rows_stay():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(60, 2))
    found = cleaned(y, [0.3, 0.0])
    np.testing.assert_array_equal(found[:, 1], y[:, 1])
    assert (np.argsort(found[:, 0]) == np.argsort(y[:, 0])).all()
    turned = cleaned(y[::-1] * [-2.0, 1.0], [0.6, 0.0])
    np.testing.assert_allclose(turned[::-1, 0], -2.0 * found[:, 0], atol=1e-8)


def test_a_weight_of_two_is_two_rows():
    rng = np.random.default_rng(4)
    y, weight = rng.normal(size=(30, 1)), np.repeat([1.0, 2.0], 15)
    twice = np.concatenate([y, y[15:]])
    np.testing.assert_allclose(cleaned(y, 0.4, weight), cleaned(twice, 0.4)[:30], atol=1e-10)


@pytest.fixture(scope="module")
def exact_measurements():
    """Exact marginals of a rotation, widened by the noise, as weighted grids."""
    return grids(TURN, TIMES, *START, SIGMA, step=0.6, reach=3.6, noise=NOISE)


def fitted(data, noise):
    reference = AffineDrift(2, volatility=[0.8, 0.8], ridge=0.0)
    bridge = SchrodingerBridge(
        reference,
        volatility="likelihood",
        measurement_noise=noise,
        n_refinements=60,
        random_state=0,
    )
    return bridge.fit(data)


def test_noise_that_is_told_biases_neither_drift_nor_volatility(exact_measurements):
    told = fitted(exact_measurements, NOISE)
    np.testing.assert_allclose(told.volatility_, SIGMA, rtol=0.05)
    np.testing.assert_allclose(told.parameters_["matrix"], TURN, atol=0.05)


@pytest.mark.slow
def test_noise_that_is_ignored_does(exact_measurements):
    """So that the test above can fail."""
    ignored = fitted(exact_measurements, None)
    assert (ignored.volatility_ > 1.1 * SIGMA).all()


@pytest.fixture(scope="module")
def noisy_bridge():
    rng = np.random.default_rng(7)
    data = Snapshots([0, 1], [rng.normal(t, 1.0, (40, 2)) for t in (0, 1)])
    bridge = SchrodingerBridge(volatility=0.5, measurement_noise=[0.6, 0.0], random_state=0)
    return bridge.fit(data), data


def test_answers_are_positions_and_measurements_hold_noise(noisy_bridge):
    bridge, data = noisy_bridge
    assert bridge.measured_ is data
    assert bridge.given_snapshots is data
    position, drawn = bridge.marginal(1, 4000), bridge.measurements(1, 4000)
    assert bridge.marginal(1, 4000)[:, 0].var() < data.points[1][:, 0].var() - 0.3
    np.testing.assert_allclose(drawn[:, 0].var(), data.points[1][:, 0].var(), rtol=0.1)
    np.testing.assert_array_equal(drawn[:, 1], position[:, 1])
    noise = bridge.measurements(1, 50, random_state=3) - bridge.measurements(1, 50, random_state=4)
    assert np.abs(noise[:, 0]).max() > 0
    np.testing.assert_array_equal(
        bridge.measurements(1, 50, random_state=3), bridge.measurements(1, 50, random_state=3)
    )


def test_scores_compare_what_is_measured(noisy_bridge):
    """Other measurements of the same population: positions alone are too narrow for them."""
    bridge, _ = noisy_bridge
    rng = np.random.default_rng(8)
    other = Snapshots([1], [rng.normal(1, 1.0, (1000, 2))])
    silent = SchrodingerBridge(volatility=0.5, random_state=0).fit(bridge.snapshots_)
    assert bridge.score(other) > silent.score(other)


def test_a_saved_bridge_keeps_both(noisy_bridge, tmp_path):
    bridge, data = noisy_bridge
    again = trajinfer.load(bridge.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.measured_.points[0], data.points[0])
    np.testing.assert_array_equal(again.measurements(0.5, 9), bridge.measurements(0.5, 9))


def test_refits_start_from_the_measurements(noisy_bridge):
    bridge, _ = noisy_bridge
    seen = []

    def spread(fitted):
        seen.append(fitted.snapshots_.points[1][:, 0].var())
        return np.array(seen[-1:])

    cell_intervals(bridge, spread, n=4, random_state=0, n_jobs=1)
    # freed of noise twice, a variance near 1 would be .28 instead of .64
    assert np.mean(seen[1:]) == pytest.approx(seen[0], abs=0.2)


def test_cells_of_a_noisy_fit_are_annotated(noisy_bridge):
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    bridge, data = noisy_bridge
    points, times = data.stacked()
    table = pd.DataFrame({"time": times}, index=[f"c{i}" for i in range(len(times))])
    adata = anndata.AnnData(X=points, obs=table)
    bridge.annotate(adata)
    assert np.isfinite(adata.obsm["velocity_X"]).all()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (-0.1, "0 or more"),
        ([0.1, np.nan], "0 or more"),
        ([0.1, 0.1, 0.1], r"one per coordinate \(2\)"),
        ("learn", "measurement_noise"),
    ],
)
def test_noise_that_is_no_size_is_refused(noise, message):
    data = Snapshots([0, 1], [np.zeros((3, 2)), np.ones((3, 2))])
    with pytest.raises(InputError, match=message):
        SchrodingerBridge(measurement_noise=noise).fit(data)
