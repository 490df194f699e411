"""Cells of AnnData on disk (h5ad or zarr) that may be larger than memory, read block by block."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.damaged import reading
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer._core.memory import in_words, memory_bytes
from trajinfer.data.parquet import PartialDataWarning

_BYTES_PER_NUMBER = 5 * 8  # the rows, their parts by time, checks, and two more while sorted
_BLOCK = 2**24  # bytes of a block of rows
_ZARR_MARKS = (".zgroup", "zarr.json", ".zattrs")


@dataclass(frozen=True, eq=False)
class StoredCells:
    """Some cells of a store: what `read_cells` asks of an AnnData object.

    Attributes:
        obs: table of the cells.
        obsm: coordinates by name; those that were not asked for are None.
        X: (N, G) where it was asked for.
        var_names: of its columns.
        layers: names of layers.
    """

    obs: pd.DataFrame
    obsm: dict[str, Any]
    X: Any
    var_names: pd.Index
    layers: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return len(self.obs), len(self.var_names)


def is_cell_store(path: Path) -> bool:
    """Whether a path is AnnData on disk."""
    return path.suffix == ".h5ad" or any((path / mark).exists() for mark in _ZARR_MARKS)


def stored_cells(
    path: Path, use_rep: str, n_dims: int | None, memory: float | str | None
) -> StoredCells:
    """All cells, or a random part whose coordinates fit in memory.

    Only the table of cells and the coordinates that are asked for are read, block after block; a
    matrix that is stored by columns (csc) is read whole.

    Args:
        path: a file .h5ad, or a folder of zarr.
        use_rep: key of `obsm`, or "X".
        n_dims: number of leading coordinates to keep.
        memory: as for `memory_bytes`.

    Raises:
        InputError: for a file that cannot be read as AnnData.
        MissingExtra: without anndata, or zarr.

    Warns:
        PartialDataWarning: if not all cells fit.
    """
    bound = memory_bytes(memory)
    io = import_extra("anndata.io", "anndata")
    with _store(path) as store, reading(path):
        obs, var = io.read_elem(store["obs"]), io.read_elem(store["var"])
        obsm: dict[str, Any] = dict.fromkeys(store["obsm"]) if "obsm" in store else {}
        layers = tuple(store["layers"]) if "layers" in store else ()
        X, rows = None, np.arange(len(obs))
        if use_rep == "X" or use_rep in obsm:
            element = store["X"] if use_rep == "X" else store["obsm"][use_rep]
            matrix = _matrix(element, io)
            width = matrix.shape[1] if n_dims is None else min(n_dims, matrix.shape[1])
            rows = _chosen(len(obs), width, bound, path)
            points = _rows(matrix, rows, width)
            if use_rep == "X":
                X = points
            else:
                obsm[use_rep] = points
    return StoredCells(obs.iloc[rows], obsm, X, var.index, layers)


@contextmanager
def _store(path: Path) -> Iterator[Any]:
    if not path.exists():
        raise InputError(f"there is no {path}; give a file .h5ad or a folder of zarr")
    try:
        if path.is_dir():
            store = import_extra("zarr", "zarr").open_group(str(path), mode="r")
        else:
            store = import_extra("h5py", "anndata").File(path, "r")
    except OSError as error:
        raise InputError(f"{path} cannot be read as AnnData ({error})") from error
    with reading(path):
        whole = "obs" in store and "var" in store
    if not whole:
        raise InputError(f"{path} is no AnnData: it has no obs and var; write it by adata.write_*")
    try:
        yield store
    finally:
        if hasattr(store, "close"):
            store.close()


def _matrix(element: Any, io: Any) -> Any:
    """A matrix on disk whose rows can be taken."""
    kind = str(element.attrs.get("encoding-type", "array"))
    if kind == "csr_matrix":
        return io.sparse_dataset(element)
    if kind == "array":
        return element
    whole = io.read_elem(element)
    return whole.to_numpy() if hasattr(whole, "to_numpy") else whole.tocsr()


def _chosen(n_rows: int, width: int, bound: float, path: Path) -> Array:
    """Numbers of the cells that are taken, rising."""
    share = bound / max(1, n_rows * width * _BYTES_PER_NUMBER)
    if share >= 1:
        return np.arange(n_rows)
    warnings.warn(
        f"{path.name} holds {n_rows} cells, memory= allows {in_words(bound)}: a random "
        f"{share:.1%} of them is taken",
        PartialDataWarning,
        stacklevel=5,
    )
    return np.flatnonzero(np.random.default_rng(0).random(n_rows) < share)


def _rows(matrix: Any, rows: Array, width: int) -> Array:
    """Rows of a matrix (N, D), its leading columns, block after block."""
    n_rows, n_columns = matrix.shape
    points = np.empty((len(rows), width))
    block = max(1, _BLOCK // (8 * n_columns))
    for first in range(0, n_rows, block):
        here = slice(*np.searchsorted(rows, (first, first + block)))
        if here.start == here.stop:
            continue
        part = matrix[first : min(first + block, n_rows)]
        leading = part[rows[here] - first][:, :width]
        points[here] = leading.toarray() if hasattr(leading, "toarray") else leading
    return points
