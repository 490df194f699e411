"""`trajinfer forecast`: what comes next in irregular series, with intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trajinfer._core.text import table_text
from trajinfer.cli.command import command
from trajinfer.cli.horizon import ForecastTask, Horizon
from trajinfer.cli.models import Call, Model, model_of, neural
from trajinfer.cli.options import DrawingRun, Draws
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.output import Job, Result, figure_of
from trajinfer.cli.series import SeriesFile, Statics
from trajinfer.cli.settings import SeededSettings

if TYPE_CHECKING:
    from trajinfer import Forecast, IrregularSeries

MODELS: dict[str, Model] = {
    "lead": Model("NeuralSDEForecaster", {"dynamics": "lead"}, horizon=True),
    **neural("NeuralSDEForecaster", horizon=True),
    "fractional": Model("FractionalSDE", {}, horizon=True),
}
_MOST_FIGURES, _MOST_PANELS = 6, 4


@command(DrawingRun)
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

    def work() -> Result:
        fitted = call.build().fit(task.past)
        drawn = fitted.forecast(task.past, task.ts, n=n)
        result = _result(call, fitted, drawn, series, task)
        return replace(result, summary={**result.summary, "reading": file.as_read(statics)})

    return Job(script, f"fitting {task.past} of {file.data}", work, call.toml())


def _result(
    call: Call, fitted: Any, drawn: Forecast, series: IrregularSeries, task: ForecastTask
) -> Result:
    from trajinfer import plot
    from trajinfer.evaluation.series import calibration
    from trajinfer.evaluation.series.calibration import figures_beside_the_last_value
    from trajinfer.plot.observations import channels
    from trajinfer.plot.progress import forecasts

    lines = [f"{len(task.past)} series forecast"]
    tables, scores = {"forecast": drawn.to_frame()}, None
    n_panels = min(len(drawn.channels), _MOST_PANELS)
    shape: dict[str, Any] = {"size": (6.4, 2.6 * n_panels), "panels": (n_panels, 1)}
    figures = {
        f"forecast_{i}": figure_of(forecasts, drawn, series=i, observed=series[i], **shape)
        for i in range(min(len(drawn), _MOST_FIGURES))
    }
    figures["data"] = figure_of(channels, series, **shape)
    if task.truth is not None:
        scores = figures_beside_the_last_value(drawn, task.past, task.truth)
        tables["calibration"] = table = calibration(drawn, task.truth)
        lines += [*(f"  {name} = {score:.5g}" for name, score in scores.items()), ""]
        lines += [table_text(table)]
        figures["calibration"] = figure_of(plot.calibration, table, size=(4.0, 4.0))
    summary = {
        **call.summary(),
        "series": len(task.past),
        "channels": task.past.channels,
        "horizon": task.horizon,
        "scores": scores,
    }
    text = "\n".join([*lines, ""])
    return Result(summary, text, tables, models={"model": fitted}, figures=figures)
