"""`trajinfer forecast`: what comes next in irregular series, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer._core.text import table_text
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Draws, call_of
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.output import Job, Result, figure_of, new_figure
from trajinfer.cli.series import Model, SeriesFile, Statics, model_of, neural
from trajinfer.cli.settings import SeededSettings, to_toml

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from trajinfer import Forecast, IrregularSeries
    from trajinfer._core.checks import Array

MODELS: dict[str, Model] = {
    "lead": Model("NeuralSDEForecaster", {"dynamics": "lead"}, horizon=True),
    **neural("NeuralSDEForecaster", horizon=True),
    "fractional": Model("FractionalSDE", {}, horizon=True),
}
_MOST_FIGURES = 6
_MOST_PANELS = 4


@command(DrawingRun)
def forecast(
    file: SeriesFile,
    settings: SeededSettings,
    draws: Draws,
    statics: Statics = "",
    model: ModelName = None,
    horizon: Annotated[
        str | None, typer.Option(help="How far beyond each last time: a number, or 7D, 12h.")
    ] = None,
    hold_out_after: Annotated[
        str | None, typer.Option(help="Learn up to this time and score what came after it.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Number of times up to the horizon.")] = 20,
) -> Job:
    """Forecast irregular series, with intervals from sample paths.

    Models: lead, langevin, linear_noise, geometric, free, ode, cde, latent_sde, gru, ode_rnn,
    fractional.
    """
    n = draws.number(2)
    if steps < 1:
        raise InputError(f"--steps must be at least 1, got {steps}")
    if (horizon is None) == (hold_out_after is None):
        raise InputError("give either --horizon, how far to go, or --hold-out-after, a time")
    known = model_of(model, MODELS)
    series, reading = file.read(statics=statics)
    if hold_out_after is None:
        task = _ahead(series, str(horizon), steps)
    else:
        task = _held_out(series, hold_out_after)
    aim = {"horizon": task.horizon} if known.horizon else {}
    arguments = known.resolve(settings, named=model is not None, defaults=aim)
    script = [
        *reading,
        *task.script,
        f"from trajinfer import {known.estimator}",
        f"model = {call_of(known.estimator, arguments)}.fit(past)",
        f"forecast = model.forecast(past, ts, n={n})",
    ]

    def work() -> Result:
        fitted = known.load()(**arguments).fit(task.past)
        return _result(
            known, arguments, fitted, fitted.forecast(task.past, task.ts, n=n), series, task
        )

    toml = to_toml(arguments, known.estimator)
    return Job(script, f"fitting {task.past} of {file.data}", work, toml)


@dataclass(frozen=True)
class _Task:
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


def _held_out(series: IrregularSeries, cutoff: str) -> _Task:
    label = _label(series, cutoff)
    past, later = series.until(label), series.after(label)
    reach = float((later.times - past.last_times[:, None]).max())
    named = repr(label) if isinstance(label, float) else f"pd.{label!r}"
    script = [f"past, later = series.until({named}), series.after({named})", "ts = later.times"]
    return _Task(past, later.times, reach, later.values, script)


def _ahead(series: IrregularSeries, horizon: str, steps: int) -> _Task:
    import numpy as np

    length = _duration(series, horizon)
    share = np.arange(1, steps + 1) / steps
    script = [
        "import numpy as np",
        "past = series",
        f"ts = past.last_times[:, None] + {length!r} * np.arange(1, {steps + 1}) / {steps}",
    ]
    return _Task(series, series.last_times[:, None] + length * share, length, None, script)


def _label(series: IrregularSeries, text: str) -> Any:
    import pandas as pd

    kinds = {"number": float, "datetime": pd.Timestamp, "timedelta": pd.Timedelta}
    try:
        return kinds[series.axis.kind](text)
    except ValueError as error:
        raise InputError(f"'{text}' is no {series.axis.kind}, as the times of the table") from error


def _duration(series: IrregularSeries, text: str) -> float:
    import numpy as np
    import pandas as pd

    try:
        if series.axis.kind == "number":
            length = float(text)
        else:
            length = float(pd.Timedelta(text) / pd.Timedelta(1, unit=series.axis.unit))
    except ValueError as error:
        example = "10" if series.axis.kind == "number" else "7D"
        raise InputError(f"--horizon must be a duration such as {example}, got {text!r}") from error
    if not length > 0 or not np.isfinite(length):
        raise InputError(f"--horizon must be positive, got {text!r}")
    return length


def _result(
    model: Model,
    settings: dict[str, Any],
    fitted: Any,
    drawn: Forecast,
    series: IrregularSeries,
    task: _Task,
) -> Result:
    from trajinfer.evaluation.series import calibration

    scores, table = None, None
    if task.truth is not None:
        scores, table = _scores(drawn, task.past, task.truth), calibration(drawn, task.truth)
    lines = [f"{len(task.past)} series forecast"]
    lines += [f"  {name} = {score:.5g}" for name, score in (scores or {}).items()]
    lines += [] if table is None else ["", table_text(table)]
    return Result(
        {
            "model": model.estimator,
            "settings": settings,
            "series": len(task.past),
            "channels": task.past.channels,
            "horizon": task.horizon,
            "scores": scores,
        },
        "\n".join([*lines, ""]),
        {"forecast": drawn.to_frame(), **({} if table is None else {"calibration": table})},
        models={"model": fitted},
        figures=_figures(drawn, series, table),
    )


def _scores(drawn: Forecast, past: IrregularSeries, truth: Array) -> dict[str, float]:
    import numpy as np

    from trajinfer.evaluation.series import forecast_figures, persistence

    last = persistence(past, drawn.ts)
    observed = np.isfinite(truth)
    return {
        **forecast_figures(drawn, truth),
        "mse_of_the_last_value": float(((last - truth)[observed] ** 2).mean()),
    }


def _figures(
    drawn: Forecast, series: IrregularSeries, table: pd.DataFrame | None
) -> dict[str, Callable[[], Figure]]:
    from trajinfer import plot

    n_panels = min(len(drawn.channels), _MOST_PANELS)

    def of_series(i: int) -> Figure:
        figure = new_figure(6.4, 2.6 * n_panels)
        panels = figure.subplots(n_panels, 1, squeeze=False)[:, 0]
        for channel, ax in enumerate(panels):
            plot.forecast(drawn, series=i, dim=channel, observed=series[i], ax=ax)
        return figure

    figures: dict[str, Callable[[], Figure]] = {
        f"forecast_{i}": lambda i=i: of_series(i)  # type: ignore[misc]
        for i in range(min(len(drawn), _MOST_FIGURES))
    }
    if table is not None:
        figures["calibration"] = figure_of(plot.calibration, table, size=(4.0, 4.0))
    return figures
