"""Series from arrays and lists: padding, checks, and what an estimator may be given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data.time_axis import TimeAxis, TimeUnit


def parse(times: Any, values: Any, time_unit: TimeUnit) -> tuple[Array, Array, Array, TimeAxis]:
    """Padded times (B, T), values (B, T, C), lengths (B,) and the time axis.

    Raises:
        InputError: if shapes disagree, times do not increase strictly, or a value is infinite.
    """
    data, lengths = _padded_values(values)
    grid, axis = _padded_times(times, data.shape[:2], lengths, time_unit)
    _require_a_value_per_time(grid, lengths)
    data, lengths, grid = _without_padding(data, lengths, grid)
    require_observable(data)
    require_order(grid, lengths)
    return grid, data, lengths, axis


def parse_statics(statics: Any) -> tuple[Array | None, tuple[str, ...]]:
    """Statics (B, S) and their names, from an array or a table."""
    if statics is None:
        return None, ()
    names = tuple(map(str, statics.columns)) if isinstance(statics, pd.DataFrame) else ()
    known = as_array(statics, "statics", ndim=2)
    if np.isinf(known).any():
        raise InputError("statics hold an infinite number; NaN marks what is unknown")
    return known, names


def parse_labels(labels: Any) -> Array:
    """Labels (B,), of whatever kind they are."""
    array = np.array(labels if not hasattr(labels, "detach") else labels.detach().cpu().numpy())
    if array.ndim != 1:
        raise InputError(f"labels must be (B,), one per series, got shape {array.shape}")
    return array


def pad(times: Array, values: Array, length: int) -> tuple[Array, Array]:
    """Times padded by their last one, values by NaN, up to `length`."""
    extra = length - times.shape[1]
    if not extra:
        return times, values
    return (
        np.pad(times, ((0, 0), (0, extra)), mode="edge"),
        np.pad(values, ((0, 0), (0, extra), (0, 0)), constant_values=np.nan),
    )


def require_observable(values: Array) -> None:
    """Refuse infinite values, naming the first.

    Raises:
        InputError: at the first infinite value.
    """
    infinite = np.isinf(values)
    if infinite.any():
        first = tuple(int(i) for i in np.argwhere(infinite)[0])
        raise InputError(
            f"values hold an infinite number at (series, time, channel) {first}, "
            f"{int(infinite.sum())} in all; mark what was not observed by NaN"
        )


def require_order(times: Array, lengths: Array) -> None:
    """Refuse times that do not increase strictly along a series.

    Raises:
        InputError: naming the first series concerned.
    """
    inside = np.arange(times.shape[1]) < lengths[:, None]
    if not np.isfinite(times[inside]).all():
        row = int(np.flatnonzero((~np.isfinite(times) & inside).any(axis=1))[0])
        raise InputError(f"series {row} has a time that is not finite; leave such rows out")
    bad = (np.diff(times, axis=1) <= 0) & inside[:, 1:]
    if bad.any():
        row, step = (int(i) for i in np.argwhere(bad)[0])
        before, after = times[row, step], times[row, step + 1]
        what = "repeated" if before == after else "out of order"
        raise InputError(
            f"times must increase strictly along a series, but in series {row} {before:g} is "
            f"followed by {after:g} ({what}); sort them and merge equal times"
        )


def _padded_values(values: Any) -> tuple[Array, Array]:
    if isinstance(values, (list, tuple)) and len(values) and np.ndim(values[0]) >= 1:
        rows = [_as_row(row, i) for i, row in enumerate(values)]
        if len({row.shape[1] for row in rows}) > 1:
            raise InputError(
                f"series differ in their number of channels: {sorted({r.shape[1] for r in rows})}"
            )
        lengths = np.array([len(row) for row in rows])
        inside = np.arange(max(lengths.max(), 1)) < lengths[:, None]
        data = np.full((*inside.shape, rows[0].shape[1]), np.nan)
        data[inside] = np.concatenate(rows)
    else:
        data = _observed(values, "values")
        data = data[:, :, None] if data.ndim == 2 else data
        if data.ndim != 3:
            raise InputError(f"values must be (B, T, C), got shape {data.shape}")
        lengths = np.full(len(data), data.shape[1])
    if not data.size or not lengths.all():
        empty = np.flatnonzero(lengths == 0)
        where = f"series {empty[0]} has" if len(empty) else f"values {data.shape} hold"
        raise InputError(f"{where} no observation times; leave empty series out")
    return data, lengths


def _require_a_value_per_time(grid: Array, lengths: Array) -> None:
    """Refuse times behind the last value of a series that are no padding."""
    last = np.take_along_axis(grid, lengths[:, None] - 1, axis=1)
    behind = np.arange(grid.shape[1]) >= lengths[:, None]
    more = (behind & (grid != last) & ~np.isnan(grid)).any(axis=1)
    if more.any():
        row = int(np.argmax(more))
        raise InputError(
            f"series {row} has {lengths[row]} values but more times; times and values differ in "
            "their number of observations: give each series its own times"
        )


def _observed(values: Any, name: str) -> Array:
    """Numbers, NaN where a masked array hides them."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    if getattr(getattr(values, "dtype", None), "kind", "") in ("m", "M"):
        raise InputError(f"{name} must hold real numbers, got {values.dtype}; convert them first")
    return as_array(values, name)


def _as_row(row: Any, i: int) -> Array:
    array = _observed(row, f"series {i}")
    if array.ndim not in (1, 2):
        raise InputError(f"series {i} must be (T, C), got shape {array.shape}")
    return array[:, None] if array.ndim == 1 else array


def _padded_times(
    times: Any, shape: tuple[int, ...], lengths: Array, time_unit: TimeUnit
) -> tuple[Array, TimeAxis]:
    nested = isinstance(times, (list, tuple)) and len(times) > 0 and np.ndim(times[0]) == 1
    if nested and {len(row) for row in times} != {shape[1]}:
        if [len(row) for row in times] != lengths.tolist():
            raise InputError("times and values differ in their number of series or observations")
        flat = _chained(times)
        axis = TimeAxis.of(flat, time_unit)
        grid = np.full(shape, np.nan)
        grid[np.arange(shape[1]) < lengths[:, None]] = axis.encode(flat)
        return grid, axis
    array: Any = _chained(times) if nested else times
    array = array.detach().cpu().numpy() if hasattr(array, "detach") else array
    found = (len(times), shape[1]) if nested else np.shape(array)
    flat = array if len(np.shape(array)) == 1 else np.ravel(np.asarray(array))
    axis = TimeAxis.of(flat, time_unit)
    if found not in {shape, shape[1:]}:
        raise InputError(f"times must be (T,) or (B, T) for values {shape}, got shape {found}")
    return np.broadcast_to(axis.encode(flat).reshape(found), shape).copy(), axis


def _chained(rows: Any) -> Any:
    parts = [pd.Series(row.detach().numpy() if hasattr(row, "detach") else row) for row in rows]
    return pd.concat(parts, ignore_index=True)


def _without_padding(data: Array, lengths: Array, grid: Array) -> tuple[Array, Array, Array]:
    """Lengths without the trailing entries that repeat the last time and hold no observation."""
    steps = np.arange(data.shape[1])
    inside = steps < lengths[:, None]
    new = np.diff(grid, axis=1, prepend=-np.inf) != 0
    real = inside & ((new & ~np.isnan(grid)) | ~np.isnan(data).all(axis=2))
    lengths = np.where(real.any(axis=1), data.shape[1] - real[:, ::-1].argmax(axis=1), 1)
    longest = int(lengths.max())
    last = np.take_along_axis(grid, lengths[:, None] - 1, axis=1)
    grid = np.where(steps < lengths[:, None], grid, last)
    return data[:, :longest], lengths, grid[:, :longest]
