"""Cells of an AnnData object, in memory or on disk, dense or sparse."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest


class Cells(NamedTuple):
    """N cells: coordinates (N, D), times (N,), weights (N,) or None, and names of coordinates."""

    points: Array
    times: pd.Series
    weights: Any
    features: list[str]


def read_cells(adata: Any, *, time: str, use_rep: str, n_dims: int | None, weight: Any) -> Cells:
    """Coordinates, times and weights of cells.

    Args:
        adata: anything with `obs` and `obsm`.
        time: column of `adata.obs`.
        use_rep: key of `adata.obsm`, or "X".
        n_dims: number of leading coordinates to keep.
        weight: column of `adata.obs`, or one number per cell, or None.

    Raises:
        InputError: for names that are not there, and for cells without a time.
    """
    if use_rep != "X" and use_rep not in adata.obsm:
        others = [str(name) for name in adata.obsm]
        there = nearest(use_rep, others) if others else "obsm is empty"
        remedy = (
            f"take use_rep='X', the {adata.shape[1]} columns of X themselves, or compute "
            "coordinates first, e.g. with scanpy.pp.pca(adata)"
        )
        if use_rep in getattr(adata, "layers", ()):
            key = repr(use_rep)
            remedy = f"it is a layer: adata.obsm[{key}] = adata.layers[{key}] makes it coordinates"
        raise InputError(f"no '{use_rep}' in obsm; {there}; {remedy}")
    for name in (time, weight) if isinstance(weight, str) else (time,):
        if name not in adata.obs.columns:
            raise InputError(f"no column '{name}' in obs; {nearest(name, adata.obs.columns)}")
    stages = adata.obs[time]
    unknown = stages.isna().to_numpy()
    if unknown.any():
        raise InputError(
            f"{int(unknown.sum())} of {len(stages)} cells have no '{time}' in obs, such as "
            f"{stages.index[unknown][0]!r}; leave them out: adata[adata.obs['{time}'].notna()]"
        )
    matrix = adata.X if use_rep == "X" else adata.obsm[use_rep]
    points = _dense(matrix, n_dims)
    return Cells(
        points,
        stages,
        adata.obs[weight].to_numpy(dtype=np.float64) if isinstance(weight, str) else weight,
        _names(adata.var_names if use_rep == "X" else matrix, use_rep, points.shape[1]),
    )


def _names(given: Any, use_rep: str, n: int) -> list[str]:
    """Names of the coordinates: those of genes or of a table where they are, else by number."""
    known = given.columns if isinstance(given, pd.DataFrame) else given
    if isinstance(known, pd.Index) and known.is_unique:
        return [str(name) for name in known[:n]]
    prefix = use_rep.removeprefix("X_")
    return [f"{prefix}{d + 1}" for d in range(n)]


def _dense(matrix: Any, n_dims: int | None) -> Array:
    """The leading columns of an array, a table or a sparse matrix."""
    matrix = matrix.to_memory() if hasattr(matrix, "to_memory") else matrix
    matrix = matrix.to_numpy() if hasattr(matrix, "to_numpy") else matrix
    leading = matrix[:, :n_dims]
    if hasattr(leading, "toarray") and not isinstance(leading, np.ndarray):
        leading = leading.toarray()
    return np.asarray(leading)
