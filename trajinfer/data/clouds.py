"""Points, weights and sizes of snapshots, checked and grouped by time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array, require_finite, require_weights
from trajinfer._core.errors import InputError


def as_points(points: Any, k: int, times: Array) -> Array:
    """The points (N, D) of snapshot k, refused where there are none or one is not finite.

    They are a copy that nobody can write to; such an array itself is taken as it is.
    """
    array = points if _is_frozen(points) else frozen(as_array(points, f"snapshot {k}", ndim=2))
    label = f"snapshot {k} (time {times[k]:g})" if k < len(times) else f"snapshot {k}"
    if array.shape[0] == 0:
        raise InputError(f"{label} is empty; leave out times at which nothing was seen")
    if array.shape[1] == 0:
        raise InputError(
            f"{label} has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    require_finite(array, label)
    return array


def as_weights(weights: Any, points: tuple[Array, ...]) -> tuple[Array, ...] | None:
    """Weights of every snapshot with sum 1; None where none are given."""
    if weights is None:
        return None
    if len(weights) != len(points):
        raise InputError(f"got weights for {len(weights)} snapshots, expected {len(points)}")
    normalised = []
    for k, (weight, cloud) in enumerate(zip(weights, points)):
        mass = as_array(weight, f"weights of snapshot {k}", ndim=1)
        require_weights(mass, len(cloud), f"weights of snapshot {k}")
        total = mass.sum()
        # Weights that are normalised already stay as they are, to the last digit.
        normalised.append(read_only(mass if abs(total - 1) < 1e-12 else mass / total))
    return tuple(normalised)


def as_sizes(sizes: Any, weights: Any, points: tuple[Array, ...]) -> Array:
    """Population sizes (K,): as given, else sums of weights, else numbers of points."""
    counts = np.array([float(len(cloud)) for cloud in points])
    if sizes is not None:
        given = as_array(sizes, "sizes", ndim=1)
        if given.shape != counts.shape or not (np.isfinite(given) & (given > 0)).all():
            raise InputError(
                f"sizes must be {len(counts)} positive numbers, one for every snapshot, got "
                f"{given.tolist()}"
            )
        return given
    if weights is None or len(weights) != len(points):
        return counts
    totals = np.array([np.sum(np.asarray(w, dtype=np.float64)) for w in weights])
    normalised = bool((np.abs(totals - 1) < 1e-9).all())
    return counts if normalised or not (np.isfinite(totals) & (totals > 0)).all() else totals


def without_massless_times(points: Array, times: Array, mass: Array) -> tuple[Array, Array, Array]:
    """Rows of times at which something has weight."""
    unique, group = np.unique(times, return_inverse=True)
    kept = np.bincount(group, weights=mass, minlength=len(unique))[group] > 0
    return points[kept], times[kept], mass[kept]


def read_only(array: Array) -> Array:
    """A copy that nobody can write to."""
    return frozen(array.copy())


def frozen(array: Array) -> Array:
    """The array itself, which nobody can write to from now on."""
    array.flags.writeable = False
    return array


def _is_frozen(points: Any) -> bool:
    """Whether these are points that nobody can write to, through no other array either."""
    plain = type(points) is np.ndarray and points.dtype == np.float64 and points.ndim == 2
    return plain and points.flags.owndata and not points.flags.writeable


def rows_by_time(
    points: Array, times: Array, mass: Array | None
) -> tuple[Array, tuple[Array, ...], tuple[Array, ...] | None]:
    """Times (K,) in order, and the points and weights of each; times without weight are left out.

    Args:
        points: (N, D).
        times: (N,) finite.
        mass: (N,) weights, or None.

    Raises:
        InputError: for weights that are none.
    """
    if mass is not None:
        require_weights(mass, len(points), "weights")
        points, times, mass = without_massless_times(points, times, mass)
    order, starts, unique = grouped(times)
    rows = np.split(order, starts)
    clouds = tuple(frozen(points[own]) for own in rows)
    return unique, clouds, None if mass is None else tuple(mass[own] for own in rows)


def grouped(times: Array) -> tuple[Array, Array, Array]:
    """Stable order that sorts the rows by time, where each group starts, and the group times."""
    order = np.argsort(times, kind="stable")
    unique, first = np.unique(times[order], return_index=True)
    return order, first[1:], unique


def require_whole_rows(
    numbers: Array, features: Sequence[str], index: pd.Index, times: Array
) -> None:
    """Refuse a table in which a point lacks a coordinate, in the words of the table."""
    bad = ~np.isfinite(numbers)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        kind = "NaN" if np.isnan(numbers[row, column]) else "infinity"
        k = int(np.searchsorted(np.unique(times), times[row]))
        raise InputError(
            f"snapshot {k} (time {times[row]:g}) must be finite, found {kind} in column "
            f"{features[column]!r} at the row with index {index[row]!r} "
            f"({int(bad.any(axis=1).sum())} row(s) concerned); drop these rows from the table, as "
            f"by table.dropna(subset={[str(name) for name in features]})"
        )
