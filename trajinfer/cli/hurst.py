"""`trajinfer hurst`: the Hurst index of the columns of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.command import command
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import Channels, DrawingRun, Level, call_of, names, renamed
from trajinfer.cli.output import Job, Result
from trajinfer.cli.settings import Settings, to_toml

if TYPE_CHECKING:
    import pandas as pd

FUNCTION = "estimate_hurst"
METHODS = ("whittle", "mle", "state_space", "dfa", "variogram")


@command(DrawingRun)
def hurst(
    file: TableFile,
    settings: Settings,
    time: Annotated[str | None, typer.Option(help="Column of the observation times.")] = None,
    channels: Channels = "",
    columns: Annotated[str | None, typer.Option(hidden=True)] = None,
    method: Annotated[
        str | None, typer.Option(help=", ".join(METHODS) + "; the first one if not given.")
    ] = None,
    increments: Annotated[
        bool | None, typer.Option("--increments", help="The columns are the noise, not the path.")
    ] = None,
    level: Level = None,
    observation_noise: Annotated[
        bool | None,
        typer.Option("--observation-noise", help="Observations have noise (state_space only)."),
    ] = None,
) -> Job:
    """Estimate the Hurst index of every column, with intervals; without --time, of equal steps."""
    frame, reading = file.read_table(time=time)
    chosen = _channels(frame, names(renamed("--columns", columns, "--channels", channels)), time)
    usual = {"method": METHODS[0], "increments": False, "level": 0.95, "observation_noise": False}
    options = {
        "method": method,
        "increments": increments,
        "level": level,
        "observation_noise": observation_noise,
    }
    words = settings.resolve(FUNCTION, list(usual), options=options, defaults=usual)
    series = [f"frame[{chosen!r}].to_numpy()", *([] if time is None else [f"frame[{time!r}]"])]
    script = [
        *reading,
        f"from trajinfer.fractional import {FUNCTION}",
        f"print({call_of(FUNCTION, words, *series)})",
    ]
    times = None if time is None else frame[time].to_numpy()

    def work() -> Result:
        from trajinfer.evaluation.hurst_report import HurstReport

        try:
            return Result.of(HurstReport.make(frame, chosen, times, words))
        except InputError as error:
            raise InputError(f"{error} (--channels names columns)") from error

    announcement = f"estimating H of {', '.join(chosen)} in {file.data}"
    return Job(script, announcement, work, to_toml(words, FUNCTION))


def _channels(frame: pd.DataFrame, named: list[str], time: str | None) -> list[str]:
    from trajinfer.data.columns import number_columns

    for name in [*named, *([] if time is None else [time])]:
        if name not in frame.columns:
            raise InputError(f"no column '{name}' in the table; {nearest(name, frame.columns)}")
    chosen = named or [str(name) for name in number_columns(frame, (time,), "--channels")]
    if not chosen:
        raise InputError("the table has no numeric column; name one by --channels")
    return chosen
