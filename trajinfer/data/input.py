"""What estimators may be given, and how it becomes one container: a reader for each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from trajinfer._core.checks import as_array, require_weights, unmasked
from trajinfer._core.errors import InputError
from trajinfer.data import foreign_tables
from trajinfer.data.array_layout import layout_remark
from trajinfer.data.columns import as_table, is_foreign_table, require_columns
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.open_table import OpenTable
from trajinfer.data.snapshots import Snapshots
from trajinfer.data.time_axis import TimeAxis

Kind = TypeVar("Kind")


def as_series(series: Any) -> IrregularSeries:
    """Series from whatever a user has.

    Args:
        series: an `IrregularSeries`; values (B, T, C), or (B, T) for one channel, with NaN = not
            observed; a list of values (T_i, C); a list of pairs (times (T_i,), values (T_i, C)); a
            table whose cells are series (sktime's nested tables), or one that is indexed by series
            and time. Where there are no times, unit steps are assumed, and a warning says so.

    Raises:
        InputError: for anything else, for values that can only be (B, C, T), or as for
            `IrregularSeries.from_arrays`.

    Warns:
        UserWarning: if times are made up.
    """
    if isinstance(series, IrregularSeries):
        return series
    if isinstance(series, OpenTable):
        return _of_kind(series.whole(), IrregularSeries)
    series = _table_of_pandas(series)
    if isinstance(series, pd.DataFrame):
        return foreign_tables.read(series)
    if isinstance(series, (list, tuple)) and len(series) and _is_pair(series[0]):
        return IrregularSeries.from_arrays([t for t, _ in series], [x for _, x in series])
    lists = isinstance(series, (list, tuple)) and len(series) and np.ndim(series[0]) >= 1
    values: Any = list(series) if lists else as_array(series, "series")
    _require_rows(values)
    reading = layout_remark(values)
    made = IrregularSeries.from_arrays([np.arange(len(row)) for row in values], values)
    warnings.warn(
        f"no times were given: {len(made)} series are taken to be observed at 0, 1, 2, ...; "
        f"give an IrregularSeries to use real times{reading}",
        UserWarning,
        stacklevel=3,
    )
    return made


def _table_of_pandas(data: Any) -> Any:
    """A table of another library as pandas has it; anything else as it is."""
    return as_table(data) if is_foreign_table(data) else data


def series_to_learn(X: Any) -> IrregularSeries:
    """Series for a fit: of an open table as many as its bound on memory allows."""
    return _of_kind(X.to_learn(), IrregularSeries) if isinstance(X, OpenTable) else as_series(X)


def paths_to_learn(X: Any) -> JumpSeries:
    """Paths of states for a fit: of an open table as many as its bound on memory allows."""
    return _of_kind(X.to_learn(), JumpSeries) if isinstance(X, OpenTable) else as_jump_series(X)


def _of_kind(read: Any, kind: type[Kind]) -> Kind:
    """What was read from a table.

    Raises:
        InputError: if it is a container of another kind.
    """
    if not isinstance(read, kind):
        raise InputError(
            f"expected {kind.__name__}, got {type(read).__name__}; open the table with "
            f"{kind.__name__}.open"
        )
    return read


def _require_rows(values: Any) -> None:
    """Refuse numbers that are no series, and series without times.

    Raises:
        InputError: for one row of numbers, and for arrays without rows or without columns.
    """
    array = isinstance(values, np.ndarray)  # a list holds rows of lengths of their own
    if array and (values.ndim == 0 or (values.ndim == 1 and len(values))):
        raise InputError(
            f"expected series (B, T) or (B, T, C), got numbers of shape {np.shape(values)}. "
            "Reshape your data: X.reshape(1, -1) is one series, X.reshape(-1, 1) many of one value"
        )
    if len(values) == 0:
        raise InputError("expected series (B, T) or (B, T, C), got 0 sample(s); give one at least")
    if array and values.shape[1] == 0:
        raise InputError(
            f"0 feature(s) (shape={values.shape}) while a minimum of 1 is required: these series "
            "have no times"
        )


def as_jump_series(X: Any) -> JumpSeries:
    """Paths of states from whatever a user has.

    Args:
        X: a `JumpSeries`; a list of them, which are joined, as scikit-learn hands out its folds; a
            table with columns id, time and state (observation is optional); a pair (times, labels);
            or labels (B, T) at unit time steps, which a warning says.

    Raises:
        InputError: for anything else, or as for `JumpSeries.from_arrays`.

    Warns:
        UserWarning: if times are made up.
    """
    if isinstance(X, JumpSeries):
        return X
    if isinstance(X, OpenTable):
        return _of_kind(X.whole(), JumpSeries)
    if isinstance(X, list) and X and all(isinstance(part, JumpSeries) for part in X):
        return JumpSeries.concatenate(X)
    if hasattr(X, "columns"):
        kind = "observation" if "observation" in X.columns else None
        return JumpSeries.from_frame(X, id="id", time="time", state="state", observation=kind)
    if isinstance(X, tuple) and len(X) == 2:
        return JumpSeries.from_arrays(*X)
    labels = np.asarray(unmasked(X))
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "iufbUSO":
        raise InputError(
            "expected a JumpSeries, a table with columns id, time and state, or labels (B, T); "
            f"got {type(X).__name__}"
        )
    warnings.warn("no times were given: labels are taken one unit of time apart", stacklevel=3)
    return JumpSeries.from_arrays(np.arange(labels.shape[-1], dtype=float), labels)


def as_snapshots(
    X: Any,
    y: Any,
    sample_weight: Any,
    time: str | None,
    axis: TimeAxis | None = None,
    features: Sequence[str] | None = None,
) -> Snapshots:
    """Snapshots from a container, stacked rows with their times, a DataFrame or an AnnData.

    Args:
        X: the data.
        y: times of the rows, where X is an array or a table of coordinates only.
        sample_weight: (N,) weights of the rows.
        time: time column of a table or AnnData.
        axis: how times map to numbers, where that is known already.
        features: columns of a table that are coordinates.

    Raises:
        InputError: if the data cannot be read as snapshots.
    """
    X = _table_of_pandas(X)
    if features is not None:
        require_table(X, features)
        X = X if y is None else X[list(features)]
    if isinstance(X, Snapshots):
        if y is not None or sample_weight is not None:
            raise InputError("Snapshots carry their times and weights; leave out y, sample_weight")
        return _on_axis(X, axis)
    if y is None and isinstance(X, pd.DataFrame):
        return _on_axis(_from_table(X, sample_weight, time or "time", features), axis)
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


def require_table(X: Any, features: Sequence[str]) -> None:
    """Refuse names of columns for what has none, and names that are not there.

    Raises:
        InputError: naming what came, or the nearest column.
    """
    if isinstance(features, str) or not isinstance(X, pd.DataFrame):
        came = f"the text {features!r}" if isinstance(features, str) else type(X).__name__
        raise InputError(
            f"features= is a list of columns of a DataFrame, got {came}; without it, all columns "
            "of an array or of Snapshots are coordinates"
        )
    require_columns(X, features)


def _from_table(
    table: pd.DataFrame, sample_weight: Any, time: str, features: Sequence[str] | None
) -> Snapshots:
    """Weights go with the rows in their order, whatever index they carry."""
    if sample_weight is None:
        return Snapshots.from_frame(table, time=time, features=features)
    mass = as_array(sample_weight, "sample_weight", ndim=1)
    require_weights(mass, len(table), "sample_weight")
    column = "weight"
    while column in table.columns:
        column = f"_{column}"
    weighted = table.assign(**{column: mass})
    return Snapshots.from_frame(weighted, time=time, features=features, weight=column)


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


def _is_pair(entry: Any) -> bool:
    """Whether an entry of a list is (times, values)."""
    return (
        isinstance(entry, tuple)
        and len(entry) == 2
        and np.ndim(entry[0]) == 1
        and (np.ndim(entry[1]) == 2 or np.shape(entry[0]) == np.shape(entry[1]))
    )
