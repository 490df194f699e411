"""Panels whose law is known: `python examples/reproduce/simulated_panels.py [QUESTION] [KIND ...]`.

The two questions of `unseen_panels.py` are asked of simulated tables of several kinds and sizes.
`regret` divides the root mean square error of the default settings by that of the best linear
forecast of one who knows means and covariances of the kind, taken from four thousand further series
and is out of reach where a curve bends after the last time that any series has seen; `simple` does
so for the best of the simple forecasts, chosen afterwards. `width` is that of intervals of 90 % by
what normal errors of our size need. Means over two seeds, geometric ones of the ratios.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from forecast_baselines import simple
from unseen import rmse
from unseen_panels import SIMPLE, Panel, damped_trend, later_times, other_series

from trajinfer import IrregularSeries, NeuralSDEForecaster

SIZES = ((12, 8), (40, 8), (12, 24))
SEEDS, KNOWN = 2, 4000
Simulator = Callable[[np.random.Generator, int, int], np.ndarray]


def slopes(rng: np.random.Generator, n: int, rows: int) -> np.ndarray:
    """Levels and slopes of their own around common ones, noise."""
    t = np.linspace(0, 1, rows)
    level, slope = 2 * rng.normal(size=(n, 1)), 3 + 2 * rng.normal(size=(n, 1))
    return level + slope * t + 0.5 * rng.normal(size=(n, rows))


def curve(rng: np.random.Generator, n: int, rows: int) -> np.ndarray:
    """A bent common curve and levels of their own, noise."""
    t = np.linspace(0, 1, rows)
    return 4 * np.sin(3 * t) + rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, rows))


def returning(rng: np.random.Generator, n: int, rows: int) -> np.ndarray:
    """Autoregressions around levels of their own."""
    x = rng.normal(size=(n, rows))
    for k in range(1, rows):
        x[:, k] = 0.6 * x[:, k - 1] + 0.8 * x[:, k]
    return 2 * rng.normal(size=(n, 1)) + x


def walks(rng: np.random.Generator, n: int, rows: int) -> np.ndarray:
    """Walks with drifts of their own."""
    drift = 0.3 + 0.3 * rng.normal(size=(n, 1))
    return 3 * rng.normal(size=(n, 1)) + (drift + rng.normal(size=(n, rows))).cumsum(axis=1)


def saturating(rng: np.random.Generator, n: int, rows: int) -> np.ndarray:
    """Growth to sizes of their own at rates of their own, noise in proportion."""
    t = np.linspace(0.1, 1, rows)
    size, rate = np.exp(0.2 * rng.normal(size=(n, 1))), 3 * np.exp(0.2 * rng.normal(size=(n, 1)))
    return 10 * size * (1 - np.exp(-rate * t)) * np.exp(0.02 * rng.normal(size=(n, rows)))


def close(rng: np.random.Generator, n: int, rows: int) -> np.ndarray:
    """One curve, steep beside what sets the series apart."""
    t = np.linspace(0, 1, rows)
    level = rng.normal(size=(n, 1))
    return 60 * (1 - np.exp(-2 * t)) + 0.5 * level + 0.3 * rng.normal(size=(n, rows))


def counts(rng: np.random.Generator, n: int, rows: int) -> np.ndarray:
    """Poisson numbers whose means, apart by a factor, grow threefold."""
    t = np.linspace(0, 1, rows)
    return rng.poisson(8 * np.exp(0.5 * rng.normal(size=(n, 1))) * 3**t).astype(float)


KINDS: dict[str, Simulator] = {
    f.__name__: f for f in (slopes, curve, returning, walks, saturating, close, counts)
}
QUESTIONS = {"later": later_times, "others": other_series}


def best_linear(kind: Simulator, past: IrregularSeries, later: np.ndarray, rows: int) -> np.ndarray:
    """Forecasts (B, T) from the means and covariances of the kind; times are numbers of rows."""
    every = kind(np.random.default_rng(99), KNOWN, rows)
    mean, covariance = every.mean(axis=0), np.cov(every.T)
    found = np.empty(later.shape)
    for row, ahead in enumerate(later.astype(int)):
        n = int(past.lengths[row])
        seen = past.times[row, :n].astype(int)
        weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, ahead)])
        found[row] = mean[ahead] + (past.values[row, :n, 0] - mean[seen]) @ weights
    return found


def trial(name: str, question: str, size: tuple[int, int], seed: int) -> dict[str, float]:
    """Errors on one panel."""
    rows = size[1]
    values = KINDS[name](np.random.default_rng([seed, *size]), *size)
    series = IrregularSeries.from_arrays(np.arange(float(rows)), values[:, :, None])
    panel = Panel(series, float(max(1, round(rows / 5))))
    errors: dict[str, list[np.ndarray]] = {}
    inside, width, spent = [], [], 0.0
    for train, past, later, truth in QUESTIONS[question](panel):
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = NeuralSDEForecaster(horizon=panel.horizon, random_state=0).fit(train)
        spent += time.process_time() - began
        low, high = np.quantile(model.forecast(past, later, 200).samples, [0.05, 0.95], axis=1)
        known = np.isfinite(truth[:, :, 0])
        made = {"default": model.predict(past, later)}
        made |= simple(past, later, train, panel.horizon)
        made |= damped_trend(past, later, train, panel.horizon)
        answers = {k: v[:, :, 0] for k, v in made.items()}
        answers["known"] = best_linear(KINDS[name], past, later, rows)
        for key, answer in answers.items():
            errors.setdefault(key, []).append((answer - truth[:, :, 0])[known])
        inside.append(((low <= truth) & (truth <= high))[known])
        width.append((high - low)[known])
    error = {key: rmse(np.concatenate(parts)) for key, parts in errors.items()}
    return {
        "regret": error["default"] / error["known"],
        "simple": min(error[k] for k in SIMPLE) / error["known"],
        "coverage_90": float(np.concatenate(inside).mean()),
        "width": float(np.concatenate(width).mean()) / (3.29 * error["default"]),
        "fit_seconds": spent / len(inside),
    }


def main(arguments: list[str]) -> None:
    """Print a row per kind and size for each question."""
    names = [a for a in arguments if a not in QUESTIONS] or list(KINDS)
    for question in [a for a in arguments if a in QUESTIONS] or list(QUESTIONS):
        table = {}
        for name in names:
            for size in SIZES:
                tried = pd.DataFrame([trial(name, question, size, s) for s in range(SEEDS)])
                ratios = np.exp(np.log(tried[["regret", "simple", "width"]]).mean())
                rest = tried[["coverage_90", "fit_seconds"]].mean()
                table[f"{name} {size[0]}x{size[1]}"] = pd.concat([ratios, rest])
        made = pd.DataFrame(table).T
        means = np.exp(np.log(made[["regret", "simple", "width"]]).mean())
        print(f"\n{question}\n{made.round(3).to_string()}")
        print(
            f"geometric means: regret {means['regret']:.3f}, simple {means['simple']:.3f}, width "
            f"{means['width']:.3f}; coverage {made['coverage_90'].mean():.3f}, "
            f"{made['fit_seconds'].mean():.2f} CPU seconds",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
