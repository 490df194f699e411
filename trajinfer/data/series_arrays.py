"""Series from arrays and lists: flattening, checks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array, unmasked
from trajinfer._core.errors import InputError
from trajinfer.data.array_layout import require_times_first
from trajinfer.data.ragged import RaggedLayout
from trajinfer.data.time_axis import TimeAxis, TimeUnit


def parse(times: Any, values: Any, time_unit: TimeUnit) -> tuple[Array, Array, Array, TimeAxis]:
    """Times (N,), values (N, C), lengths (B,) and the time axis.

    Raises:
        InputError: if shapes disagree, also where values are channels by times, times do not
            increase strictly, or a value is infinite.
    """
    require_times_first(_numbers_of_times(times), values)
    data, layout = _flat_values(values)
    flat_times, axis = parse_times(times, layout, time_unit)
    inside = _before_padding(flat_times, data, layout)
    layout = layout.keep(inside)
    flat_times, data = flat_times[inside], data[inside]
    require_observable(data, layout)
    require_order(flat_times, layout)
    return flat_times, data, layout.lengths, axis


def parse_times(times: Any, layout: RaggedLayout, time_unit: TimeUnit) -> tuple[Array, TimeAxis]:
    """Times (N,) of all entries and their axis.

    Args:
        times: (T,) shared by all series, (B, T) whose rows may end in padding (the last time
            repeats, or NaN), or a list of B rows of any length.
        layout: of the values.
        time_unit: duration of 1.0 where times are datetimes or durations.

    Raises:
        InputError: if there are more or fewer times than values.
    """
    times = unmasked(times)
    nested = isinstance(times, (list, tuple)) and len(times) > 0 and len(_shape(times[0])) == 1
    n_series = len(layout.lengths)
    if nested and [len(row) for row in times] == layout.lengths.tolist():
        labels = _chained(times)
        axis = TimeAxis.of(labels, time_unit)
        return axis.encode(labels), axis
    labels = _chained(times) if nested else times
    shape = (len(times), len(labels) // len(times)) if nested else _shape(labels)
    equal = not nested or len({len(row) for row in times}) == 1
    if not equal or shape not in {(n_series, layout.longest), (layout.longest,)}:
        raise InputError(
            f"times must be (T,) or (B, T) for {n_series} series of up to {layout.longest} "
            f"observations, got {'rows of unequal length' if not equal else f'shape {shape}'}; "
            "times and values disagree, they differ in their number of series or observations"
        )
    labels = labels if len(np.shape(labels)) == 1 else np.ravel(np.asarray(labels))
    axis = TimeAxis.of(labels, time_unit)
    grid = np.broadcast_to(axis.encode(labels).reshape(shape), layout.present.shape)
    _refuse_times_without_values(grid, layout)
    return layout.flatten(grid), axis


def _shape(times: Any) -> tuple[int, ...]:
    try:
        return np.shape(times)
    except ValueError as error:
        raise InputError(
            f"times must be one row, or a list with a row of times for each series ({error})"
        ) from error


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
    """Labels (B,), of whatever kind they are; None or NaN where a mask hides them."""
    array = np.array(unmasked(labels))
    if array.ndim != 1:
        raise InputError(f"labels must be (B,), one per series, got shape {array.shape}")
    return array


def require_observable(values: Array, layout: RaggedLayout) -> None:
    """Refuse infinite values (N, C), naming the first.

    Raises:
        InputError: at the first infinite value.
    """
    infinite = np.isinf(values)
    if infinite.any():
        entry, channel = (int(i) for i in np.argwhere(infinite)[0])
        first = (int(layout.series[entry]), int(layout.steps[entry]), channel)
        raise InputError(
            f"values hold an infinite number at (series, time, channel) {first}, "
            f"{int(infinite.sum())} in all; mark what was not observed by NaN"
        )


def require_order(
    times: Array, layout: RaggedLayout, ids: Sequence[Hashable] | None = None, kind: str = "series"
) -> None:
    """Refuse times (N,) that are not finite or do not increase strictly along a series.

    Args:
        times: of all entries.
        layout: of the series.
        ids: how messages call the series; their numbers by default.
        kind: what messages call a series.

    Raises:
        InputError: naming the first series concerned.
    """

    def name(entry: Any) -> Any:
        row = int(layout.series[entry])
        return row if ids is None else ids[row]

    finite = np.isfinite(times)
    if not finite.all():
        raise InputError(
            f"{kind} {name(np.argmin(finite))} has a time that is not finite; leave such rows out"
        )
    bad = (np.diff(times) <= 0) & (np.diff(layout.series) == 0)
    if bad.any():
        entry = int(np.argmax(bad))
        before, after = times[entry], times[entry + 1]
        what = "repeated" if before == after else "out of order"
        raise InputError(
            f"times must increase strictly along a {kind}, but in {kind} {name(entry)} "
            f"{before:.15g} is followed by {after:.15g} ({what}); sort them and merge equal times"
        )


def _numbers_of_times(times: Any) -> list[int]:
    """Of every series, or one for all of them."""
    nested = isinstance(times, (list, tuple)) and len(times) > 0 and np.ndim(times[0]) == 1
    if nested:
        return [len(row) for row in times]
    shape = np.shape(times)
    return [shape[-1]] if shape else []


def _flat_values(values: Any) -> tuple[Array, RaggedLayout]:
    if isinstance(values, (list, tuple)) and len(values) and np.ndim(values[0]) >= 1:
        rows = [_as_row(row, i) for i, row in enumerate(values)]
        if len({row.shape[1] for row in rows}) > 1:
            raise InputError(
                f"series differ in their number of channels: {sorted({r.shape[1] for r in rows})}"
            )
        lengths = np.array([len(row) for row in rows])
        data = np.concatenate(rows)
    else:
        array = as_array(values, "values")
        array = array[:, :, None] if array.ndim == 2 else array
        if array.ndim != 3:
            raise InputError(f"values must be (B, T, C), got shape {array.shape}")
        lengths = np.full(len(array), array.shape[1])
        data = array.reshape(array.shape[0] * array.shape[1], array.shape[2])
    if not data.size or not lengths.all():
        empty = np.flatnonzero(lengths == 0)
        where = f"series {empty[0]} has" if len(empty) else f"values {data.shape} hold"
        raise InputError(f"{where} no observation times; leave empty series out")
    return data, RaggedLayout(lengths)


def _as_row(row: Any, i: int) -> Array:
    array = as_array(row, f"series {i}")
    if array.ndim not in (1, 2):
        raise InputError(f"series {i} must be (T, C), got shape {array.shape}")
    return array[:, None] if array.ndim == 1 else array


def _refuse_times_without_values(grid: Array, layout: RaggedLayout) -> None:
    """Refuse times (B, T) behind the last value of a series that are no padding."""
    last = np.take_along_axis(grid, layout.lengths[:, None] - 1, axis=1)
    more = (~layout.present & (grid != last) & ~np.isnan(grid)).any(axis=1)
    if more.any():
        row = int(np.argmax(more))
        raise InputError(
            f"series {row} has {layout.lengths[row]} values but more times; times and values "
            "differ in their number of observations: give each series its own times"
        )


def _chained(rows: Any) -> Any:
    full = [pd.Series(row) for row in rows if len(row)]
    return pd.concat(full, ignore_index=True) if full else full


def _before_padding(times: Array, values: Array, layout: RaggedLayout) -> Array:
    """(N,) bool, False at the end of a series where its last time repeats with no observation."""
    new = np.diff(times, prepend=-np.inf) != 0
    new[layout.starts] = True
    real = (new & ~np.isnan(times)) | ~np.isnan(values).all(axis=1)
    last = np.maximum.reduceat(np.where(real, layout.steps, 0), layout.starts)
    return np.asarray(layout.steps <= last[layout.series])
