"""Whether forecasts are paths: the chance to rise by a step within eight steps, at four grids.

    python examples/reproduce/coherent_forecasts.py \
        [series to learn from, 150] [sets, 5] [first seed, 0] [walk] [ou] [ar2]

A forecaster with default settings learns from series of 40 steps. From 40 further series it goes
on; how often the largest of the values asked about lies a step above the last one is set beside the
law that made the series. The largest value needs the way between two times, which marginals do not
tell; asked at one time alone it shows what they miss by themselves. All is repeated with several
sets of series, and the standard error is that between sets: what is learned from one set has an
error of its own, such as the drift that its walks happen to have.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from trajinfer import IrregularSeries, NeuralSDEForecaster

GRIDS = ([1, 2, 3, 4, 5, 6, 7, 8], [2, 4, 6, 8], [4, 8], [8])
LENGTH, ASKED, DRAWS = 40, 40, 400
SIZES = [150, 5, 0]
Law = Callable[[np.random.Generator, np.ndarray, np.ndarray, int], np.ndarray]


def walk(rng: np.random.Generator, last: np.ndarray, _: np.ndarray, steps: int) -> np.ndarray:
    """Sums of independent steps, (n, steps)."""
    return last[:, None] + rng.normal(size=(len(last), steps)).cumsum(axis=1)


def ou(rng: np.random.Generator, last: np.ndarray, _: np.ndarray, steps: int) -> np.ndarray:
    """Ornstein-Uhlenbeck with rate .15 and unit volatility."""
    return _linear(rng, last, 0 * last, steps, np.exp(-0.15), 0.0, np.sqrt(-np.expm1(-0.3) / 0.3))


def ar2(rng: np.random.Generator, last: np.ndarray, before: np.ndarray, steps: int) -> np.ndarray:
    """An autoregression with momentum."""
    return _linear(rng, last, before, steps, 1.4, -0.55, 1.0)


def _linear(
    rng: np.random.Generator,
    last: np.ndarray,
    before: np.ndarray,
    steps: int,
    one: float,
    two: float,
    noise: float,
) -> np.ndarray:
    values = [before, last]
    for _ in range(steps):
        values.append(one * values[-1] + two * values[-2] + noise * rng.normal(size=len(last)))
    return np.stack(values[2:], axis=1)


LAWS: dict[str, tuple[Law, float]] = {"walk": (walk, 2.5), "ou": (ou, 1.5), "ar2": (ar2, 3.0)}
"""Each with the step that is asked about."""


def main(n_series: int, n_sets: int, first: int, chosen: list[str]) -> None:
    """Learn, draw, compare."""
    for name in chosen:
        begun = time.process_time()
        seeds = range(first, first + n_sets)
        sets = np.array([_chances(name, n_series, seed) for seed in seeds])
        found, truth = sets.swapaxes(0, 1)
        miss = (found - truth).mean(axis=0)
        error = (found - truth).std(axis=0, ddof=1) / np.sqrt(n_sets)
        for k, grid in enumerate(GRIDS):
            print(
                f"{name:5s} every {grid[0]} steps: asked {found[:, k].mean():.3f}, truth "
                f"{truth[:, k].mean():.3f}, difference {miss[k]:+.4f} (s.e. {error[k]:.4f})"
            )
        spent = time.process_time() - begun
        print(f"{name}: {spent:.0f} CPU seconds for {n_sets} sets", flush=True)


def _chances(name: str, n_series: int, seed: int) -> tuple[list[float], list[float]]:
    """Chances by a forecaster and by the law, for every grid, averaged over the series asked."""
    law, step = LAWS[name]
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = NeuralSDEForecaster(random_state=seed).fit(_series(law, rng, n_series))
    past = _series(law, rng, ASKED)
    values = past.values[:, :, 0]
    found, truth = [], []
    for grid in GRIDS:
        times = np.tile(LENGTH - 1.0 + np.array(grid), (ASKED, 1))
        paths = model.forecast(past, times, DRAWS, random_state=1).samples[..., 0]
        rises = (paths - values[:, -1:, None]).max(axis=2) >= step
        found.append(float(rises.mean()))
        truth.append(float(np.mean([_truth(law, rng, row, grid, step) for row in values])))
    return found, truth


def _series(law: Law, rng: np.random.Generator, n: int) -> IrregularSeries:
    zero = np.zeros(n)
    values = law(rng, zero, zero, LENGTH + 60)[:, -LENGTH:]
    if law is walk:
        values = values - values[:, :1]
    return IrregularSeries.from_arrays(np.tile(np.arange(LENGTH), (n, 1)), values[..., None])


def _truth(
    law: Law, rng: np.random.Generator, past: np.ndarray, grid: list[int], step: float
) -> float:
    last, before = np.full(2000, past[-1]), np.full(2000, past[-2])
    ahead = law(rng, last, before, 8)[:, np.array(grid) - 1]
    return float((ahead.max(axis=1) - past[-1] >= step).mean())


if __name__ == "__main__":
    words = sys.argv[1:]
    sizes = [int(word) for word in words if word.isdigit()]
    laws = [word for word in words if not word.isdigit()]
    main(*(sizes + SIZES[len(sizes) :]), laws or list(LAWS))
