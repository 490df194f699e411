"""Times and durations as a user types them, on the time axis of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trajinfer._core.errors import InputError

if TYPE_CHECKING:
    from trajinfer.data import TimeAxis


def label_of(axis: TimeAxis, text: str, *, known: Any = None) -> Any:
    """A time as a label of the axis.

    Args:
        axis: of the data.
        text: as typed.
        known: labels that an error lists.

    Raises:
        InputError: for text that is no time of that kind.
    """
    import pandas as pd

    from trajinfer.data.calendar import period_starts

    starts = period_starts([text]) if axis.kind == "datetime" else None
    if starts is not None:
        return starts[0]
    kinds = {"number": float, "datetime": pd.Timestamp, "timedelta": pd.Timedelta}
    try:
        return kinds[axis.kind](text)
    except ValueError as error:
        times = ", as the times of the table"
        if known is not None:
            times = f"; the times are {', '.join(map(str, list(known)))}"
        raise InputError(f"'{text}' is no {axis.kind}{times}") from error


def duration_of(text: str) -> float | str:
    """A number, or a duration as text, such as 7D; `TimeAxis.duration` checks it."""
    try:
        return float(text)
    except ValueError:
        return text


def literal(label: Any) -> str:
    """The label as Python."""
    if hasattr(label, "isoformat"):
        return f"pd.{type(label).__name__}({str(label)!r})"
    return repr(float(label))
