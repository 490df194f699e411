"""Bridges as large as an atlas: `python examples/reproduce/atlas.py [CELLS] [DIMENSIONS]`.

Five snapshots of other individuals of one population, whose law is known: five Gaussian clouds
carried along by an affine SDE (a rotation of 1.5 in every pair of coordinates, a contraction of .3,
volatility .5, half a unit of time from one to the next). The true reference is given, so that what
follows a point is known exactly: its mean, and noise of one unit in every whitened direction. A
table has, per segment, the error of the mean in these units (0 is right, 1 would be noise alone)
and the mean square of the noise that paths have there (1 is right). Then seconds, and how much
memory came on top of the data.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import torch
from scipy.linalg import expm

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.processes import AffineDrift

TIMES, GAP = 5, 0.5
ROTATION, CONTRACTION, VOLATILITY = 1.5, 0.3, 0.5
ASKED, DRAWS = 2000, 8000


def matrix(dim: int) -> np.ndarray:
    """The drift: a rotation in every pair of coordinates, and a contraction."""
    turn = np.kron(np.eye(dim // 2), [[0.0, -1.0], [1.0, 0.0]])
    return ROTATION * turn - CONTRACTION * np.eye(dim)


def population(n: int, dim: int, rng: np.random.Generator) -> Snapshots:
    """Snapshots of n individuals each, nobody in two of them."""
    centers = rng.normal(0, 1.5, (5, dim))
    moved, spread = expm(GAP * matrix(dim)), deviation()
    clouds = []
    for k in range(TIMES):
        points = centers[rng.integers(5, size=n)] + 0.5 * rng.normal(size=(n, dim))
        for _ in range(k):
            points = points @ moved.T + spread * rng.normal(size=(n, dim))
        clouds.append(points)
    return Snapshots(GAP * np.arange(TIMES), clouds)


def deviation() -> float:
    """Of the noise that a segment adds; the drift is normal, so that it is one number."""
    return VOLATILITY * float(np.sqrt(-np.expm1(-2 * CONTRACTION * GAP) / (2 * CONTRACTION)))


def megabytes() -> float:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(n: int = 100_000, dim: int = 50) -> None:
    """Fit, and print what came out."""
    rng = np.random.default_rng(0)
    data = population(n, dim, rng)
    held = megabytes()
    began, clock = time.process_time(), time.perf_counter()
    reference = AffineDrift(dim, matrix=matrix(dim), offset=np.zeros(dim))
    bridge = SchrodingerBridge(reference, volatility=VOLATILITY, random_state=0).fit(data)
    spent, passed = time.process_time() - began, time.perf_counter() - clock
    moved, spread = expm(GAP * matrix(dim)), deviation()
    print("segment  error of the mean  mean square of the noise")
    for k in range(TIMES - 1):
        starts = data.points[k][:ASKED]
        expected = starts @ moved.T
        means = bridge.predict(starts, t0=k * GAP, ts=[(k + 1) * GAP])[:, 0]
        error = np.sqrt(np.mean(((means - expected) / spread) ** 2))
        drawn = bridge.sample(DRAWS, ts=[k * GAP, (k + 1) * GAP], random_state=k).values
        residual = (drawn[:, 1] - drawn[:, 0] @ moved.T) / spread
        print(f"{k + 1:7d}  {error:17.3f}  {np.mean(residual**2):24.3f}")
    print(f"{n} cells a snapshot, {dim} dimensions: {spent:.0f} CPU seconds ({passed:.0f} passed)")
    print(f"memory {megabytes() - held:.0f} MB beside the data of {held:.0f} MB with the packages")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*map(int, sys.argv[1:]))
