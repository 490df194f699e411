"""`trajinfer hurst`: the Hurst index of the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.column_file import ColumnFile
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Level, call_of
from trajinfer.cli.output import Job, Result
from trajinfer.cli.settings import Settings, to_toml

FUNCTION = "estimate_hurst"
METHODS = ("whittle", "mle", "state_space", "dfa", "variogram")
USUAL = {"method": METHODS[0], "increments": False, "level": 0.95, "observation_noise": False}


@dataclass(frozen=True, kw_only=True)
class HurstSettings(Settings):
    """How the index is estimated, and what the columns are."""

    method: Annotated[
        str | None, typer.Option(help=", ".join(METHODS) + "; the first one if not given.")
    ] = None
    increments: Annotated[
        bool | None, typer.Option("--increments", help="The columns are the noise, not the path.")
    ] = None
    level: Level = None
    observation_noise: Annotated[
        bool | None,
        typer.Option("--observation-noise", help="Observations have noise (state_space only)."),
    ] = None

    def options(self) -> dict[str, Any]:
        """Settings that have a flag of their own."""
        return {name: getattr(self, name) for name in USUAL}


@command(DrawingRun)
def hurst(file: ColumnFile, settings: HurstSettings) -> Job:
    """Estimate the Hurst index of every column, with intervals; without --time, of equal steps."""
    columns = file.read()
    words = settings.resolve(FUNCTION, list(USUAL), defaults=USUAL)
    script = [
        *columns.script,
        f"from trajinfer.fractional import {FUNCTION}",
        f"print({call_of(FUNCTION, words, *columns.arguments)})",
    ]

    def work() -> Result:
        from trajinfer.evaluation.hurst_report import HurstReport

        try:
            report = HurstReport.make(columns.frame, columns.chosen, columns.times, words)
        except InputError as error:
            raise InputError(f"{error} (--channels names columns)") from error
        return Result.of(report)

    announcement = f"estimating H of {', '.join(columns.chosen)} in {file.data}"
    return Job(script, announcement, work, to_toml(words, FUNCTION))
