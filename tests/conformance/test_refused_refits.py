"""A refit that is refused leaves a model that answers and saves as before, whatever was set."""

import copy

import numpy as np
import pytest

import trajinfer
from tests.conformance.estimators import WITH_VALUES
from trajinfer import InputError

OF_THE_COURSE = {"checkpoint", "callbacks", "verbose", "n_jobs"}


def pages(model, folder):
    """The report of a model."""
    return model.report(folder / "report.html").read_text()


@WITH_VALUES
def test_the_model_before_answers_and_saves(fitted, case, tmp_path):
    model, data = fitted(case.name)
    refused = copy.copy(model)
    names = refused.get_params(deep=False).keys() - OF_THE_COURSE
    refused.set_params(**dict.fromkeys(names, -7))
    with pytest.raises((InputError, TypeError, AttributeError)):
        refused.fit(*data)
    again = trajinfer.load(refused.save(tmp_path / "model"))
    for other in (refused, again):
        assert np.array_equal(case.draw(other), case.draw(model))
    assert pages(refused, tmp_path) == pages(model, tmp_path)


def test_a_sampler_is_set_without_a_fit():
    points = np.random.default_rng(0).normal(size=(60, 2))
    model = trajinfer.ScoreDensity(n_evaluations=4, max_epochs=1, random_state=0).fit(points)
    coarse = model.sample(20, random_state=1)
    fine = model.set_params(n_evaluations=60).sample(20, random_state=1)
    assert not np.allclose(coarse, fine, atol=1e-6)
