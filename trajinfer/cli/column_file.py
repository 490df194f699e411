"""Columns of numbers from a table, each of which is one path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer.cli.files import TableFile
from trajinfer.cli.options import Channels, names, renamed

if TYPE_CHECKING:
    import pandas as pd

    from trajinfer._core.checks import Array


@dataclass(frozen=True)
class Columns:
    """Columns of a table that are to be studied one by one.

    Attributes:
        frame: the whole table.
        chosen: their names.
        time: column of the observation times; None for equal steps.
        script: lines of Python that read the table into `frame`.
    """

    frame: pd.DataFrame
    chosen: list[str]
    time: str | None
    script: list[str]

    @property
    def times(self) -> Array | None:
        """The observation times."""
        return None if self.time is None else self.frame[self.time].to_numpy()

    @property
    def arguments(self) -> list[str]:
        """The columns and their times as Python."""
        values = f"frame[{self.chosen!r}].to_numpy()"
        return [values] if self.time is None else [values, f"frame[{self.time!r}]"]


@dataclass(frozen=True, kw_only=True)
class _Named:
    time: Annotated[str | None, typer.Option(help="Column of the observation times.")] = None
    channels: Channels = ""
    columns: Annotated[str | None, typer.Option(hidden=True)] = None


@dataclass(frozen=True, kw_only=True)
class ColumnFile(TableFile, _Named):
    """A file with a table in which every column is a path."""

    def read(self) -> Columns:
        """The columns that are named, or all that hold numbers.

        Raises:
            InputError: if the file is unreadable, or a column is not there or holds no numbers.
        """
        frame, script = self.read_table(time=self.time)
        named = names(renamed("--columns", self.columns, "--channels", self.channels))
        return Columns(frame, self._chosen(frame, named), self.time, script)

    def _chosen(self, frame: pd.DataFrame, named: list[str]) -> list[str]:
        from trajinfer.data.columns import number_columns, require_columns

        require_columns(frame, [*named, *([] if self.time is None else [self.time])])
        return named or [str(name) for name in number_columns(frame, (self.time,), "--channels")]
