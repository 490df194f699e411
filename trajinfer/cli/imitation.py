"""Series to imitate: which of a file, how many new ones, and what is held out together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.console import say
from trajinfer.cli.models import Call
from trajinfer.cli.options import N
from trajinfer.cli.series import SeriesFile
from trajinfer.cli.window import Window

if TYPE_CHECKING:
    from trajinfer import IrregularSeries
    from trajinfer._core.checks import Array
    from trajinfer.data.categories import CategoryCodes


@dataclass(frozen=True)
class ImitationTask:
    """Series to learn from, and how many to draw.

    Attributes:
        series: B series.
        categories: codes of the channels that are text in the file.
        groups: (B,) numbers of groups; None for none.
        n: number of draws.
        reading: the Python that gives `series`.
    """

    series: IrregularSeries
    categories: Mapping[str, CategoryCodes]
    groups: Array | None
    n: int
    reading: list[str]

    def script(self, call: Call, *, judge: bool) -> list[str]:
        """The Python that draws, with a quarter held out where the draws are judged."""
        if not judge:
            drawing = f"synthetic = model.fit(series).sample({self.n})"
            return [*self.reading, *call.script(), drawing]
        grouped = self.groups is not None
        named = ", groups=(groups[~held_out], groups[held_out])" if grouped else ""
        order = "np.unique(groups, return_inverse=True)[1]" if grouped else "np.arange(len(series))"
        return [
            *self.reading,
            "import numpy as np",
            "from trajinfer.evaluation import generation_report",
            *call.script(),
            *(["groups = series.statics[:, -1]"] if grouped else []),
            f"held_out = {order} % 4 == 3",
            f"synthetic = model.fit(series[np.flatnonzero(~held_out)]).sample({self.n})",
            "real = series.values[~held_out], series.values[held_out]",
            f"print(generation_report(*real, synthetic.values{named}))",
        ]


@dataclass(frozen=True, kw_only=True)
class Imitation(Window):
    """How many series to draw, and which of the file to learn from."""

    n: N = 1000
    group: Annotated[
        str | None,
        typer.Option(help="Column of numbers: series of one group are held out together."),
    ] = None
    drop_short: Annotated[
        bool, typer.Option(help="Leave out series of one row, from which no law is learned.")
    ] = False

    def check(self) -> None:
        """Refuse to draw nothing."""
        super().check()
        if self.n < 1:
            raise InputError(f"--n must be at least 1, got {self.n}")

    def task(self, file: SeriesFile, *, quiet: bool) -> ImitationTask:
        """The series of the file.

        Raises:
            InputError: for too few series, groups that are no numbers, no series of two rows, or as
                for `SeriesFile.read`.
        """
        series, reading, categories = file.read_with_categories(statics=self.group or "")
        self._require_enough(series)
        if self.window is not None:
            series = self.cut(series).observed
            reading = [*reading, *self.script, "series = windows.observed"]
        # the edges of windows leave single rows, which nobody has written as a series
        if self.drop_short or (self.window is not None and (series.lengths < 2).any()):
            series, left_out = _long_enough(series, file.id)
            what = "series" if self.window is None else "windows"
            say(f"{left_out} {what} of one row left out", quiet=quiet or not left_out)
            reading = [*reading, "series = series[series.lengths >= 2]"]
        groups = None if self.group is None else _groups(series, self.group)
        return ImitationTask(series, categories, groups, self.n, reading)

    def _require_enough(self, series: IrregularSeries) -> None:
        from trajinfer.data.windows import FEWEST_FOR_A_LAW, Windows

        if self.too_few(series):
            length = Windows.usual_length(series)
            raise InputError(
                f"a law cannot be learned from {len(series)} series, at least {FEWEST_FOR_A_LAW} "
                f"are needed; draw windows of longer ones, such as --window {length}"
            )


def _long_enough(series: IrregularSeries, column: str) -> tuple[IrregularSeries, int]:
    """The series of two rows or more, and the number of the others."""
    enough = series.lengths >= 2
    if not enough.any():
        raise InputError(f"every series has one row only; does --id {column} name the series?")
    return series[enough], int((~enough).sum())


def _groups(series: IrregularSeries, column: str) -> Array:
    import numpy as np

    if series.statics is None or not np.isfinite(series.statics[:, -1]).all():
        raise InputError(f"--group {column} must be a number for every series")
    return np.asarray(series.statics[:, -1])
