"""`trajinfer forecast`: what comes next in irregular series, with intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trajinfer.cli.command import command
from trajinfer.cli.fitting import fitting
from trajinfer.cli.horizon import Horizon
from trajinfer.cli.models import Model, model_of, neural
from trajinfer.cli.options import DrawingTrainingRun, Draws
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.output import Job, Result
from trajinfer.cli.series import SeriesFile, Statics
from trajinfer.cli.settings import SeededSettings

MODELS: dict[str, Model] = {
    "lead": Model("NeuralSDEForecaster", {"dynamics": "lead"}, horizon=True),
    **neural("NeuralSDEForecaster", horizon=True),
    "fractional": Model("FractionalSDE", {}, horizon=True),
}


@command(DrawingTrainingRun)
def forecast(
    file: SeriesFile,
    settings: SeededSettings,
    draws: Draws,
    aim: Horizon,
    statics: Statics = "",
    model: ModelName = None,
) -> Job:
    """Forecast irregular series, with intervals from sample paths.

    Models: lead, langevin, linear_noise, geometric, free, ode, cde, latent_sde, gru, ode_rnn,
    fractional.
    """
    n = draws.number(2)
    known = model_of(model, MODELS)
    series, reading = file.read(statics=statics)
    task = aim.task(series)
    reach = {"horizon": task.horizon} if known.horizon else {}
    call = known.call(settings, named=model is not None, defaults=reach)
    drawing = f"forecast = model.forecast(past, ts, n={n})"
    script = [*reading, *task.script, *call.script(".fit(past)"), drawing]

    def answer(fitted: Any) -> Result:
        from trajinfer.evaluation.series.forecast_report import ForecastReport

        drawn = fitted.forecast(task.past, task.ts, n=n)
        result = Result.of(ForecastReport(drawn, series, task.past, task.horizon, task.truth))
        return replace(result, summary={**result.summary, "reading": file.as_read(statics)})

    return fitting(call, file, task.past, answer, script)
