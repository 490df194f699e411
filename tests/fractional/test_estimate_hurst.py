"""Estimators of H on exact noise, and what they refuse."""

import warnings

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError
from trajinfer.fractional import (
    NonStationaryWarning,
    estimate_hurst,
    fgn_autocovariance,
    simulate_fbm,
    simulate_fgn,
    variogram,
)
from trajinfer.fractional.exact_likelihood import _innovations, _whitened
from trajinfer.fractional.scaling import detrended_slope, inverted, variogram_slope
from trajinfer.fractional.whittle import fgn_log_spectrum, whittle

METHODS = ("whittle", "mle", "state_space", "dfa", "variogram")


@pytest.mark.parametrize("hurst", [0.1, 0.5, 0.9])
def test_whittle_is_accurate_on_exact_noise(hurst):
    noise = simulate_fgn(hurst, 1024, 120, random_state=11)
    found = np.array([whittle(row, 0.95) for row in noise[:, :]], dtype=object)
    estimates = found[:, 0].astype(float)
    assert abs(estimates.mean() - hurst) <= 0.01
    assert estimates.std() <= 0.025
    covered = np.mean([low <= hurst <= high for low, high in found[:, 1]])
    assert 0.90 <= covered <= 0.99


def test_spectrum_is_the_fourier_series_of_the_autocovariance():
    l = np.array([0.3, 1.0, 2.5, np.pi])
    for hurst in (0.2, 0.7):
        r = fgn_autocovariance(hurst, 400_000)
        series = np.array([1 + 2 * r[1:] @ np.cos(np.arange(1, len(r)) * x) for x in l])
        ratio = np.exp(fgn_log_spectrum(hurst, l)) / series
        np.testing.assert_allclose(ratio, ratio[-1], rtol=3e-3)


def test_two_ways_to_whiten_agree():
    noise = np.random.default_rng(0).normal(size=(30, 2))
    gaps = np.ones(30)
    for hurst in (0.2, 0.5, 0.85):
        ours, theirs = _innovations(hurst, noise), _whitened(hurst, noise, gaps)
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-10)
        assert ours[1] == pytest.approx(theirs[1], abs=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hurst", [0.3, 0.8])
def test_every_method_finds_the_index(hurst, method):
    noise = simulate_fgn(hurst, 600, 1, random_state=4)[0]
    found = estimate_hurst(noise, method=method, increments=True)
    assert found.interval[0] < hurst < found.interval[1]
    assert found.hurst == pytest.approx(hurst, abs=0.12)
    assert 0.02 < found.interval[1] - found.interval[0] < 0.4


@pytest.mark.parametrize("method", METHODS)
def test_start_scale_and_unit_of_time_do_not_matter(method):
    path = simulate_fbm(0.7, np.arange(200.0), 1, random_state=1).values[0, :, 0]
    plain = estimate_hurst(path, method=method)
    moved = estimate_hurst(-30.0 * path + 7.0, 0.01 * np.arange(200.0) + 5, method=method)
    assert moved.hurst == pytest.approx(plain.hurst, abs=1e-4)
    np.testing.assert_allclose(moved.interval, plain.interval, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_huge_and_tiny_values_and_times_far_from_zero(method):
    path = simulate_fbm(0.3, np.arange(200.0), 1, random_state=1).values[0, :, 0]
    plain = estimate_hurst(path, method=method)
    for exponent in (-700, 700):
        assert estimate_hurst(np.ldexp(path, exponent), method=method) == plain
    # milliseconds after 1970 in seconds: the steps differ by rounding
    clock = 1.7e9 + 1e-3 * np.arange(200.0)
    assert np.ptp(np.diff(clock)) > 0
    assert estimate_hurst(path, clock, method=method).hurst == pytest.approx(plain.hurst, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_straight_line_has_no_index(method):
    for line in (0.1 * np.arange(100.0), 1e9 - 0.3 * np.arange(100.0)):
        with pytest.raises(InputError, match="straight line"):
            estimate_hurst(line, method=method)


@pytest.mark.parametrize("method", ["mle", "state_space"])
def test_a_drift_does_not_matter_to_likelihoods(method):
    path = simulate_fbm(0.6, np.arange(150.0), 1, random_state=1).values[0, :, 0]
    drifting = estimate_hurst(path + 3.0 * np.arange(150.0), method=method)
    assert drifting.hurst == pytest.approx(estimate_hurst(path, method=method).hurst, abs=1e-4)


# with every second point missing, the roughest path may as well be noise, of which it warns
@pytest.mark.filterwarnings("ignore:x looks like increments")
@pytest.mark.parametrize("hurst", [0.1, 0.5, 0.9])
def test_likelihoods_agree_at_irregular_times(hurst):
    """Half of the points are dropped; the state space is compared with the dense likelihood."""
    path = simulate_fbm(hurst, np.arange(401.0), 1, random_state=3).values[0, :, 0]
    seen = np.sort(np.random.default_rng(0).permutation(401)[:200])
    exact = estimate_hurst(path[seen], seen, "mle")
    nodes = estimate_hurst(path[seen], seen, "state_space")
    assert nodes.hurst == pytest.approx(exact.hurst, abs=0.02)
    np.testing.assert_allclose(nodes.interval, exact.interval, atol=0.03)
    holes = np.where(np.isin(np.arange(401), seen), path, np.nan)
    assert estimate_hurst(holes, method="mle").hurst == pytest.approx(exact.hurst, abs=1e-6)


def test_observation_noise_passes_for_roughness_unless_it_is_modelled():
    path = simulate_fbm(0.7, np.arange(500.0), 1, random_state=2).values[0, :, 0]
    noisy = path + 0.8 * np.random.default_rng(0).normal(size=500)
    blind = estimate_hurst(noisy, method="state_space")
    aware = estimate_hurst(noisy, method="state_space", observation_noise=True)
    assert blind.interval[1] < 0.7
    assert aware.interval[0] < 0.7 < aware.interval[1]
    assert np.diff(aware.interval) > np.diff(blind.interval)


def test_channels_are_estimated_one_by_one():
    noise = simulate_fgn(0.8, 300, 2, random_state=0).T
    both = estimate_hurst(noise, increments=True)
    assert both.hurst.shape == (2,)
    for k in range(2):
        assert both.hurst[k] == estimate_hurst(noise[:, k], increments=True).hurst


def test_datetimes_are_times():
    path = simulate_fbm(0.6, np.arange(100.0), 1, random_state=0).values[0, :, 0]
    dates = pd.date_range("2020-01-01", periods=100, freq="h")
    assert estimate_hurst(path, dates).hurst == pytest.approx(estimate_hurst(path).hurst)


def test_an_interval_that_reaches_the_boundary_says_so():
    white_path_differences = np.diff(np.random.default_rng(0).normal(size=300))
    found = estimate_hurst(white_path_differences, method="mle", increments=True)
    assert found.at_boundary
    assert found.interval[0] == 0.0
    assert "boundary" in str(found)
    inner = estimate_hurst(simulate_fgn(0.5, 300, random_state=0)[0], increments=True)
    assert not inner.at_boundary
    assert "boundary" not in str(inner)


def test_a_trend_in_the_noise_is_warned_of():
    noise = simulate_fgn(0.5, 400, random_state=0)[0]
    with pytest.warns(NonStationaryWarning, match="lowers H"):
        estimate_hurst(noise + np.linspace(0, 4, 400), increments=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for row in simulate_fgn(0.8, 400, 20, random_state=1):
            estimate_hurst(row, increments=True)


def test_variogram_of_a_fractional_path_grows_as_its_power():
    paths = simulate_fbm(0.3, np.arange(400.0), 300, random_state=0).values[..., 0]
    found = variogram(paths, [1, 4, 16]).mean(axis=0)
    np.testing.assert_allclose(found, np.array([1.0, 4.0, 16.0]) ** 0.6, rtol=0.05)
    line = 3.0 * np.arange(30.0)
    np.testing.assert_allclose(variogram(line, [1, 5], order=2), 0.0, atol=1e-20)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (([1.0],), {}, "at least 16 observations, got 1"),
        (([1.0],), {"method": "mle"}, "at least 8 observations, got 1"),
        ((np.ones(50),), {}, "constant"),
        ((np.r_[np.nan, np.arange(40.0)],), {}, "missing values"),
        ((np.r_[np.inf, np.arange(40.0)],), {}, "infinity"),
        ((np.arange(50.0), np.arange(50.0) ** 2), {}, "unequal"),
        ((np.arange(50.0), np.arange(49.0)), {}, "times must have shape"),
        ((np.arange(50.0), np.zeros(50)), {}, "increase strictly"),
        ((np.arange(50.0),), {"method": "rs"}, "unknown method"),
        ((np.arange(50.0),), {"level": 1.0}, "level"),
        ((np.arange(50.0),), {"level": "high"}, "level"),
        ((np.arange(50.0),), {"observation_noise": True}, "state_space"),
        ((np.zeros((2, 2, 2)),), {}, "must have shape"),
    ],
)
def test_unusable_input_is_refused(arguments, settings, message):
    with pytest.raises(InputError, match=message):
        estimate_hurst(*arguments, **settings)
    with pytest.raises(InputError, match="lags"):
        variogram(np.arange(5.0), [5])
    with pytest.raises(InputError, match="order"):
        variogram(np.arange(5.0), [1], order=3)


def test_noise_that_is_read_as_a_path_is_warned_of():
    flow = simulate_fgn(0.85, 400, random_state=0)[0]
    with pytest.warns(NonStationaryWarning, match=r"looks like increments.*increments=True"):
        estimate_hurst(flow)
    low, high = estimate_hurst(flow, increments=True).interval
    assert low < 0.85 < high


@pytest.mark.parametrize("method", ["mle", "state_space"])
@pytest.mark.parametrize("spread", [0.0, 1.0], ids=["holes", "unequal"])
def test_noise_with_holes_or_at_unequal_times_is_warned_of_too(method, spread):
    rng = np.random.default_rng(1)
    times = np.arange(160.0) + spread * rng.uniform(-0.4, 0.4, 160)
    flow = simulate_fgn(0.8, 160, random_state=0)[0]
    path = flow.cumsum()
    flow[rng.random(160) < 0.1] = path[rng.random(160) < 0.1] = np.nan
    with pytest.warns(NonStationaryWarning, match="means over equal steps and increments=True"):
        estimate_hurst(flow, times, method)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = estimate_hurst(path, times, method).interval
    assert low < 0.8 < high


@pytest.mark.parametrize(("method", "hurst"), [("whittle", 0.5), ("dfa", 0.4), ("mle", 0.9)])
def test_a_path_that_is_read_as_noise_is_warned_of(method, hurst):
    for row in simulate_fgn(hurst, 250, 3, random_state=2).cumsum(axis=1):
        with pytest.warns(NonStationaryWarning, match=r"looks like a path.*leave out increments"):
            estimate_hurst(row, method=method, increments=True)


def test_noise_and_paths_of_the_right_kind_are_not_warned_of():
    """24 rows: 4 warnings or more have probability below 0.002 where 2 % are wrong."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for hurst in (0.5, 0.9):
            for row in simulate_fgn(hurst, 250, 6, random_state=7):
                estimate_hurst(row, increments=True)
                estimate_hurst(row.cumsum())
    assert len(caught) <= 3


@pytest.mark.parametrize(("hurst", "n"), [(0.25, 150), (0.8, 400)])
@pytest.mark.parametrize("slope", [detrended_slope, variogram_slope])
def test_intervals_of_scaling_laws_cover_the_index(slope, hurst, n):
    """Of 300 intervals 95 % cover the index, half of the others on either side, to 3 errors."""
    noise = simulate_fgn(hurst, n, 300, random_state=21)
    low, high = np.array([inverted(slope, row, 0.95)[1] for row in noise]).T
    assert np.mean((low <= hurst) & (hurst <= high)) == pytest.approx(0.95, abs=0.038)
    assert np.mean(low > hurst) == pytest.approx(0.025, abs=0.027)
    assert np.mean(high < hurst) == pytest.approx(0.025, abs=0.027)


def test_intervals_of_scaling_laws_end_at_the_boundary():
    """White noise summed up has H above 1, its differences below 0: no finite end outwards."""
    noise = simulate_fgn(0.5, 200, 1, random_state=0)[0]
    assert inverted(variogram_slope, noise.cumsum(), 0.95)[1][1] == 1.0
    assert inverted(variogram_slope, np.diff(noise), 0.95)[1][0] == 0.0
