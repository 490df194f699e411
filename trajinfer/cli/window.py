"""Windows that long records are cut into, for what is learned from many series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer.cli.options import Options
from trajinfer.cli.typed_times import duration_of

if TYPE_CHECKING:
    from trajinfer import IrregularSeries
    from trajinfer.data import Windows


@dataclass(frozen=True, kw_only=True)
class Window(Options):
    """The length of the windows."""

    window: Annotated[
        str | None,
        typer.Option(help="Cut long series into windows of this length, such as 24 or 1D."),
    ] = None

    def cut(self, series: IrregularSeries) -> Windows:
        """The windows of the series, the series themselves if none were asked for.

        Raises:
            InputError: for text that is no duration of their axis.
        """
        from trajinfer.data import Windows

        if self.window is None:
            return Windows(series, series)
        return Windows.cut(series, duration_of(self.window))

    @property
    def script(self) -> list[str]:
        """Lines of Python that cut `series`."""
        if self.window is None:
            return []
        cutting = f"windows = Windows.cut(series, {duration_of(self.window)!r})"
        return ["from trajinfer.data import Windows", cutting]

    @property
    def pieces(self) -> str:
        """What the pieces are called in Python."""
        return "series" if self.window is None else "windows.pieces"

    @property
    def observed(self) -> str:
        """What those are called in which anything was observed."""
        return "series" if self.window is None else "windows.observed"

    def joining(self, verb: str, answer: str) -> str:
        """Python that puts an answer about the pieces together again."""
        return answer if self.window is None else f"windows.{verb}({answer})"
