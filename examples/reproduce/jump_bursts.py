"""Jump processes seen in bursts: do the intervals cover, and is the likelihood the best there is?

    python examples/reproduce/jump_bursts.py [DATA SETS]

Sixty paths are seen in three bursts of ten labels an hour apart; the bursts are 1, 30, 1000 and
50 000 hours apart. Printed for two and for three states: the share of data sets in which the 95 %
interval of each rate covers it, of those in which all do, and the most that the likelihood of the
default method falls below the best of the other methods, in nats.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

from trajinfer import MarkovJumpProcess, jumps

N_SETS, N_PATHS = 100, 60
RATIOS = (1, 30, 1000, 50_000)
OTHERS = ("mle", "em", "map", "amortized")
RATES = {
    "two states": np.array([[-0.3, 0.3], [0.6, -0.6]]),
    "three states": np.array([[-0.5, 0.4, 0.1], [0.2, -0.5, 0.3], [0.1, 0.6, -0.7]]),
}


def hours(ratio: float) -> np.ndarray:
    """Three bursts of ten hours; the last of one and the first of the next are `ratio` apart."""
    return np.concatenate([np.arange(10.0) + burst * (9 + ratio) for burst in range(3)])


def judged(rates: np.ndarray, ratio: float, seed: int) -> tuple[np.ndarray, float]:
    """Which rates the intervals cover, and the fall below the best likelihood."""
    n = len(rates)
    start = MarkovJumpProcess.from_rates(rates).stationary_distribution()
    seen = jumps.simulate(rates, start, N_PATHS, hours(ratio), random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MarkovJumpProcess(n, random_state=0).fit(seen)
        best = max(
            MarkovJumpProcess(n, method=method, random_state=0).fit(seen).log_likelihood_
            for method in OTHERS
        )
    links = ~np.eye(n, dtype=bool)
    low, high = model.intervals_[links].T
    return (low <= rates[links]) & (rates[links] <= high), best - model.log_likelihood_


def main(n_sets: int) -> None:
    for name, rates in RATES.items():
        for ratio in RATIOS:
            found = [judged(rates, ratio, seed) for seed in range(n_sets)]
            covered = np.array([inside for inside, _ in found])
            each = " ".join(f"{share:.2f}" for share in covered.mean(axis=0))
            fall = max(fall for _, fall in found)
            print(
                f"{name}, ratio {ratio}: covered {each}, all {covered.all(axis=1).mean():.2f}; "
                f"falls at most {fall:.3f} below the best",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N_SETS)
