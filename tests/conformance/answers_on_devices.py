"""A small question for every verb of the estimators that work on a device.

A verb without a question fails tests/conformance/test_devices.py.
"""

from __future__ import annotations

import inspect

import numpy as np
import torch

from tests.conformance import estimators as cases
from trajinfer import scores

# what is no question: fitting, settings, and what is kept of a fit
_OF_EVERY_ESTIMATOR = {"fit", "get_params", "set_params", "save", "report"}


def verbs_of(estimator: type) -> set[str]:
    """The public methods of the package by which a fitted estimator answers."""
    members = inspect.getmembers(estimator, inspect.isfunction)
    own = {name for name, method in members if method.__module__.startswith("trajinfer.")}
    return {name for name in own if not name.startswith("_")} - _OF_EVERY_ESTIMATOR


def walks():
    """Two series."""
    return cases.random_walks()[0][:2]


def few_labelled_walks():
    """Ten walks with a class each."""
    series, labels = cases.labelled_walks()
    return series[:10], labels[:10]


def seen(dim):
    """The first of so many coordinates is seen to be one, up to noise."""
    first = torch.eye(dim, dtype=torch.float64)[:1]
    return scores.LinearObservation(first, [1.0], 1.0)


STATES, TIME = [[0.0, 1.0]], 0.5

ANSWERS = {
    "NeuralSDEClassifier": {
        "predict": lambda model: model.predict(walks()),
        "predict_proba": lambda model: model.predict_proba(walks()),
        "score": lambda model: model.score(*few_labelled_walks()),
    },
    "NeuralSDERegressor": {
        "predict": lambda model: model.predict(walks()),
        "score": lambda model: model.score(*few_labelled_walks()),
    },
    "NeuralSDEInterpolator": {
        "interpolate": lambda model: model.interpolate(walks(), [0.5, 2.0], 3).samples,
        "predict": lambda model: model.predict(walks(), [0.5, 2.0]),
        "fill": lambda model: model.fill(walks())["x0_filled"],
        "score": lambda model: model.score(walks()),
    },
    "NeuralSDEForecaster": {
        "forecast": lambda model: model.forecast(walks(), [4.0, 5.0], 3).samples,
        "predict": lambda model: model.predict(walks(), [4.0]),
        "score": lambda model: model.score(walks()),
    },
    "DirectedChainGenerator": {
        "sample": lambda model: model.sample(3).values,
        "walk": lambda model: model.walk(3, 2)[-1].values,
        "losses": lambda model: [len(loss) for loss in model.losses(*cases.random_walks())],
        "score": lambda model: model.score(*cases.random_walks()),
    },
    "ScoreDensity": {
        "sample": lambda model: model.sample(3),
        "impute": lambda model: model.impute([[0.5, np.nan]], n=2),
        "sample_given": lambda model: model.sample_given(seen(2), 4).particles,
        "score_samples": lambda model: model.score_samples(STATES),
        "score": lambda model: model.score(STATES),
        "search": lambda model: model.search(3).plan_.rhos,
    },
    "ScoreSeries": {
        "sample": lambda model: model.sample(3).values,
        "forecast": lambda model: model.forecast(walks(), [4.0], n=3).samples,
        "interpolate": lambda model: model.interpolate(walks(), [0.5], n=3).samples,
        "predict": lambda model: model.predict(walks(), [0.5]),
        "fill": lambda model: model.fill(walks())["x0_filled"],
        "condition": lambda model: model.condition(walks(), seen(2), [4.0], n=4).samples,
        "log_likelihood": lambda model: model.log_likelihood(walks()),
        "anomaly": lambda model: model.anomaly(walks()),
        "p_values": lambda model: model.p_values(walks()),
        "oddness": lambda model: model.oddness(walks()).score,
        "score": lambda model: model.score(walks()),
    },
    "StochasticInterpolant": {
        "sample": lambda model: model.sample(3).values,
        "marginal": lambda model: model.marginal(TIME, 3),
        "measurements": lambda model: model.measurements(TIME, 3),
        "predict": lambda model: model.predict(STATES, 0.0, [1.0]),
        "velocity": lambda model: model.velocity(STATES, TIME),
        "score_function": lambda model: model.score_function(STATES, TIME),
        "score_samples": lambda model: model.score_samples(STATES, 1.0),
        "score": lambda model: model.score(*cases.stacked_snapshots()),
    },
}
