"""The table of the page on score models: imputation and generation beside simple baselines.

    TRAJINFER_DATA=/path/to/data python examples/reproduce/score_models.py rows.jsonl [set ...]

Needs `pip install trajinfer[examples]`. Sets: processes (a mixture of three Gaussian processes
whose exact answer is known), hopper, stocks, days (readings of meters). Methods: lines between the
known values, one Gaussian, the mixture, the network, `NeuralSDEInterpolator`. Generation on stocks
("generation") and of days of weather ("weather") by the mixture, the network, and
`DirectedChainGenerator`, beside training windows of other weeks drawn again. A word "method=name"
runs that method alone. Errors are CRPS of hidden values over the standard deviation of a channel;
seconds are those of the processor while fitting, on one thread. A row that is in the file is not
computed again.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from generated_tables import weather_days

from trajinfer import DirectedChainGenerator, IrregularSeries, NeuralSDEInterpolator
from trajinfer.datasets import (
    load_energy,
    load_mujoco_windows,
    load_stocks,
    relative_prices,
)
from trajinfer.evaluation import generation_report
from trajinfer.evaluation.generation.two_sample import classifier_auc
from trajinfer.metrics import crps
from trajinfer.scores import ScoreSeries

DRAWS, TESTED = 60, 40


def processes(seed):
    """Series of one of three Gaussian processes on 12 random times, 40 % of them observed."""
    rng = np.random.default_rng(seed)

    def drawn(n):
        times, values = np.sort(rng.random((n, 12)), axis=1), np.empty((n, 12, 1))
        for i, t in enumerate(times):
            kind, gaps = rng.integers(3), np.abs(t[:, None] - t)
            mean = (np.sin(2 * np.pi * t), 0.5 - np.sin(2 * np.pi * t), 0 * t)[kind]
            rough, smooth = 0.09 * np.exp(-gaps / 0.3), 0.49 * np.exp(-((gaps / 0.15) ** 2) / 2)
            cov = (rough, rough, smooth)[kind] + 1e-9 * np.eye(12)
            values[i, :, 0] = rng.multivariate_normal(mean, cov, method="cholesky")
        return IrregularSeries.from_arrays(times, values)

    test = drawn(60)
    hidden = rng.random(test.values.shape) < 0.6
    hidden[:, 0] &= ~hidden.all(axis=1)
    return drawn(1000), test, {"40 % observed": hidden}


def windows(train, test, seed):
    """Windows that share their times, with half of the times or of the values hidden."""
    rng = np.random.default_rng(seed)
    test = test[rng.permutation(len(test))[:TESTED]]
    times = rng.random(test.shape[:2]) < 0.5
    times[:, 0] &= ~times.all(axis=1)
    masks = {
        "times": np.repeat(times[:, :, None], test.shape[2], axis=2),
        "values": rng.random(test.shape) < 0.5,
    }
    axis = np.arange(float(test.shape[1]))
    return IrregularSeries.from_arrays(axis, train), IrregularSeries.from_arrays(axis, test), masks


def hopper(seed):
    """Windows of 12 steps; trajectories 0-69 train, 85-99 test."""
    data = load_mujoco_windows()

    def cut(series):
        # of the 40 windows of 60 steps of a trajectory the first and the last cover it
        ends = series.values.reshape(-1, 40, 60, 14)[:, [0, 39]].reshape(-1, 60, 14)
        return np.concatenate([ends[:, k : k + 12] for k in range(0, 49, 4)])

    return windows(cut(data.train), cut(data.test), seed)


def stocks(seed):
    """Windows of 24 trading days, relative to the first."""
    data = load_stocks()
    return windows(relative_prices(data.train.values), relative_prices(data.hold_out.values), seed)


def days(seed):
    """Days of meters by the hour."""
    data = load_energy()
    train, test = (part.values[:, ::4] for part in (data.train, data.hold_out))
    return windows(train, test, seed)


SETS = {"processes": processes, "hopper": hopper, "stocks": stocks, "days": days}
METHODS = {
    "lines": None,
    "one Gaussian": lambda seed: ScoreSeries("mixture", n_components=1, random_state=seed),
    "mixture": lambda seed: ScoreSeries("mixture", random_state=seed),
    "network": lambda seed: ScoreSeries("network", random_state=seed),
    "NeuralSDEInterpolator": lambda seed: NeuralSDEInterpolator(random_state=seed),
}


def by_lines(shown, train):
    """Lines through the known values of a channel; the training mean where there is none."""
    values = shown.values.copy()
    for i, c in np.ndindex(len(shown), shown.shape[2]):
        known = ~np.isnan(values[i, :, c])
        t = shown.times[i]
        values[i, :, c] = (
            np.interp(t, t[known], values[i, known, c])
            if known.any()
            else np.nanmean(train.values[:, :, c])
        )
    return np.repeat(values[None], 2, axis=0)


def imputation(name, method, seed):
    """One row: mean CRPS of hidden values for every mask."""
    train, test, masks = SETS[name](seed)
    start, make = time.process_time(), METHODS[method]
    model = None if make is None else make(seed).fit(train)
    row = {"seconds": time.process_time() - start}
    scale = np.nanstd(train.values, axis=(0, 1))
    for mask, hidden in masks.items():
        shown = test.with_values(np.where(hidden, np.nan, test.values))
        drawn = (
            by_lines(shown, train)
            if model is None
            else model.interpolate(shown, test.times, DRAWS, random_state=0).samples.swapaxes(0, 1)
        )
        row[mask] = float(np.mean(crps((drawn / scale)[:, hidden], (test.values / scale)[hidden])))
    return row | _of_network(model)


def _of_network(model):
    if not isinstance(model, ScoreSeries):
        return {}
    kept = {"parts": len(model.model_.knots.mixture.weights)}
    if model.losses_:
        kept |= {"network": model.model_.network is not None, "steps": model.history_[-1]["step"]}
        kept |= {"loss": float(model.losses_["loss"].mean()), "copies": model.memorisation_}
    return kept


GENERATORS = {
    "mixture": lambda seed: ScoreSeries("mixture", random_state=seed),
    "network": lambda seed: ScoreSeries("network", random_state=seed),
    "DirectedChainGenerator": lambda seed: DirectedChainGenerator(random_state=seed),
    "other weeks": None,
}


def generation(method, seed):
    """One row: flags of the report on stocks, and the area under the curve of a classifier."""
    data = load_stocks()
    train, held = (relative_prices(part.values) for part in (data.train, data.hold_out))
    series = IrregularSeries.from_arrays(np.arange(24.0), train)
    start, make = time.process_time(), GENERATORS[method]
    if make is None:
        rows = np.random.default_rng(seed).permutation(len(train))[: len(held)]
        drawn = train[rows]
    else:
        drawn = make(seed).fit(series).sample(len(held)).values
    seconds = time.process_time() - start
    # windows overlap: those of one block belong to one fold
    report = generation_report(train, held, drawn, groups=(data.train_groups, data.hold_out_groups))
    return {"seconds": seconds, "auc": report["c2st_auc"].value, "flags": sorted(report.flags)}


def weather(method, seed):
    """One row: the area under the curve of a classifier for days at three airports."""
    train, real, train_dates, dates = weather_days()
    # drawn days are each a group; days drawn again keep theirs
    groups = np.arange(len(real))
    start, make = time.process_time(), GENERATORS[method]
    if make is None:
        rows = np.random.default_rng(seed).permutation(len(train))[: len(real)]
        drawn, groups = np.stack(train)[rows], train_dates[rows]
    else:
        series = IrregularSeries.from_arrays(np.arange(24.0), np.stack(train))
        drawn = make(seed).fit(series).sample(len(real)).values
    seconds = time.process_time() - start
    auc = classifier_auc(np.stack(real), drawn, dates, groups, range(3)).value
    return {"seconds": seconds, "auc": auc}


GENERATED = {"generation": generation, "weather": weather}


def main(path, *words):
    """Compute what is missing, and print the table."""
    only = {word.split("=")[1] for word in words if word.startswith("method=")}
    sets = [word for word in words if "=" not in word] or [*SETS, *GENERATED]
    file = Path(path)
    known = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["set"], row["method"], row["seed"]) for row in known}
    for name in sets:
        methods = GENERATORS if name in GENERATED else METHODS
        for method in methods:
            for seed in (0, 1, 2) if method != "NeuralSDEInterpolator" else (0,):
                if (name, method, seed) in done or (only and method not in only):
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    row = (
                        GENERATED[name](method, seed)
                        if name in GENERATED
                        else imputation(name, method, seed)
                    )
                line = json.dumps({"set": name, "method": method, "seed": seed, **row})
                print(line, flush=True)
                with file.open("a") as out:
                    out.write(line + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
