"""Windows that long records are cut into, for what is learned from many series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Self

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

    def too_few(self, series: IrregularSeries) -> bool:
        """Whether a law can be learned neither from the series nor from windows asked for."""
        from trajinfer.data.windows import FEWEST_FOR_A_LAW

        return self.window is None and len(series) < FEWEST_FOR_A_LAW

    def usual(self, series: IrregularSeries) -> Self:
        """Windows of a usual length, where a law is to be learned from few series.

        Raises:
            InputError: if they are too short for enough windows.
        """
        from trajinfer.data import Windows

        if not self.too_few(series):
            return self
        return replace(self, window=str(Windows.usual_length(series)))

    def told(self, windows: Windows) -> list[str]:
        """A line on the windows, if there are any."""
        if self.window is None:
            return []
        return [f"{len(windows.pieces)} windows of {self.window} (--window)"]

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
