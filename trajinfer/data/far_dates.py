"""Dates and durations beyond the reach of nanoseconds: before 1678, after 2262, over 292 years."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

_ISO = re.compile(r"[+-]?\d{4,6}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?")


def of_objects(index: pd.Index) -> pd.Index:
    """Objects that are all dates of one zone, or all durations, in microseconds; others as given.

    Pandas leaves them objects where nanoseconds cannot hold one of them.

    Example:
        >>> of_objects(pd.Index([datetime(1200, 1, 1), datetime(2024, 1, 1)], dtype=object))
        DatetimeIndex(['1200-01-01', '2024-01-01'], dtype='datetime64[us]', freq=None)
    """
    known = index[index.notna()]
    if not len(known):
        return index
    if all(isinstance(label, (timedelta, np.timedelta64)) for label in known):
        lengths = [pd.Timedelta(label).to_timedelta64() for label in index]
        return pd.TimedeltaIndex(np.array(lengths, "m8[us]"))
    if not all(isinstance(label, (datetime, np.datetime64)) for label in known):
        return index
    dates = pd.DatetimeIndex(
        np.array([pd.Timestamp(label).to_datetime64() for label in index], "M8[us]")
    )
    zones = {str(getattr(label, "tzinfo", None)): label for label in known}
    if len(zones) > 1:
        return index
    (zone,) = (getattr(label, "tzinfo", None) for label in zones.values())
    return dates if zone is None else dates.tz_localize("UTC").tz_convert(zone)


def of_periods(periods: pd.PeriodIndex) -> pd.DatetimeIndex:
    """The instants at which periods begin."""
    try:
        return periods.to_timestamp()
    except pd.errors.OutOfBoundsDatetime:
        return pd.DatetimeIndex(periods.asfreq("us", how="start").asi8.view("M8[us]"))


def of_text(column: Any) -> pd.Index:
    """Dates of any year that are written as ISO 8601 asks.

    Raises:
        ValueError: for other text.

    Example:
        >>> of_text(["1500-01-01", "2024-03-01"])
        DatetimeIndex(['1500-01-01', '2024-03-01'], dtype='datetime64[us]', freq=None)
    """
    index = pd.Index(column)
    try:
        return pd.to_datetime(index, format="ISO8601")
    except ValueError:  # also of dates out of bounds
        known = index[index.notna()]
        if not all(isinstance(label, str) and _ISO.fullmatch(label) for label in known):
            raise
    codes, texts = pd.factorize(index)
    dates = [*map(pd.Timestamp, texts), pd.NaT]  # code -1 of what is missing
    return of_objects(pd.Index([dates[code] for code in codes], dtype=object))


def since(dates: pd.DatetimeIndex, origin: pd.Timestamp) -> pd.TimedeltaIndex:
    """Durations since a date, in microseconds where nanoseconds cannot hold them."""
    try:
        return dates - origin
    except (OverflowError, pd.errors.OutOfBoundsDatetime, pd.errors.OutOfBoundsTimedelta):
        return dates.as_unit("us") - origin.as_unit("us")
