"""Columns of a table: which hold numbers, where nobody said which to take; names; times."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, UnusedColumnsWarning, nearest
from trajinfer.data.number_advice import are_written_numbers, conversion, have_decimal_commas
from trajinfer.data.time_axis import TimeAxis, TimeUnit

_INDEX_NAME = re.compile(r"(Unnamed: \d+(\.\d+)*|)")
_COUNTER_NAMES = ("index", "level_0", "rownames")
_MOSTLY = 0.5


def as_table(df: Any) -> pd.DataFrame:
    """A table as pandas has it.

    Raises:
        InputError: if it is none and cannot become one (`to_pandas`).
    """
    if isinstance(df, pd.DataFrame):
        return df
    if hasattr(df, "collect") and not hasattr(df, "to_pandas"):
        raise InputError(
            f"a table was expected, got {type(df).__name__}, a plan of one; carry it out first by "
            ".collect()"
        )
    if not hasattr(df, "to_pandas"):
        raise InputError(
            f"a table was expected, got {type(df).__name__}; make it one by pandas.DataFrame(...), "
            "or read a file by pandas.read_csv(...)"
        )
    try:
        frame: pd.DataFrame = df.to_pandas()
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"a table of {type(df).__module__.split('.')[0]} cannot be read{_strange_columns(df)} "
            f"({error}); cast these columns, or leave them out"
        ) from error
    return frame


def is_foreign_table(data: Any) -> bool:
    """Whether it is a table of another library, such as polars or pyarrow, or a plan of one."""
    is_table = hasattr(data, "to_pandas") or hasattr(data, "collect")
    return is_table and hasattr(data, "columns") and not isinstance(data, pd.DataFrame)


def _strange_columns(df: Any) -> str:
    """Which columns of a foreign table pandas cannot hold, with their types."""
    select = getattr(df, "select", None)
    if select is None:
        return ""
    strange = []
    for name in getattr(df, "column_names", getattr(df, "columns", ())):
        part = select([name])
        try:
            part.to_pandas()
        except (ImportError, RuntimeError, TypeError, ValueError):
            kind = part.schema[name] if hasattr(part, "schema") else "unknown type"
            strange.append(f"'{name}' of {kind}")
    return f", for its columns {', '.join(strange)}" if strange else ""


def require_columns(frame: pd.DataFrame, names: Iterable[Any]) -> None:
    """Check that a table has rows, and each of the columns once.

    Raises:
        InputError: if not, naming the column.
    """
    for name in names:
        if name not in frame.columns:
            raise InputError(f"no column '{name}' in the table; {nearest(name, frame.columns)}")
        _require_one(frame, name)
    if not len(frame):
        raise InputError("the table has no rows; give one row per observation")


def _require_one(frame: pd.DataFrame, name: Any) -> None:
    if isinstance(frame[name], pd.DataFrame):
        raise InputError(f"the table has several columns '{name}'; give each its own name")


def number_columns(
    frame: pd.DataFrame, taken: Collection[Any], word: str, *, stacklevel: int = 3
) -> list[Any]:
    """The columns of numbers that are left over.

    Args:
        frame: the table.
        taken: columns that have another meaning; the rest is looked through.
        word: argument by which a user names columns, for the messages.
        stacklevel: of the warning; 3 is the caller of the function that calls this one.

    Raises:
        InputError: for a column of numbers but for a few cells, naming row and text, for numbers
            that are text, for two columns of one name, and where no column of numbers is left.

    Warns:
        UnusedColumnsWarning: naming the columns that are no numbers, and those that count rows as
            an index that was written along does.
    """
    rest = [name for name in frame.columns if name not in taken]
    for name in rest:
        _require_one(frame, name)
    counters = [name for name in rest if is_written_index(frame[name])]
    rest = [name for name in rest if name not in counters]
    numbers = [name for name in rest if is_number(frame[name])]
    others = [name for name in rest if name not in numbers]
    for name in others:
        _refuse_nearly_numbers(frame[name], word)
    remarks = []
    if counters:
        remarks.append(f"columns left out, an index of rows: {_listed(counters)}")
    if others:
        remarks.append(f"columns left out, not numeric: {_listed(others)}")
    if not numbers:
        told = f"{_listed(others)} hold none" if others else "all others have another meaning"
        raise InputError(
            f"the table has no numeric column left to take: {told}; write numbers in place of "
            f"words, such as 1 for yes and 0 for no, and name columns by {word}"
        )
    if remarks:
        message = f"{'; '.join(remarks)}; name {word} to choose"
        warnings.warn(message, UnusedColumnsWarning, stacklevel=stacklevel)
    return numbers


def is_number(column: pd.Series) -> bool:
    """Whether a column holds real numbers, also as Python objects; truth values are none."""
    types = pd.api.types
    if types.is_object_dtype(column):
        known = column.dropna()
        return bool(len(known)) and all(map(_is_real, known))
    return bool(
        types.is_numeric_dtype(column)
        and not types.is_bool_dtype(column)
        and not types.is_complex_dtype(column)
    )


def _are_truths(column: pd.Series) -> bool:
    known = column.dropna()
    return bool(len(known)) and all(isinstance(cell, bool | np.bool_) for cell in known)


def _is_real(cell: Any) -> bool:
    return isinstance(cell, Real | Decimal) and not isinstance(cell, bool | np.bool_)


def is_written_index(column: pd.Series) -> bool:
    """Whether a column is the index of an earlier table: it has no name, or counts the rows."""
    if not pd.api.types.is_integer_dtype(column) or not column.is_unique:
        return False
    name = "" if column.name is None else str(column.name)
    if _INDEX_NAME.fullmatch(name):
        return True
    counts = bool((np.diff(column.to_numpy(dtype=np.int64, na_value=0)) == 1).all())
    return name in _COUNTER_NAMES and counts and column.iloc[0] in (0, 1)


def numbers_of(frame: pd.DataFrame, name: Any) -> Array:
    """A column that was asked for as numbers (N,); NaN where it is missing.

    Raises:
        InputError: if it holds anything else, naming row and text.
    """
    column = frame[name]
    types = pd.api.types
    if types.is_object_dtype(column) and (is_number(column) or _are_truths(column)):
        # numbers of a database: Decimal, fractions, None among floats or truth values
        return np.array([np.nan if pd.isna(cell) else float(cell) for cell in column])
    if types.is_complex_dtype(column):
        raise InputError(
            f"column '{name}' holds complex numbers; give real and imaginary part a column each"
        )
    if not types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        raise InputError(
            f"column '{name}' is not numeric{_first_text(column)}; {conversion(column, name)}"
        )
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def times_of(frame: pd.DataFrame, name: Any, unit: TimeUnit) -> tuple[TimeAxis, Array]:
    """The axis of a column of times, and its numbers (N,).

    Raises:
        InputError: if they are no times, or some are missing or infinite.
    """
    axis = TimeAxis.of(frame[name], unit)
    numbers = axis.encode(frame[name])
    lost = np.flatnonzero(~np.isfinite(numbers))
    if len(lost):
        raise InputError(
            f"column '{name}' has missing or infinite times at {len(lost)} of {len(numbers)} rows, "
            f"such as row {lost[0]} (counted from 0); drop these rows"
        )
    return axis, numbers


def numbered(column: pd.Series, name: Any, *, sort: bool = False) -> tuple[Array, pd.Index]:
    """Codes (N,) of the entries of a column of names, and the distinct names.

    Raises:
        InputError: for missing entries, entries that are no names, such as lists, or, if they are
            sorted, names of several kinds.
    """
    if column.isna().any():
        raise InputError(f"column '{name}' has missing entries; drop these rows")
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    try:
        codes, known = pd.factorize(column, sort=sort)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"column '{name}' mixes kinds of names ({error}); use text") from error
    return np.asarray(codes), known


def series_of_rows(frame: pd.DataFrame, id: Any, *, sort: bool = False) -> tuple[Array, pd.Index]:
    """Codes (N,) of the series of each row, and their names; id None: the table is one series.

    Raises:
        InputError: as for `numbered`.
    """
    if id is None:
        return np.zeros(len(frame), dtype=np.int64), pd.Index([0])
    return numbered(frame[id], id, sort=sort)


def _refuse_nearly_numbers(column: pd.Series, word: str) -> None:
    is_text = not isinstance(column.dtype, pd.CategoricalDtype)
    if is_text and (are_written_numbers(column) or have_decimal_commas(column)):
        cell = column.dropna().iloc[0]
        raise InputError(
            f"column '{column.name}' holds numbers as text, such as {cell!r}; "
            f"{conversion(column, column.name)} (on the command line see --decimal), or name "
            f"{word} without this column"
        )
    wrong = _not_numbers(column)
    n_cells = int(column.notna().sum())
    if wrong is None or not 0 < wrong.sum() < (1 - _MOSTLY) * n_cells:
        return
    raise InputError(
        f"column '{column.name}' holds numbers but for {int(wrong.sum())} of {n_cells} cells"
        f"{_first_text(column)}; correct the cell, mark it as missing (on the command line by "
        f"--missing), or name {word} without this column"
    )


def _not_numbers(column: pd.Series) -> pd.Series | None:
    """(N,) bool, True where a cell of text is no number; None for columns of another kind."""
    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
        return None
    known = column.notna()
    return known & pd.to_numeric(column.where(known), errors="coerce").isna()


def _first_text(column: pd.Series) -> str:
    wrong = _not_numbers(column)
    if wrong is None or not wrong.any():
        return ""
    row = int(wrong.to_numpy().argmax())
    return f", such as {column.iloc[row]!r} in row {row} (counted from 0)"


def _listed(names: list[Any]) -> str:
    return ", ".join(map(str, names))
