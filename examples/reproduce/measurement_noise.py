"""Parameters from snapshots measured with noise: told its size, not told, and without noise.

    python examples/reproduce/measurement_noise.py

200 independent individuals at each of five times, six sets. The noise has a standard deviation of
.3, more than the processes themselves add between two snapshots. Every row is the mean over the
sets of the parameters over the true ones, with its standard error.
"""

from __future__ import annotations

import numpy as np

from trajinfer import SchrodingerBridge, Snapshots, simulate
from trajinfer.processes import AffineDrift, LotkaVolterra

N, SETS, NOISE, STEPS_PER_UNIT = 200, 6, 0.3, 100
TURN = np.array([[-0.5, 2.0], [-2.0, -0.5]])
RATES = {"alpha": 1.0, "beta": 0.4, "delta": 0.1, "gamma": 0.4}


def matrix_shares(bridge: SchrodingerBridge) -> np.ndarray:
    """Entries of the matrix over the true ones."""
    return np.ravel(bridge.parameters_["matrix"] / TURN)


def rate_shares(bridge: SchrodingerBridge) -> np.ndarray:
    """Rates over the true ones."""
    return np.array([bridge.parameters_[name] / value for name, value in RATES.items()])


CASES = {
    "rotation": (
        AffineDrift(2, TURN, [0, 0], volatility=[0.3, 0.6]),
        AffineDrift(2, volatility=[0.3, 0.6]),
        lambda rng: rng.normal([2, 0], np.sqrt(0.1), (N, 2)),
        np.linspace(0, 2, 5),
        matrix_shares,
    ),
    "Lotka-Volterra": (
        LotkaVolterra(**RATES, volatility=0.1),
        LotkaVolterra(volatility=0.1),
        lambda rng: np.array([5, 4]) + rng.uniform(0, 0.1, (N, 2)),
        np.linspace(0, 8, 5),
        rate_shares,
    ),
}


def main() -> None:
    """Simulate, fit three times, compare."""
    for name, (truth, reference, start, times, shares) in CASES.items():
        found: dict[str, list[np.ndarray]] = {"no noise": [], "not told": [], "told": []}
        for seed in range(10, 10 + SETS):
            rng = np.random.default_rng(seed)
            clean = []
            for t in times:
                grid = np.linspace(0, t, 2 + int(t * STEPS_PER_UNIT))
                x = start(rng)
                drawn = simulate(truth, x, grid, N, int(rng.integers(1e9))) if t else None
                clean.append(x if drawn is None else drawn.values[:, -1])
            noisy = [x + NOISE * rng.normal(size=x.shape) for x in clean]
            kinds = (("no noise", clean, None), ("not told", noisy, None), ("told", noisy, NOISE))
            for kind, points, noise in kinds:
                bridge = SchrodingerBridge(reference, measurement_noise=noise, random_state=0)
                found[kind].append(shares(bridge.fit(Snapshots(times, points))))
        print(name)
        for kind, rows in found.items():
            error = np.std(rows, axis=0, ddof=1) / np.sqrt(SETS)
            print(f"  {kind:>9}: {np.mean(rows, axis=0).round(3)} +- {error.round(3)}")


if __name__ == "__main__":
    main()
