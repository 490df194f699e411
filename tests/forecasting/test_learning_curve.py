"""Errors that fall with what is known are counted in those of the last origin."""

import numpy as np
import pytest

from trajinfer.forecasting.learning_curve import falling_power


def errors_of(power, seed=0, n=60):
    known = np.repeat([0.25, 0.5, 0.75, 1.0], n)
    return np.random.default_rng(seed).normal(size=(len(known), 1)) * known[
        :, None
    ] ** -power, known


@pytest.mark.parametrize("power", [1.0, 2.5])
def test_the_power_of_falling_errors_is_found(power):
    """Within three standard errors, 1 / sqrt(2 n var(log known)) = .12 for sixty an origin."""
    errors, known = errors_of(power)
    error = 1 / np.sqrt(2 * len(known) * np.var(np.log(known)))
    assert falling_power(errors, known, len(known)) == pytest.approx(power, abs=3 * error + 0.05)


def test_even_errors_stay_as_they_are():
    """Chance gives one to 8 % of tables without a fall; 16 of a hundred are three errors more."""
    found = [falling_power(*errors_of(0.0, seed, 4), 16.0) for seed in range(100)]
    assert np.count_nonzero(found) <= 16


def test_growing_errors_and_single_origins_have_no_power():
    errors, known = errors_of(-2.0)
    assert falling_power(errors, known, 240.0) == 0.0
    assert falling_power(errors, np.ones(len(errors)), 240.0) == 0.0
