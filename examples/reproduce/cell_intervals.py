"""Do intervals of fates hold the truth? Two fates whose probabilities are known in closed form.

    python examples/reproduce/cell_intervals.py

Cells diffuse on a line, and the fate of a cell is the side on which it stands at the end, so that a
cell at x ends on the right with probability Phi(x / (sigma sqrt(T))). Sixty data sets of 60 and
60 cells; in each, intervals as they are by default (90 %) for five cells at the same places.
"""

from __future__ import annotations

import time

import numpy as np
from scipy.stats import norm

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.evaluation import cell_intervals
from trajinfer.processes import Brownian

SETS, N, VOLATILITY = 60, 60, 0.8
PROBE = np.linspace(-1, 1, 5)


def share_on_the_right(bridge: SchrodingerBridge) -> np.ndarray:
    """Probability of the right side, for the five cells."""
    fates = bridge.fates({"right": lambda x: x[:, 0] > 0}, t0=0, t1=1)
    return fates["right"].to_numpy()[: len(PROBE)]


def main() -> None:
    """Simulate, ask, count."""
    truth = norm.cdf(PROBE / VOLATILITY)
    begun, held, width = time.process_time(), [], []
    for seed in range(SETS):
        rng = np.random.default_rng(seed)
        start = np.concatenate([PROBE, rng.normal(0, 1, N)])[:, None]
        end = rng.normal(0, 1, (N, 1)) + VOLATILITY * rng.normal(size=(N, 1))
        bridge = SchrodingerBridge(Brownian(volatility=VOLATILITY), random_state=0)
        bridge.fit(Snapshots([0.0, 1.0], [start, end]))
        low, high = cell_intervals(bridge, share_on_the_right, random_state=seed)
        held.append((low <= truth) & (truth <= high))
        width.append(high - low)
    seconds = time.process_time() - begun
    print(f"coverage {np.mean(held):.3f}, by cell {np.mean(held, axis=0).round(2)}")
    error = np.std(np.mean(held, axis=1), ddof=1) / np.sqrt(SETS)
    print(f"standard error {error:.3f}, mean width {np.mean(width):.3f}, {seconds:.0f} CPU seconds")


if __name__ == "__main__":
    main()
