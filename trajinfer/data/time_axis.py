"""Times as numbers: datetimes and durations go in and come out, float64 is what is computed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError

TimeUnit = Literal["D", "h", "min", "s", "ms", "us", "ns"]
_NANOSECONDS: dict[str, int] = {
    "D": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "min": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}


@dataclass(frozen=True)
class TimeAxis:
    """How the labels of a table's time column map to numbers.

    Attributes:
        kind: "number" (the labels are the numbers), "datetime" or "timedelta".
        unit: the duration of 1.0 on the axis, for datetimes and durations.
        origin: the datetime at 0.0.
        integral: whether the labels were whole numbers, which are then given back as integers.
        dtype: the pandas dtype of the labels, restored on output.
    """

    kind: Literal["number", "datetime", "timedelta"] = "number"
    unit: TimeUnit | None = None
    origin: pd.Timestamp | None = None
    integral: bool = False
    dtype: str | None = None

    @classmethod
    def of(cls, labels: Any, unit: TimeUnit = "D") -> TimeAxis:
        """The axis that fits a column of labels.

        Raises:
            InputError: if the labels are neither numbers, datetimes nor durations.
        """
        index = pd.Index(labels)
        if unit not in _NANOSECONDS:
            raise InputError(f"time unit must be one of {', '.join(_NANOSECONDS)}, got {unit!r}")
        if isinstance(index, pd.PeriodIndex):
            index = index.to_timestamp()
        if isinstance(index, pd.DatetimeIndex):
            if index.hasnans:
                raise InputError("the time column holds missing datetimes (NaT); drop these rows")
            return cls("datetime", unit, index.min(), dtype=str(index.dtype))
        if isinstance(index, pd.TimedeltaIndex):
            if index.hasnans:
                raise InputError("the time column holds missing durations (NaT); drop these rows")
            return cls("timedelta", unit, dtype=str(index.dtype))
        if pd.api.types.is_bool_dtype(index) or not pd.api.types.is_numeric_dtype(index):
            raise InputError(
                "times must be numbers, datetimes or durations, "
                f"got a column of {index.dtype}; convert it with pandas.to_datetime"
            )
        return cls(integral=pd.api.types.is_integer_dtype(index), dtype=str(index.dtype))

    def encode(self, labels: Any) -> Array:
        """Labels to float64 numbers.

        Raises:
            InputError: if the labels are of another kind than the axis, or so fine and so far from
                the origin that float64 cannot tell them apart.
        """
        if self.kind == "number":
            return as_array(labels, "times")
        index = pd.Index(labels)
        if isinstance(index, pd.PeriodIndex):
            index = index.to_timestamp()
        if pd.api.types.is_numeric_dtype(index):  # already on the axis
            return np.asarray(index, dtype=np.float64)
        offsets = index - self.origin if self.kind == "datetime" else index
        nanoseconds = pd.TimedeltaIndex(offsets).as_unit("ns").asi8
        numbers = nanoseconds / _NANOSECONDS[self.unit or "D"]
        if (self._nanoseconds(numbers) != nanoseconds).any():
            raise InputError(
                "these times are too fine for their distance from the first one; round them, e.g. "
                "with .dt.floor('us'), or subtract a later origin"
            )
        return np.asarray(numbers, dtype=np.float64)

    def decode(self, numbers: Any) -> Any:
        """Numbers back to labels; exact for labels that were encoded."""
        values = np.asarray(numbers, dtype=np.float64)
        if self.kind == "number":
            if self.integral and (values == np.round(values)).all():
                return values.astype(self.dtype or np.int64)
            return values.astype(np.float64 if self.integral else (self.dtype or np.float64))
        durations = pd.to_timedelta(self._nanoseconds(values).ravel(), unit="ns")
        if self.kind == "timedelta":
            return durations.astype(self.dtype)
        labels = pd.DatetimeIndex(self.origin + durations)
        unit = getattr(self.origin, "unit", "ns")
        return labels.as_unit(unit) if (labels.as_unit(unit) == labels).all() else labels

    def _nanoseconds(self, numbers: Array) -> Array:
        """Whole nanoseconds, rounded to the decimal place that float64 still resolves."""
        exact = numbers * _NANOSECONDS[self.unit or "D"]
        error = 2 * np.finfo(np.float64).eps * np.abs(exact)
        quantum = 10.0 ** np.ceil(np.log10(np.maximum(error, 1.0)))
        return np.asarray(np.round(exact / quantum).astype(np.int64) * quantum.astype(np.int64))

    def to_config(self) -> dict[str, Any]:
        """What JSON can hold; `from_config` inverts it."""
        origin = None if self.origin is None else self.origin.isoformat()
        return {
            "kind": self.kind,
            "unit": self.unit,
            "origin": origin,
            "integral": self.integral,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TimeAxis:
        """The axis that `to_config` described."""
        origin = config.get("origin")
        return cls(**{**config, "origin": None if origin is None else pd.Timestamp(origin)})
