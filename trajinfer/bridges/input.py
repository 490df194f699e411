"""What users hand to a bridge, as snapshots."""

from __future__ import annotations

from typing import Any

import pandas as pd

from trajinfer._core.checks import as_array, require_weights
from trajinfer._core.errors import InputError
from trajinfer.data import Snapshots, TimeAxis


def as_snapshots(
    X: Any, y: Any, sample_weight: Any, time: str | None, axis: TimeAxis | None = None
) -> Snapshots:
    """Snapshots from a container, stacked rows with their times, a DataFrame or an AnnData.

    Args:
        X: the data.
        y: times of the rows, where X is an array or a table of coordinates only.
        sample_weight: (N,) weights of the rows.
        time: time column of a table or AnnData.
        axis: how times map to numbers, where that is known already.

    Raises:
        InputError: if the data cannot be read as snapshots.
    """
    if isinstance(X, Snapshots):
        if y is not None or sample_weight is not None:
            raise InputError("Snapshots carry their times and weights; leave out y, sample_weight")
        return _on_axis(X, axis)
    if y is None and isinstance(X, pd.DataFrame):
        return _on_axis(_from_table(X, sample_weight, time or "time"), axis)
    if y is None and hasattr(X, "obsm") and hasattr(X, "obs"):
        use_rep = "X_pca" if "X_pca" in X.obsm else "X"
        snapshots = Snapshots.from_anndata(
            X, time=time or "time", use_rep=use_rep, weight=sample_weight
        )
        return _on_axis(snapshots, axis)
    if y is None:
        raise InputError(
            "requires y to be passed, but the target y is None: give the observation time of "
            "every row, a Snapshots container, or a table with a time column"
        )
    return _on_axis(Snapshots.from_arrays(X, y, sample_weight), axis)


def _from_table(table: pd.DataFrame, sample_weight: Any, time: str) -> Snapshots:
    """Weights go with the rows in their order, whatever index they carry."""
    if sample_weight is None:
        return Snapshots.from_frame(table, time=time)
    mass = as_array(sample_weight, "sample_weight", ndim=1)
    require_weights(mass, len(table), "sample_weight")
    column = "weight"
    while column in table.columns:
        column = f"_{column}"
    return Snapshots.from_frame(table.assign(**{column: mass}), time=time, weight=column)


def _on_axis(snapshots: Snapshots, axis: TimeAxis | None) -> Snapshots:
    """The same snapshots with their times counted on a given axis."""
    if axis is None or snapshots.axis == axis:
        return snapshots
    return Snapshots(
        axis.encode(snapshots.labels),
        snapshots.points,
        snapshots.weights,
        snapshots.features,
        axis,
    )
