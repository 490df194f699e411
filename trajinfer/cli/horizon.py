"""Times to forecast: up to a horizon, or those of the values that are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.options import Options
from trajinfer.cli.typed_times import duration_of, label_of, literal

if TYPE_CHECKING:
    from trajinfer import IrregularSeries
    from trajinfer._core.checks import Array


_MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class ForecastTask:
    """Series to learn from, and the times to forecast.

    Attributes:
        past: series up to their cutoff.
        ts: (B, T) times asked for.
        horizon: longest distance of these from the end of the past.
        truth: (B, T, C) what came, where it is known.
        script: the Python that gives `past` and `ts`.
    """

    past: IrregularSeries
    ts: Array
    horizon: float
    truth: Array | None
    script: list[str]


@dataclass(frozen=True, kw_only=True)
class Horizon(Options):
    """How far to forecast, or where to hide what came."""

    horizon: Annotated[
        str | None, typer.Option(help="How far beyond each last time: a number, or 7D, 12h.")
    ] = None
    hold_out_after: Annotated[
        str | None, typer.Option(help="Learn up to this time and score what came after it.")
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(help="Equal steps up to the horizon; if not given, in the data's rhythm."),
    ] = None

    def check(self) -> None:
        """Refuse both or neither of the two ways, and no steps."""
        if self.steps is not None and not 1 <= self.steps <= _MOST_STEPS:
            raise InputError(f"--steps must lie between 1 and {_MOST_STEPS}, got {self.steps}")
        if (self.horizon is None) == (self.hold_out_after is None):
            raise InputError("give either --horizon, how far to go, or --hold-out-after, a time")

    def task(self, series: IrregularSeries) -> ForecastTask:
        """The task for these series.

        Raises:
            InputError: for text that is no time or duration of their axis.
        """
        if self.hold_out_after is not None:
            return _held_out(series, self.hold_out_after)
        length = series.axis.duration(duration_of(str(self.horizon)), "--horizon")
        return _ahead(series, length) if self.steps is None else _even(series, length, self.steps)


def _held_out(series: IrregularSeries, cutoff: str) -> ForecastTask:
    label = label_of(series.axis, cutoff)
    past, later = series.until(label), series.after(label)
    reach = float((later.times - past.last_times[:, None]).max())
    named = literal(label)
    script = [f"past, later = series.until({named}), series.after({named})", "ts = later.times"]
    return ForecastTask(past, later.times, reach, later.values, script)


def _ahead(series: IrregularSeries, length: float) -> ForecastTask:
    from trajinfer.forecasting import times_ahead

    script = [
        "from trajinfer.forecasting import times_ahead",
        "past = series",
        f"ts = times_ahead(past, {length!r})",
    ]
    return ForecastTask(series, times_ahead(series, length), length, None, script)


def _even(series: IrregularSeries, length: float, steps: int) -> ForecastTask:
    import numpy as np

    share = np.arange(1, steps + 1) / steps
    script = [
        "import numpy as np",
        "past = series",
        f"ts = past.last_times[:, None] + {length!r} * np.arange(1, {steps + 1}) / {steps}",
    ]
    return ForecastTask(series, series.last_times[:, None] + length * share, length, None, script)
