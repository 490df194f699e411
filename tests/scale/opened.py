"""A forecaster that learns from series on disk, beside the same series in memory.

    python -m tests.scale.opened [--series 1000000] [--memory 2GiB]

Ten rows of one channel per series. Tells the memory beyond the interpreter, the index of the table
included, and the CPU seconds of both fits, which take the same steps: their ratio is that of steps
per second.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
import warnings
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.data.open_table import OpenTable

_ROWS, _BLOCK = 10, 50_000


def write_walks(path: Path, n: int) -> None:
    """Random walks, a block of series at a time, so that this takes little memory itself."""
    rng, writer = np.random.default_rng(0), None
    for first in range(0, n, _BLOCK):
        count = min(_BLOCK, n - first)
        table = pa.Table.from_pandas(
            pd.DataFrame(
                {
                    "id": np.repeat(np.arange(first, first + count), _ROWS),
                    "time": np.sort(rng.uniform(0, 10, (count, _ROWS)), axis=1).ravel(),
                    "value": rng.normal(size=(count, _ROWS)).cumsum(axis=1).ravel(),
                }
            )
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def opened(path: Path, memory: str) -> OpenTable[IrregularSeries]:
    """The table, indexed."""
    return IrregularSeries.open(path, id="id", time="time", memory=memory)


def fit(series: Any) -> NeuralSDEForecaster:
    """One pass of the networks."""
    return NeuralSDEForecaster(max_epochs=1, horizon=3.0, random_state=0).fit(series)


def figures(path: Path, memory: str, in_memory: bool) -> dict[str, float]:
    """Of a process of its own: megabytes beyond the interpreter, CPU seconds of reading and fit."""
    warnings.simplefilter("ignore")
    before = _peak()
    series: Any = opened(path, memory)
    if in_memory:
        series = series.to_learn()
    began = time.process_time()
    fit(series)
    return {"megabytes": _peak() - before, "seconds": time.process_time() - began}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description="learning from a table on disk")
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--memory", default="2GiB")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "walks.parquet"
        write_walks(path, given.series)
        size = path.stat().st_size / 2**20
        found = {}
        for in_memory in (False, True):
            with get_context("spawn").Pool(1) as alone:
                found[in_memory] = alone.apply(figures, (path, given.memory, in_memory))
    there, here = found[False], found[True]
    print(  # noqa: T201 - what the command is for
        f"{given.series} series, {size:.0f} MB on disk, memory={given.memory}: "
        f"{there['megabytes']:.0f} MB, {there['seconds']:.1f} s from disk, "
        f"{here['seconds']:.1f} s in memory, "
        f"steps per second {here['seconds'] / there['seconds']:.2f} of those in memory"
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
