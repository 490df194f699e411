"""Volatility chosen from snapshots of processes whose volatility is known.

    python examples/reproduce/volatility.py

200 independent individuals at each of five times, four seeds. Every row is a coordinate: learned
and corrected volatility over the true one, and the standard error likewise.
"""

from __future__ import annotations

import time

import numpy as np

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.evaluation import choose_volatility
from trajinfer.processes import AffineDrift, LotkaVolterra

N, STEPS_PER_UNIT = 200, 200
TURN = np.array([[-0.5, 1.0], [-1.0, -0.5]])


def turning(x: np.ndarray) -> np.ndarray:
    """A rotation that contracts."""
    return x @ TURN.T


def predators(x: np.ndarray) -> np.ndarray:
    """Hares and lynxes."""
    both = x[:, 0] * x[:, 1]
    return np.stack([x[:, 0] - 0.4 * both, 0.1 * both - 0.4 * x[:, 1]], axis=1)


CASES = {
    "rotation": (turning, AffineDrift(2), [2.0, 0.0], 0.3, [0.3, 0.6], np.linspace(0, 4, 5)),
    "Lotka-Volterra": (predators, LotkaVolterra(), [5, 4], 0.1, [0.1, 0.1], np.linspace(0, 8, 5)),
}


def main() -> None:
    """Choose, compare."""
    for name, (drift, reference, middle, spread, volatility, times) in CASES.items():
        for seed in range(4):
            rng = np.random.default_rng(seed)
            clouds = []
            for t in times:
                x = np.array(middle) + rng.normal(0, spread, (N, 2))
                for _ in range(round(t * STEPS_PER_UNIT)):
                    noise = rng.normal(size=x.shape) * np.sqrt(1 / STEPS_PER_UNIT)
                    x = x + drift(x) / STEPS_PER_UNIT + np.array(volatility) * noise
                clouds.append(x)
            begun = time.process_time()
            bridge = SchrodingerBridge(reference, random_state=0)
            choice = choose_volatility(bridge, Snapshots(times, clouds), random_state=0)
            seconds = time.process_time() - begun
            shares = choice.likelihood[["learned", "corrected", "error"]].div(volatility, axis=0)
            print(f"{name}, seed {seed}, {seconds:.0f} CPU seconds")
            print(shares.round(3).assign(settled=choice.likelihood["settled"]))
            print(f"predicts best: {choice.predictive.round(3)}\n", flush=True)


if __name__ == "__main__":
    main()
