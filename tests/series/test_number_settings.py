"""The settings that an estimator begins with are such as it takes."""

from functools import partial

import pytest

from trajinfer import (
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
)
from trajinfer._core.errors import InputError
from trajinfer.series.number_settings import check_numbers

LEARNERS = (NeuralSDEClassifier, NeuralSDEInterpolator, NeuralSDERegressor)


@pytest.mark.parametrize("kind", LEARNERS)
def test_defaults_are_taken(kind):
    check_numbers(partial(getattr, kind()))
    check_numbers(partial(getattr, kind(max_epochs=None, patience=None, step=None)))


@pytest.mark.parametrize("dynamics", ["lead", "langevin"])
def test_defaults_of_both_laws_of_forecasts_are_taken(dynamics):
    check_numbers(NeuralSDEForecaster(dynamics=dynamics)._value)


@pytest.mark.parametrize(("name", "value"), [("validation", 0.95), ("thinning", 1.0)])
def test_shares_have_a_largest_value(name, value):
    with pytest.raises(InputError, match=f"{name} must lie in"):
        check_numbers(partial(getattr, NeuralSDEClassifier(**{name: value})))
