"""Quarters, weeks and months that are written as text, as the dates on which they begin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

_QUARTER = re.compile(r"(\d{4})[ -]?[Qq]([1-4])")
_WEEK = re.compile(r"(\d{4})[ -]?[Ww](\d{1,2})")
_MONTH = re.compile(r"(\d{4})[ -]([A-Za-z]{3,9})")


def period_starts(labels: Iterable[Any]) -> pd.DatetimeIndex | None:
    """Dates on which quarters, ISO weeks or months begin; None if any label is no such text.

    Args:
        labels: text of one kind: "1981 Q1", "1991 W06" or "2004 Jan", also with a hyphen or, but
            for months, without the blank. Missing ones become NaT.

    Source:
        ISO 8601 for weeks: they begin on Mondays, and the first one holds the first Thursday.

    Example:
        >>> period_starts(["1981 Q1", "1981 Q2"])
        DatetimeIndex(['1981-01-01', '1981-04-01'], dtype='datetime64[s]', freq=None)
        >>> period_starts(["1991 W06"])[0].date()
        datetime.date(1991, 2, 4)
    """
    try:
        codes, known = pd.factorize(pd.Index(labels, dtype=object))
    except TypeError:  # a list among them
        return None
    if not len(known) or not all(isinstance(label, str) for label in known):
        return None
    for start in (_quarter, _week, _month):
        dates = _starts(known, start)
        if dates is not None:
            gaps = np.append(dates, np.datetime64("NaT", "D"))  # code -1 of what is missing
            return pd.DatetimeIndex(gaps[codes].astype("datetime64[s]"))
    return None


def _starts(known: Iterable[str], start: Callable[[str], date | None]) -> Any:
    dates = [start(label.strip()) for label in known]
    return None if None in dates else np.array(dates, dtype="datetime64[D]")


def _quarter(text: str) -> date | None:
    found = _QUARTER.fullmatch(text)
    return date(int(found[1]), 3 * int(found[2]) - 2, 1) if found else None


def _week(text: str) -> date | None:
    found = _WEEK.fullmatch(text)
    if not found:
        return None
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError:  # a year has 52 or 53
        return None


def _month(text: str) -> date | None:
    found = _MONTH.fullmatch(text)
    if not found:
        return None
    for form in ("%Y %b", "%Y %B"):
        try:
            return datetime.strptime(f"{found[1]} {found[2]}", form).date()
        except ValueError:
            continue
    return None
