"""`trajinfer ask`: fates and passage times of a fitted model, in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun
from trajinfer.cli.output import Job, Result
from trajinfer.cli.question import Question
from trajinfer.cli.starts import series_of, start_of


@command(DrawingRun, out=Path("answer"))
def ask(
    model: Annotated[Path, typer.Argument(help="Result folder, or a saved model.")],
    question: Question,
    table: Annotated[
        Path | None, typer.Option("--series", help="Table of the series to go on from.")
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(help="Its column that names the series; that of the fit if not given."),
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Its column of times; that of the fit if not given.")
    ] = None,
) -> Job:
    """Ask a fitted model which region is reached first, how likely, and how soon."""
    folder = _model_folder(model)
    asked = question.asked()
    if table is not None and asked.start != "last":
        raise InputError(f"give either --series, a table, or --from, got both ({asked.start})")

    import trajinfer
    from trajinfer.evaluation.hitting import HittingQuestion
    from trajinfer.functionals import as_dynamics

    fitted = trajinfer.load(folder)
    dynamics = as_dynamics(fitted)
    regions = asked.regions(dynamics)
    place = (
        start_of(asked.start, dynamics, model)
        if table is None
        else series_of(table, id, time, fitted, model)
    )
    task = HittingQuestion(fitted, dynamics, regions, place, asked.duration, asked.n, asked.seed)

    def work() -> Result:
        result = Result.of(task.answer())
        return replace(result, summary={"question": asked.words(), **result.summary})

    script = asked.script(str(folder), dynamics)
    return Job(script, f"asking the model in {folder}", work, asked.to_toml())


def _model_folder(path: Path) -> Path:
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    raise InputError(
        f"{path} holds no saved model; give the result folder of trajinfer fit, jumps or forecast"
    )
