"""What the report says of generators whose faults are known; prints a table, about 6 minutes.

Each row is one report on 2048 generated series against 2048 held-out ones, 6144 training series.
"""

import sys

import numpy as np

from trajinfer.datasets import follow_opinions, make_opinion_dynamics
from trajinfer.evaluation import generation_report

N = 2048
COLUMNS = ("c2st_auc", "ks_mean", "acf", "nearest_ratio", "copy_share", "dependence")


def generators(crowd):
    """Names, synthetic series, and the path each was made from where there is one."""
    rng = np.random.default_rng(0)
    train = crowd.train.values
    for seed in (1, 2, 3):
        fresh = follow_opinions(crowd, N, random_state=seed).values
        yield f"exact simulator, seed {seed}", fresh, train[:N]
    yield "the training set", train[:N], None
    yield "training set + N(0, .05)", train[:N] + rng.normal(0, 0.05, (N, 101, 1)), None
    yield "noise x 1.05", follow_opinions(crowd, N, noise=1.05, random_state=4).values, None
    yield "drift x .93", follow_opinions(crowd, N, pull=0.93, random_state=5).values, None
    pool = follow_opinions(crowd, 3 * N, random_state=6).values
    upper, lower = (pool[side * pool[:, 70, 0] > 0] for side in (1, -1))
    yield "one mode", upper[:N], None
    weights = round(0.6 * N)
    yield "modes 60 : 40", np.concatenate([upper[:weights], lower[: N - weights]]), None
    yield "shuffled time", pool[:N][:, rng.permutation(101)], None
    # Same batch as neighbour and target: copying is rewarded, paths lean on their neighbour.
    leaning = np.sqrt(1 - 0.446**2) * (fresh - fresh.mean(0)) + 0.446 * (train[:N] - fresh.mean(0))
    yield "leans on its neighbour", fresh.mean(0) + leaning, train[:N]


def main():
    crowd = make_opinion_dynamics(8192, random_state=0)
    chosen = sys.argv[1:]
    print("| generator |", " | ".join(COLUMNS), "| flags |")
    for name, series, partners in generators(crowd):
        if chosen and name not in chosen:
            continue
        report = generation_report(
            crowd.train, crowd.hold_out, series, neighbours=partners, n_seeds=5
        )
        table = report.to_frame()["value"]
        cells = [f"{table[c]:.3f}" if c in table else "" for c in COLUMNS]
        flags = ", ".join(sorted(report.flags)) or "none"
        print(f"| {name} |", " | ".join(cells), f"| {flags} |", flush=True)


if __name__ == "__main__":
    main()
