"""Scales of errors: the root of the variogram of errors, and their growth with the level."""

from types import SimpleNamespace

import numpy as np
import pytest

from trajinfer.forecasting.quantiles import ErrorQuantiles
from trajinfer.forecasting.spread import fit_spread

UNITS = SimpleNamespace(center=np.array([2.0]), scale=np.array([1.5]))


def questions(n, rng):
    lead = rng.uniform(0.1, 4.0, (n, 1))
    return SimpleNamespace(own_lead=lead, size=np.sqrt(lead))


@pytest.mark.parametrize("exponent", [0.0, 0.4])
def test_the_scale_is_the_root_of_the_variance_at_a_lead_and_a_level(exponent):
    """Variance 0.49 h e^(2 b z) of errors at lead h and standardised level z."""
    rng = np.random.default_rng(0)
    asked = questions(20_000, rng)
    # high where the lead is long: growth with the lead is not to be taken for one with the level
    z = rng.uniform(-1.0, 1.0, (20_000, 1)) + (asked.own_lead - 2) / 4
    truth = 0.7 * np.sqrt(asked.own_lead) * np.exp(exponent * z)
    mean = UNITS.center + UNITS.scale * z
    spread = fit_spread(asked, mean, truth * rng.normal(size=truth.shape), UNITS, None, 2000.0)
    assert spread.exponent[0] == pytest.approx(exponent, abs=0.05)
    np.testing.assert_allclose(spread(asked, mean, UNITS, None), truth, rtol=0.12)


def test_a_network_that_knows_the_scale_is_taken_and_one_that_does_not_is_left():
    rng = np.random.default_rng(1)
    asked = questions(5000, rng)
    hidden = rng.normal(size=(5000, 1))
    truth = np.sqrt(asked.own_lead) * np.exp(hidden)
    mean, error = np.full_like(truth, 2.0), truth * rng.normal(size=truth.shape)
    for log_scale, learned in ((hidden, True), (-hidden, False)):
        spread = fit_spread(asked, mean, error, UNITS, log_scale, 500.0)
        assert spread.learned.tolist() == [learned]
    np.testing.assert_allclose(
        fit_spread(asked, mean, error, UNITS, hidden, 500.0)(asked, mean, UNITS, hidden), truth
    )


@pytest.mark.parametrize(("n", "found"), [(6.0, 0.0), (400.0, 0.4)])
def test_spread_follows_the_level_only_where_errors_tell_it_clearly(n, found):
    """The same errors with scale exp(.4 z): worth six they say nothing, worth four hundred all."""
    rng = np.random.default_rng(0)
    asked = questions(4000, rng)
    z = rng.uniform(-1.0, 1.0, (4000, 1))
    error = np.sqrt(asked.own_lead) * np.exp(0.4 * z) * rng.normal(size=z.shape)
    spread = fit_spread(asked, UNITS.center + UNITS.scale * z, error, UNITS, None, n)
    assert spread.exponent[0] == pytest.approx(found, abs=0.1 if found else 0.0)


@pytest.mark.parametrize(
    ("positive", "n", "found"),
    [(False, 6.0, 0.0), (True, 6.0, 0.375), (True, 2000.0, 0.0)],
)
def test_positive_values_vary_as_counts_until_errors_say_otherwise(positive, n, found):
    """Even errors: sd / (2 mean) = .375 after six, none after two thousand."""
    rng = np.random.default_rng(0)
    asked = questions(4000, rng)
    z = rng.uniform(-1.0, 1.0, (4000, 1))
    error = np.sqrt(asked.own_lead) * rng.normal(size=z.shape)
    mean = UNITS.center + UNITS.scale * z
    spread = fit_spread(asked, mean, error, UNITS, None, n, np.array([positive]))
    assert spread.exponent[0] == pytest.approx(found, abs=0.06)


def test_widths_of_intervals_are_those_of_the_errors():
    """Errors twice as wide as normal ones in the second channel; 20 000 give widths within 3 %."""
    errors = np.random.default_rng(2).normal(size=(20_000, 2)) * [1.0, 2.0]
    found = ErrorQuantiles.fit(errors, np.full(errors.shape, 0.5))
    np.testing.assert_allclose(found.width(0.9), np.tile([1.0, 2.0], (3, 1)), rtol=0.03)
