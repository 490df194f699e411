"""Populations that grow: learned rates and held-out snapshots, beside fits that leave growth out.

    TRAJINFER_DATA=/path/to/data python examples/reproduce/growth.py [name ...]

Default settings but for `growth=`, three seeds, means and spread. Held-out W1 is between the
snapshot and as many drawn points as the line has, mass the learned one over the number of cells
counted there. "balanced" leaves growth out; the exact-OT line joins the neighbouring snapshots
along their optimal coupling.
Where the truth is known: rank correlation with the true rate over all points; of two Gaussians in
many coordinates the share of the later population that descends from the one that grows, and how
much of either crosses over; and `simulated`, two populations that move, divide and die alike, the
one seen before, the other after, with the logarithm of expected descendants. One thread.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.evaluation import exact_line
from trajinfer.metrics import score_of
from trajinfer.processes import AffineDrift

SEEDS = (0, 1, 2)
HELD_OUT = ("gene_growth_2d_ruot", "mouse_blood_2d_ruot", "emt_10d_ruot")
MIXTURES = ("gaussian_growth_10d_ruot", "gaussian_growth_50d_ruot")
GAP = 1.25  # of the second coordinate, between the two Gaussians
SIMULATED = {2: (0, 1, 2, 3), 5: (0, 1, 2, 3)}
RATE, BEND, PULL, SHIFT, NOISE = 1.2, 1.5, -0.2, 0.8, 0.3
INDIVIDUALS, STEPS = 600, 200


def main(names: list[str]) -> None:
    """Print a table of held-out snapshots, one of Gaussians, one of simulated populations."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| data | time | W1 growth | W1 balanced | W1 line | mass | rank corr. | fit CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for name in HELD_OUT:
        if not names or name in names:
            held_out(name)
    print("\n| data | true share | learned share | balanced | crosses over | fit CPU s |")
    print("|---|---|---|---|---|---|")
    for name in MIXTURES:
        if not names or name in names:
            two_gaussians(name)
    if not names or "simulated" in names:
        print("\n| dimensions | correlation with log growth | slope | fit CPU s |")
        print("|---|---|---|---|")
        for dim, seeds in SIMULATED.items():
            simulated(dim, seeds)


def held_out(name: str) -> None:
    """One row per held-out time."""
    train, held = read(name)
    grown, seconds = zip(*(fitted(train, "learn", seed) for seed in SEEDS), strict=True)
    balanced = [fitted(train, None, seed)[0] for seed in SEEDS]
    everything = np.concatenate([*train.points, *held.points])
    for label, points in zip(held.labels, held.points, strict=True):
        joined = exact_line(train, float(label))
        line, n = score_of("w1", joined, (points, None)), len(joined[0])
        scores = [
            [score_of("w1", (b.marginal(label, n), None), (points, None)) for b in fits]
            for fits in (grown, balanced)
        ]
        counted = len(points) / len(train.points[0])
        mass = [float(b.mass([label])[0]) / counted for b in grown]
        rank = "-"
        if name.startswith("gene"):
            square = everything[:, 1] ** 2
            rates = [b.growth_rate(everything, label) for b in grown]
            rank = spread([float(spearmanr(r, square / (1 + square))[0]) for r in rates])
        print(
            f"| {name} | {label:g} | {spread(scores[0])} | {spread(scores[1])} | {line:.4f} | "
            f"{spread(mass)} | {rank} | {np.mean(seconds):.1f} |",
            flush=True,
        )


def two_gaussians(name: str) -> None:
    """One row: who the later population descends from."""
    data, _ = read(name)
    before, after = ({"grows": x[:, 1] > GAP, "moves": x[:, 1] <= GAP} for x in data.points)
    shares: dict[str | None, list[float]] = {"learn": [], None: []}
    crossing, seconds = [], []
    for growth, found in shares.items():
        for seed in SEEDS:
            bridge, taken = fitted(data, growth, seed)
            found.append(float(bridge.coupling(0).sum(1)[before["grows"]].sum()))
            if growth is not None:
                table = bridge.transition_table(before, after, t0=0, t1=1)
                crossing.append(max(table.loc["grows", "moves"], table.loc["moves", "grows"]))
                seconds.append(taken)
    print(
        f"| {name} | {after['grows'].mean():.3f} | {spread(shares['learn'])} | "
        f"{spread(shares[None])} | {spread(crossing)} | {np.mean(seconds):.1f} |",
        flush=True,
    )


def simulated(dim: int, seeds: tuple[int, ...]) -> None:
    """One row: log descendants of every individual of the first snapshot against the truth."""
    matrix, offset = np.zeros((dim, dim)), np.zeros(dim)
    matrix[0, 0], offset[1] = PULL, SHIFT
    correlations, slopes, times = [], [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        start = rng.standard_normal((INDIVIDUALS, dim))
        later = grown(rng.standard_normal((INDIVIDUALS, dim)), rng)
        reference = AffineDrift(dim, matrix, offset, volatility=NOISE)
        bridge, seconds = fitted(Snapshots([0.0, 1.0], [start, later]), "learn", seed, reference)
        share = bridge.coupling(0).sum(1)  # of the later population, by ancestor
        found, truth = np.log(share * len(later)), log_descendants(start[:, 0])
        times.append(seconds)
        correlations.append(float(np.corrcoef(found, truth)[0, 1]))
        slopes.append(float(np.polyfit(truth, found, 1)[0]))
    print(f"| {dim} | {spread(correlations)} | {spread(slopes)} | {np.mean(times):.1f} |")


def grown(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The population at time 1 that individuals at x become: they move, divide and die."""
    h = 1 / STEPS
    for _ in range(STEPS):
        happens = rng.random(len(x)) < h * np.abs(rate(x[:, 0]))
        divides = happens & (x[:, 0] > 0)
        x = np.concatenate([x[~happens | divides], x[divides]])
        x = x + NOISE * h**0.5 * rng.standard_normal(x.shape)
        x[:, 0] += h * PULL * x[:, 0]
        x[:, 1] += h * SHIFT
    return x


def rate(x: np.ndarray) -> np.ndarray:
    """Net rate of divisions by the first coordinate."""
    return RATE * np.tanh(BEND * x)


def log_descendants(x: np.ndarray) -> np.ndarray:
    """Logarithm of the expected number at time 1, by backward steps on a grid."""
    h = 1 / STEPS
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    axis = np.linspace(-7, 7, 1401)
    moved = (1 + h * PULL) * axis[:, None] + NOISE * h**0.5 * nodes
    number = np.ones_like(axis)
    for _ in range(STEPS):
        number = np.exp(h * rate(axis)) * (np.interp(moved, axis, number) @ weights) / weights.sum()
    return np.log(np.interp(x, axis, number))


def fitted(data: Snapshots, growth: str | None, seed: int, reference: object = None):
    """A bridge and the CPU seconds of its fit."""
    begun = time.process_time()
    bridge = SchrodingerBridge(reference, growth=growth, random_state=seed).fit(data)
    return bridge, time.process_time() - begun


def read(name: str) -> tuple[Snapshots, Snapshots | None]:
    """Training and held-out snapshots; numbers of cells are population sizes."""
    folder = os.environ.get("TRAJINFER_DATA")
    if folder is None:
        sys.exit(f"this script needs {name}.npz: set TRAJINFER_DATA to the data folder")
    data = np.load(Path(folder) / "snapshots" / f"{name}.npz", allow_pickle=False)
    clouds = [data[f"x_{k}"] for k in range(len(data["times"]))]
    everything, split = Snapshots(data["times"], clouds), data["split"]
    held = everything.select(data["times"][split == 1]) if (split == 1).any() else None
    return everything.select(data["times"][split == 0]), held


def spread(values: list[float]) -> str:
    """Mean and standard deviation in words."""
    return f"{np.mean(values):.4f} ({np.std(values):.4f})"


if __name__ == "__main__":
    main(sys.argv[1:])
