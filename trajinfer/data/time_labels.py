"""Times as users write them: one index of numbers, datetimes or durations, or a refusal."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, unmasked
from trajinfer._core.errors import InputError
from trajinfer.data import far_dates
from trajinfer.data.calendar import period_starts

TIMES = (pd.DatetimeIndex, pd.TimedeltaIndex)
_SHORT = (np.float16, np.float32)


def as_index(labels: Any) -> pd.Index:
    """Labels as pandas holds numbers, datetimes or durations.

    Categories become what they stand for, text that is numbers becomes numbers; dates, periods and
    quarters, weeks or months that are written as text become their start; tensors, masked arrays,
    columns of pyarrow and of other libraries are taken.
    """
    labels = unmasked(labels)
    if hasattr(labels, "to_pandas"):
        labels = labels.to_pandas()
    if getattr(labels, "dtype", None) == np.float16:  # which pandas does not index
        labels = decimals(np.asarray(labels)).astype(np.float32)
    index = pd.Index(labels, dtype=labels.dtype if isinstance(labels, pd.Series) else None)
    if isinstance(index, pd.PeriodIndex):
        return far_dates.of_periods(index)
    if isinstance(index.dtype, pd.CategoricalDtype):
        index = _of_categories(index)
    if isinstance(index.dtype, pd.ArrowDtype) and index.dtype.kind in "mMO":
        index = pd.Index(list(index))
    if pd.api.types.is_complex_dtype(index):
        raise InputError("times are complex numbers; give their real part, a column by itself")
    if pd.api.types.is_object_dtype(index):
        index = _dates_as_instants(index.infer_objects())
    if pd.api.types.is_object_dtype(index):
        index = far_dates.of_objects(index)
    if pd.api.types.is_object_dtype(index) or pd.api.types.is_string_dtype(index):
        found = _numbers_in_text(index)
        starts = period_starts(index) if found is index else None
        return found if starts is None else starts
    return index


def axis_index(labels: Any) -> pd.Index:
    """The index of labels that an axis can be made of.

    Raises:
        InputError: for missing dates, or for labels that are neither numbers, datetimes nor
            durations; naming a row and a remedy.
    """
    index = as_index(labels)
    if isinstance(index, TIMES):
        if index.hasnans:
            rows = np.flatnonzero(index.isna())
            raise InputError(
                f"the time column holds missing times (NaT) at {len(rows)} of {len(index)} rows, "
                f"the first of them row {rows[0]} (counted from 0); drop these rows"
            )
        return index
    if pd.api.types.is_bool_dtype(index) or not pd.api.types.is_numeric_dtype(index):
        raise InputError(
            "Unknown label type: times must be numbers, datetimes or durations, got "
            f"{_described(index)}"
        )
    return index


def name_of(labels: Any) -> str:
    """What a column of labels is called; "" for what has no name."""
    name = getattr(labels, "name", None)
    return "" if name is None or callable(name) else str(name)


def numbers_of(index: pd.Index) -> Array:
    """Numbers as float64; short floats by the decimals that they are written with."""
    plain = getattr(index.dtype, "numpy_dtype", index.dtype)  # Float32 is no dtype of numpy
    if plain in _SHORT:
        return decimals(index.to_numpy(dtype=plain, na_value=np.nan))
    # pandas 3 lends its own memory, read-only, of which torch warns
    return np.require(index.to_numpy(dtype=np.float64, na_value=np.nan), requirements="W")


def decimals(values: Array) -> Array:
    """Short floats as the float64 numbers that print alike: 0.1, not 0.10000000149.

    >>> decimals(np.float32([0.1, 0.5])).tolist()
    [0.1, 0.5]
    """
    unique, place = np.unique(values, return_inverse=True)
    return np.array([float(str(value)) for value in unique])[place.reshape(values.shape)]


def _dates_as_instants(index: pd.Index) -> pd.Index:
    """Dates of Python, as data bases give them, as the instants at which the days begin."""
    known = index[index.notna()]
    if not len(known) or not all(type(label) is date for label in known):
        return index
    days = np.array([None if pd.isna(label) else label for label in index], "datetime64[D]")
    return pd.DatetimeIndex(days.astype("datetime64[s]"))


def _of_categories(index: pd.Index) -> pd.Index:
    """What the categories stand for; entries without one are missing."""
    known = as_index(index.categories)
    codes = np.asarray(index.codes)
    taken = known.take(np.maximum(codes, 0)) if len(known) else pd.Index([None] * len(codes))
    return taken if (codes >= 0).all() else taken.where(codes >= 0)


def _numbers_in_text(index: pd.Index) -> pd.Index:
    """Numbers that are written as text; the index as it is where there is other text."""
    present = index.notna()
    numbers = _read_numbers(index)
    return index if not present.any() or np.isnan(numbers[present]).any() else pd.Index(numbers)


def _read_numbers(index: pd.Index) -> Array:
    """(N,) numbers, also of text, fractions and decimals; NaN for everything else."""
    numeric = [isinstance(x, str | Real | Decimal) and not isinstance(x, bool) for x in index]
    exact = [float(x) if isinstance(x, Real | Decimal) else x for x in index[numeric]]
    numbers = np.full(len(index), np.nan)
    numbers[numeric] = pd.to_numeric(pd.Series(exact, dtype=object), errors="coerce")
    return numbers


def _described(index: pd.Index) -> str:
    """The labels in words, and what to do about them."""
    missing = np.flatnonzero(index.isna())
    if len(missing):
        return (
            f"no time at {len(missing)} of {len(index)} rows, the first of them row {missing[0]} "
            "(counted from 0); drop these rows first"
        )
    text = pd.Series(index)
    row = int(np.isnan(_read_numbers(index)).argmax())
    if all(isinstance(label, datetime) for label in index):
        return (
            "dates with and without a time zone, or of several; make them one kind by "
            "pandas.to_datetime(column, utc=True)"
        )
    if not all(isinstance(label, str) for label in index):
        return (
            f"a column of {index.dtype} with {index[row]!r} in row {row} (counted from 0); correct "
            "it, drop this row, or convert the column with pandas.to_numeric"
        )
    found = f"text such as {index[row]!r} in row {row} (counted from 0)"
    if _reads(text):
        return f"{found}; convert it with pandas.to_datetime(column)"
    if _reads(text, format="mixed"):
        return f"{found}; convert it with pandas.to_datetime(column, format='mixed')"
    if _are_dates(text):
        return f"{found}; convert it with column.astype('datetime64[s]')"
    if text.str.contains(r"\d", regex=True).all():
        return f"{found}; take the number out: column.str.extract(r'(\\d+)')[0].astype(float)"
    return f"{found}; map it to numbers: column.map({{{index[row]!r}: 0.0, ...}})"


def _reads(text: Any, **words: Any) -> bool:
    """Whether pandas reads all of a text as dates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(pd.to_datetime(text, errors="coerce", **words).notna().all())


def _are_dates(text: pd.Series[str]) -> bool:
    """Whether text is dates, of years too that nanoseconds cannot hold."""
    try:
        far_dates.of_text(text)
    except ValueError:
        return False
    return True
