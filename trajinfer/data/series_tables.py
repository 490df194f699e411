"""Series from tables and back: wide (a column per channel) and long (a row per observation)."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer.data.columns import (
    as_table,
    is_number,
    number_columns,
    numbered,
    numbers_of,
    require_columns,
    series_of_rows,
    times_of,
)
from trajinfer.data.plain_labels import plain_label
from trajinfer.data.ragged import RaggedLayout
from trajinfer.data.series_arrays import require_observable
from trajinfer.data.time_axis import TimeAxis, TimeUnit

Duplicates = Literal["raise", "mean", "last"]


@dataclass(frozen=True)
class Columns:
    """What the columns of a table mean, as the user says it; without an id it is one series."""

    id: str | None
    time: str
    channels: Sequence[str] | None = None
    variable: str | None = None
    value: str | None = None
    statics: Sequence[str] | None = None
    labels: str | None = None

    @property
    def long(self) -> bool:
        """Whether the table has a row per observation."""
        return self.variable is not None


@dataclass(frozen=True)
class Table:
    """Names and types of the columns, to write the same table again."""

    id: str | None = "id"
    time: str = "time"
    labels: str = "label"
    variable: str | None = None
    value: str | None = None
    dtypes: Mapping[str, Any] = field(default_factory=dict)


def parse(df: Any, columns: Columns, duplicates: Duplicates, time_unit: TimeUnit) -> dict[str, Any]:
    """The fields of an `IrregularSeries` from a table.

    Raises:
        InputError: see `IrregularSeries.from_frame`.
    """
    frame = _checked(df, columns, duplicates)
    axis, numbers = times_of(frame, columns.time, time_unit)
    codes, known = series_of_rows(frame, columns.id, sort=True)
    ids = tuple(known.tolist())
    channel, names, given = _observations(frame, columns)
    # in a long table the variables of a series may come one after the other
    lines = codes if channel is None else codes * (len(names) + 1) + channel
    _warn_of_disorder(lines, numbers)
    places = _Places.of(codes, numbers, axis)
    cells = _cells(places, channel, given, len(names), duplicates)
    layout = RaggedLayout(np.bincount(places.series))
    require_observable(cells, layout)
    first = np.unique(codes, return_index=True)[1]
    statics = _constant(frame, columns.statics or (), codes, first)
    labels = _constant(frame, (columns.labels,) if columns.labels else (), codes, first)
    kept = [columns.id, columns.labels, *(columns.statics or ())]
    kept += [columns.value] if columns.value else list(names)
    if columns.long and is_number(frame[columns.variable]):
        kept.append(columns.variable)
    return {
        "flat_times": places.times,
        "flat_values": cells,
        "lengths": layout.lengths,
        "channels": tuple(map(str, names)),
        "labels": labels.iloc[:, 0].to_numpy() if columns.labels else None,
        "statics": _as_numbers(statics) if columns.statics else None,
        "static_names": tuple(columns.statics or ()),
        "ids": ids,
        "axis": axis,
        "table": Table(
            columns.id,
            columns.time,
            columns.labels or "label",
            columns.variable,
            columns.value,
            {name: frame[name].dtype for name in kept if name is not None},
        ),
    }


def write(
    table: Table,
    *,
    ids: Sequence[Hashable],
    series: Array,
    times: Any,
    channels: Mapping[str, Array],
    statics: Mapping[str, Array],
    labels: Array | None,
) -> pd.DataFrame:
    """A table, sorted by series and time: the inverse of `parse`.

    Args:
        table: names and types of the columns.
        ids: one per series.
        series: (N,) number of the series of each entry.
        times: (N,) labels.
        channels: (N,) values by name; NaN = not observed.
        statics: (B,) numbers by name.
        labels: (B,), or None.
    """
    rows = np.arange(len(series))
    observed: dict[str, Any] = dict(channels)
    if table.variable is not None and table.value is not None:
        values = np.column_stack(list(channels.values()))
        rows, channel = np.nonzero(~np.isnan(values))
        observed = {
            table.variable: pd.Index(list(channels)).take(channel),
            table.value: values[rows, channel],
        }
    series, times = series[rows], times[rows]
    columns = {} if table.id is None else {table.id: pd.Index(list(ids)).take(series)}
    columns |= {table.time: times, **observed}
    columns |= {name: known[series] for name, known in statics.items()}
    if labels is not None:
        columns[table.labels] = labels[series]
    return with_types(pd.DataFrame(columns), table.dtypes)


def with_types(frame: pd.DataFrame, dtypes: Mapping[str, Any]) -> pd.DataFrame:
    """The table with columns of these types, but for those that would change what they hold."""
    known = {name: dtype for name, dtype in dtypes.items() if name in frame}
    return frame.astype({name: d for name, d in known.items() if _fits(frame[name], d)})


def _fits(column: pd.Series, dtype: Any) -> bool:
    """Whether a type can hold a column: whole numbers of a range, 0 and 1, gaps where it has NA."""
    types = pd.api.types
    if types.is_object_dtype(dtype):  # numbers of a database stay plain ones
        return not types.is_float_dtype(column)
    is_truth = types.is_bool_dtype(dtype)
    if not is_truth and not types.is_integer_dtype(dtype):
        return True
    if isinstance(dtype, np.dtype) and column.isna().any():
        return False
    if not types.is_float_dtype(column):
        return True
    known = column.dropna().to_numpy(dtype=np.float64)
    limits = None if is_truth else np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    low, high = (0, 1) if limits is None else (limits.min, limits.max)
    return bool(((known == np.round(known)) & (known >= low) & (known <= high)).all())


def _checked(df: Any, columns: Columns, duplicates: Duplicates) -> pd.DataFrame:
    if duplicates not in ("raise", "mean", "last"):
        raise InputError(f"duplicates must be 'raise', 'mean' or 'last', got {duplicates!r}")
    if (columns.variable is None) != (columns.value is None):
        raise InputError("a long table needs both variable= and value=; a wide one needs neither")
    statics = list(columns.statics or ())
    if len(set(statics)) < len(statics):
        raise InputError(f"statics names a column twice: {statics}; name each once")
    df = as_table(df)
    if (({columns.id, columns.time} - {None}) & set(df.index.names)) - set(df.columns):
        twice = [level for level in df.index.names if level in df.columns]
        df = df.droplevel(twice).reset_index()
    named = [columns.id, columns.time, columns.variable, columns.value, columns.labels]
    named += statics
    named += [] if columns.long else list(columns.channels or ())
    require_columns(df, [name for name in named if name is not None])
    return df


def _warn_of_disorder(lines: Array, numbers: Array) -> None:
    order = np.argsort(lines, kind="stable")
    same = np.diff(lines[order]) == 0
    backwards = int((same & (np.diff(numbers[order]) < 0)).sum())
    if backwards:
        warnings.warn(
            f"the times of a series were not in order at {backwards} rows; they were sorted",
            UserWarning,
            stacklevel=4,
        )


def _observations(frame: pd.DataFrame, columns: Columns) -> tuple[Array | None, list[str], Array]:
    """Channel of each row (long tables), names of the channels, and the values of the rows."""
    if not columns.long:
        names = list(columns.channels or _left_over(frame, columns))
        return None, names, np.column_stack([numbers_of(frame, name) for name in names])
    rows, known = numbered(frame[columns.variable], columns.variable)
    found = [str(_whole(label)) for label in known]
    names = list(columns.channels or sorted(found))
    for name in names:
        if name not in found:
            raise InputError(f"no variable '{name}' in the table; {nearest(name, found)}")
    codes = pd.Index(names).get_indexer(found)[rows]
    return codes, names, numbers_of(frame, str(columns.value))


def _whole(label: Any) -> Any:
    """A variable as it is called: 2, which a column with gaps or fractions makes 2.0."""
    plain = plain_label(label)
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _left_over(frame: pd.DataFrame, columns: Columns) -> list[str]:
    taken = {columns.id, columns.time, columns.labels, *(columns.statics or ())}
    return number_columns(frame, taken, "channels=", stacklevel=6)


@dataclass(frozen=True)
class _Places:
    """Rows in order of series and time, and which (series, time) each of them belongs to.

    Attributes:
        order: (N,) rows of the table, sorted.
        entry: (N,) number of the (series, time) of each sorted row.
        series, times: (E,) of each entry.
        axis: of the times.
    """

    order: Array
    entry: Array
    series: Array
    times: Array
    axis: TimeAxis

    @classmethod
    def of(cls, codes: Array, numbers: Array, axis: TimeAxis) -> _Places:
        order = np.lexsort((numbers, codes))
        series, times = codes[order], numbers[order]
        new = np.r_[True, (np.diff(series) != 0) | (np.diff(times) != 0)]
        return cls(order, np.cumsum(new) - 1, series[new], times[new], axis)


def _cells(
    places: _Places, channel: Array | None, given: Array, n_channels: int, duplicates: Duplicates
) -> Array:
    """Values (E, C) of every (series, time); values that share a cell are merged.

    Raises:
        InputError: if values share a cell and `duplicates` is "raise".
    """
    rows = places.entry * n_channels
    if channel is None:
        _refuse_repeats(places, places.entry, np.arange(len(rows)), duplicates)
        cell, value = (rows[:, None] + np.arange(n_channels)).ravel(), given[places.order].ravel()
    else:
        taken = np.flatnonzero(channel[places.order] >= 0)
        cell = (rows + channel[places.order])[taken]
        _refuse_repeats(places, cell, taken, duplicates)
        value = given[places.order][taken]
    observed = ~np.isnan(value)
    cell, value = cell[observed], value[observed]
    size = len(places.times) * n_channels
    merged = np.full(size, np.nan)
    if duplicates == "mean":
        counts = np.bincount(cell, minlength=size)
        seen = counts > 0
        merged[seen] = np.bincount(cell, weights=value, minlength=size)[seen] / counts[seen]
    else:
        merged[cell] = value  # of several, the last one stays
    return merged.reshape(-1, n_channels)


def _refuse_repeats(places: _Places, keys: Array, rows: Array, duplicates: Duplicates) -> None:
    if duplicates != "raise":
        return
    repeated = pd.Series(keys).duplicated().to_numpy()
    if repeated.any():
        first = rows[int(repeated.argmax())]
        row, time = int(places.order[first]), places.axis.named(places.times[places.entry[first]])
        raise InputError(
            f"{int(repeated.sum())} rows repeat the time of another row of their series, such as "
            f"row {row} (counted from 0) at time {time}; merge them, or say duplicates='mean' or "
            "'last'"
        )


def _constant(
    frame: pd.DataFrame, names: Sequence[str], codes: Array, first: Array
) -> pd.DataFrame:
    """The entries of these columns, one row per series.

    Raises:
        InputError: if a column changes along a series.
    """
    table = frame[list(names)].iloc[first].reset_index(drop=True)
    for name in names:
        expected, found = table[name].iloc[codes].reset_index(drop=True), frame[name]
        found = found.reset_index(drop=True)
        changes = ~((expected == found) | (expected.isna() & found.isna()))
        changes = changes.astype("boolean").fillna(True).astype(bool)
        if changes.any():
            row = int(changes.to_numpy().argmax())
            raise InputError(
                f"column '{name}' must be constant along a series, but row {row} (counted from 0) "
                f"holds {found[row]!r} after {expected[row]!r}; as a channel it may change"
            )
    return table


def _as_numbers(statics: pd.DataFrame) -> Array:
    known = np.column_stack([numbers_of(statics, name) for name in statics])
    if np.isinf(known).any():
        raise InputError("statics hold an infinite number; NaN marks what is unknown")
    return known
