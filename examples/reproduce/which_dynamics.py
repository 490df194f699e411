"""The ablation of docs/which-dynamics.md: control path and noise, in and out, per dynamics.

    python examples/reproduce/which_dynamics.py results.jsonl [at most so many new cells]

Half of the observations of each channel are dropped; every variant sees the same data and the same
settings. A cell that is in the file is not computed again, so a run can be continued. Prints the
table of what is there. Needs the data of the package aeon.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
from sklearn.base import clone

from trajinfer import NeuralSDEClassifier, datasets
from trajinfer.evaluation.series import MiniRocket, NearestNeighbour

EPOCHS = {"basic_motions": 300, "italy_power_demand": 400}
SEEDS = (0, 1, 2)
RATE = 0.5
STABLE = ("langevin", "linear_noise", "geometric")
VARIANTS = {
    **{name: {"dynamics": name} for name in STABLE},
    "langevin, no control": {"dynamics": "langevin", "control": False},
    "langevin, no noise": {"dynamics": "langevin", "stochastic": False},
    "free, no control": {"dynamics": "free"},
    "free": {"dynamics": "free", "control": True},
    "gru": {"dynamics": "gru"},
    "cde": {"dynamics": "cde"},
    "ode, no control": {"dynamics": "ode"},
    **{f"{name}, no noise": {"dynamics": name, "stochastic": False} for name in STABLE[1:]},
    **{f"{name}, no control": {"dynamics": name, "control": False} for name in STABLE[1:]},
}
BESIDE = {"MiniRocket": MiniRocket(random_state=0), "nearest neighbour": NearestNeighbour()}


def cells():
    for seed in SEEDS:
        for name in EPOCHS:
            for variant in (*VARIANTS, *BESIDE):
                yield {"set": name, "variant": variant, "seed": seed}


def score(cell):
    data = datasets.load_labelled_series(cell["set"])
    seed, variant = cell["seed"], cell["variant"]
    train = data.train.drop_observations(RATE, 2 * seed)
    test = data.test.drop_observations(RATE, 2 * seed + 1)
    if variant in VARIANTS:
        model = NeuralSDEClassifier(
            **VARIANTS[variant],
            max_epochs=EPOCHS[cell["set"]],
            experts=(),
            validation=0.15,
            random_state=seed,
        )
    else:
        model = clone(BESIDE[variant])
    started = time.process_time()
    model.fit(train, train.labels)
    seconds = time.process_time() - started
    return {**cell, "accuracy": float((model.predict(test) == test.labels).mean()), "cpu": seconds}


def main(path, most=None):
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {(row["set"], row["variant"], row["seed"]) for row in done}
    missing = [cell for cell in cells() if tuple(cell.values()) not in known]
    for cell in missing[:most]:
        done.append(score(cell))
        with path.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
    table = pd.DataFrame(done)
    shown = table.pivot_table(
        index="variant", columns="set", values="accuracy", aggfunc=["mean", "std"], sort=False
    )
    print(shown.round(3).to_string())
    print(f"{table['cpu'].sum() / 60:.1f} CPU minutes, seeds {sorted(table['seed'].unique())}")


main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
