"""Stays above and below a level against published exponents, simulation and closed forms."""

import numpy as np
import pytest
import torch

from trajinfer import InputError, IrregularSeries
from trajinfer.functionals import excursion_law, persistence_exponent
from trajinfer.processes import OrnsteinUhlenbeck


def sech(power):
    return lambda t: (1 / torch.cosh(t / 2)) ** power


@pytest.mark.parametrize(
    ("covariance", "exponent"),
    [
        (sech(0.5), 0.12033),
        (sech(1.0), 0.18621),
        (sech(1.5), 0.23577),
        (lambda t: (3 * torch.exp(-t / 2) - torch.exp(-3 * t / 2)) / 2, 0.26467),
        (lambda t: (1 + t) * torch.exp(-t), 0.33670),
        (lambda t: (1 + t + t**2 / 3) * torch.exp(-t), 0.21903),
        (lambda t: torch.exp(-(t**2) / 2), 0.41150),
    ],
    ids=["d1", "d2", "d3", "acceleration", "matern32", "matern52", "squared"],
)
def test_exponents(covariance, exponent):
    assert persistence_exponent(covariance) == pytest.approx(exponent, abs=1e-4)


def test_the_law_at_level_zero():
    law = excursion_law(sech(1.0))
    found = np.interp([1.0, 2.0, 4.0, 8.0], law.above.ts, 1 - law.above.survival)
    assert found == pytest.approx([0.0572, 0.1838, 0.4323, 0.7305], abs=1e-3)
    assert law.above.mean == pytest.approx(np.pi / 0.5)
    drawn = law.above.sample(20_000, random_state=0)
    assert drawn.mean() == pytest.approx(2 * np.pi, rel=0.03)
    assert np.mean(drawn < 4) == pytest.approx(0.4323, abs=0.015)


def test_the_law_at_another_level():
    law = excursion_law(sech(1.0), 1.0)
    above = np.interp([1.0, 2.0, 4.0], law.above.ts, 1 - law.above.survival)
    below = np.interp([1.0, 2.0, 4.0], law.below.ts, 1 - law.below.survival)
    # simulated: .109 .357 .719 above, .023 .076 .180 below
    assert above == pytest.approx([0.117, 0.354, 0.716], abs=4e-3)
    assert below == pytest.approx([0.024, 0.077, 0.185], abs=4e-3)


def test_simulated_stays_agree():
    law = excursion_law(sech(1.0), method="simulate", random_state=0)
    found = np.interp([2.0, 4.0], law.above.ts, 1 - law.above.survival)
    assert found == pytest.approx([0.184, 0.432], abs=0.06)


def test_counted_stays_with_a_gap():
    """A square wave of period 2: all stays have length 1, but for those that the gap cuts."""
    t = np.arange(0, 60, 0.05) + 0.013
    x = np.where(np.floor(t) % 2 == 0, 1.0, -1.0)
    keep = (t < 20.4) | (t > 27.7)
    law = excursion_law(x[keep], times=t[keep], random_state=0)
    assert law.above.quantile(0.5) == pytest.approx(1.0, abs=0.02)
    assert law.below.mean == pytest.approx(1.0, abs=0.03)
    series = IrregularSeries.from_arrays(t[keep], x[keep][None, :, None])
    again = excursion_law(series, random_state=0)
    assert again.below.mean == law.below.mean
    low, high = law.above.band
    assert (low <= law.above.survival + 1e-12).all()
    assert (high >= law.above.survival - 1e-12).all()


def test_what_has_no_law_is_refused():
    with pytest.raises(InputError, match="rises at lag"):
        excursion_law(lambda t: torch.exp(-(t**2) / 8) * torch.cos(2 * t))
    with pytest.raises(InputError, match="has no derivative"):
        excursion_law(lambda t: torch.exp(-t))
    with pytest.raises(InputError, match=r"r\(0\) = 1"):
        excursion_law(lambda t: 2 * torch.exp(-(t**2)))
    with pytest.raises(InputError, match="within 4 standard deviations"):
        excursion_law(sech(1.0), 5.0)
    with pytest.raises(InputError, match="no law of stays"):
        excursion_law(OrnsteinUhlenbeck(1.0, 0.0, volatility=1.0))
    with pytest.warns(UserWarning, match="cluster"):
        excursion_law(sech(1.0), 2.0)
    with pytest.raises(InputError, match="no stay above or below 9"):
        excursion_law([0.0, 1.0, 0.0], 9.0, times=[0, 1, 2])
    assert persistence_exponent(OrnsteinUhlenbeck(0.7, 0.0, volatility=1.0)) == pytest.approx(0.7)
