"""Measure every estimator of series on panels of unequal lengths and ages.

    python -m tests.scale.lengths [--only FractionalSDE ...] [--panels short long early span]

A panel of equal series beside the same panel of which one series is long, ended far earlier than
the others, or went on far longer. Cost follows the number of rows: the last column of a panel is
its cost by row over that of the short panel. The panel `table` (2000 series of 50 rows and one of
50 000) is for memory; it takes minutes.

A model is fitted to the short panel; every fit and answer then runs in a fork of its own.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from tests.scale.__main__ import measured
from trajinfer import (
    DirectedChainGenerator,
    FractionalSDE,
    IrregularSeries,
    JumpSeries,
    MarkovJumpProcess,
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
    ScoreSeries,
    jumps,
)

Verb = Callable[[Any, Any], Any]
_LEAST_SECONDS = 0.02


class Panel:
    """Series of given lengths at irregular times.

    Attributes:
        lengths: (B,) rows of every series.
        shift: the first series ended this many spans of the others earlier.
        stretch: the first series went on this many times longer.
    """

    def __init__(self, lengths: list[int], shift: float = 0.0, stretch: float = 1.0) -> None:
        self.lengths = lengths
        self.shift = shift
        self.stretch = stretch

    def times(self) -> list[np.ndarray]:
        """One row a unit of time, each at a moment of its own."""
        rng = np.random.default_rng(0)
        times = [np.sort(rng.uniform(0, n, n)) for n in self.lengths]
        times[0] = times[0] * self.stretch - self.shift * self.lengths[0]
        return times

    def series(self, binary: bool = False) -> IrregularSeries:
        """Walks with noise, one channel; labels are numbers or two classes."""
        rng = np.random.default_rng(1)
        values = [
            0.3 * rng.normal(size=n).cumsum() + 0.1 * rng.normal(size=n) for n in self.lengths
        ]
        n = len(values)
        labels = np.arange(n) % 2 if binary else rng.normal(size=n)
        return IrregularSeries.from_arrays(self.times(), values, labels=labels)

    def states(self) -> JumpSeries:
        """Two states, a tenth of them misread."""
        rng, seen = np.random.default_rng(2), []
        for times in self.times():
            path = jumps.simulate(
                [[-1.0, 1.0], [2.0, -2.0]], [0.5, 0.5], 1, times - times[0], random_state=rng
            )
            states = np.asarray(path.states).ravel()
            seen.append(np.where(rng.random(len(states)) < 0.1, 1 - states, states))
        return JumpSeries.from_arrays(self.times(), seen)


PANELS: Mapping[str, Panel] = MappingProxyType(
    {
        "short": Panel([20] * 60),
        "long": Panel([1000] + [20] * 59),
        "early": Panel([20] * 60, shift=60.0),
        "span": Panel([20] * 60, stretch=300.0),
        "table": Panel([50_000] + [50] * 2000),
    }
)


class Subject:
    """An estimator, what it is asked, and the data it takes.

    Attributes:
        make: the estimator, not fitted.
        verbs: what a fitted one is asked about a panel.
        data: of a panel.
    """

    def __init__(
        self, make: Callable[[], Any], data: Callable[[Panel], Any], **verbs: Verb
    ) -> None:
        self.make = make
        self.data = data
        self.verbs = verbs

    def fit(self, _: Any, data: Any) -> Any:
        """A fit to a panel."""
        return self.make().fit(data)


def predict(model: Any, data: Any) -> Any:
    """One answer a series."""
    return model.predict(data)


def forecast(model: Any, data: Any) -> Any:
    """Ten paths over a unit of time after the end of every series."""
    return model.forecast(data, horizon=1.0, n=10)


def mean_ahead(model: Any, data: Any) -> Any:
    """Means over a unit of time after the end of every series."""
    return model.predict(data, horizon=1.0)


def last_means(model: Any, data: Any) -> Any:
    """Means at two times of every series."""
    return model.predict(data, np.stack([data.first_times, data.last_times], axis=1))


def interpolate(model: Any, data: Any) -> Any:
    """Ten draws at two times of every series."""
    return model.interpolate(data, np.stack([data.first_times, data.last_times], axis=1), n=10)


def fill(model: Any, data: Any) -> Any:
    """The table of the series without gaps."""
    return model.fill(data)


def score(model: Any, data: Any) -> Any:
    """How well values that are known were foretold."""
    return model.score(data)


def log_likelihood(model: Any, data: Any) -> Any:
    """Of all series."""
    return model.log_likelihood(data)


_SERIES = Panel.series
_CLASSES = partial(Panel.series, binary=True)
_STATES = Panel.states
_NETWORK: Mapping[str, Any] = MappingProxyType(
    {"hidden": 4, "max_epochs": 1, "n_samples": 1, "random_state": 0}
)

SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {
        "NeuralSDEForecaster": Subject(
            partial(NeuralSDEForecaster, max_epochs=1, horizon=3.0, random_state=0),
            _SERIES,
            forecast=forecast,
            predict=mean_ahead,
            score=score,
        ),
        "NeuralSDEForecaster latent": Subject(
            partial(NeuralSDEForecaster, dynamics="ode", horizon=3.0, **_NETWORK),
            _SERIES,
            forecast=forecast,
            predict=mean_ahead,
            score=score,
        ),
        "NeuralSDEClassifier": Subject(
            partial(NeuralSDEClassifier, **_NETWORK), _CLASSES, predict=predict, score=score
        ),
        "NeuralSDERegressor": Subject(
            partial(NeuralSDERegressor, **_NETWORK), _SERIES, predict=predict, score=score
        ),
        "NeuralSDEInterpolator": Subject(
            partial(NeuralSDEInterpolator, **_NETWORK),
            _SERIES,
            predict=last_means,
            interpolate=interpolate,
            fill=fill,
            score=score,
        ),
        "FractionalSDE": Subject(
            partial(FractionalSDE, n_ou=6, horizon=3.0, random_state=0),
            _SERIES,
            forecast=forecast,
            predict=mean_ahead,
            interpolate=interpolate,
            score=score,
        ),
        "FractionalSDE variational": Subject(
            partial(
                FractionalSDE,
                n_ou=3,
                horizon=3.0,
                inference="variational",
                max_epochs=1,
                random_state=0,
            ),
            _SERIES,
            forecast=forecast,
            predict=mean_ahead,
            score=score,
        ),
        "ScoreSeries": Subject(
            partial(ScoreSeries, random_state=0),
            _SERIES,
            forecast=forecast,
            predict=last_means,
            interpolate=interpolate,
            fill=fill,
            score=score,
            log_likelihood=log_likelihood,
        ),
        "DirectedChainGenerator": Subject(
            partial(DirectedChainGenerator, random_state=0), _SERIES, score=score
        ),
        "MarkovJumpProcess": Subject(
            partial(MarkovJumpProcess, 2, random_state=0), _STATES, log_likelihood=log_likelihood
        ),
        "MarkovJumpProcess noise": Subject(
            partial(MarkovJumpProcess, 2, label_noise="learn", random_state=0),
            _STATES,
            log_likelihood=log_likelihood,
        ),
    }
)


def rows_of(name: str, panels: list[str]) -> Iterator[str]:
    """Lines of the table for one estimator: a fit and every verb."""
    subject = SUBJECTS[name]
    model = subject.fit(None, subject.data(PANELS["short"]))
    data = {panel: subject.data(PANELS[panel]) for panel in panels}
    for verb, asked in {"fit": subject.fit, **subject.verbs}.items():
        cells, by_row = [], {}
        for panel in panels:
            seconds, megabytes = measured(
                lambda _, asked=asked, panel=panel: partial(asked, model, data[panel]), 0
            )
            by_row[panel] = max(seconds, _LEAST_SECONDS) / sum(PANELS[panel].lengths)
            ratio = by_row[panel] / by_row[panels[0]]
            cells.append(f"{seconds:.2f} s, {megabytes:.0f} MB, {ratio:.1f} x")
        yield f"| {name} {verb} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table, a line as soon as it is measured."""
    parser = argparse.ArgumentParser(description="cost on panels of unequal lengths")
    parser.add_argument("--only", nargs="*", default=list(SUBJECTS), choices=list(SUBJECTS))
    parser.add_argument(
        "--panels", nargs="*", default=["short", "long", "early", "span"], choices=list(PANELS)
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.stdout.write(f"| cost | {' | '.join(given.panels)} |\n")
    for name in given.only:
        for line in rows_of(name, given.panels):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
