"""Population snapshots: samples of a population at a few times, nobody seen twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import (
    Array,
    as_array,
    as_rows,
    require_finite,
    require_increasing,
    unmasked,
)
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.data.cells import read_cells
from trajinfer.data.clouds import (
    as_points,
    as_sizes,
    as_weights,
    read_only,
    require_whole_rows,
    rows_by_time,
)
from trajinfer.data.columns import as_table, number_columns, numbers_of, require_columns, times_of
from trajinfer.data.names import feature_names
from trajinfer.data.open_cells import is_cell_store, stored_cells
from trajinfer.data.open_snapshots import read_points
from trajinfer.data.time_axis import TimeAxis, TimeUnit, nearest_time
from trajinfer.data.time_labels import as_index


@packable
@dataclass(frozen=True, eq=False)
class Snapshots:
    """Samples of a population at K times; rows of different snapshots are different individuals.

    Args:
        times: (K,) increasing observation times; numbers, datetimes or durations.
        points: K arrays of shape (N_k, D); sizes may differ between snapshots.
        weights: K arrays of shape (N_k,), non-negative, normalised to sum to 1 within a snapshot;
            None means equal weights.
        features: names of the D coordinates.
        axis: how times map to numbers; found from `times` where it is not given.
        time_name, weight_name: names of these columns in the table.
        sizes: (K,) positive, how large the population was at every time, up to one factor; None
            takes the sums of the weights, or the numbers of points where there are none or where
            they were normalised already.

    Raises:
        InputError: for an empty snapshot, repeated or unsorted times, NaN or infinite values,
            differing dimensions, or weights that are negative or sum to 0.

    Example:
        >>> snapshots = Snapshots([0, 1], [np.zeros((3, 2)), np.ones((5, 2))])
        >>> len(snapshots), snapshots.dim, [len(p) for p in snapshots.points]
        (2, 2, [3, 5])
    """

    times: Array
    points: tuple[Array, ...]
    weights: tuple[Array, ...] | None = None
    features: tuple[str, ...] | None = None
    axis: TimeAxis = field(default=None, repr=False)  # type: ignore[assignment]
    time_name: str = "time"
    weight_name: str = "weight"
    sizes: Array = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        axis = self.axis if self.axis is not None else TimeAxis.of(self.times)
        times = axis.encode(self.times)
        if times.ndim != 1:
            raise InputError(f"times must be one row of K numbers, got shape {times.shape}")
        points = tuple(as_points(p, k, times) for k, p in enumerate(as_rows(self.points, "points")))
        if len(points) != len(times) or not points:
            raise InputError(f"got {len(points)} snapshots for {len(times)} times; give one each")
        require_finite(times, "times")
        require_increasing(times, "times")
        dims = {p.shape[1] for p in points}
        if len(dims) > 1:
            raise InputError(f"all snapshots must have the same number of columns, got {dims}")
        features = feature_names(self.features)
        if features is not None and len(features) != points[0].shape[1]:
            raise InputError(f"{len(features)} feature names for {points[0].shape[1]} columns")
        if features is not None and len(set(features)) < len(features):
            raise InputError(f"names of features must differ, got {', '.join(features)}")
        freeze = object.__setattr__
        freeze(self, "axis", axis)
        freeze(self, "times", read_only(times))
        freeze(self, "points", points)
        freeze(self, "sizes", read_only(as_sizes(self.sizes, self.weights, points)))
        freeze(self, "weights", as_weights(self.weights, points))
        freeze(self, "features", features)

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        sizes = ", ".join(str(len(p)) for p in self.points[:6])
        more = ", ..." if len(self) > 6 else ""
        return f"Snapshots({len(self)} times, sizes {sizes}{more}, dim {self.dim})"

    @property
    def dim(self) -> int:
        """D, the number of coordinates."""
        return int(self.points[0].shape[1])

    @property
    def n_points(self) -> int:
        """Number of rows over all snapshots."""
        return sum(len(p) for p in self.points)

    @property
    def labels(self) -> Any:
        """The times as the user gave them (datetimes stay datetimes)."""
        return self.axis.decode(self.times)

    def probabilities(self, k: int) -> Array:
        """Weights of snapshot k, summing to 1; equal ones where none were given."""
        if self.weights is not None:
            return self.weights[k]
        return np.full(len(self.points[k]), 1.0 / len(self.points[k]))

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        t: Any,
        weights: Any = None,
        *,
        features: Sequence[str] | None = None,
        time_unit: TimeUnit = "D",
    ) -> Snapshots:
        """Group stacked rows by their observation time.

        Args:
            X: (N, D) all points.
            t: (N,) the time of each row, in any order.
            weights: (N,) non-negative; normalised within each time. A time whose rows all have
                weight zero is left out.
            features: names of the columns.
            time_unit: duration of 1.0 where times are datetimes or durations.

        Raises:
            InputError: as for the class; also if X and t differ in length.
        """
        if isinstance(X, pd.DataFrame):
            features = list(map(str, X.columns)) if features is None else features
        points = as_array(X, "X", ndim=2)
        if hasattr(t, "__array_function__") and not isinstance(t, np.ndarray):
            t = np.asarray(t)  # such objects may refuse numpy's functions
        single = np.ndim(t) == 1 or hasattr(t, "to_pandas")
        labels = as_index(t) if single else np.asarray(unmasked(t)).ravel()
        axis = TimeAxis.of(labels, time_unit)
        times = axis.encode(labels)
        if len(times) != len(points):
            raise InputError(f"X has {len(points)} rows and t has {len(times)}; they must agree")
        require_finite(times, "t")
        mass = None if weights is None else as_array(weights, "weights", ndim=1)
        return cls(*rows_by_time(points, times, mass), feature_names(features), axis)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        time: str,
        features: Sequence[str] | None = None,
        use_rep: str = "X_pca",
        n_dims: int | None = None,
        memory: float | str | None = None,
        time_unit: TimeUnit = "D",
    ) -> Snapshots:
        """Read a file block by block: all rows, or a random part that fits in memory.

        Args:
            path: a parquet file, or a folder of them, partitioned or not; or AnnData on disk, a
                file .h5ad or a folder of zarr, of which only what is asked for is read.
            time, features, time_unit: as for `from_frame`.
            use_rep, n_dims: of AnnData, as for `from_anndata`.
            memory: bound in bytes or as "2 GiB"; None takes a quarter of what is free.

        Raises:
            InputError: for a missing file or column.

        Warns:
            PartialDataWarning: if not all rows fit.
        """
        if is_cell_store(Path(path).expanduser()):
            cells = stored_cells(Path(path).expanduser(), use_rep, n_dims, memory)
            return cls.from_anndata(cells, time=time, use_rep=use_rep, n_dims=n_dims)
        rows = read_points(path, time, features, memory)
        return cls.from_frame(rows, time=time, features=features, time_unit=time_unit)

    @classmethod
    def from_frame(
        cls,
        df: Any,
        *,
        time: str,
        features: Sequence[str] | None = None,
        weight: str | None = None,
        time_unit: TimeUnit = "D",
    ) -> Snapshots:
        """Read a table with one row per individual.

        Args:
            df: the table, or what can become one (`to_pandas`); the order of its rows within a
                time is kept.
            time: column of observation times: numbers, datetimes or durations.
            features: columns of coordinates; None takes every numeric column left over, but for
                an index of rows that was written along.
            weight: column of weights.
            time_unit: duration of 1.0 where times are datetimes or durations.

        Raises:
            InputError: as for the class; also for a column that is not there, naming the nearest,
                and for one of numbers but for a few cells, naming row and text.

        Warns:
            UnusedColumnsWarning: naming columns that nobody asked to leave out and are no numbers.

        Example:
            >>> df = pd.DataFrame({"day": [0, 0, 2], "x": [1.0, 2.0, 3.0]})
            >>> Snapshots.from_frame(df, time="day").to_frame()
               day    x
            0    0  1.0
            1    0  2.0
            2    2  3.0
        """
        df = as_table(df)
        require_columns(df, [time, *(features or ()), *([] if weight is None else [weight])])
        axis, t = times_of(df, time, time_unit)  # its errors come before those of other columns
        if features is None:
            features = number_columns(df, (time, weight), "features=")
        if not features:
            raise InputError("features= names no column; name some, or leave it out for all")
        numbers = np.empty((len(df), len(features)))  # one table of them, however large it is
        for column, name in enumerate(features):
            numbers[:, column] = numbers_of(df, name)
        require_whole_rows(numbers, features, df.index, t)
        mass = None if weight is None else numbers_of(df, weight)
        rows = rows_by_time(numbers, t, mass)
        return cls(*rows, feature_names(features), axis, time, weight or "weight")

    @classmethod
    def from_anndata(
        cls,
        adata: Any,
        *,
        time: str,
        use_rep: str = "X_pca",
        n_dims: int | None = None,
        weight: Any = None,
    ) -> Snapshots:
        """Read cells from an AnnData object.

        Args:
            adata: anything with `obs` and `obsm`.
            time: column of `adata.obs` with observation times.
            use_rep: key of `adata.obsm`, or "X" for the expression matrix itself.
            n_dims: number of leading coordinates to keep.
            weight: column of `adata.obs` with weights, or one number per cell.

        Raises:
            InputError: as for the class; also for names that are not there.
        """
        cells = read_cells(adata, time=time, use_rep=use_rep, n_dims=n_dims, weight=weight)
        return cls.from_arrays(cells.points, cells.times, cells.weights, features=cells.features)

    def to_frame(self) -> pd.DataFrame:
        """One row per individual; the inverse of `from_frame`.

        Raises:
            InputError: if a feature is called like the time or the weight.
        """
        names = self.features or tuple(f"x{d}" for d in range(self.dim))
        others = (self.time_name,) if self.weights is None else (self.time_name, self.weight_name)
        for name in others:
            if name in names:
                raise InputError(
                    f"the name {name!r} stands for two columns of the table; rename that feature, "
                    "or set time_name, weight_name with dataclasses.replace"
                )
        sizes = [len(p) for p in self.points]
        columns: dict[str, Any] = {self.time_name: self.axis.decode(np.repeat(self.times, sizes))}
        columns |= dict(zip(names, np.concatenate(self.points).T))
        if self.weights is not None:
            columns[self.weight_name] = np.concatenate(self.weights)
        return pd.DataFrame(columns)

    def stacked(self) -> tuple[Array, Array]:
        """All points (N, D) and the time of each row (N,): scikit-learn's X and y."""
        sizes = [len(p) for p in self.points]
        return np.concatenate(self.points), np.repeat(self.times, sizes)

    def require_features(self, names: Sequence[str] | None) -> None:
        """Refuse coordinates of other names or in another order; unnamed ones pass.

        Args:
            names: what the coordinates of other data are called.

        Raises:
            InputError: naming both.
        """
        if names is None or self.features is None or tuple(names) == self.features:
            return
        raise InputError(
            f"the coordinates must be {', '.join(self.features)} in this order, got "
            f"{', '.join(map(str, names))}; select the columns by these names, or give arrays"
        )

    def select(self, times: Any) -> Snapshots:
        """The snapshots at these times only.

        Raises:
            InputError: if one of the times has no snapshot.
        """
        return self._take(self._indices(times))

    def drop(self, times: Any) -> Snapshots:
        """All snapshots but those at these times (hold-out).

        Raises:
            InputError: if one of the times has no snapshot, or none would be left.
        """
        left = sorted(set(range(len(self))) - set(self._indices(times)))
        if not left:
            raise InputError("dropping these times leaves no snapshot")
        return self._take(left)

    def take(self, rows: Sequence[Array]) -> Snapshots:
        """Part of every snapshot; a thinned snapshot keeps the proportions of its weights.

        Args:
            rows: K arrays of row indices.
        """
        weights = None
        if self.weights is not None:
            weights = tuple(w[chosen] for w, chosen in zip(self.weights, rows))
        points = tuple(p[chosen] for p, chosen in zip(self.points, rows))
        return replace(self, points=points, weights=weights)

    def _indices(self, times: Any) -> list[int]:
        wanted = np.atleast_1d(self.axis.encode(np.atleast_1d(times)))
        indices, found = nearest_time(wanted[:, None], self.times)
        if not found.all():
            missing = wanted[~found][0]
            times = ", ".join(map(self.axis.named, self.times))
            raise InputError(f"no snapshot at time {self.axis.named(missing)}; times are {times}")
        return sorted({int(k) for k in indices})

    def _take(self, indices: Sequence[int]) -> Snapshots:
        return replace(
            self,
            times=self.times[list(indices)],
            points=tuple(self.points[k] for k in indices),
            weights=None if self.weights is None else tuple(self.weights[k] for k in indices),
            sizes=self.sizes[list(indices)],
        )
