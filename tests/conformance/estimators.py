"""One row per estimator: how it is made small, and what it is fed.

An estimator exported by `trajinfer` without a row fails tests/conformance/test_estimators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from trajinfer import jumps
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import IrregularSeries
from trajinfer.functionals import ValueFunction, discounted, exceedance
from trajinfer.generation import DirectedChainGenerator, TransitionLikelihood
from trajinfer.jumps import MarkovJumpProcess
from trajinfer.long_memory import FractionalSDE
from trajinfer.processes import OrnsteinUhlenbeck
from trajinfer.scores import ScoreDensity, ScoreSeries, StochasticInterpolant
from trajinfer.series import (
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
)


class Case(NamedTuple):
    name: str
    make: Callable[..., Any]
    data: Callable[[], tuple[Any, ...]]
    draw: Callable[[Any], np.ndarray]
    # the checks of scikit-learn that cannot pass, each with its reason
    expected_failures: dict[str, str] = {}  # noqa: RUF012 (never written to)
    # why scikit-learn's own checks cannot be run at all
    unlike_scikit_learn: str = ""
    # what its checks are run on, where `make` takes longer
    checked: Callable[[], Any] | None = None


def stacked_snapshots():
    """30 points at three times, stacked, with the time of every row."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(k, 1.0, (10, 2)) for k in range(3)])
    return X, np.repeat([0.0, 1.0, 2.5], 10)


def random_walks():
    """30 walks of two channels at four unequal times."""
    steps = np.random.default_rng(0).normal(size=(30, 4, 2))
    return (IrregularSeries.from_arrays([0.0, 1.0, 1.5, 3.0], steps.cumsum(axis=1)),)


def labelled_walks():
    """The same walks with a class each, which is also a number."""
    (walks,) = random_walks()
    return walks, np.arange(30) % 2


def labelled_paths():
    """60 paths of two labels at four unequal times."""
    rates = [[-1.0, 1.0], [1.0, -1.0]]
    return (jumps.simulate(rates, [0.5, 0.5], 60, [0.0, 0.3, 0.7, 1.0], random_state=0),)


SMALL = {"hidden": 4, "max_epochs": 2, "n_samples": 2}
COARSE = SMALL | {"step": 1.0}
# scikit-learn fits some fifty times
TINY = {"hidden": 2, "layers": 1, "max_epochs": 1}


def points():
    """120 points of two coordinates."""
    return (np.random.default_rng(0).normal(size=(120, 2)),)


OF_A_CHANNEL = {
    "check_n_features_in": "a row is a series of one channel, not of as many features",
    "check_n_features_in_after_fitting": "series may be longer or shorter than those of the fit",
}

ROWS_ARE_SERIES = OF_A_CHANNEL | {
    "check_estimators_nan_inf": "NaN means not observed",
    "check_fit2d_1feature": "ten series are too few, whatever their length",
}

A_TABLE_HAS_NAMES = "a table must say which column is the series, which the time"

# what the classifier does, the regressor does
TWINS = {"NeuralSDERegressor"}

WEIGHED = {
    "check_sample_weights_pandas_series": A_TABLE_HAS_NAMES,
    "check_sample_weight_equivalence_on_dense_data": "folds and batches are drawn by rows",
}

LABELLED = (
    OF_A_CHANNEL
    | WEIGHED
    | {
        "check_classifier_data_not_an_array": A_TABLE_HAS_NAMES,
        "check_regressor_data_not_an_array": A_TABLE_HAS_NAMES,
        "check_classifiers_train": "series may be longer or shorter than those of the fit",
    }
)

NO_WEIGHTS = dict.fromkeys(
    [
        "check_sample_weights_pandas_series",
        "check_sample_weights_not_an_array",
        "check_sample_weights_list",
        "check_all_zero_sample_weights_error",
        "check_sample_weights_shape",
        "check_sample_weights_not_overwritten",
        "check_sample_weight_equivalence_on_dense_data",
    ],
    "the chain weighs no series, transform='rows' does, of 20 series at least",
)

CASES = (
    Case(
        "MarkovJumpProcess",
        MarkovJumpProcess,
        labelled_paths,
        lambda model: model.sample(5, [0.0, 0.5, 2.5]).states,
        unlike_scikit_learn="it is fed paths of labels, not rows of features",
    ),
    Case(
        "SchrodingerBridge",
        SchrodingerBridge,
        stacked_snapshots,
        lambda bridge: bridge.sample(5, [0.0, 0.5, 2.5]).values,
    ),
    Case(
        "DirectedChainGenerator",
        partial(DirectedChainGenerator, loss=TransitionLikelihood(n_steps=5, batch_size=32)),
        random_walks,
        lambda generator: generator.sample(5).values,
        expected_failures=ROWS_ARE_SERIES | NO_WEIGHTS,
    ),
    Case(
        "FractionalSDE",
        # a given index leaves one valley to search; tests/long_memory learns it
        partial(FractionalSDE, hurst=0.7, n_ou=3),
        random_walks,
        lambda model: model.sample(5, [0.0, 0.5, 2.0]).values,
        unlike_scikit_learn="it predicts at times that are asked for",
    ),
    Case(
        "NeuralSDEClassifier",
        partial(NeuralSDEClassifier, **COARSE),
        labelled_walks,
        lambda model: model.predict_proba(random_walks()[0]),
        expected_failures=LABELLED,
        checked=partial(NeuralSDEClassifier, experts=("linear",), n_samples=1, step=2.0, **TINY),
    ),
    Case(
        "NeuralSDERegressor",
        partial(NeuralSDERegressor, **COARSE),
        labelled_walks,
        lambda model: model.predict(random_walks()[0]),
        expected_failures=LABELLED,
        checked=partial(NeuralSDERegressor, experts=("linear",), n_samples=1, step=2.0, **TINY),
    ),
    Case(
        "NeuralSDEForecaster",
        partial(NeuralSDEForecaster, horizon=1.5, **SMALL),
        random_walks,
        lambda model: model.forecast(random_walks()[0], [4.0, 5.0], 3).samples,
        expected_failures=OF_A_CHANNEL
        | WEIGHED
        | {"check_fit2d_1feature": "a single row has no later one to forecast"},
        checked=partial(NeuralSDEForecaster, **TINY),
    ),
    Case(
        "NeuralSDEInterpolator",
        partial(NeuralSDEInterpolator, n_hidings=1, **COARSE),
        random_walks,
        lambda model: model.interpolate(random_walks()[0], [0.5, 2.0], 3).samples,
        expected_failures=OF_A_CHANNEL,
        checked=partial(NeuralSDEInterpolator, n_hidings=1, n_samples=1, step=2.0, **TINY),
    ),
    Case(
        "ScoreDensity",
        # tests/scores chooses the number of components, and draws in as many steps as are usual
        partial(ScoreDensity, n_components=1, hidden=8, layers=1, max_epochs=2, n_evaluations=3),
        points,
        lambda density: density.sample(5),
        checked=partial(ScoreDensity, model="mixture", n_components=1),
    ),
    Case(
        "ScoreSeries",
        ScoreSeries,
        random_walks,
        lambda model: model.sample(5, [0.0, 0.5, 2.0]).values,
        unlike_scikit_learn="it predicts at times that are asked for",
    ),
    Case(
        "StochasticInterpolant",
        partial(StochasticInterpolant, hidden=8, layers=1, max_epochs=2, n_evaluations=4),
        stacked_snapshots,
        lambda interpolant: interpolant.sample(5, [0.0, 0.5, 2.5]).values,
        expected_failures={
            "check_sample_weight_equivalence_on_dense_data": "what is held out is drawn by rows"
        },
        checked=partial(StochasticInterpolant, model="mixture", n_components=1, n_evaluations=4),
    ),
)


class OfRows(ValueFunction):
    """A spring of as many coordinates as the rows have, asked there.

    Values are fitted to a process, of which scikit-learn knows nothing: its rows are the states.
    """

    def fit(self, X, y=None):
        dim = max(1, np.shape(X)[-1])
        return super().fit(OrnsteinUhlenbeck(np.ones(dim), np.zeros(dim), volatility=1.0), X)


def squares(x):
    return (x**2).sum(axis=1)


def spring():
    """A spring on the line, and states."""
    return OrnsteinUhlenbeck(1.0, 0.0, volatility=1.0), np.linspace(-1, 1, 5)[:, None]


SCORED = "it is scored along recorded paths, not by rows"

# fitted to a process, not to data
VALUES = Case(
    "ValueFunction",
    partial(ValueFunction, functional=exceedance(0.5, 1.0), resolution=20),
    spring,
    lambda values: values.predict(spring()[1]),
    expected_failures={
        "check_fit_score_takes_y": SCORED,
        "check_n_features_in_after_fitting": SCORED,
        "check_pipeline_consistency": SCORED,
        "check_fit2d_predict1d": "one state may be given as (D,)",
    },
    checked=partial(
        OfRows, discounted(squares, 1.0), method="lstd", features=12, n_paths=60, step=0.5
    ),
)

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
WITH_VALUES = pytest.mark.parametrize("case", [*CASES, VALUES], ids=lambda case: case.name)
# where every case costs fits of its own
FIRST_OF_TWINS = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=pytest.mark.slow if case.name in TWINS else ())
        for case in CASES
    ],
)
