"""Whatever is wrong with a file that is opened from Python: what is in it, or an error of ours."""

import warnings
from functools import partial

import numpy as np
import pytest

from tests.reliability import mistakes
from tests.reliability.outcomes import Outcomes
from trajinfer import IrregularSeries, JumpSeries, Snapshots
from trajinfer.datasets.files import read_snapshots, write_snapshots
from trajinfer.datasets.ts_files import read_ts

TS = """@problemName waves
@timestamps false
@univariate false
@dimensions 2
@classLabel true up down
@data
1.0,2.5,3:0.1,0.2,0.3:up
2.0,?,1.5:0.4,NaN,0.1:down
0.5,0.25,3:1,2,3:up
"""


def _parquet(table, path):
    pytest.importorskip("pyarrow")
    table.to_parquet(path)


def _cells(table, path):
    anndata = pytest.importorskip("anndata")
    obs = table[["t"]].set_axis([f"c{k}" for k in range(len(table))])
    made = anndata.AnnData(obsm={"X_pca": table[["x", "y"]].to_numpy()}, obs=obs)
    made.write_h5ad(path)


def _arrays(table, path):
    write_snapshots(path, Snapshots.from_frame(table, time="t"))


def _ts(table, path):
    path.write_text(TS, encoding="utf-8")


STORES = {
    "series.parquet": (
        mistakes.series_table,
        _parquet,
        lambda path: IrregularSeries.open(path, id="id", time="t").whole(),
    ),
    "states.parquet": (
        mistakes.jump_table,
        _parquet,
        lambda path: JumpSeries.open(path, id="id", time="t", state="s").whole(),
    ),
    "points.parquet": (
        mistakes.snapshot_table,
        _parquet,
        lambda path: Snapshots.open(path, time="t"),
    ),
    "cells.h5ad": (mistakes.snapshot_table, _cells, lambda path: Snapshots.open(path, time="t")),
    "snapshots.npz": (mistakes.snapshot_table, _arrays, read_snapshots),
    "waves.ts": (mistakes.series_table, _ts, read_ts),
}


def _written(table, write, path, rng):
    """The mistakes made: in the table, where it can then be written, and in the bytes."""
    names = []
    if rng.random() < 0.5:
        names.append(str(rng.choice(list(mistakes.IN_FILES))))
        try:
            write(mistakes.IN_FILES[names[-1]](table, rng), path)
        except Exception:  # noqa: BLE001  no such file can be written
            names = []
    if not names or rng.random() < 0.3:
        if not names:
            write(table, path)
        kinds = mistakes.BINARY if path.suffix != ".ts" else mistakes.BINARY | mistakes.BYTES
        names.append(str(rng.choice(list(kinds))))
        path.write_bytes(kinds[names[-1]](path.read_bytes(), rng))
    return names


def _check(store, n, seed, tmp_path):
    table, write, read = STORES[store]
    rng = np.random.default_rng(seed)
    path = tmp_path / store
    write(table(rng), path)
    read(path)  # nothing is wrong yet
    outcomes = Outcomes()
    for _ in range(n):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = _written(table(rng), write, path, rng)
        outcomes.read(partial(read, path), names)
    outcomes.check(n)


@pytest.mark.parametrize("store", STORES)
def test_a_file_is_opened_or_refused(store, tmp_path):
    _check(store, 15, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_five_hundred_files_of_every_kind(store, tmp_path):
    _check(store, 500, 1, tmp_path)
