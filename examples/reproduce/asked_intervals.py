"""Coverage of 90 % intervals of answers that carry the uncertainty of the fit.

    python examples/reproduce/asked_intervals.py [data sets, 100] [draws, 100] [case ...]

Data sets are simulated from an Ornstein-Uhlenbeck process, a double well and a chain of four
states, and fitted; a fate, a mean passage time and the probability to exceed a level are asked of
the fit, and of the truth. Intervals are over draws of the parameters, or rates, with their errors.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from trajinfer import MarkovJumpProcess, SchrodingerBridge, ValueFunction
from trajinfer import functionals as F
from trajinfer.functionals import fit_interval
from trajinfer.markov import simulate as simulate_jumps
from trajinfer.processes import DoubleWell, OrnsteinUhlenbeck, Process, simulate

RATES = np.array(
    [[-1.0, 0.6, 0.4, 0.0], [0.5, -1.2, 0.3, 0.4], [0.0, 0.7, -1.0, 0.3], [0.2, 0.0, 0.3, -0.5]]
)
"""Rates of the chain, one of which is zero."""

TIMES = np.linspace(0.0, 2.0, 5)
N_POINTS = 100
LINE = {
    "fate": (F.hitting_probability(F.above(1.0), before=F.below(-1.0)), [[0.3]]),
    "mean time": (F.hitting_time(F.outside(-1.0, 1.0)), [[0.0]]),
    "exceedance": (F.exceedance(0.5, 1.0), [[0.0]]),
}
CHAIN = {
    "fate": (F.hitting_probability(F.states(3), before=F.states(0)), [1]),
    "mean time": (F.hitting_time(F.states([0, 3])), [1]),
    "exceedance": (F.hitting_probability(F.states(3), horizon=1.0), [1]),
}


def ornstein_uhlenbeck(seed: int) -> SchrodingerBridge:
    """A fit to snapshots."""
    truth = OrnsteinUhlenbeck(1.0, 0.2, volatility=0.8)
    return _bridge(truth, OrnsteinUhlenbeck(volatility=0.8), seed)


def double_well(seed: int) -> SchrodingerBridge:
    """A fit to snapshots."""
    return _bridge(DoubleWell(1.0, 1.0, volatility=0.7), DoubleWell(volatility=0.7), seed)


def _bridge(truth: Process, reference: Process, seed: int) -> SchrodingerBridge:
    rng = np.random.default_rng(seed)
    points = []
    for t in TIMES:  # other particles at every time, as in snapshots
        starts = rng.normal(0.0, 0.5, (N_POINTS, 1))
        grid = np.array([0.0, max(t, 1e-9)])
        paths = simulate(truth, starts, grid, N_POINTS, random_state=int(rng.integers(2**31)))
        points.append(paths.values[:, -1])
    bridge = SchrodingerBridge(reference, random_state=0)
    return bridge.fit(np.concatenate(points), np.repeat(TIMES, N_POINTS))


def chain(seed: int) -> MarkovJumpProcess:
    """A fit with draws of its rates."""
    paths = simulate_jumps(RATES, [0.25] * 4, 100, np.arange(13) / 2, random_state=seed)
    return MarkovJumpProcess(method="mle", random_state=0).fit(paths)


CASES: dict[str, tuple[object, Callable[[int], object], dict[str, tuple[object, object]]]] = {
    "chain": (RATES, chain, CHAIN),
    "OU": (OrnsteinUhlenbeck(1.0, 0.2, volatility=0.8), ornstein_uhlenbeck, LINE),
    "double well": (DoubleWell(1.0, 1.0, volatility=0.7), double_well, LINE),
}


GRID = {"resolution": 80, "domain": ([-4.0], [4.0])}
"""Of the exceedance of a level by a diffusion; the states are within 2.5."""


def main(n_sets: int, draws: int, chosen: list[str]) -> None:
    """Fit, ask, count."""
    for case in chosen:
        truth, fitted, questions = CASES[case]
        right = {
            name: float(ValueFunction(q).fit(truth, None if case == "chain" else x).predict(x)[0])
            for name, (q, x) in questions.items()
        }
        inside: dict[str, list[bool]] = {name: [] for name in questions}
        ratio: dict[str, list[float]] = {name: [] for name in questions}
        begun = time.process_time()
        for seed in range(n_sets):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = fitted(seed)
                for name, (question, x) in questions.items():
                    grid = GRID if name == "exceedance" and case != "chain" else {}
                    answer = fit_interval(question, fit, x, n=draws, random_state=seed, **grid)
                    inside[name].append(bool(answer.lower[0] <= right[name] <= answer.upper[0]))
                    ratio[name].append(float(answer.value[0]) / right[name])
            if (seed + 1) % 20 == 0 or seed + 1 == n_sets:
                report(case, right, inside, ratio, time.process_time() - begun)


def report(
    case: str,
    right: dict[str, float],
    inside: dict[str, list[bool]],
    ratio: dict[str, list[float]],
    spent: float,
) -> None:
    """What was found so far."""
    for name, truth in right.items():
        print(
            f"{case:12s} {name:11s} truth {truth:.4f}"
            f"  covered {np.mean(inside[name]):.2f}"
            f"  mean of fit / truth {np.mean(ratio[name]):.3f} (sd {np.std(ratio[name]):.3f})"
        )
    print(f"{case}: {len(inside[name])} data sets, {spent:.0f} CPU seconds", flush=True)


if __name__ == "__main__":
    words = sys.argv[1:]
    numbers = [int(word) for word in words if word.isdigit()]
    named = [word for word in words if not word.isdigit()]
    main(*(numbers + [100, 100][len(numbers) :])[:2], named or list(CASES))
