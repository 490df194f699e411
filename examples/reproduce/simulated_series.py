"""Single series whose law is known: `python examples/reproduce/simulated_series.py [KIND ...]`.

Every series is forecast once, after its end, by default settings fitted to it alone: a season
ahead, or up to ten rows where there is none. Two hundred continuations of it are drawn from its
true law and state. All errors are means over them, divided for each series by those of one who
knows law and state and only lacks the shocks to come: `regret` of the root mean square error,
`simple` that of the best of the simple forecasts of `unseen_series.py`, chosen afterwards, `crps`
of the continuous ranked probability score. `near` and `far` are the shares of continuations at the
first and the last lead that intervals of 90 % hold, `coverage_90` those at all leads. Geometric
means over twenty seeds for errors. `gaps` among the kinds leaves out a fifth of the rows of each.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit
from unseen_series import simple

from trajinfer import IrregularSeries, NeuralSDEForecaster

ROWS = (14, 20, 30, 50, 100, 200)
SEEDS, CONTINUATIONS, DRAWS = 20, 200, 400
SEASON, GONE = 4, 0.2
Simulator = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def returning(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """An autoregression around a mean."""
    return lfilter([1], [1, -rng.uniform(0.3, 0.95)], shocks[0])


def cycle(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Swings of 6 to 14 rows whose phase wanders."""
    damping, angle = rng.uniform(0.85, 0.97), 2 * np.pi / rng.uniform(6, 14)
    return lfilter([1], [1, -2 * damping * np.cos(angle), damping**2], shocks[0])


def line(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """A straight line, noise."""
    return rng.uniform(0.05, 0.5) * np.arange(shocks.shape[2]) + shocks[0]


def line_returning(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """A straight line, an autoregression around it."""
    return rng.uniform(0.05, 0.5) * np.arange(shocks.shape[2]) + returning(rng, shocks)


def bent(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Growth with a power of the time, noise and some wandering."""
    t = np.arange(shocks.shape[2]) / 10
    return 2 * t ** rng.uniform(1.2, 2.2) + 0.5 * shocks[0] + 0.2 * shocks[1].cumsum(axis=1)


def seasons(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """A profile of four rows on a wandering level, noise."""
    profile = 2 * rng.normal(size=SEASON)
    level = 0.5 * shocks[0].cumsum(axis=1) + 0.5 * shocks[1]
    return profile[np.arange(shocks.shape[2]) % SEASON] + level


def seasons_growing(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """A profile of four rows on a line, noise; the exponentials of these."""
    profile = 0.2 * rng.normal(size=SEASON)
    t = np.arange(shocks.shape[2])
    return np.exp(3 + 0.01 * t + profile[t % SEASON] + 0.1 * shocks[0])


def walk(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Sums of shocks."""
    return rng.uniform(0.5, 2.0) * shocks[0].cumsum(axis=1)


def drift(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Sums of shocks and of a drift."""
    return (rng.uniform(0.1, 1.0) + shocks[0]).cumsum(axis=1)


def wild(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Sums of shocks with Student's law of four degrees."""
    return rng.uniform(0.5, 2.0) * stdtrit(4, ndtr(shocks[0])).cumsum(axis=1)


def level(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """A wandering level, noise."""
    return rng.uniform(0.1, 0.7) * shocks[0].cumsum(axis=1) + shocks[1]


def slope(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """A level whose slope wanders."""
    slopes = 0.3 + 0.15 * shocks[0].cumsum(axis=1) + 0.5 * shocks[1]
    return rng.uniform(0.5, 2.0) * slopes.cumsum(axis=1)


def growth(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Exponentials of a walk with drift."""
    return np.exp(0.15 * drift(rng, shocks))


def slowing(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Exponentials of a walk whose drift, of up to .4, falls to a third in 10 to 30 rows."""
    t = np.arange(shocks.shape[2])
    drift = rng.uniform(0.1, 0.4) * 3 ** (-t / rng.uniform(10, 30))
    return np.exp((drift + 0.08 * shocks[0]).cumsum(axis=1))


def positive(rng: np.random.Generator, shocks: np.ndarray) -> np.ndarray:
    """Exponentials of an autoregression."""
    return np.exp(0.5 * returning(rng, shocks))


KINDS: dict[str, Simulator] = {
    f.__name__: f
    for f in (
        returning, cycle, line, line_returning, bent, seasons, seasons_growing,
        walk, drift, wild, level, slope, growth, slowing, positive,
    )
}  # fmt: skip


def drawn(name: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """A series (n,), its continuations (K, T), and the rows of a season."""
    rng = np.random.default_rng([seed, n, *name.encode()])
    period = SEASON if "seasons" in name else 1
    ahead = period if period > 1 else max(2, min(10, n // 8))
    shocks = rng.normal(size=(2, CONTINUATIONS, 100 + n + ahead))
    shocks[:, :, : 100 + n] = shocks[:, :1, : 100 + n]  # the past is shared
    starts_anew = name in {"bent", "growth", "slowing", "seasons_growing"}
    if starts_anew:
        shocks = shocks[:, :, 100:]
    paths = KINDS[name](rng, shocks)[:, -n - ahead :]
    return paths[0, :n], paths[:, n:], period


def score(samples: np.ndarray, truths: np.ndarray) -> float:
    """Mean continuous ranked probability score of samples (S, T) at truths (K, T)."""
    x = np.sort(samples, axis=0)
    s = len(x)
    weight = 2 * np.arange(s) - s + 1
    apart = 2 * (weight @ x) / (s * s)  # the mean distance of two draws
    near = np.abs(samples[:, None] - truths[None]).mean(axis=(0, 1))
    return float(np.mean(near - apart / 2))


def baselines(name: str, n: int, seed: int, *, gaps: bool) -> dict[str, float]:
    """Errors of the simple forecasts in those of one who knows the law."""
    past, later, period = drawn(name, n, seed)
    times = kept(n, seed, gaps=gaps)
    known = np.interp(np.arange(n), times, past[times])  # they need even times
    best = np.sqrt(np.mean(later.var(axis=0)))
    made = simple(known, later.shape[1], period)
    return {k: float(np.sqrt(np.mean((v - later) ** 2)) / best) for k, v in made.items()}


def kept(n: int, seed: int, *, gaps: bool) -> np.ndarray:
    """Rows that are seen; the first and the last are."""
    if not gaps:
        return np.arange(n)
    seen = np.random.default_rng([seed, n]).random(n) >= GONE
    seen[[0, -1]] = True
    return np.flatnonzero(seen)


def default(name: str, n: int, seed: int, *, gaps: bool) -> dict[str, float]:
    """Errors of default settings in those of one who knows the law, and coverage."""
    past, later, _ = drawn(name, n, seed)
    times = kept(n, seed, gaps=gaps)
    steps = later.shape[1]
    series = IrregularSeries.from_arrays(times.astype(float), past[times][None, :, None])
    asked = np.arange(n, n + steps, dtype=float)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few data
        model = NeuralSDEForecaster(horizon=steps * (1 + 1e-6), random_state=0).fit(series)
    spent = time.process_time() - began
    forecast = model.forecast(series, asked, DRAWS)
    low, high = (side[0, :, 0] for side in forecast.interval(0.9))
    mean = model.predict(series, asked)[0, :, 0]
    inside = ((low <= later) & (later <= high)).mean(axis=0)
    return {
        "regret": float(np.sqrt(np.mean((mean - later) ** 2) / np.mean(later.var(axis=0)))),
        "crps": score(forecast.samples[0, :, :, 0], later) / score(later, later),
        "coverage_90": float(inside.mean()),
        "near": float(inside[0]),
        "far": float(inside[-1]),
        "fit_seconds": spent,
    }


def summary(ours: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """One row of the table, of a row per seed."""
    found = ours.mean()
    found[["regret", "crps"]] = np.exp(np.log(ours[["regret", "crps"]]).mean())
    found["simple"] = np.exp(np.log(others).mean()).min()
    return found


def main(arguments: list[str]) -> None:
    """Print a row per kind and length, and means by length."""
    gaps = "gaps" in arguments
    names = [a for a in arguments if a != "gaps"] or list(KINDS)
    table = {}
    for name in names:
        for n in ROWS:
            ours, others = (
                pd.DataFrame([f(name, n, seed, gaps=gaps) for seed in range(SEEDS)])
                for f in (default, baselines)
            )
            table[name, n] = summary(ours, others)
    made = pd.DataFrame(table).T
    print(made.round(3).to_string())
    made["ratio"] = made["regret"] / made["simple"]
    print(made.groupby(level=1).mean().round(3).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
