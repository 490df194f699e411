"""Tables of irregular series: `python examples/reproduce/irregular_series.py TASK [...] --out DIR`.

TASK is `hopper` (forecasting), `hopper_default` (the same with default settings, learned from the
training windows alone), `classification` or `light_curves` (half of the points hidden).
Every cell (data set, missing rate, dynamics, seed) is written to DIR as one JSON line as soon as it
is known, and a cell that is there is not computed again. The settings were chosen on validation
windows (hopper) and by cross-validation on the training series (classification); the test series
are read once, by the line that scores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from trajinfer.datasets import SeriesDataset
from trajinfer.datasets.series_loaders import (
    load_labelled_series,
    load_macho,
    load_mujoco_windows,
)
from trajinfer.evaluation.series import channel_means, gaussian_process, linear_interpolation
from trajinfer.series import NeuralSDEClassifier, NeuralSDEForecaster, NeuralSDEInterpolator

TASKS = ("hopper", "hopper_default", "classification", "light_curves")
STABLE = ("langevin", "linear_noise", "geometric")
SETS = ("italy_power_demand", "basic_motions", "japanese_vowels", "gun_point")
CLASSIFIER = {
    "italy_power_demand": {"max_epochs": 400},
    "basic_motions": {"max_epochs": 300},
    "japanese_vowels": {"max_epochs": 80},
    "gun_point": {"max_epochs": 400, "thinning": 0.6},
}
HOPPER = {
    "max_epochs": 6,
    "step": 5.0,
    "lr": 6e-3,
    "weight_decay": 0.3,
    "thinning": 0.1,
    "n_lags": 12,
    "n_samples": 8,
}


def hopper(rate: float, dynamics: str, seed: int) -> dict[str, float]:
    """Squared error, coverage and cost of forecasts of 10 steps from 50."""
    data = load_mujoco_windows(rate)
    began = time.process_time()
    model = NeuralSDEForecaster(
        dynamics, horizon=10, cutoffs=1, validation=0.0, random_state=seed, **HOPPER
    )
    model.fit(data.train, held_out=data.validation)
    return hopper_figures(model, data, time.process_time() - began)


def hopper_default(rate: float, seed: int) -> dict[str, float]:
    """The same of the default settings."""
    data = load_mujoco_windows(rate)
    began = time.process_time()
    model = NeuralSDEForecaster(horizon=10, random_state=seed).fit(data.train)
    return hopper_figures(model, data, time.process_time() - began)


def hopper_figures(
    model: NeuralSDEForecaster, data: SeriesDataset, seconds: float
) -> dict[str, float]:
    """Squared error and coverage on the validation and the test windows."""
    found = {"seconds": seconds}
    for name, part in (("validation", data.validation), ("test", data.test)):
        past, future = part.until(data.cutoff), part.after(data.cutoff)
        forecast = model.forecast(past, future.times, 64)
        low, high = forecast.interval(0.8)
        inside = (future.values >= low) & (future.values <= high)
        error = model.predict(past, future.times) - future.values
        found |= {name: float(np.mean(error**2)), f"{name}_cover_80": float(inside.mean())}
    return found


def classification(name: str, rate: float, dynamics: str, seed: int) -> dict[str, float]:
    """Accuracy on the canonical test series; training and test lose points independently."""
    data = load_labelled_series(name)
    train = data.train.drop_observations(rate, 1000 + seed)
    test = data.test.drop_observations(rate, 2000 + seed)
    began = time.process_time()
    model = NeuralSDEClassifier(
        dynamics, lr=1e-2, validation=0.0, random_state=seed, **CLASSIFIER[name]
    ).fit(train)
    return {"seconds": time.process_time() - began, "test": model.score(test)}


def light_curves(dynamics: str, seed: int) -> dict[str, float]:
    """Errors at hidden points of ten stars, in units of the reported errors of measurement."""
    data = load_macho()
    shown = data.train.drop_observations(0.5, seed)
    hidden = data.train.mask & ~shown.mask
    reported = np.where(shown.mask, data.errors.values, np.nan)
    known, noise = shown.compact(), data.errors.with_values(reported).compact()
    began = time.process_time()
    model = NeuralSDEInterpolator(dynamics, max_epochs=1, random_state=seed)
    model.fit(known, errors=noise)
    filled = model.interpolate(known, data.train.times, 200, errors=noise)
    found = {"seconds": time.process_time() - began}

    def error(values: np.ndarray) -> np.ndarray:
        scaled = np.where(hidden, (values - data.train.values) / data.errors.values, np.nan)
        return np.sqrt(np.nanmean(scaled**2, axis=(1, 2)))

    ours, linear = error(filled.mean()), error(linear_interpolation(shown, data.train.times))
    process = error(gaussian_process(shown, data.train.times)[0])
    low, high = filled.interval(0.9)
    inside = (low <= data.train.values) & (data.train.values <= high)
    return found | {
        "beats_linear": int((ours < linear).sum()),
        "beats_mean": int((ours < error(channel_means(shown, data.train.times))).sum()),
        "over_gaussian_process": float(np.mean(ours / process)),
        "cover_90": float(inside[hidden].mean()),
        "share": float(np.mean([one["mean"] for one in model.share_.values()])),
    }


def cells(task: str, seeds: int) -> list[tuple[Callable[..., dict[str, float]], tuple]]:
    """The function and arguments of every cell, those of the first seed first."""
    if task == "hopper":
        grid = itertools.product(range(seeds), (0.0, 0.5, 0.3, 0.7), STABLE)
        return [(hopper, (rate, dynamics, seed)) for seed, rate, dynamics in grid]
    if task == "hopper_default":
        return [(hopper_default, (rate, s)) for s in range(seeds) for rate in (0.5, 0.0, 0.3, 0.7)]
    if task == "light_curves":
        return [(light_curves, (dynamics, seed)) for seed in range(seeds) for dynamics in STABLE]
    grid = itertools.product(range(seeds), SETS, (0.5, 0.0), (*STABLE, "free"))
    return [
        (classification, (name, rate, dynamics, seed))
        for seed, name, rate, dynamics in grid
        if dynamics != "free" or rate == 0.5
    ]


def main() -> None:
    """Compute what is missing and print the means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "tasks", nargs="+", choices=["hopper", "hopper_default", "classification", "light_curves"]
    )
    parser.add_argument("--out", type=Path, default=Path("irregular-series"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at-most", type=int, default=10**6, help="cells to compute in this run")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for task in options.tasks:
        file = options.out / f"{task}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        known = {tuple(row["cell"]) for row in rows}
        missing = [entry for entry in cells(task, options.seeds) if entry[1] not in known]
        for function, cell in missing[: options.at_most]:
            rows.append({"cell": cell, **function(*cell)})
            with file.open("a") as stream:
                stream.write(json.dumps(rows[-1]) + "\n")
        table = pd.DataFrame([{"cell": " ".join(map(str, r.pop("cell")[:-1])), **r} for r in rows])
        print(table.groupby("cell", sort=False).agg(["mean", "std"]).round(5).to_string())


if __name__ == "__main__":
    main()
