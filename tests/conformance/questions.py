"""What each estimator can be asked at times: the verb, and where its answer has series and times.

Every public verb of an estimator that takes `ts` has a row; test_words.py finds those without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Question(NamedTuple):
    """One verb of one estimator.

    Attributes:
        estimator, verb: their names.
        ask: (model, data, ts, keywords) -> answer; data is the first argument of the fit.
        times: times (T,) that are answered.
        time_axis: of the answer.
        draws: whether the verb draws, and so takes `random_state`.
        series_axis: of the answer, where the verb is asked of series.
    """

    estimator: str
    verb: str
    ask: Callable[..., np.ndarray]
    times: tuple[float, ...]
    time_axis: int
    draws: bool
    series_axis: int | None = None


def _of_series(verb: str, read: Callable[[Any], np.ndarray], **fixed: Any) -> Any:
    def ask(model: Any, data: Any, ts: Any, **words: Any) -> np.ndarray:
        return read(getattr(model, verb)(data, ts, **fixed, **words))

    return ask


def _unconditional(verb: str) -> Any:
    return lambda model, data, ts, **words: getattr(model, verb)(4, ts, **words).values


def _counts(table: Any, *columns: str) -> np.ndarray:
    """Numbers (T, S, columns) of a table with a row per time and state."""
    return table[list(columns)].to_numpy().reshape(-1, table["state"].nunique(), len(columns))


def samples(forecast: Any) -> np.ndarray:
    """Draws (B, n, T, C)."""
    return forecast.samples


QUESTIONS = (
    Question(
        "StochasticInterpolant",
        "sample",
        lambda model, X, ts, **words: model.sample(4, ts, **words).values,
        (0.0, 0.5, 2.0),
        1,
        draws=True,
    ),
    Question(
        "StochasticInterpolant",
        "predict",
        lambda model, X, ts, **words: model.predict(X[:5], 0.0, ts),
        (0.0, 0.5, 2.0),
        1,
        draws=False,
        series_axis=0,
    ),
    Question(
        "SchrodingerBridge",
        "sample",
        lambda model, X, ts, **words: model.sample(4, ts, **words).values,
        (0.0, 0.5, 2.0),
        1,
        draws=True,
    ),
    Question(
        "SchrodingerBridge",
        "forecast",
        lambda model, X, ts, **words: model.forecast(ts, 4, **words).values,
        (2.5, 3.0, 4.0),
        1,
        draws=True,
    ),
    Question(
        "SchrodingerBridge",
        "predict",
        lambda model, X, ts, **words: model.predict(X[:5], 0.0, ts),
        (0.0, 0.5, 2.0),
        1,
        draws=False,
        series_axis=0,
    ),
    Question(
        "MarkovJumpProcess",
        "sample",
        lambda model, X, ts, **words: model.sample(4, ts, **words).states,
        (0.0, 0.5, 2.0),
        1,
        draws=True,
    ),
    Question(
        "MarkovJumpProcess",
        "predict_proba",
        _of_series("predict_proba", np.asarray),
        (0.0, 0.5, 2.0),
        1,
        draws=False,
        series_axis=0,
    ),
    Question(
        "MarkovJumpProcess",
        "prevalence",
        lambda model, X, ts: _counts(model.prevalence(X, ts), "observed", "expected"),
        (0.0, 0.5, 2.0),
        0,
        draws=False,
    ),
    Question(
        "MarkovJumpProcess",
        "goodness_of_fit",  # its draws are of the visits after deaths, not of these numbers
        lambda model, X, ts: _counts(
            model.goodness_of_fit(X, ts=ts).prevalence, "observed", "expected", "z"
        ),
        (0.0, 0.5, 2.0),
        0,
        draws=False,
    ),
    Question(
        "FractionalSDE",
        "forecast",
        _of_series("forecast", samples, n=4),
        (3.5, 4.0, 4.5),
        2,
        draws=True,
        series_axis=0,
    ),
    Question(
        "FractionalSDE",
        "interpolate",
        _of_series("interpolate", samples, n=4),
        (0.5, 1.25, 2.0),
        2,
        draws=True,
        series_axis=0,
    ),
    Question(
        "FractionalSDE",
        "predict",
        _of_series("predict", np.asarray),
        (3.5, 4.0, 4.5),
        1,
        draws=False,
        series_axis=0,
    ),
    Question("FractionalSDE", "sample", _unconditional("sample"), (0.0, 0.5, 2.0), 1, draws=True),
    Question(
        "NeuralSDEForecaster",
        "forecast",
        _of_series("forecast", samples, n=4),
        (3.5, 4.0, 4.5),
        2,
        draws=True,
        series_axis=0,
    ),
    Question(
        "NeuralSDEForecaster",
        "predict",
        _of_series("predict", np.asarray),
        (3.5, 4.0, 4.5),
        1,
        draws=False,
        series_axis=0,
    ),
    Question(
        "NeuralSDEInterpolator",
        "interpolate",
        _of_series("interpolate", samples, n=4),
        (0.5, 1.25, 2.0),
        2,
        draws=True,
        series_axis=0,
    ),
    Question(
        "NeuralSDEInterpolator",
        "predict",
        _of_series("predict", np.asarray),
        (0.5, 1.25, 2.0),
        1,
        draws=False,
        series_axis=0,
    ),
    Question(
        "DirectedChainGenerator",
        "sample",
        _unconditional("sample"),
        (0.0, 1.0, 3.0),
        1,
        draws=True,
    ),
    Question("ScoreSeries", "sample", _unconditional("sample"), (0.0, 0.5, 2.0), 1, draws=True),
    Question(
        "ScoreSeries",
        "forecast",
        _of_series("forecast", samples, n=4),
        (3.5, 4.0, 4.5),
        2,
        draws=True,
        series_axis=0,
    ),
    Question(
        "ScoreSeries",
        "interpolate",
        _of_series("interpolate", samples, n=4),
        (0.5, 1.25, 2.0),
        2,
        draws=True,
        series_axis=0,
    ),
    Question(
        "ScoreSeries",
        "predict",
        _of_series("predict", np.asarray),
        (0.5, 1.25, 2.0),
        1,
        draws=False,
        series_axis=0,
    ),
)

# Verbs that take `ts` and are asked elsewhere, each with its reason.
ASKED_ELSEWHERE = {
    ("ScoreSeries", "condition"): "its times belong to an observation: tests/scores",
    ("DirectedChainGenerator", "walk"): "it gives links, not an answer: tests/generation",
    ("NeuralSDEInterpolator", "fill"): "its times are those of the table",
    ("NeuralSDEClassifier", "predict"): "its times are optional: tests/series",
    ("NeuralSDEClassifier", "predict_proba"): "its times are optional: tests/series",
    ("NeuralSDERegressor", "predict"): "its times are optional: tests/series",
    ("SchrodingerBridge", "mass"): "a sum over a snapshot: tests/bridges",
}
