"""Long series cut into windows of one length, and answers about the windows put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.series_tables import Table, with_types
from trajinfer.data.time_axis import TimeAxis

_ROUNDING = 1e-9  # of a window: a time that should lie on its edge
FEWEST_FOR_A_LAW = 20  # series, or windows of one, from which a law of series is learned
# seasons first: a window that is one knows the hour of the day, or the month of the year
_USUAL = ("1D", "365D", "7D", "30D", "1h", "1min")
_FEWEST_ROWS, _MOST_ROWS = 6, 300  # of a usual window
_MOST_STEPS = 24
_DIGITS = 12  # of a window, beyond which numbers differ by rounding


@dataclass(frozen=True, eq=False)
class Windows:
    """B series, and the P pieces that windows cut them into, entry after entry in the same order.

    A law of many series, such as that of `ScoreSeries`, is learned from the pieces of one long
    record. A window knows nothing of its neighbours, so that it should be long enough to hold what
    belongs together: a day of hours, a year of months.

    Attributes:
        whole: the series.
        pieces: their windows, with times since the start of each; ids say whose they are and when
            they start. Windows without a time are none.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=6, freq="12h")
        >>> record = IrregularSeries.from_arrays(days, np.arange(6.0)[None])
        >>> windows = Windows.cut(record, "1D")
        >>> windows.pieces.ids, windows.pieces.times[1].tolist()
        (('2024-01-01', '2024-01-02', '2024-01-03'), [0.0, 0.5])
        >>> windows.joined(windows.pieces.values)[0, :, 0].tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """

    whole: IrregularSeries
    pieces: IrregularSeries

    @classmethod
    def cut(cls, series: IrregularSeries, length: Any) -> Self:
        """Cut series into windows.

        Windows begin at whole multiples of their length: of numbers and durations counted from 0,
        of dates from midnight of the first day (days are of 24 hours).

        Args:
            series: B series.
            length: of a window: a number in the unit of the times, or a duration such as "1D".

        Raises:
            InputError: if it is no duration, or no window holds two times.
        """
        size = series.axis.duration(length, "the length of a window")
        first = _first_midnight(series.axis)
        number = np.floor((series.flat_times - first) / size + _ROUNDING)
        begins = np.ones(len(number), dtype=bool)
        begins[1:] = (np.diff(number) != 0) | (np.diff(series.layout.series) != 0)
        places = np.flatnonzero(begins)
        lengths = np.diff([*places, len(number)])
        if lengths.max() < 2:
            raise InputError(
                f"no window of length {length} holds two times; give a longer one than the steps "
                f"of the series, which are {series.axis.in_words(_steps(series))}"
            )
        owner, starts = series.layout.series[places], first + size * number[places]
        pieces = replace(
            series,
            flat_times=_since(np.repeat(starts, lengths), series, size),
            lengths=lengths,
            labels=None if series.labels is None else series.labels[owner],
            statics=None if series.statics is None else series.statics[owner],
            ids=_names(series, owner, starts),
            axis=series.axis.since_start(),
            table=_table_of_pieces(series),
        )
        return cls(series, pieces)

    @classmethod
    def usual_length(cls, series: IrregularSeries) -> Any:
        """A length that cuts series into 20 windows or more, of 6 to 300 times each on average.

        Of dates and durations the first of a day, 365 days, a week, 30 days, an hour and a minute;
        of numbers 6 to 24 usual steps, as the number of times allows.

        Raises:
            InputError: if the series are too short for 20 windows.
        """
        n, first = len(series.flat_times), _first_midnight(series.axis)
        for length in _usual_lengths(series) if n >= _FEWEST_ROWS * FEWEST_FOR_A_LAW else ():
            size = series.axis.duration(length)
            number = np.floor((series.flat_times - first) / size + _ROUNDING)
            count = len(np.unique(np.stack([series.layout.series, number]), axis=1).T)
            if count >= FEWEST_FOR_A_LAW and _FEWEST_ROWS <= n / count <= _MOST_ROWS:
                return length
        raise InputError(
            f"a law is learned from {FEWEST_FOR_A_LAW} series at least, or from as many windows of "
            f"{_FEWEST_ROWS} times, got {len(series)} series of {n} times together; give more or "
            "longer ones"
        )

    @property
    def observed(self) -> IrregularSeries:
        """The pieces in which anything was observed, from which a law is learned."""
        seen = self.pieces.mask.any(axis=(1, 2))
        return self.pieces[seen] if seen.any() else self.pieces

    def joined(self, answers: Array) -> Array:
        """Answers (P, t, ...) for every entry of the pieces as (B, T, ...) of the whole series.

        Raises:
            InputError: if they have another shape.
        """
        shape = self.pieces.present.shape
        if answers.shape[:2] != shape:
            raise InputError(
                f"answers must have the shape {shape} of the windows first, got {answers.shape}"
            )
        flat = self.pieces.layout.flatten(answers)
        fill = np.nan if np.issubdtype(flat.dtype, np.floating) else None
        return self.whole.layout.pad(flat, fill)

    def joined_table(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of the pieces, such as `fill` gives, with the names and times of whole series.

        Args:
            table: one row for every time, or in long tables for every time and channel.

        Raises:
            InputError: if the table is of other series.
        """
        columns = self.whole.table or Table()
        entries, rest = divmod(len(table), len(self.pieces.flat_times))
        rows = np.repeat(np.arange(len(self.pieces.flat_times)), entries)
        own = self.pieces.axis.decode(self.pieces.flat_times)[rows]
        if rest or columns.time not in table or not np.array_equal(table[columns.time], own):
            raise InputError("the table is not of these windows; give that of model.fill(pieces)")
        times = self.whole.axis.decode(self.whole.flat_times)[rows]
        table = table.assign(**{columns.time: times})
        name = (self.pieces.table or columns).id
        if columns.id is None:  # of one series, whose pieces may be named and may be itself
            table = table if name is None else table.drop(columns=name)
        else:
            names = pd.Index(list(self.whole.ids)).take(self.whole.layout.series[rows])
            table[columns.id] = names.to_numpy()
        own_types = {k: v for k, v in columns.dtypes.items() if k in (columns.id, columns.time)}
        return with_types(table, own_types)


def _first_midnight(axis: TimeAxis) -> float:
    """Where windows are counted from: midnight before the origin of dates, else 0."""
    if axis.origin is None:
        return 0.0
    return float(axis.encode(pd.DatetimeIndex([axis.origin.normalize()]))[0])


def _since(starts: Array, series: IrregularSeries, size: float) -> Array:
    """(N,) times since the windows began, the same hour of two days as the same number."""
    passed = np.maximum(series.flat_times - starts, 0.0)
    if series.axis.kind == "number":
        return np.asarray(size * np.round(passed / size, _DIGITS))
    axis = series.axis.since_start()
    return axis.encode(axis.decode(passed))


def _usual_lengths(series: IrregularSeries) -> Sequence[Any]:
    if series.axis.kind != "number":
        return _USUAL
    n = len(series.flat_times) // (2 * FEWEST_FOR_A_LAW)
    rows = int(np.clip(n, _FEWEST_ROWS, _MOST_STEPS))
    return (float(f"{rows * _steps(series):.6g}"),)


def _steps(series: IrregularSeries) -> float:
    """The median step between the times of a series."""
    steps = np.diff(series.flat_times)[np.diff(series.layout.series) == 0]
    return float(np.median(steps)) if len(steps) else np.nan


def _names(series: IrregularSeries, owner: Array, starts: Array) -> tuple[str, ...]:
    """What each piece is called: when it starts, and before that whose it is where many are."""
    labels = [str(label) for label in series.axis.decode(starts)]
    if series.axis.kind == "datetime" and all(label.endswith(" 00:00:00") for label in labels):
        labels = [label.removesuffix(" 00:00:00") for label in labels]
    if len(series) == 1:
        return tuple(labels)
    return tuple(f"{series.ids[i]} {label}" for i, label in zip(owner, labels, strict=True))


def _table_of_pieces(series: IrregularSeries) -> Table | None:
    """The columns of a table of pieces, whose names and times are of other types."""
    table = series.table
    if table is None:
        return None
    kept = {k: v for k, v in table.dtypes.items() if k not in (table.id, table.time)}
    if table.id is not None:
        return replace(table, dtypes=kept)
    taken = {table.time, table.labels, table.variable, table.value}
    taken |= {*series.channels, *series.static_names}
    name = next(name for k in range(len(taken) + 1) if (name := "window" + "_" * k) not in taken)
    return replace(table, id=name, dtypes=kept)
