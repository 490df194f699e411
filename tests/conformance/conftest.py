"""One fit of every estimator, which all tests of this folder ask."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pytest

from tests.conformance.estimators import CASES, VALUES


class Fit(NamedTuple):
    """A fit with seed 0, what it was given, and both as they were before."""

    model: Any
    data: tuple[Any, ...]
    answer: Any
    settings_before: dict[str, Any]
    data_before: tuple[Any, ...]


@pytest.fixture(scope="session")
def fit_of():
    """Every estimator fitted once, by name; tests must not refit these models."""
    cases, fits = {case.name: case for case in (*CASES, VALUES)}, {}

    def get(name):
        if name not in fits:
            model, data = cases[name].make(random_state=0), cases[name].data()
            settings, before = model.get_params(), copy.deepcopy(data)
            fits[name] = Fit(model, data, model.fit(*data), settings, before)
        return fits[name]

    return get


@pytest.fixture(scope="session")
def fitted(fit_of):
    """The models and their data alone."""
    return lambda name: fit_of(name)[:2]
