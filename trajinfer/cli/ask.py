"""`trajinfer ask`: fates and passage times of a fitted model, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer._core.text import table_text
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Id, N, Seed, Time, call_of
from trajinfer.cli.output import Job, Result, figure_of
from trajinfer.cli.region_text import region_of, region_script
from trajinfer.cli.starts import series_of, start_of
from trajinfer.cli.typed_times import duration_of

if TYPE_CHECKING:
    from trajinfer.evaluation.hitting import HittingAnswer

_MANY = 12


@command(DrawingRun, out=Path("answer"))
def ask(
    model: Annotated[Path, typer.Argument(help="Result folder, or a saved model.")],
    target: Annotated[
        str,
        typer.Option(help="What is to be reached: 'x>=1.2', 'x>=1&y<=0', or labels by commas."),
    ],
    before: Annotated[
        str | None, typer.Option(help="What ends the attempt, written as --target.")
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help="Duration of the attempt, such as 10, or 3d for dates.")
    ] = None,
    start: Annotated[
        str, typer.Option("--from", help="'last', 'new', a label, or a state such as 'x=0.3,y=1'.")
    ] = "last",
    table: Annotated[
        Path | None, typer.Option("--series", help="Table of the series to go on from.")
    ] = None,
    id: Id = "id",
    time: Time = "time",
    n: N = 200,
    seed: Seed = None,
) -> Job:
    """Ask a fitted model which region is reached first, how likely, and how soon."""
    folder = _model_folder(model)
    if table is not None and start != "last":
        raise InputError(f"give either --series, a table, or --from, got both ({start})")

    import trajinfer
    from trajinfer.evaluation.hitting import HittingQuestion
    from trajinfer.functionals import as_dynamics
    from trajinfer.functionals.dynamics import names_of

    fitted = trajinfer.load(folder)
    dynamics = as_dynamics(fitted)
    names = names_of(dynamics)
    texts = {"target": target, **({} if before is None else {"before": before})}
    regions = {name: region_of(text, names) for name, text in texts.items()}
    length = None if horizon is None else duration_of(horizon)
    place = (
        start_of(start, dynamics, model) if table is None else series_of(table, id, time, fitted)
    )
    regions = {k: r.on(names, getattr(dynamics, "dim", 1)) for k, r in regions.items()}
    question = HittingQuestion(fitted, dynamics, regions, place, length, n, seed or 0)
    shown = [f"before={region_script(before)}"] if before is not None else []
    call = call_of("F.hitting_probability", {"horizon": length}, region_script(target), *shown)
    script = [
        "import trajinfer",
        f"model = trajinfer.load({str(folder)!r})",
        f"from trajinfer import functionals as F; F.estimate({call}, model)  # from {start}",
    ]
    words = {"target": target, "before": before, "horizon": horizon, "start": start}
    return Job(script, f"asking the model in {folder}", lambda: _result(words, question.answer()))


def _model_folder(path: Path) -> Path:
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    raise InputError(
        f"{path} holds no saved model; give the result folder of trajinfer fit, jumps or forecast"
    )


def _result(words: dict[str, Any], answer: HittingAnswer) -> Result:
    from trajinfer import plot

    table = answer.table
    shown = table if len(table) <= _MANY else table.describe().loc[["mean", "min", "50%", "max"]]
    lines = [table_text(shown.reset_index() if len(table) > _MANY else shown, digits=4)]
    lines += ["", f"method: {answer.method}"]
    lines += [f"assumed: {note}" for note in answer.notes]
    tables, figures = {"answer": table}, {}
    summary: dict[str, Any] = {
        "question": words,
        "method": answer.method,
        "assumed": answer.notes,
        "starts": len(table),
        "mean_probability": float(table["probability"].mean()),
    }
    if answer.law is not None:
        law = answer.law
        tables["passage"] = law.to_frame()
        unit, mean = law.axis.unit or "", law.survival.mean(axis=0)
        figures["passage"] = figure_of(plot.passage, law.ts, mean, unit=unit, size=(5.0, 3.8))
    return Result(summary, "\n".join(lines), tables, figures=figures)
