"""Held-out scores on the published snapshot data sets, beside the exact-OT line and the papers.

    TRAJINFER_DATA=/path/to/data python examples/reproduce/snapshots.py [name ...]

Default settings, no volatility given, three seeds, 1000 particles; W2 and MMD squared are means
over the held-out times. "reported" figures are quoted from the papers named in docs/theory.md,
not reproduced here. Runs on one thread.
"""

import sys
import time
import warnings
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch

from trajinfer import SchrodingerBridge
from trajinfer.datasets import DatasetError, fetch_snapshots
from trajinfer.evaluation import exact_line
from trajinfer.metrics import score_of
from trajinfer.processes import (
    AffineDrift,
    LotkaVolterra,
    PolynomialDrift,
    Repressilator,
    RepressilatorWithProteins,
    Vortex,
)

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Task:
    """A data set, the dynamics refined on it, the bar, and what the papers report."""

    name: str
    reference: object
    bar: str
    reported: str
    _: KW_ONLY
    observed: tuple[int, ...] | None = None  # coordinates of the reference that the data show
    label: str = ""  # of a second row on the same data
    forecast: float | None = None  # time


TASKS = [
    Task("lv_sbirr", LotkaVolterra(), ".135", ".41"),
    Task("repressilator_sbirr", Repressilator(), ".24", "-"),
    Task("gom_vortex_sbirr", Vortex(), ".105", ".090"),
    Task("gom_vortex_small_sbirr", Vortex(), ".10", "-"),
    Task("lv_200", LotkaVolterra(), ".050", ".060", forecast=10.0),
    Task("repressilator_200", Repressilator(), ".075", ".102", forecast=10.0),
    Task(
        "repressilator_mrna_of_6_200",
        RepressilatorWithProteins(k=1, leak=1e-5),  # proteins in units of half repression, no leak
        ".094",
        ".094",
        observed=(0, 1, 2),
        forecast=10.0,
    ),
    Task("gom_200", PolynomialDrift(2, degree=3), ".035", ".042"),
    Task("hesc_pca5_sbirr", None, "1.33", "1.205"),
    Task("hesc_pca5_sbirr", AffineDrift(5, ridge=1.0), "-", "1.205", label="hesc, affine, ridge 1"),
    Task("eb_pca5_sbirr", None, "1.05", "-"),
    Task("eb_pca5_sbirr", AffineDrift(5, ridge=1.0), "-", "-", label="eb, affine, ridge 1"),
    Task("pbmc30_500", None, ".77, MMD2 .0066", ".769"),
]
FORECAST_BARS = {
    "lv_200": (".215", ".220"),
    "repressilator_200": (".16", ".221"),
    "repressilator_mrna_of_6_200": ("-", ".231"),
}


def main(names: list[str]) -> None:
    """Print one row per task."""
    torch.set_num_threads(1)
    print("| data | W2 | line W2 | MMD2 | line MMD2 | bar | reported | fit s | converged |")
    print("|---|---|---|---|---|---|---|---|---|")
    notes = []
    for task in TASKS:
        if names and task.name not in names:
            continue
        notes += run(task)
    print("\n" + "\n".join(notes))


def run(task: Task) -> list[str]:
    """Fit with every seed, print the row; returns lines on parameters and forecasts."""
    try:
        data = fetch_snapshots(task.name, download_if_missing=False)
    except DatasetError as error:
        return [f"{task.name}: {error}"]
    train, held_out = data.train, data.held_out
    clouds = list(zip(held_out.labels, held_out.times, held_out.points, strict=True))
    scores, forecasts, seconds, bridges = [], [], [], []
    for seed in SEEDS:
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bridge = SchrodingerBridge(
                task.reference, observed=task.observed, random_state=seed
            ).fit(train)
        seconds.append(time.perf_counter() - started)
        bridges.append(bridge)
        drawn = [(bridge.measurements(label), points) for label, _, points in clouds]
        scores.append(means(drawn))
        if task.forecast is not None:
            ahead = bridge.forecast([task.forecast]).values[:, 0, : train.dim]
            target = data.forecast.select([task.forecast]).points[0]
            forecasts.append(score_of("w2", (ahead, None), (target, None)))
    line = means([(exact_line(train, t), points) for _, t, points in clouds])
    (w2, mmd), settled = np.mean(scores, axis=0), all(b.converged_ for b in bridges)
    name = task.label or task.name
    print(
        f"| {name} | {w2:.4f} | {line[0]:.4f} | {mmd:.5f} | {line[1]:.5f} | {task.bar} | "
        f"{task.reported} | {np.median(seconds):.1f} | {'yes' if settled else 'no'} |",
        flush=True,
    )
    return describe(task, data, bridges[0], forecasts)


def means(pairs: list) -> list[float]:
    """Mean W2 and MMD squared over pairs of a prediction and a snapshot."""
    clouds = [(p if isinstance(p, tuple) else (p, None), (x, None)) for p, x in pairs]
    return [float(np.mean([score_of(m, *pair) for pair in clouds])) for m in ("w2", "mmd")]


def describe(task: Task, data, bridge: SchrodingerBridge, forecasts: list[float]) -> list[str]:
    """Recovered parameters, volatility and forecast in words."""
    values = {k: v for k, v in bridge.parameters_.items() if np.ndim(v) == 0}
    lines = []
    if values:
        fitted = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        true = ", ".join(f"{k} {v}" for k, v in data.info.parameters.items() if k in values)
        lines.append(f"{task.name}: {fitted}" + (f" (true: {true})" if true else ""))
    lines.append(
        f"{task.label or task.name}: volatility {np.round(bridge.volatility_, 4).tolist()[:5]}"
    )
    if forecasts:
        bar, reported = FORECAST_BARS[task.name]
        lines.append(
            f"{task.name}: forecast W2 at t = {task.forecast:g} {np.mean(forecasts):.4f} "
            f"(bar {bar}, best reported {reported})"
        )
    return lines


if __name__ == "__main__":
    main(sys.argv[1:])
