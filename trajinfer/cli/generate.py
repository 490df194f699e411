"""`trajinfer generate`: new series with the law of those given, and a report on them."""

from __future__ import annotations

from typing import Annotated

import typer

from trajinfer.cli.command import command
from trajinfer.cli.console import say
from trajinfer.cli.imitation import Imitation
from trajinfer.cli.models import SCORE, Model, model_of
from trajinfer.cli.options import DrawingTrainingRun
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.output import Job, Result
from trajinfer.cli.series import SeriesFile
from trajinfer.cli.settings import SeededSettings

MODELS = {"chain": Model("DirectedChainGenerator", {}), **SCORE}


@command(DrawingTrainingRun)
def generate(
    file: SeriesFile,
    settings: SeededSettings,
    run: DrawingTrainingRun,
    aim: Imitation,
    transform: Annotated[
        str | None,
        typer.Option(help="auto, standard, rows (tables), relative (prices) or daily (readings)."),
    ] = None,
    model: ModelName = None,
) -> Job:
    """Draw synthetic series; with --report, judge them by a quarter that is held out.

    Models: chain, score, score_network.
    """
    task = aim.task(file, quiet=run.quiet)
    known = model_of(model, MODELS)
    call = known.call(settings, named=model is not None, options={"transform": transform})

    def work() -> Result:
        from trajinfer.data.drawn_tables import table_of_draws
        from trajinfer.evaluation.generation.trial import GeneratorTrial

        trial = GeneratorTrial.make(
            call.build(),
            task.series,
            task.n,
            groups=task.groups,
            judge=run.report,
            progress=lambda text: say(text, quiet=run.quiet),
        )
        summary = {**call.summary(), **trial.summary()}
        if aim.window is None:  # what is asked later goes on from whole series
            summary["reading"] = file.as_read(aim.group or "")
        tables = {"synthetic": table_of_draws(trial.drawn, task.series, task.categories)}
        models = {"model": trial.generator}
        return Result(summary, trial.text(), tables, models, trial.texts(), trial.figures())

    script = task.script(call, judge=run.report)
    return Job(script, f"fitting {task.series} of {file.data}", work, call.toml())
