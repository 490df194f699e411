"""Series of several channels, each series with its own times and its own holes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, require_finite
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import series_arrays, series_tables
from trajinfer.data.hiding import partly_hidden
from trajinfer.data.joining import joined_fields
from trajinfer.data.names import column_names, listed
from trajinfer.data.open_table import OpenTable
from trajinfer.data.ragged import RaggedLayout
from trajinfer.data.ragged_series import RaggedSeries
from trajinfer.data.row_index import indexed_rows
from trajinfer.data.time_axis import TimeAxis, TimeUnit


@dataclass(frozen=True, eq=False)
class IrregularSeries(RaggedSeries):
    """B series of C channels; any channel may be missing at any time.

    Memory follows the number N of entries; the padded arrays `times`, `values` and `mask` are made
    when they are first asked for.

    Args:
        flat_times: (N,) float64, series after series, increasing along each of them.
        flat_values: (N, C) float64; NaN = not observed.
        lengths: (B,) number of times of each series.
        channels: names of the C channels.
        labels: (B,) what is to be predicted of each series: classes or numbers.
        statics: (B, S) numbers that do not change along a series; NaN = unknown.
        static_names: names of the S statics.
        ids: one identifier per series.
        axis: how times map to numbers.
        table: the names and types of the columns of the table it was read from.

    Build it with `from_frame` or `from_arrays`, which check what they are given.

    Example:
        >>> series = IrregularSeries.from_arrays([0.0, 1.0, 2.5], [[[1.0], [np.nan], [3.0]]])
        >>> len(series), series.mask[0, :, 0].tolist()
        (1, [True, False, True])
    """

    flat_times: Array
    flat_values: Array
    lengths: Array
    channels: tuple[str, ...] = ()
    labels: Array | None = None
    statics: Array | None = None
    static_names: tuple[str, ...] = ()
    ids: tuple[Hashable, ...] = ()
    axis: TimeAxis = field(default_factory=TimeAxis, repr=False)
    table: series_tables.Table | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n, entries = len(self.lengths), self.flat_values.shape
        if len(entries) != 2 or self.flat_times.shape != entries[:1]:
            raise InputError(
                f"times {self.flat_times.shape} and values {entries} must be (N,) and (N, C), "
                "series after series; use IrregularSeries.from_arrays"
            )
        if not n or not entries[1] or self.lengths.min() < 1 or self.lengths.sum() != entries[0]:
            raise InputError(
                f"values {entries} and lengths {self.lengths.shape}: at least one series, one "
                "channel and one time per series are needed"
            )
        freeze = object.__setattr__
        freeze(self, "channels", column_names(self.channels, entries[1], "x", "channel"))
        n_statics = 0 if self.statics is None else self.statics.shape[1]
        freeze(self, "static_names", column_names(self.static_names, n_statics, "s", "static"))
        freeze(self, "ids", tuple(self.ids) if len(self.ids) else tuple(range(n)))
        for name in ("labels", "statics", "ids"):
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise InputError(f"{len(value)} {name} for {n} series; give one per series")
        for array in (self.flat_times, self.flat_values, self.lengths, self.labels, self.statics):
            if array is not None:
                array.flags.writeable = False

    @classmethod
    def padded(cls, times: Array, values: Array, lengths: Array, **fields: Any) -> Self:
        """From arrays that are padded and checked already.

        Args:
            times: (B, T).
            values: (B, T, C).
            lengths: (B,).
            **fields: the other arguments of the class.
        """
        layout = RaggedLayout(np.array(lengths))
        return cls(layout.flatten(times), layout.flatten(values), layout.lengths, **fields)

    def __repr__(self) -> str:
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        span = f"{longest}" if shortest == longest else f"{shortest}-{longest}"
        return (
            f"IrregularSeries({len(self)} series, {span} times, {len(self.channels)} channels, "
            f"{np.mean(~np.isnan(self.flat_values)):.0%} observed)"
        )

    def __getitem__(self, index: Any) -> IrregularSeries:
        """Some of the series, by a number, a slice, numbers or a bool each."""
        rows = indexed_rows(index, len(self), "series")
        layout, entries = self.layout.take(rows)
        return replace(
            self,
            flat_times=self.flat_times[entries],
            flat_values=self.flat_values[entries],
            lengths=layout.lengths,
            labels=None if self.labels is None else self.labels[rows],
            statics=None if self.statics is None else self.statics[rows],
            ids=tuple(self.ids[i] for i in rows),
        )

    @cached_property
    def values(self) -> Array:
        """(B, T, C); NaN = not observed, and NaN on the padding."""
        return self.layout.pad(self.flat_values, np.nan)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, T, C)."""
        return len(self), self.layout.longest, len(self.channels)

    @property
    def mask(self) -> Array:
        """(B, T, C) bool, True = observed."""
        return np.asarray(~np.isnan(self.values))

    @property
    def n_observations(self) -> int:
        """Number of observed values over all series and channels."""
        return int((~np.isnan(self.flat_values)).sum())

    @classmethod
    def from_arrays(
        cls,
        times: Any,
        values: Any,
        *,
        channels: Sequence[str] | None = None,
        labels: Any = None,
        statics: Any = None,
        ids: Sequence[Hashable] | None = None,
        time_unit: TimeUnit = "D",
    ) -> IrregularSeries:
        """Take series from arrays, or from lists of arrays of unequal length.

        Args:
            times: (T,) shared by all series, (B, T), or a list of B arrays: numbers, datetimes or
                durations. Rows of a (B, T) array end in padding where the last time (or NaN)
                repeats and nothing was observed.
            values: (B, T, C) with NaN = not observed, or (B, T) for one channel, or a list of B
                arrays (T_i, C) or (T_i,).
            channels: names of the C channels.
            labels: (B,) classes or numbers to be predicted.
            statics: (B, S) numbers, or a table with a row per series.
            ids: one identifier per series.
            time_unit: duration of 1.0 where times are datetimes or durations.

        Raises:
            InputError: if shapes disagree, times do not increase strictly, or a value is infinite.
        """
        flat_times, flat_values, lengths, axis = series_arrays.parse(times, values, time_unit)
        known, names = series_arrays.parse_statics(statics)
        return cls(
            flat_times,
            flat_values,
            lengths,
            channels=tuple(map(str, listed(channels, "channels"))),
            labels=None if labels is None else series_arrays.parse_labels(labels),
            statics=known,
            static_names=names,
            ids=listed(ids, "ids"),
            axis=axis,
        )

    @classmethod
    def from_frame(
        cls,
        df: Any,
        *,
        id: str | None,
        time: str,
        channels: Sequence[str] | None = None,
        variable: str | None = None,
        value: str | None = None,
        statics: Sequence[str] | None = None,
        labels: str | None = None,
        duplicates: series_tables.Duplicates = "raise",
        time_unit: TimeUnit = "D",
    ) -> IrregularSeries:
        """Read a table: wide (a column per channel) or long (a row per observation).

        Args:
            df: the table, or what can become one (`to_pandas`). `id` and `time` may also be
                levels of its index. The order of rows does not matter.
            id: column that names the series, which come out sorted by it; None: one series.
            time: column of times: numbers, datetimes or durations.
            channels: wide: the columns to take, None for all numeric ones left over, but for an
                index of rows that was written along. Long: the variables to take, None for all of
                them, sorted.
            variable: long tables: column that names the channel.
            value: long tables: column of the observed values.
            statics: columns that are constant along a series.
            labels: column of classes or numbers to be predicted, constant along a series.
            duplicates: what to do with a repeated (id, time): refuse, or take the "mean" or the
                "last" row.
            time_unit: duration of 1.0 where times are datetimes or durations.

        Raises:
            InputError: for a missing column, values that are not numbers or infinite, repeated
                times, labels or statics that change along a series.

        Warns:
            UserWarning: if the times of a series were not in order.
            UnusedColumnsWarning: naming columns that nobody asked to leave out and are no numbers.

        Example:
            >>> df = pd.DataFrame({"who": ["a", "a", "b"], "t": [0, 3, 1], "hr": [60.0, 65, 80]})
            >>> IrregularSeries.from_frame(df, id="who", time="t").to_frame()
              who  t    hr
            0   a  0  60.0
            1   a  3  65.0
            2   b  1  80.0
        """
        names = series_tables.Columns(id, time, channels, variable, value, statics, labels)
        return cls(**series_tables.parse(df, names, duplicates, time_unit))

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        id: str,
        time: str,
        channels: Sequence[str] | None = None,
        memory: float | str | None = None,
        time_unit: TimeUnit = "D",
    ) -> OpenTable[IrregularSeries]:
        """Series in parquet files that may be larger than memory; taken wherever series are.

        Args:
            path: a parquet file, or a folder of them, partitioned or not; best sorted by `id`.
            id, time, channels, time_unit: as for `from_frame`, of a wide table.
            memory: bound on what a fit or an answer works in, in bytes or as "2 GiB"; None takes a
                quarter of what is free. A fit learns from as many series, drawn at random, as that
                allows, and says so.

        Raises:
            InputError: for a missing file or column.
        """

        def read(rows: pd.DataFrame, axis: TimeAxis) -> IrregularSeries:
            return cls.from_frame(rows, id=id, time=time, channels=channels).on_axis(axis)

        return OpenTable.of(path, id, time, channels, read, memory=memory, time_unit=time_unit)

    def to_frame(self) -> pd.DataFrame:
        """The table again, sorted by series and time: the inverse of `from_frame`.

        A long table holds the observed values only.
        """
        return series_tables.write(
            self.table or series_tables.Table(),
            ids=self.ids,
            series=self.layout.series,
            times=self.axis.decode(self.flat_times),
            channels=dict(zip(self.channels, self.flat_values.T)),
            statics={} if self.statics is None else dict(zip(self.static_names, self.statics.T)),
            labels=self.labels,
        )

    def until(self, cutoff: Any) -> IrregularSeries:
        """What was known at the cutoff: observations at or before it.

        Args:
            cutoff: one time, or one per series (B,).

        Raises:
            InputError: if a series has no time that early.
        """
        return self._keep(
            np.asarray(self.flat_times <= self._per_entry(cutoff)), "up to the cutoff"
        )

    def after(self, cutoff: Any) -> IrregularSeries:
        """What came later than the cutoff.

        Args:
            cutoff: one time, or one per series (B,).

        Raises:
            InputError: if a series has no time that late.
        """
        return self._keep(np.asarray(self.flat_times > self._per_entry(cutoff)), "after the cutoff")

    def compact(self) -> IrregularSeries:
        """The same series without the times at which nothing was observed.

        Raises:
            InputError: if nothing was observed of a series.
        """
        return self._keep(
            np.asarray(~np.isnan(self.flat_values).all(axis=1)), "with an observation"
        )

    def drop_observations(
        self, rate: float, random_state: RandomState = None, *, together: bool = False
    ) -> IrregularSeries:
        """Hide a share of the observations: `int(rate * n)` of n, at least 2 are left.

        The times stay, so that `series.mask & ~dropped.mask` marks what was hidden; `compact`
        removes times with nothing left.

        Args:
            rate: share to hide, in [0, 1).
            random_state: None, an int or a generator.
            together: hide all channels of a time at once, instead of each channel by itself.

        Raises:
            InputError: if `rate` does not lie in [0, 1).
        """
        rng = np.random.default_rng(seed_from(random_state))
        kept = partly_hidden(self.flat_values, self.layout, rate, rng, together=together)
        return replace(self, flat_values=kept)

    def with_values(self, values: Array) -> IrregularSeries:
        """The same series with other values (B, T, C)."""
        return replace(self, flat_values=self.layout.flatten(values))

    def with_labels(self, labels: Any) -> IrregularSeries:
        """The same series with other labels (B,)."""
        return replace(self, labels=series_arrays.parse_labels(labels))

    def on_axis(self, axis: TimeAxis) -> IrregularSeries:
        """The same series with times counted as on another axis (its origin and unit).

        Raises:
            InputError: if the axes are of different kinds, such as datetimes and numbers.
        """
        if self.axis == axis or self.axis.kind == axis.kind == "number":
            return replace(self, axis=axis)
        if self.axis.kind != axis.kind:
            raise InputError(
                f"the times of these series are {self.axis.kind}s, {axis.kind}s were expected"
            )
        encoded = axis.encode(self.axis.decode(self.flat_times))
        return replace(self, axis=axis, flat_times=encoded)

    @classmethod
    def concatenate(cls, parts: Sequence[IrregularSeries]) -> IrregularSeries:
        """One container with the series of several, which must share their channels.

        Raises:
            InputError: if there is nothing to join, or channels, statics or labels do not match.
        """
        if not parts:
            raise InputError("give at least one IrregularSeries")
        return replace(parts[0], **joined_fields([part.on_axis(parts[0].axis) for part in parts]))

    def _per_entry(self, cutoff: Any) -> Array:
        """A cutoff at every entry, (N,)."""
        numbers = self.axis.encode(np.atleast_1d(cutoff))
        require_finite(numbers, "cutoff")
        if numbers.shape not in {(1,), (len(self),)}:
            raise InputError(
                f"cutoff must be one time or one per series ({len(self)},), got {numbers.shape}"
            )
        return np.asarray(np.broadcast_to(numbers, len(self))[self.layout.series])

    def _keep(self, entries: Array, which: str) -> Self:
        """The same series with some of their entries (N,)."""
        layout = self.layout.keep(entries)
        if not layout.lengths.all():
            empty = [self.ids[i] for i in np.flatnonzero(layout.lengths == 0)]
            raise InputError(
                f"{len(empty)} series have no time {which}, such as {empty[0]!r}; leave them out, "
                "e.g. with series[keep]"
            )
        return replace(
            self,
            flat_times=self.flat_times[entries],
            flat_values=self.flat_values[entries],
            lengths=layout.lengths,
        )
