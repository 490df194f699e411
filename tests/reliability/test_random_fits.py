"""Fits of data that no one chose: an answer of finite numbers, or an error of ours; never another.

Shapes, gaps, scales, units of time and precisions are drawn at random; every estimator is given its
share of a thousand. What is given in single precision is answered as the same numbers in double.
"""

import warnings
from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.conformance.estimators import COARSE, SMALL
from tests.reliability import random_data
from trajinfer import (
    DirectedChainGenerator,
    FractionalSDE,
    MarkovJumpProcess,
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
    SchrodingerBridge,
    ScoreDensity,
    ScoreSeries,
    StochasticInterpolant,
)
from trajinfer._core.errors import TrajinferError
from trajinfer.generation import TransitionLikelihood


class Kind(NamedTuple):
    """An estimator made small, the data it takes, and what is asked of its fit."""

    make: Any
    draw: Any
    answer: Any


def classified(model, drawn):
    return model.predict_proba(drawn.data[0])


def regressed(model, drawn):
    return model.predict(drawn.data[0])


def forecast(model, drawn):
    return model.forecast(drawn.data[0], drawn.times, n=3).samples


def interpolated(model, drawn):
    return model.interpolate(drawn.data[0], drawn.data[0].times, n=3).samples


def rates(model, drawn):
    return model.rates_


def sampled(model, drawn):
    return model.sample(3, drawn.times).values


def generated(model, drawn):
    return model.sample(3).values


def rows(model, drawn):
    return model.sample(3)


QUICK = {"hidden": 8, "layers": 1, "max_epochs": 2, "n_evaluations": 3}
SHORT = SMALL | {"max_epochs": 1}
KINDS = {
    "MarkovJumpProcess": Kind(partial(MarkovJumpProcess, max_iter=20), random_data.paths, rates),
    "SchrodingerBridge": Kind(
        partial(SchrodingerBridge, n_refinements=1), random_data.snapshots, sampled
    ),
    "StochasticInterpolant": Kind(
        partial(StochasticInterpolant, n_components=1, **QUICK), random_data.snapshots, sampled
    ),
    "ScoreDensity": Kind(partial(ScoreDensity, n_components=1, **QUICK), random_data.points, rows),
    "ScoreSeries": Kind(partial(ScoreSeries, n_components=1), random_data.series, interpolated),
    "DirectedChainGenerator": Kind(
        partial(DirectedChainGenerator, loss=TransitionLikelihood(n_steps=5, batch_size=32)),
        random_data.series,
        generated,
    ),
    "FractionalSDE": Kind(
        partial(FractionalSDE, hurst=0.7, n_ou=3, max_epochs=2), random_data.series, sampled
    ),
    "NeuralSDEForecaster": Kind(
        partial(NeuralSDEForecaster, **SHORT), random_data.series, forecast
    ),
    "NeuralSDEInterpolator": Kind(
        partial(NeuralSDEInterpolator, n_hidings=1, **(COARSE | {"step": None, "max_epochs": 1})),
        random_data.series,
        interpolated,
    ),
    "NeuralSDEClassifier": Kind(
        partial(NeuralSDEClassifier, experts=("linear",), **SHORT), random_data.labelled, classified
    ),
    "NeuralSDERegressor": Kind(
        partial(NeuralSDERegressor, experts=("linear",), **SHORT), random_data.rated, regressed
    ),
}
_N_FITS = 1000


def fit(kind, drawn, seed):
    """The answer of a fit, or the error of ours that refuses the data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = kind.make(random_state=seed).fit(*drawn.data)
            return np.asarray(kind.answer(model, drawn))
        except TrajinferError as error:
            return error


def fault_of(answer):
    """What is wrong with an answer; "" for nothing."""
    if isinstance(answer, TrajinferError):
        return "" if len(str(answer)) > 25 else f"says little: {answer}"
    return "" if np.isfinite(answer).all() else "not finite"


def check(name, seeds):
    """Fit data of every seed; faults by seed, and how many fits there were of each outcome."""
    kind, faults, outcomes = KINDS[name], {}, Counter()
    for seed in seeds:
        rng = np.random.default_rng([seed, 1])
        dtype = rng.choice([np.float64, np.float32])
        drawn = kind.draw(rng, dtype)
        try:
            answer = fit(kind, drawn, seed)
            fault = fault_of(answer)
        except Exception as error:  # noqa: BLE001  which is what the test looks for
            answer, fault = None, f"{type(error).__name__}: {error}"
        if fault:
            faults[seed] = fault
        outcomes["refused" if isinstance(answer, TrajinferError) else "fitted"] += 1
    return faults, outcomes


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_thousand_fits_of_random_data(name):
    faults, outcomes = check(name, range(-(-_N_FITS // len(KINDS))))
    assert faults == {}
    assert outcomes["fitted"] > outcomes.total() / 5


@pytest.mark.parametrize("name", ["MarkovJumpProcess", "ScoreSeries"])
def test_fits_of_random_data(name):
    assert check(name, range(3))[0] == {}


def in_double(data):
    """The same numbers in double precision; labels and containers, which hold it, stay."""
    return tuple(
        part.astype(np.float64) if getattr(part, "dtype", None) == np.float32 else part
        for part in data
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SchrodingerBridge", "StochasticInterpolant", "ScoreDensity"])
def test_single_precision_is_answered_as_double(name):
    kind = KINDS[name]
    for seed in range(12):
        drawn = kind.draw(np.random.default_rng(seed), np.float32)
        answers = [
            fit(kind, drawn._replace(data=data), seed)
            for data in (drawn.data, in_double(drawn.data))
        ]
        if isinstance(answers[0], TrajinferError):
            assert str(answers[0]) == str(answers[1])
            continue
        np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("seed", [38, 52])
def test_series_of_which_nothing_can_be_held_out_are_refused(seed):
    kind = KINDS["NeuralSDEForecaster"]
    rng = np.random.default_rng([seed, 1])
    drawn = kind.draw(rng, rng.choice([np.float64, np.float32]))
    assert "to hold anything out" in str(fit(kind, drawn, seed))
