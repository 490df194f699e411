"""Bridges as large as an atlas: `python examples/reproduce/atlas.py [CELLS] [DIMENSIONS] [MEMORY]`.

Five snapshots of other individuals of one population, whose law is known: five Gaussian clouds
carried along by an affine SDE (a rotation of 1.5 in every pair of coordinates, a contraction of .3,
volatility .5, half a unit of time from one to the next). The true reference is given, so that what
follows a point is known exactly: its mean, and noise of one unit in every whitened direction. A
table has, per segment, the error of the mean in these units (0 is right, 1 would be noise alone)
and the mean square of the noise that paths have there (1 is right). Then seconds, and the most
memory that the process held. With MEMORY, such as 6.2GiB, the cells are written to a file in single
precision and opened with that bound.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy.linalg import expm

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.processes import AffineDrift

TIMES, GAP = 5, 0.5
ROTATION, CONTRACTION, VOLATILITY = 1.5, 0.3, 0.5
ASKED, DRAWS, PART = 2000, 8000, 50_000


def matrix(dim: int) -> np.ndarray:
    """The drift: a rotation in every pair of coordinates, and a contraction."""
    turn = np.kron(np.eye(dim // 2), [[0.0, -1.0], [1.0, 0.0]])
    return ROTATION * turn - CONTRACTION * np.eye(dim)


def parts(n: int, dim: int) -> Iterator[list[np.ndarray]]:
    """Parts of the snapshots of n individuals each, nobody in two of them."""
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 1.5, (5, dim))
    moved, spread = expm(GAP * matrix(dim)), deviation()
    for begin in range(0, n, PART):
        size, clouds = min(PART, n - begin), []
        for k in range(TIMES):
            points = centers[rng.integers(5, size=size)] + 0.5 * rng.normal(size=(size, dim))
            for _ in range(k):
                points = points @ moved.T + spread * rng.normal(size=(size, dim))
            clouds.append(points)
        yield clouds


def in_memory(n: int, dim: int) -> Snapshots:
    """All parts at once."""
    clouds = [np.concatenate(parts_of) for parts_of in zip(*parts(n, dim), strict=True)]
    return Snapshots(GAP * np.arange(TIMES), clouds)


def opened(n: int, dim: int, memory: str) -> Snapshots:
    """The same cells, of a file."""
    names = ["time", *(f"x{d}" for d in range(dim))]
    schema = pa.schema([(name, pa.float32()) for name in names])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.parquet"
        with pq.ParquetWriter(file, schema) as writer:
            for clouds in parts(n, dim):
                times = GAP * np.repeat(np.arange(TIMES), [len(points) for points in clouds])
                columns = np.column_stack([times, np.concatenate(clouds)]).astype(np.float32).T
                writer.write_table(pa.table(dict(zip(names, columns, strict=True)), schema))
        return Snapshots.open(file, time="time", memory=memory)


def deviation() -> float:
    """Of the noise that a segment adds; the drift is normal, so that it is one number."""
    return VOLATILITY * float(np.sqrt(-np.expm1(-2 * CONTRACTION * GAP) / (2 * CONTRACTION)))


def megabytes() -> float:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(n: int = 100_000, dim: int = 50, memory: str | None = None) -> None:
    """Fit, and print what came out."""
    data = in_memory(n, dim) if memory is None else opened(n, dim, memory)
    began, clock = time.process_time(), time.perf_counter()
    reference = AffineDrift(dim, matrix=matrix(dim), offset=np.zeros(dim))
    bridge = SchrodingerBridge(reference, volatility=VOLATILITY, random_state=0).fit(data)
    spent, passed = time.process_time() - began, time.perf_counter() - clock
    held = megabytes()
    moved, spread = expm(GAP * matrix(dim)), deviation()
    print("segment  error of the mean  mean square of the noise")
    for k in range(TIMES - 1):
        starts = data.points[k][:ASKED]
        means = bridge.predict(starts, t0=k * GAP, ts=[(k + 1) * GAP])[:, 0]
        error = np.sqrt(np.mean(((means - starts @ moved.T) / spread) ** 2))
        drawn = bridge.sample(DRAWS, ts=[k * GAP, (k + 1) * GAP], random_state=k).values
        residual = (drawn[:, 1] - drawn[:, 0] @ moved.T) / spread
        print(f"{k + 1:7d}  {error:17.3f}  {np.mean(residual**2):24.3f}")
    print(f"{data.n_points} cells, {dim} dimensions: {spent:.0f} CPU seconds ({passed:.0f} passed)")
    print(f"memory {held:.0f} MB at most, with data and packages")


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = sys.argv[1:]
    main(*map(int, given[:2]), *given[2:])
