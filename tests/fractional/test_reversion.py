"""Paths that return to a mean are told from fractional ones."""

import warnings

import numpy as np
import pytest
from scipy.signal import lfilter

from trajinfer import fractional
from trajinfer.fractional import NonStationaryWarning
from trajinfer.fractional.reversion import gain_of_return
from trajinfer.fractional.whittle import whittle


def returning(coefficient, n, count, seed=0):
    """Stationary autoregressions (count, n)."""
    noise = np.random.default_rng(seed).normal(size=(count, n + 300))
    return lfilter([1], [1, -coefficient], noise, axis=1)[:, 300:]


def fractional_paths(hurst, n, count):
    return fractional.simulate_fbm(hurst, np.arange(float(n)), count, random_state=1).values[..., 0]


def warned(paths):
    """Share of paths of which a return to a mean is said."""
    count = 0
    for path in paths:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fractional.estimate_hurst(path)
        count += any("short memory" in str(one.message) for one in caught)
    return count / len(paths)


def test_a_return_to_a_mean_is_said():
    with pytest.warns(NonStationaryWarning, match=r"coefficient 0\.9.* FractionalSDE learns both"):
        fractional.estimate_hurst(returning(0.9, 2000, 1)[0])


@pytest.mark.parametrize("coefficient", [0.6, 0.9])
def test_the_coefficient_is_that_of_the_series(coefficient):
    noise = np.diff(returning(coefficient, 4000, 1, seed=3)[0])
    gain, found = gain_of_return(noise, whittle(noise, 0.95)[0])
    assert gain > 10
    # a step of the grid, .05, and one standard error sqrt((1 - phi^2) / n) <= .013
    assert found == pytest.approx(coefficient, abs=0.063)


def test_drift_and_scale_change_nothing():
    noise = np.diff(returning(0.8, 500, 1)[0])
    hurst = whittle(noise, 0.95)[0]
    assert gain_of_return(5 + 1e6 * noise, hurst) == pytest.approx(gain_of_return(noise, hurst))


def test_most_returns_and_few_fractional_paths_are_warned_of():
    """At 95 % and 5 %, 6 of 10 and 3 of 12 are missed by chance in .1 % and .2 % of runs."""
    assert warned(returning(0.9, 1000, 10)) >= 0.6
    assert warned(fractional_paths(0.4, 120, 12)) <= 0.25


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 150, 500])
@pytest.mark.parametrize("hurst", [0.3, 0.4, 0.5, 0.7])
def test_fractional_paths_are_warned_of_in_one_of_twenty_at_most(n, hurst):
    """300 paths: three standard errors of 5 % are .038."""
    assert warned(fractional_paths(hurst, n, 300)) <= 0.05 + 0.038
