"""Times as numbers: datetimes and durations go in and come out, float64 is what is computed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array, require_finite, unmasked
from trajinfer._core.errors import InputError
from trajinfer._core.packing import instant_of, packable
from trajinfer.data import far_dates
from trajinfer.data.time_labels import TIMES, as_index, axis_index, name_of, numbers_of

TimeUnit = Literal["D", "h", "min", "s", "ms", "us", "ns"]
_MOST_NANOSECONDS = 9.2e18
_UNITS = ("s", "ms", "us", "ns")
_NANOSECONDS: dict[str, int] = {
    "D": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "min": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}


@packable
@dataclass(frozen=True)
class TimeAxis:
    """How the labels of a table's time column map to numbers.

    Attributes:
        kind: "number" (the labels are the numbers), "datetime" or "timedelta".
        unit: the duration of 1.0 on the axis, for datetimes and durations.
        origin: the datetime at 0.0.
        integral: whether the labels were whole numbers, which are then given back as integers.
        dtype: the pandas dtype of the labels, restored on output.
        name: what the column of times is called, for figures; "" if it has no name.
    """

    kind: Literal["number", "datetime", "timedelta"] = "number"
    unit: TimeUnit | None = None
    origin: pd.Timestamp | None = None
    integral: bool = False
    dtype: str | None = None
    name: str = field(default="", compare=False)

    @classmethod
    def of(cls, labels: Any, unit: TimeUnit = "D") -> TimeAxis:
        """The axis that fits a column of labels.

        Raises:
            InputError: if the labels are neither numbers, datetimes nor durations.
        """
        if unit not in _NANOSECONDS:
            raise InputError(f"time unit must be one of {', '.join(_NANOSECONDS)}, got {unit!r}")
        if np.ndim(labels) != 1:
            raise InputError(f"times must be one row of numbers, got shape {np.shape(labels)}")
        if len(labels) == 0:
            raise InputError("there are no times: the data are empty")
        index = axis_index(labels)
        dtype, name = str(index.dtype), name_of(labels)
        if isinstance(index, pd.TimedeltaIndex):
            return cls("timedelta", unit, dtype=dtype, name=name)
        if isinstance(index, pd.DatetimeIndex):
            return cls("datetime", unit, index.min(), dtype=dtype, name=name)
        integral = pd.api.types.is_integer_dtype(index)
        return cls(integral=integral, dtype=dtype, name=name)

    def encode(self, labels: Any) -> Array:
        """Labels to float64 numbers; numbers are taken as they are.

        Raises:
            InputError: if the labels are of another kind than the axis, or so fine and so far from
                the origin that float64 cannot tell them apart.
        """
        if np.ndim(labels) != 1:
            array = np.asarray(unmasked(labels))
            return self.encode(array.ravel()).reshape(array.shape)
        index = as_index(labels)
        if pd.api.types.is_numeric_dtype(index) or self.kind == "number":
            if isinstance(index, TIMES):
                raise InputError(f"the times of these data are numbers, got {index.dtype}")
            if not pd.api.types.is_numeric_dtype(index):
                return as_array(index.to_numpy(), "times")
            return numbers_of(index)
        offsets = self._offsets(index)
        tick = next((tick for tick in ("ns", "us") if _fits(offsets, tick)), None)
        if tick is None:
            raise InputError(
                f"times were expected to span less than 292 000 years, as microseconds reach, got "
                f"{np.ptp(offsets.asi8):.3g} {offsets.unit}; give numbers, such as years"
            )
        counts, ticks = offsets.as_unit(tick).asi8, self._ticks(tick)
        numbers = counts / ticks
        if (_whole(numbers, ticks) != counts).any():
            raise InputError(
                "these times are too fine for their distance from the first one; round them, e.g. "
                "with .dt.floor('us'), or subtract a later origin"
            )
        return np.asarray(numbers, dtype=np.float64)

    def _offsets(self, index: pd.Index) -> pd.TimedeltaIndex:
        """Durations since the origin, of datetimes, durations or their spelling."""
        try:
            if self.kind == "timedelta":
                return pd.to_timedelta(index)
            if isinstance(index, pd.TimedeltaIndex):
                raise TypeError("durations given for datetimes")
            return far_dates.since(_as_datetimes(index), self.origin)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the times of these data are {self.kind}s"
                + (f" of dtype {self.dtype}" if self.dtype else "")
                + f", got {index.dtype} ({error})"
            ) from error

    def decode(self, numbers: Any) -> Any:
        """Numbers back to labels; exact for labels that were encoded."""
        values = np.asarray(numbers, dtype=np.float64)
        if self.kind == "number":
            return self._number_labels(values)
        tick = "ns" if self._in_nanoseconds(values) else "us"
        counts = _whole(values.ravel(), self._ticks(tick))
        if self.kind == "timedelta":
            return pd.TimedeltaIndex(counts.astype(f"m8[{tick}]")).astype(self.dtype)
        for unit in _UNITS[_UNITS.index(getattr(self.origin, "unit", "ns")) :]:
            size = _NANOSECONDS[unit] // _NANOSECONDS[tick]
            exact = size > 0 and (counts % size == 0).all()
            if exact and (unit != "ns" or self._reaches(counts)):
                durations = pd.TimedeltaIndex((counts // size).astype(f"m8[{unit}]"))
                return self.origin.as_unit(unit) + durations  # type: ignore[union-attr]
        micros = counts // (_NANOSECONDS["us"] // _NANOSECONDS[tick])
        durations = pd.TimedeltaIndex(micros.astype("m8[us]"))
        return self.origin.as_unit("us") + durations  # type: ignore[union-attr]

    def _reaches(self, counts: Array) -> bool:
        """Whether nanoseconds since the origin are dates between 1677 and 2262."""
        try:
            start = self.origin.as_unit("ns").value  # type: ignore[union-attr]
        except pd.errors.OutOfBoundsDatetime:
            return False
        ends = float(start) + np.array([counts.min(initial=0), counts.max(initial=0)], float)
        return bool((np.abs(ends) < _MOST_NANOSECONDS).all())

    def _in_nanoseconds(self, numbers: Array) -> bool:
        return bool(np.abs(numbers).max(initial=0.0) * self._ticks("ns") < _MOST_NANOSECONDS)

    def _ticks(self, tick: str) -> float:
        """Nanoseconds or microseconds per unit of the axis."""
        return _NANOSECONDS[self.unit or "D"] / _NANOSECONDS[tick]

    def _number_labels(self, values: Array) -> Any:
        """In the dtype of the labels, or a wider one of the same kind where that cannot hold all.

        Times that are asked for later, such as those of a forecast, may lie outside its range.
        """
        if self.integral and (values != np.round(values)).any():
            return values
        default = np.int64 if self.integral else np.float64
        dtype = pd.api.types.pandas_dtype(self.dtype or default)
        plain = getattr(dtype, "numpy_dtype", dtype)  # nullable integers are no numpy dtype
        with np.errstate(invalid="ignore", over="ignore"):
            labels = values.astype(plain)
            if (numbers_of(pd.Index(labels)) != values).any():
                return values.astype(default)
        return labels if dtype is plain else pd.Index(labels).astype(dtype)

    def duration(self, value: Any, name: str = "horizon") -> float:
        """A length of time as a positive number in the unit of the axis.

        Args:
            value: a number in the unit of the axis; a timedelta or its spelling where the times are
                datetimes or durations.
            name: of the argument, for messages.

        Raises:
            InputError: if it is no length of time on this axis, or not positive and finite.

        Example:
            >>> TimeAxis.of(pd.to_datetime(["2020-01-01"]), unit="h").duration("2D")
            48.0
        """
        plain = isinstance(value, (int, float, np.number)) and not isinstance(
            value, (bool, np.timedelta64)
        )
        if isinstance(value, (bool, np.bool_)) or (self.kind == "number" and not plain):
            raise InputError(
                f"{name} must be a duration in the unit of the times, which are {self.kind}s, "
                f"got {value!r}; give a number"
            )
        number = float(value) if plain else self._length(value, name)
        if not (np.isfinite(number) and number > 0):
            raise InputError(f"{name} must be a positive duration, got {value!r}")
        return number

    def in_words(self, length: float) -> str:
        """A length of time on this axis with its unit, where it has one.

        Example:
            >>> TimeAxis.of(pd.to_datetime(["2020-01-01"]), unit="h").in_words(48.0)
            '48 h'
            >>> TimeAxis.of([1.0, 2.0]).in_words(0.5)
            '0.5'
        """
        return f"{length:g} {self.unit or ''}".rstrip()

    def named(self, t: float) -> str:
        """A time of this axis in words: a number, a duration or a date.

        Example:
            >>> TimeAxis.of(pd.to_datetime(["2020-01-01"])).named(31.0)
            '2020-02-01'
            >>> TimeAxis.of([20240101, 20240102]).named(20240101.0)
            '20240101'
        """
        if self.kind != "datetime":
            return f"{t:.15g} {self.unit or ''}".rstrip()
        return str(self.decode(np.array([t]))[0]).removesuffix(" 00:00:00")

    def _length(self, value: Any, name: str) -> float:
        try:
            return float(self._ruler().encode([value])[0])
        except InputError as error:
            raise InputError(
                f"{name} must be a duration such as 7D, got {value!r} ({error})"
            ) from error

    def durations(self, ts: Any, name: str = "ts") -> Array:
        """Times since the start of a series as numbers (T,), in the order given.

        Raises:
            InputError: if they are no times of this axis, empty, negative or not finite.
        """
        axis = self.since_start()
        return np.ravel(axis.queries(ts, 1, after=np.zeros(1), since="the start", name=name))

    def queries(
        self,
        ts: Any,
        n_series: int,
        *,
        after: Array | None = None,
        since: str = "the last time of the series",
        name: str = "ts",
    ) -> Array:
        """Times that are asked for, as numbers (B, T), in the order given.

        Args:
            ts: labels of this axis: one time, one row (T,) for all series, or one row per series
                (B, T). They may repeat and stand in any order.
            n_series: B.
            after: (B,) times that no query may precede.
            since: how messages call these times.
            name: of the argument, for messages.

        Raises:
            InputError: for no times, rows that are not one per series, values that are no times of
                this axis or not finite, or times before `after`.

        Example:
            >>> TimeAxis().queries([2.0, 0.5], 2).tolist()
            [[2.0, 0.5], [2.0, 0.5]]
        """
        labels = unmasked(ts)
        shape = np.shape(labels)
        if len(shape) > 2 or (len(shape) == 2 and shape[0] != n_series):
            raise InputError(
                f"{name} must be one time, a row (T,), or a row per series ({n_series}, T), got "
                f"shape {shape}"
            )
        if 0 in shape:
            raise InputError(f"{name} is empty; give at least one time")
        row = labels if len(shape) == 1 else np.ravel(np.asarray(labels))
        numbers = self.encode(row)
        require_finite(numbers, name)
        grid = np.broadcast_to(numbers.reshape(shape or (1,)), (n_series, (shape or (1,))[-1]))
        early = None if after is None else grid < np.asarray(after)[:, None]
        if early is not None and early.any():
            series, place = np.argwhere(early)[0]
            end, asked = self.decode([np.asarray(after)[series], grid[series, place]])
            raise InputError(
                f"{name} must not lie before {since}, but series {series} ends at {end} and "
                f"{asked} is asked for; give later times, or shorten the series with until(...)"
                if since.startswith("the last")
                else f"{name} must not lie before {since}, got {asked} for series {series}"
            )
        return np.array(grid, dtype=np.float64)

    def _ruler(self) -> TimeAxis:
        return self if self.kind == "number" else TimeAxis("timedelta", self.unit)

    def since_start(self) -> TimeAxis:
        """The axis of times counted from the start of a series."""
        if self.kind == "datetime":
            return TimeAxis("timedelta", self.unit, dtype="timedelta64[ns]", name=self.name)
        return self

    def to_config(self) -> dict[str, Any]:
        """What JSON can hold; `from_config` inverts it."""
        origin = self.origin
        if origin is not None:  # an hour that comes twice is told apart by Greenwich only
            origin = (origin if origin.tz is None else origin.tz_convert("UTC")).isoformat()
        return {
            "kind": self.kind,
            "unit": self.unit,
            "origin": origin,
            "integral": self.integral,
            "dtype": self.dtype,
            "name": self.name,
        }

    to_state = to_config

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TimeAxis:
        """The axis that `to_state` described."""
        return cls.from_config(state)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TimeAxis:
        """The axis that `to_config` described."""
        origin = config.get("origin")
        if origin is None:
            return cls(**config)
        # The dtype of the labels knows the resolution and the time zone.
        dtype: Any = pd.api.types.pandas_dtype(config["dtype"])
        stamp, zone = instant_of(origin), getattr(dtype, "tz", None)
        if zone is not None:  # version 0.1 wrote the time of the clock
            stamp = stamp.tz_convert(zone) if stamp.tz else stamp.tz_localize(zone, ambiguous=True)
        unit = dtype.unit if zone is not None else np.datetime_data(dtype)[0]
        return cls(**{**config, "origin": stamp.as_unit(unit)})


def nearest_time(wanted: Array, times: Array) -> tuple[Array, Array]:
    """Where times stand in a grid, up to rounding.

    Rounding is forgiven, but never as much as could confuse two neighbours.

    Args:
        wanted: (..., 1) times to look for.
        times: (..., T) grid, in any order.

    Returns:
        Index (...) of the nearest time, and whether it is the one that is wanted.
    """
    steps = np.diff(np.sort(times, axis=-1))
    least = np.where(steps > 0, steps, np.inf).min(axis=-1, initial=np.inf)
    distance = np.abs(wanted - times)
    rounding = np.minimum(1e-9 * np.abs(wanted[..., 0]) + 1e-12, 1e-3 * least)
    return distance.argmin(axis=-1), distance.min(axis=-1) <= rounding


def _as_datetimes(index: pd.Index) -> pd.DatetimeIndex:
    try:
        return pd.to_datetime(index)
    except pd.errors.OutOfBoundsDatetime:  # text, of dates that no nanoseconds can hold
        return pd.DatetimeIndex(far_dates.of_text(index))


def _fits(offsets: pd.TimedeltaIndex, tick: str) -> bool:
    try:
        offsets.as_unit(tick)
    except pd.errors.OutOfBoundsTimedelta:
        return False
    return True


def _whole(numbers: Array, ticks: float) -> Array:
    """Whole ticks (of which a number holds so many), to the decimal that float64 resolves."""
    exact = numbers * ticks
    error = 2 * np.finfo(np.float64).eps * np.abs(exact)
    quantum = 10.0 ** np.ceil(np.log10(np.maximum(error, 1.0)))
    return np.asarray(np.round(exact / quantum).astype(np.int64) * quantum.astype(np.int64))
