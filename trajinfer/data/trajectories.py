"""Trajectories: sample paths on a time grid, as every sampler of the package returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import (
    Array,
    as_array,
    require_finite,
    require_fraction,
    require_weights,
    unmasked,
)
from trajinfer._core.errors import InputError
from trajinfer.data.columns import (
    as_table,
    number_columns,
    numbered,
    numbers_of,
    require_columns,
)
from trajinfer.data.names import feature_names
from trajinfer.data.row_index import indexed_rows
from trajinfer.data.time_axis import TimeAxis, TimeUnit, nearest_time
from trajinfer.data.weighted_interval import weighted_quantiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Trajectories:
    """B sample paths of D coordinates.

    Args:
        ts: (T,) times shared by all paths or (B, T) times of each path, in any order; numbers,
            datetimes or durations.
        values: (B, T, D).
        weights: (B,) non-negative, normalised to sum to 1, or (B, T) where they change with time,
            normalised at every time; None means equal weights.
        features: names of the D coordinates.
        axis: how times map to numbers; found from `ts` where it is not given.
        branches: (B, T) expected number of descendants of the individual with which a path begins,
            where individuals divide and die.

    Raises:
        InputError: if shapes disagree, times are not finite, or weights are negative.

    Example:
        >>> paths = Trajectories([0.0, 1.0], np.array([[[0.0], [1.0]], [[0.0], [3.0]]]))
        >>> paths.mean().ravel().tolist()
        [0.0, 2.0]
    """

    ts: Array
    values: Array
    weights: Array | None = None
    features: tuple[str, ...] | None = None
    axis: TimeAxis = field(default=None, repr=False)  # type: ignore[assignment]
    branches: Array | None = None

    def __post_init__(self) -> None:
        axis = self.axis if self.axis is not None else TimeAxis.of(np.ravel(unmasked(self.ts)))
        ts = axis.encode(self.ts)
        values = as_array(self.values, "values", ndim=3)
        if ts.shape not in {values.shape[1:2], values.shape[:2]}:
            raise InputError(
                f"ts must be (T,) or (B, T) for values (B, T, D) = {values.shape}, got {ts.shape}"
            )
        require_finite(ts, "ts")
        features = feature_names(self.features)
        if features is not None and len(features) != values.shape[2]:
            raise InputError(f"{len(features)} feature names for {values.shape[2]} coordinates")
        weights = None if self.weights is None else _normalised(self.weights, values)
        branches = self.branches
        if branches is not None:
            branches = as_array(branches, "branches", ndim=2)
            if branches.shape != values.shape[:2]:
                raise InputError(
                    f"branches must have shape (B, T) = {values.shape[:2]}, got {branches.shape}"
                )
        freeze = object.__setattr__
        for name, value in {
            "axis": axis,
            "ts": ts,
            "values": values,
            "weights": weights,
            "features": features,
            "branches": branches,
        }.items():
            freeze(self, name, value)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Trajectories:
        """Some of the paths, by a number, a slice, numbers or a bool each."""
        rows = indexed_rows(index, len(self), "paths")

        def taken(part: Array | None) -> Array | None:
            return None if part is None else part[rows]

        return replace(
            self,
            ts=self.ts if self.ts.ndim == 1 else self.ts[rows],
            values=self.values[rows],
            weights=taken(self.weights),
            branches=taken(self.branches),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, T, D)."""
        n, t, d = self.values.shape
        return n, t, d

    def __repr__(self) -> str:
        n, t, d = self.values.shape
        return f"Trajectories({n} paths, {t} times, dim {d})"

    def in_order(self) -> Trajectories:
        """The same paths with ascending times."""
        if (np.diff(self.ts, axis=-1) >= 0).all():
            return self
        order = np.argsort(self.ts, axis=-1, kind="stable")
        columns = np.broadcast_to(order, self.values.shape[:2])

        def sorted_too(numbers: Array | None) -> Array | None:
            if numbers is None or numbers.ndim == 1:
                return numbers
            return np.take_along_axis(numbers, columns, axis=1)

        return replace(
            self,
            ts=np.take_along_axis(self.ts, order, axis=-1),
            values=np.take_along_axis(self.values, columns[..., None], axis=1),
            weights=sorted_too(self.weights),
            branches=sorted_too(self.branches),
        )

    @property
    def dim(self) -> int:
        """D, the number of coordinates."""
        return int(self.values.shape[2])

    @property
    def labels(self) -> Any:
        """The times as the user gave them, flattened if each path has its own."""
        return self.axis.decode(self.ts.ravel())

    def mean(self) -> Array:
        """Mean over the paths, (T, D)."""
        if self.weights is None or self.weights.ndim == 1:
            return np.asarray(np.average(self.values, axis=0, weights=self.weights))
        return np.asarray((self.weights[..., None] * self.values).sum(axis=0))

    def quantile(self, q: float | Sequence[float]) -> Array:
        """Quantiles over the paths, (T, D) for one q, else (Q, T, D).

        A new path lies below with probability q, for any number of paths (Weibull's positions).
        With weights, the smallest value whose cumulative weight reaches q.

        Raises:
            InputError: if a q lies outside [0, 1].
        """
        levels = np.asarray(q, dtype=np.float64)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise InputError(f"quantiles must lie in [0, 1], got {q}")
        if self.weights is None:
            return np.asarray(np.quantile(self.values, levels, axis=0, method="weibull"))
        order = np.argsort(self.values, axis=0)
        if self.weights.ndim == 1:
            ordered_weights = self.weights[order]
        else:
            ordered_weights = np.take_along_axis(self.weights[..., None], order, axis=0)
        cumulative = np.cumsum(ordered_weights, axis=0)
        # A level of 0 is the smallest value that has any weight.
        reached = np.maximum(levels.ravel() - 1e-12, np.finfo(np.float64).tiny)
        ranks = [(cumulative < level).sum(axis=0) for level in reached]
        ordered = np.take_along_axis(self.values, order, axis=0)
        rows = np.minimum(np.stack(ranks), len(self) - 1)
        return np.take_along_axis(ordered, rows, axis=0).reshape(*levels.shape, *ranks[0].shape)

    def interval(self, level: float = 0.9) -> tuple[Array, Array]:
        """Central interval of the given probability: lower and upper end, (T, D) each.

        It holds a new path with this probability, however few there are; weighted paths count by
        their effective number.

        Raises:
            InputError: if `level` does not lie strictly between 0 and 1.
        """
        require_fraction(level, "level")
        levels = [(1 - level) / 2, (1 + level) / 2]
        if self.weights is None:
            lower, upper = self.quantile(levels)
        else:
            lower, upper = weighted_quantiles(self.values, self.weights, np.array(levels))
        return lower, upper

    def at(self, t: Any) -> Array:
        """Positions of all paths at time t, (B, D).

        Paths of an SDE are not smooth, so nothing is interpolated: t must be one of `ts`.

        Raises:
            InputError: if t is not among the times.
        """
        wanted = float(np.ravel(self.axis.encode(np.atleast_1d(t)))[0])
        index, found = nearest_time(np.full((*self.ts.shape[:-1], 1), wanted), self.ts)
        if not found.all():
            raise InputError(
                f"time {wanted:g} is not on the grid of these paths; ask for it in ts= when drawing"
            )
        if self.ts.ndim == 1:
            return np.asarray(self.values[:, int(index)])
        return np.asarray(self.values[np.arange(len(self)), index])

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        id: str = "path",
        time: str = "time",
        features: Sequence[str] | None = None,
        weight: str | None = None,
        branches: str | None = None,
        time_unit: TimeUnit = "D",
    ) -> Trajectories:
        """Read a table with one row per path and time, in any order; the inverse of `to_frame`.

        Raises:
            InputError: for a column that is not there or holds no numbers, or paths of unequal
                length.
        """
        df = as_table(df)
        others = [name for name in (weight, branches) if name is not None]
        require_columns(df, [id, time, *(features or ()), *others])
        if features is None:
            features = number_columns(df, (id, time, *others), "features=")
        if not features:
            raise InputError("features= names no column; name some, or leave it out for all")
        axis = TimeAxis.of(df[time], time_unit)
        numbers, (codes, _) = axis.encode(df[time]), numbered(df[id], id)
        order, sizes = np.lexsort((numbers, codes)), np.unique(np.bincount(codes))
        if len(sizes) != 1:
            raise InputError("paths must have equal lengths; repeat the last row of shorter ones")
        shape = (-1, int(sizes[0]))
        ts = numbers[order].reshape(shape)
        shared = bool((ts == ts[0]).all())
        coordinates = [numbers_of(df, name)[order].reshape(shape) for name in features]
        values, weights, counts = np.stack(coordinates, axis=-1), None, None
        if weight is not None:
            weights = numbers_of(df, weight)[order].reshape(shape)
            if (weights == weights[:, :1]).all():
                weights = weights[:, 0]
        if branches is not None:
            counts = numbers_of(df, branches)[order].reshape(shape)
        names = tuple(map(str, features))
        return cls(ts[0] if shared else ts, values, weights, names, axis, counts)

    def to_frame(self) -> pd.DataFrame:
        """One row per path and time, with path, time, the coordinates (weight, branches)."""
        n, steps, dim = self.values.shape
        ts = np.broadcast_to(self.ts, (n, steps))
        columns: dict[str, Any] = {
            "path": np.repeat(np.arange(n), steps),
            "time": self.axis.decode(ts.ravel()),
        }
        names = self.features or tuple(f"x{d}" for d in range(dim))
        columns |= dict(zip(names, self.values.reshape(-1, dim).T))
        if self.weights is not None:
            shared = self.weights.ndim == 1
            columns["weight"] = np.repeat(self.weights, steps) if shared else self.weights.ravel()
        if self.branches is not None:
            columns["branches"] = self.branches.ravel()
        return pd.DataFrame(columns)

    def to_numpy(self) -> Array:
        """The values, (B, T, D)."""
        return self.values

    def plot(self, **options: Any) -> Axes:
        """Draw the paths; see `trajinfer.plot.trajectories`."""
        from trajinfer import plot

        return plot.trajectories(self, **options)


def _normalised(weights: Any, values: Array) -> Array:
    """Weights (B,) or (B, T) that sum to 1, at every time where they change."""
    if np.ndim(weights) == 1:
        shared = as_array(weights, "weights", ndim=1)
        require_weights(shared, len(values), "weights")
        return np.asarray(shared / shared.sum())
    changing = as_array(weights, "weights", ndim=2)
    if changing.shape != values.shape[:2]:
        raise InputError(
            f"weights must have shape (B,) or (B, T) = {values.shape[:2]}, got {changing.shape}"
        )
    for column in changing.T:
        require_weights(column, len(values), "weights")
    return np.asarray(changing / changing.sum(0))
