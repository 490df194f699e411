"""Held-out W2 of interpolants on published snapshots, beside the bridge to Brownian motion.

    TRAJINFER_DATA=/path/to/data python examples/reproduce/interpolants.py [name ...]

Default settings, no volatility given, three seeds, 1000 particles; W2 is the mean over the held-out
times. Seconds are those of the processor while fitting, on one thread.
"""

import sys
import time

import numpy as np
import torch

from trajinfer import SchrodingerBridge, StochasticInterpolant
from trajinfer.datasets import fetch_snapshots
from trajinfer.evaluation import exact_line
from trajinfer.metrics import score_of

NAMES = ("gom_200", "hesc_pca5_sbirr", "eb_pca5_sbirr", "lv_200")
METHODS = {
    "bridge": SchrodingerBridge,
    "closed form": lambda **words: StochasticInterpolant(model="mixture", **words),
    "network": StochasticInterpolant,
    "exact coupling": lambda **words: StochasticInterpolant(coupling="exact", **words),
}


def main(names: list[str]) -> None:
    """Print one row per set and method."""
    torch.set_num_threads(1)
    print("| data | method | W2 | seeds' spread | fit s |")
    print("|---|---|---|---|---|")
    for name in names or NAMES:
        data = fetch_snapshots(name, download_if_missing=False)
        train, held_out = data.train, data.held_out
        clouds = list(zip(held_out.times, held_out.labels, held_out.points, strict=True))
        line = [score_of("w2", exact_line(train, t), (cloud, None)) for t, _, cloud in clouds]
        print(f"| {name} | exact line | {np.mean(line):.4f} | | |")
        for method, make in METHODS.items():
            scores, seconds = [], []
            for seed in range(3):
                started = time.process_time()
                model = make(random_state=seed).fit(train)
                seconds.append(time.process_time() - started)
                drawn = [(model.marginal(label), cloud) for _, label, cloud in clouds]
                scores.append(np.mean([score_of("w2", (x, None), (y, None)) for x, y in drawn]))
            print(
                f"| {name} | {method} | {np.mean(scores):.4f} | {np.std(scores):.4f} "
                f"| {np.mean(seconds):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
