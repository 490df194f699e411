"""What the report says of generators whose faults are known; prints a table, about 10 minutes.

Each row is one report on 2048 generated series against 2048 held-out ones, 6144 training series.
"""

import sys

import numpy as np

from trajinfer import DirectedChainGenerator
from trajinfer.datasets import follow_opinions, make_opinion_dynamics
from trajinfer.evaluation import generation_report
from trajinfer.generation import ExpectedSignature

N = 2048
COLUMNS = ("c2st_auc", "ks_mean", "acf", "nearest_ratio", "copy_share", "dependence")


def generators(crowd):
    """Names, synthetic series, and the path each was made from where there is one."""
    rng = np.random.default_rng(0)
    train = crowd.train.values
    for seed in (1, 2, 3):
        fresh = follow_opinions(crowd, N, random_state=seed).values
        yield f"exact simulator, seed {seed}", fresh, train[(seed - 1) * N : seed * N]
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
    yield "trained on its own neighbours", *one_link(crowd)


def one_link(crowd):
    """Paths of a chain whose targets were its neighbours, as once published, and the neighbours."""
    loss = ExpectedSignature(
        n_steps=500, batch_size=128, lr=3e-3, depth=6, stride=4, unbiased=False, shared_batch=True
    )
    chain = DirectedChainGenerator(loss=loss, neighbour="one", chain_steps=1, random_state=0)
    first, second = chain.fit(crowd.train).walk(N, 2)
    return second.values, first.values


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
