"""`trajinfer generate`: new series with the law of those given, and a report on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.command import command
from trajinfer.cli.console import say
from trajinfer.cli.models import SCORE, Call, Model, model_of
from trajinfer.cli.options import DrawingRun, N
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.output import Job, Result, figure_of
from trajinfer.cli.series import SeriesFile
from trajinfer.cli.settings import SeededSettings

if TYPE_CHECKING:
    from pandas import DataFrame

    from trajinfer import IrregularSeries
    from trajinfer._core.checks import Array
    from trajinfer.evaluation.generation.trial import GeneratorTrial

MODELS = {"chain": Model("DirectedChainGenerator", {}), **SCORE}
_DRAWN = 40


@command(DrawingRun)
def generate(
    file: SeriesFile,
    settings: SeededSettings,
    run: DrawingRun,
    n: N = 1000,
    group: Annotated[
        str | None,
        typer.Option(help="Column of numbers: series of one group are held out together."),
    ] = None,
    drop_short: Annotated[
        bool, typer.Option(help="Leave out series of one row, from which no law is learned.")
    ] = False,
    transform: Annotated[
        str | None,
        typer.Option(help="auto, standard, rows (tables), relative (prices) or daily (readings)."),
    ] = None,
    model: ModelName = None,
) -> Job:
    """Draw synthetic series; with --report, judge them by a quarter that is held out.

    Models: chain, score, score_network.
    """
    if n < 1:
        raise InputError(f"--n must be at least 1, got {n}")
    series, reading, categories = file.read_with_categories(statics=group or "")
    if drop_short:
        series, left_out = _long_enough(series, file.id)
        say(f"{left_out} series of one row left out", quiet=run.quiet or not left_out)
        reading = [*reading, "series = series[series.lengths >= 2]"]
    known = model_of(model, MODELS)
    call = known.call(settings, named=model is not None, options={"transform": transform})
    groups = None if group is None else _groups(series, group)

    def work() -> Result:
        from trajinfer.data.drawn_tables import table_of_draws
        from trajinfer.evaluation.generation.trial import GeneratorTrial

        def progress(text: str) -> None:
            say(text, quiet=run.quiet)

        words: dict[str, Any] = {"groups": groups, "judge": run.report, "progress": progress}
        trial = GeneratorTrial.make(call.build(), series, n, **words)
        return _result(call, trial, table_of_draws(trial.drawn, series, categories))

    script = [*reading, *_script(call, n, run.report, grouped=group is not None)]
    return Job(script, f"fitting {series} of {file.data}", work, call.toml())


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


def _result(call: Call, trial: GeneratorTrial, table: DataFrame) -> Result:
    from trajinfer import Trajectories, plot

    drawn, report = trial.drawn, trial.report
    ts = drawn.ts[:_DRAWN] if drawn.ts.ndim == 2 else drawn.ts
    some = Trajectories(ts, drawn.values[:_DRAWN], features=drawn.features, axis=drawn.axis)
    figures = {"synthetic": figure_of(plot.trajectories, some, size=(6.0, 3.8))}
    lines, texts = [f"{len(drawn.values)} series drawn"], {}
    if report is not None:
        lines.insert(0, str(report))
        texts = {"report.txt": f"{report}\n", "report.json": report.to_json() + "\n"}
        figures["report"] = figure_of(report.plot, size=(6.0, 5.0))
    summary = {
        **call.summary(),
        "series": len(trial.held_out),
        "held_out": int(trial.held_out.sum()),
        "drawn": len(drawn.values),
        "losses": list(trial.losses),
        "flags": None if report is None else sorted(report.flags),
    }
    models = {"model": trial.generator}
    return Result(summary, "\n".join(lines), {"synthetic": table}, models, texts, figures)


def _script(call: Call, n: int, report: bool, *, grouped: bool) -> list[str]:
    if not report:
        return [*call.script(), f"synthetic = model.fit(series).sample({n})"]
    named = ", groups=(groups[~held_out], groups[held_out])" if grouped else ""
    order = "np.unique(groups, return_inverse=True)[1]" if grouped else "np.arange(len(series))"
    return [
        "import numpy as np",
        "from trajinfer.evaluation import generation_report",
        *call.script(),
        *(["groups = series.statics[:, -1]"] if grouped else []),
        f"held_out = {order} % 4 == 3",
        f"synthetic = model.fit(series[np.flatnonzero(~held_out)]).sample({n})",
        "real = series.values[~held_out], series.values[held_out]",
        f"print(generation_report(*real, synthetic.values{named}))",
    ]
