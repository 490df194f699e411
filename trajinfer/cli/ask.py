"""`trajinfer ask`: fates and passage times of a fitted model, in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Id, Time, call_of
from trajinfer.cli.output import Job, Result
from trajinfer.cli.question import Question
from trajinfer.cli.region_text import region_of, region_script
from trajinfer.cli.starts import series_of, start_of
from trajinfer.cli.typed_times import duration_of


@command(DrawingRun, out=Path("answer"))
def ask(
    model: Annotated[Path, typer.Argument(help="Result folder, or a saved model.")],
    question: Question,
    table: Annotated[
        Path | None, typer.Option("--series", help="Table of the series to go on from.")
    ] = None,
    id: Id = "id",
    time: Time = "time",
) -> Job:
    """Ask a fitted model which region is reached first, how likely, and how soon."""
    folder = _model_folder(model)
    asked = question.asked()
    if table is not None and asked.start != "last":
        raise InputError(f"give either --series, a table, or --from, got both ({asked.start})")

    import trajinfer
    from trajinfer.evaluation.hitting import HittingQuestion
    from trajinfer.functionals import as_dynamics
    from trajinfer.functionals.dynamics import names_of

    fitted = trajinfer.load(folder)
    dynamics = as_dynamics(fitted)
    names = names_of(dynamics)
    texts = {"target": asked.target, **({} if not asked.before else {"before": asked.before})}
    regions = {name: region_of(text, names) for name, text in texts.items()}
    length = None if asked.horizon is None else duration_of(asked.horizon)
    place = (
        start_of(asked.start, dynamics, model)
        if table is None
        else series_of(table, id, time, fitted)
    )
    regions = {k: r.on(names, getattr(dynamics, "dim", 1)) for k, r in regions.items()}
    task = HittingQuestion(fitted, dynamics, regions, place, length, asked.n, asked.seed)
    shown = [f"before={region_script(asked.before)}"] if asked.before else []
    call = call_of(
        "F.hitting_probability", {"horizon": length}, region_script(asked.target), *shown
    )
    script = [
        "import trajinfer",
        f"model = trajinfer.load({str(folder)!r})",
        f"from trajinfer import functionals as F; F.estimate({call}, model)  # from {asked.start}",
    ]

    def work() -> Result:
        result = Result.of(task.answer())
        return replace(result, summary={"question": asked.words(), **result.summary})

    return Job(script, f"asking the model in {folder}", work, asked.to_toml())


def _model_folder(path: Path) -> Path:
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    raise InputError(
        f"{path} holds no saved model; give the result folder of trajinfer fit, jumps or forecast"
    )
