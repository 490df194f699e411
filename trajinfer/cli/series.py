"""Irregular series from a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import Channels, Id, Time, call_of, names

if TYPE_CHECKING:
    from trajinfer import IrregularSeries
    from trajinfer.data.categories import CategoryCodes

Statics = Annotated[str, typer.Option(help="Columns constant along a series, by commas.")]


@dataclass(frozen=True, kw_only=True)
class _Columns:
    id: Id = "id"
    time: Time = "time"
    channels: Channels = ""
    variable: Annotated[
        str | None, typer.Option(help="Long tables: column that names the channel.")
    ] = None
    value: Annotated[str | None, typer.Option(help="Long tables: column of the values.")] = None
    duplicates: Annotated[str, typer.Option(help="Repeated times: raise, mean or last.")] = "raise"


@dataclass(frozen=True, kw_only=True)
class SeriesFile(TableFile, _Columns):
    """A file with series: a wide table (a column per channel) or a long one (a row per value)."""

    def check(self) -> None:
        """Refuse words that are not known."""
        super().check()
        known = ("raise", "mean", "last")
        if self.duplicates not in known:
            raise InputError(
                f"no --duplicates '{self.duplicates}'; {nearest(self.duplicates, known)}"
            )

    def as_read(self, statics: str = "") -> dict[str, Any]:
        """How the file was read, as plain data: `again` reads the same series."""
        return {**asdict(self), "data": str(self.data.resolve()), "statics": statics}

    @classmethod
    def again(cls, reading: dict[str, Any]) -> IrregularSeries:
        """The series that a run has read, from its file as it is now.

        Args:
            reading: from `as_read`.

        Raises:
            InputError: if the file is gone, or no longer what it was.
        """
        statics = reading["statics"]
        words = {name: value for name, value in reading.items() if name != "statics"}
        file = cls(**{**words, "data": Path(words["data"])})
        file.check()
        return file.read(statics=statics)[0]

    def read(
        self, *, labels: str | None = None, statics: str = ""
    ) -> tuple[IrregularSeries, list[str]]:
        """The series, and the Python that reads the same into `series`.

        Args:
            labels: column of classes.
            statics: columns that are constant along a series, by commas.

        Raises:
            InputError: if the file is unreadable, or as for `IrregularSeries.from_frame`.
        """
        series, script, _ = self.read_with_categories(labels=labels, statics=statics, encode=False)
        return series, script

    def read_with_categories(
        self, *, labels: str | None = None, statics: str = "", encode: bool = True
    ) -> tuple[IrregularSeries, list[str], dict[str, CategoryCodes]]:
        """The same, and the codes by which columns of text became channels."""
        from trajinfer import IrregularSeries

        frame, script = self.read_table(
            text=(self.id or None, labels, self.variable), time=self.time
        )
        self.require_id(frame, self.id)
        categories: dict[str, CategoryCodes] = {}
        if encode and self.variable is None:
            from trajinfer.data.categories import text_categories

            taken = {self.id, self.time, labels, *names(statics)}
            categories = text_categories(frame, taken, names(self.channels))
            frame = frame.assign(**{k: code.encode(frame[k]) for k, code in categories.items()})
            script += [
                f"frame[{name!r}] = CategoryCodes.of(frame[{name!r}]).encode(frame[{name!r}])"
                for name in categories
            ]
            if categories:
                script.insert(0, "from trajinfer.data.categories import CategoryCodes")
        words: dict[str, Any] = {
            "time": self.time,
            "channels": names(self.channels) or None,
            "variable": self.variable,
            "value": self.value,
            "statics": names(statics) or None,
            "labels": labels,
            "duplicates": None if self.duplicates == "raise" else self.duplicates,
        }
        words = {key: value for key, value in words.items() if value is not None}
        series = IrregularSeries.from_frame(frame, id=self.id or None, **words)
        shown = {**words, "channels": list(series.channels)}
        named = f"id={self.id or None!r}"
        call = call_of("IrregularSeries.from_frame", shown, "frame", named)
        lines = ["from trajinfer import IrregularSeries", *script, f"series = {call}"]
        return series, lines, categories
