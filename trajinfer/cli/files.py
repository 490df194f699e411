"""Tables from files: text as written, numbers as numbers; NA is missing among numbers alone."""

from __future__ import annotations

import codecs
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from trajinfer._core.damaged import reading
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.extras import import_extra
from trajinfer.cli.options import Options, names

if TYPE_CHECKING:
    import pandas as pd

_TEXT = (".csv", ".tsv", ".txt")
_SEPARATORS = (";", "\t", "|", ",")
_NUMBER = r"0|-?[1-9][0-9]{0,17}"
_WRITTEN = rf"({_NUMBER})(\.0)?"
_HOW_WRITTEN = "or say how dates are written by --dates, such as %m/%d/%Y, "
_NO_NUMBER = ("NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")


def every_digit(version: str) -> dict[str, str]:
    """Words by which a version of pandas reads every digit: 3.1 always does, and warns of them."""
    release = tuple(int(part) for part in version.split(".")[:2])
    return {} if release >= (3, 1) else {"float_precision": "round_trip"}


@dataclass(frozen=True, kw_only=True)
class TableFile(Options):
    """A file with a table, and how its cells are to be read."""

    suffixes: ClassVar[tuple[str, ...]] = (*_TEXT, ".parquet")

    data: Annotated[Path, typer.Argument(help="csv, tsv, txt or parquet.")]
    sep: Annotated[
        str | None, typer.Option(help="Separator of cells; a comma in csv, a tab in tsv and txt.")
    ] = None
    decimal: Annotated[str, typer.Option(help="Decimal mark of numbers.")] = "."
    encoding: Annotated[str, typer.Option(help="Encoding of the text.")] = "utf-8"
    missing: Annotated[
        str,
        typer.Option(
            help="Texts that mean a missing value, by commas; always an empty cell, NA in numbers."
        ),
    ] = ""
    dates: Annotated[
        str | None,
        typer.Option(help="How dates are written where the year is not first, such as %d.%m.%Y."),
    ] = None

    def check(self) -> None:
        """Refuse a file that is not there or of another kind."""
        super().check()
        suffix = self.data.suffix.lower()
        if suffix not in self.suffixes:
            raise InputError(
                f"{self.data} has the suffix '{suffix}'; expected one of {', '.join(self.suffixes)}"
            )
        if self.data.is_dir():
            raise InputError(f"{self.data} is a folder; name a file in it")
        if not self.data.is_file():
            folder = self.data.parent
            beside = [p.name for p in folder.glob(f"*{suffix}")] if folder.is_dir() else []
            hint = f"; {nearest(self.data.name, beside)}" if beside else ""
            raise InputError(f"there is no file {self.data}{hint}")
        self._check_text(suffix)

    def _check_text(self, suffix: str) -> None:
        if suffix not in _TEXT:
            for flag, value in {"--sep": self.sep, "--missing": self.missing}.items():
                if value:
                    raise InputError(f"{flag} is for text files, {self.data} is none; leave it out")
            return
        if len(self._separator()) != 1:
            raise InputError(f"--sep must be one character, or \\t for a tab, got {self.sep!r}")
        if len(self.decimal) != 1 or self.decimal == self._separator():
            raise InputError(
                f"--decimal must be one character other than the separator, got {self.decimal!r}"
            )
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise InputError(f"no encoding '{self.encoding}'; try utf-8 or latin-1") from error
        if not self.data.stat().st_size:
            raise InputError(f"{self.data} is empty; give a table with names in its first line")

    def read_table(
        self, *, text: Iterable[str | None] = (), time: str | None = None
    ) -> tuple[pd.DataFrame, list[str]]:
        """The table, and the Python that reads the same into `frame`.

        Args:
            text: columns of names, which keep what is written: 007 stays 007, None stays None.
                A column of whole numbers without leading zeros gives integers.
            time: column of times; dates become datetimes.

        Raises:
            InputError: if the file is unreadable or empty, or its times are text but no dates.
        """
        if self.data.suffix.lower() == ".parquet":
            frame, call = self._read_parquet()
        else:
            frame, call = self._read_text([name for name in text if name is not None])
        if frame.empty:
            raise InputError(f"{self.data} holds no rows")
        frame, dating = with_dates(frame, time, self.data, self.dates)
        return frame, ["import pandas as pd", f"frame = {call}", *dating]

    def require_id(self, frame: pd.DataFrame, id: str) -> None:
        """Refuse a table without the column that tells its series apart, unless it is one series.

        Raises:
            InputError: naming both remedies.
        """
        if id and id not in frame.columns:
            raise InputError(
                f"{self.data} has no column '{id}' that tells series apart; name it by --id, or "
                f"say --id '' if the table is one series; {nearest(id, frame.columns)}"
            )

    def _separator(self) -> str:
        if self.sep is None:
            return "," if self.data.suffix.lower() == ".csv" else "\t"
        return "\t" if self.sep == "\\t" else self.sep

    def _read_parquet(self) -> tuple[pd.DataFrame, str]:
        import pandas as pd

        import_extra("pyarrow", "parquet")
        with reading(self.data):
            frame, call = pd.read_parquet(self.data), f"pd.read_parquet({str(self.data)!r})"
        if all(isinstance(name, str) for name in frame.index.names):  # columns kept as an index
            return frame.reset_index(), f"{call}.reset_index()"
        return frame, call

    def _read_text(self, text: list[str]) -> tuple[pd.DataFrame, str]:
        import pandas as pd

        # the last character of an encoding may take four bytes
        if not self.data.read_bytes()[-4:].replace(b"\0", b"")[-1:].isspace():
            warnings.warn(
                f"{self.data}: the last line does not end; is the file complete?", stacklevel=2
            )
        words: dict[str, Any] = {
            "sep": self._separator(),
            "decimal": self.decimal,
            "encoding": self.encoding,
            "keep_default_na": False,
            "na_values": ["", *names(self.missing)],
            "low_memory": False,
            **every_digit(pd.__version__),
        }
        try:
            frame = pd.read_csv(self.data, dtype=dict.fromkeys(text, str), **words)
            gaps = _gaps_among_numbers(frame, text)
            if gaps:
                empty = words["na_values"]
                words["na_values"] = {name: [*empty, *gaps.get(name, ())] for name in frame.columns}
                frame = pd.read_csv(self.data, dtype=dict.fromkeys(text, str), **words)
        except UnicodeError as error:
            raise InputError(
                f"{self.data} cannot be read as {self.encoding}: {error}; name its encoding, such "
                f"as --encoding {self._likely_encoding()}"
            ) from error
        except (OSError, ValueError) as error:
            raise InputError(f"{self.data} cannot be read: {error}") from error
        self._require_cells(frame)
        for name in frame.columns.intersection(text):
            frame[name] = _without_zeros(frame[name])
        dtypes = {name: _dtype(frame[name]) for name in text if name in frame.columns}
        dtypes |= self._integers_with_gaps(frame, words)
        usual = {"sep": ",", "decimal": ".", "encoding": "utf-8"}
        shown = {"dtype": dtypes} if dtypes else {}
        shown |= {key: value for key, value in words.items() if usual.get(key) != value}
        arguments = ", ".join(f"{key}={value!r}" for key, value in shown.items())
        whole = {name: dtype for name, dtype in dtypes.items() if dtype != "str"}
        return frame.astype(whole), f"pd.read_csv({str(self.data)!r}, {arguments})"

    def _integers_with_gaps(self, frame: pd.DataFrame, words: dict[str, Any]) -> dict[Any, str]:
        """Columns that are floats only because a cell is empty: 2 is to stay 2 and not be 2.0."""
        import pandas as pd

        asked = [
            name
            for name, column in frame.items()
            if pd.api.types.is_float_dtype(column)
            and column.isna().any()
            and (known := column.dropna()).size
            and (known % 1 == 0).all()
        ]
        if not asked:
            return {}
        written = pd.read_csv(self.data, usecols=asked, dtype=str, **words)
        dtypes = {name: _dtype(written[name]) for name in asked}
        return {name: dtype for name, dtype in dtypes.items() if dtype != "str"}

    def _likely_encoding(self) -> str:
        with self.data.open("rb") as file:
            mark = file.read(2)
        return "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"

    def _require_cells(self, frame: pd.DataFrame) -> None:
        """Refuse a table whose only column holds what another separator would take apart."""
        if frame.shape[1] != 1:
            return
        others = (mark for mark in _SEPARATORS if mark in str(frame.columns[0]))
        mark = next(others, None)
        if mark is not None and mark != self._separator():
            written = "\\t" if mark == "\t" else mark
            raise InputError(
                f"{self.data} has one column, named {frame.columns[0]!r}; if its cells are "
                f"separated by {mark!r}, say --sep '{written}'"
            )


def _gaps_among_numbers(frame: pd.DataFrame, text: Iterable[str]) -> dict[Any, list[str]]:
    """Columns of numbers in which a missing value is written as NA or the like, and how.

    In a column of names these texts are names, so those columns are left out.
    """
    import pandas as pd

    gaps = {}
    for name in frame.columns.difference(list(text), sort=False):
        if pd.api.types.is_numeric_dtype(frame[name]):
            continue
        cells = frame[name].dropna().astype(str)
        written = cells[pd.to_numeric(cells, errors="coerce").isna() | cells.isin(_NO_NUMBER)]
        if len(written) < len(cells) and written.isin(_NO_NUMBER).all():
            gaps[name] = sorted(written.unique())
    return gaps


def with_dates(
    frame: pd.DataFrame, time: str | None, path: Path, pattern: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The table with times written as text turned into dates, and the Python that does so.

    Args:
        frame: the table.
        time: its column of times.
        path: of its file, for messages.
        pattern: how dates are written, as `datetime.strptime` reads it; None: year first.

    Raises:
        InputError: if the times are text but no dates, or none of this pattern.
    """
    from trajinfer.data.calendar import period_starts

    if time is None or time not in frame.columns:
        return frame, []
    if pattern is not None:
        return _with_patterned_dates(frame, time, path, pattern)
    if not _is_text(frame[time]):
        return frame, []
    starts = period_starts(frame[time])
    if starts is not None:
        call = f"period_starts(frame[{time!r}])"
        lines = ["from trajinfer.data.calendar import period_starts", f"frame[{time!r}] = {call}"]
        return frame.assign(**{time: starts}), lines
    dated = frame.assign(**{time: _as_datetimes(frame[time], path)})
    if dated[time].dt.unit == "ns":
        return dated, [f"frame[{time!r}] = pd.to_datetime(frame[{time!r}], format='ISO8601')"]
    lines = ["from trajinfer.data.far_dates import of_text"]
    return dated, [*lines, f"frame[{time!r}] = of_text(frame[{time!r}])"]


def _with_patterned_dates(
    frame: pd.DataFrame, time: str, path: Path, pattern: str
) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    written = frame[time].astype("str") if not _is_text(frame[time]) else frame[time]
    dates = pd.to_datetime(written, format=pattern, errors="coerce")
    others = written[dates.isna() & frame[time].notna()]
    if len(others):
        raise InputError(
            f"{path}: --dates {pattern!r} does not read {others.iloc[0]!r} in column {time!r} "
            f"({len(others)} of {len(written)} cells); give the pattern of all dates, such as "
            "%d.%m.%Y, or leave it out where the year is first"
        )
    text = "" if _is_text(frame[time]) else ".astype('str')"
    call = f"pd.to_datetime(frame[{time!r}]{text}, format={pattern!r})"
    return frame.assign(**{time: dates}), [f"frame[{time!r}] = {call}"]


def _without_zeros(column: pd.Series[Any]) -> pd.Series[Any]:
    """Names without the decimal that whole numbers get where a cell of their column is empty.

    The empty cells may have been dropped since, and such a table may stand below one without.
    """
    cells = column.dropna()
    if len(cells) and cells.str.fullmatch(_WRITTEN).all():
        return column.str.removesuffix(".0")
    return column


def _dtype(column: pd.Series[Any]) -> str:
    """Integers where every cell is written as the integer is, else text."""
    cells = column.dropna()
    if not len(cells) or not cells.str.fullmatch(_NUMBER).all():
        return "str"
    return "int64" if len(cells) == len(column) else "Int64"


def _is_text(column: pd.Series[Any]) -> bool:
    import pandas as pd

    return not (
        pd.api.types.is_numeric_dtype(column)
        or pd.api.types.is_datetime64_any_dtype(column)
        or pd.api.types.is_timedelta64_dtype(column)
    )


def _as_datetimes(column: pd.Series[Any], path: Path) -> Any:
    from trajinfer.data.far_dates import of_text

    try:
        return of_text(column)
    except (ValueError, TypeError) as error:
        example = next((v for v in column if not _is_date(v)), column.iloc[0])
        raise InputError(
            f"{path}: the times in column '{column.name}' must be numbers or dates such as "
            f"2024-05-31, 2024 Q2, 2024 W22 or 2024 May, got {example!r}; put a number or a date "
            f"in its place, {_HOW_WRITTEN if _has_slashes(example) else ''}or name another column "
            "by --time"
        ) from error


def _has_slashes(value: Any) -> bool:
    """Whether a text may be a date such as 31/12/2024 or 31.12.2024."""
    return re.match(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}\b", str(value)) is not None


def _is_date(value: Any) -> bool:
    from trajinfer.data.far_dates import of_text

    try:
        of_text([value])
    except (ValueError, TypeError):
        return False
    return True
