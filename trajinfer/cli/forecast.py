"""`trajinfer forecast`: what comes next in irregular series, with intervals."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from trajinfer import plot
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.cli import options, series
from trajinfer.cli.console import say, show_json, show_log, table_text
from trajinfer.cli.output import can_draw, check_target, new_figure, write_result
from trajinfer.cli.series import (
    Model,
    SeriesColumns,
    call_of,
    model_of,
    neural,
    read_series,
    settings_of,
)
from trajinfer.cli.settings import to_toml
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.evaluation.series import calibration, forecast_figures, persistence

MODELS: dict[str, Model] = {
    **neural("NeuralSDEForecaster", "ahead"),
    "fractional": Model("FractionalSDE", {}, "whole"),
}
_MOST_FIGURES = 6


def forecast(  # noqa: PLR0913 (a command has as many arguments as it has options)
    data: series.SeriesFile,
    id: series.Id = "id",
    time: options.Time = "time",
    channels: series.Channels = "",
    variable: series.Variable = None,
    value: series.Value = None,
    statics: series.Statics = "",
    duplicates: series.Duplicates = "raise",
    model: Annotated[
        str | None, typer.Option(help=f"{', '.join(MODELS)}; the first if not given.")
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help="How far beyond each last time: a number, or 7D, 12h.")
    ] = None,
    hold_out_after: Annotated[
        str | None, typer.Option(help="Learn up to this time and score what came after it.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Number of times up to the horizon.")] = 20,
    paths: Annotated[int, typer.Option(help="Number of sample paths.")] = 200,
    figures: Annotated[bool, typer.Option(help="Whether to draw.")] = True,
    config: series.Settings = None,
    assignments: series.Set = None,
    seed: options.Seed = None,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("result"),
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Forecast irregular series, with intervals from sample paths."""
    show_log(verbose)
    if paths < 2 or steps < 1:
        raise InputError(f"--paths must be at least 2 and --steps 1, got {paths} and {steps}")
    columns = SeriesColumns(id, time, channels, variable, value, statics, duplicates=duplicates)
    given, script = read_series(data, columns)
    task = _task(given, horizon, hold_out_after, steps)
    known = model_of(model, MODELS)
    estimator = known.load()
    aim = {} if known.horizon is None else {"horizon": task.reach(known.horizon)}
    settings = settings_of(known, model is not None, config, assignments, seed, aim)
    if dry_run:
        typer.echo("\n".join([*script, *task.script, *_script(known, settings, paths)]))
        return
    check_target(out)
    say(f"fitting {task.past} of {data}", quiet=quiet)
    started = clock.perf_counter()
    fitted = estimator(**settings).fit(task.past)
    found = fitted.forecast(task.past, task.ts, n=paths)
    document: dict[str, Any] = {
        "command": "forecast",
        "data": str(data),
        "model": known.estimator,
        "settings": settings,
        "series": len(task.past),
        "channels": task.past.channels,
        "horizon": task.horizon,
        "scores": None if task.truth is None else _scores(found, task.past, task.truth),
        "seconds": clock.perf_counter() - started,
    }
    table = None if task.truth is None else calibration(found, task.truth)
    draw = figures and can_draw(quiet=quiet)

    def fill(folder: Path) -> None:
        header = f"# of: trajinfer forecast {data}; give it back with --config\n"
        text = header + to_toml(settings, known.estimator)
        (folder / "config.toml").write_text(text, encoding="utf-8")
        found.to_frame().to_csv(folder / "forecast.csv", index=False)
        fitted.save(folder / "model")
        if table is not None:
            table.to_csv(folder / "calibration.csv", index=False)
        if draw:
            _draw(folder, found, given, table)

    document = write_result(out, document, fill)
    show_json(document) if as_json else typer.echo(_text(document, table, out))


@dataclass(frozen=True)
class _Task:
    """What to learn from and what to forecast.

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

    def reach(self, counted: str) -> float:
        """The longest time asked for, "ahead" of the past or "whole", from its beginning."""
        if counted == "ahead":
            return self.horizon
        return float((self.ts - self.past.times[:, :1]).max())


def _task(given: IrregularSeries, horizon: str | None, cutoff: str | None, steps: int) -> _Task:
    if (horizon is None) == (cutoff is None):
        raise InputError("give either --horizon, how far to go, or --hold-out-after, a time")
    if cutoff is not None:
        label = _label(given, cutoff)
        past, later = given.until(label), given.after(label)
        reach = float((later.times - past.last_times[:, None]).max())
        named = repr(label) if isinstance(label, float) else f"pd.{label!r}"
        script = [f"past, later = series.until({named}), series.after({named})", "ts = later.times"]
        return _Task(past, later.times, reach, later.values, script)
    length = _duration(given, str(horizon))
    share = np.arange(1, steps + 1) / steps
    script = [
        "import numpy as np",
        "past = series",
        f"ts = past.last_times[:, None] + {length!r} * np.arange(1, {steps + 1}) / {steps}",
    ]
    return _Task(given, given.last_times[:, None] + length * share, length, None, script)


def _label(given: IrregularSeries, text: str) -> Any:
    kinds = {"number": float, "datetime": pd.Timestamp, "timedelta": pd.Timedelta}
    try:
        return kinds[given.axis.kind](text)
    except ValueError as error:
        raise InputError(f"'{text}' is no {given.axis.kind}, as the times of the table") from error


def _duration(given: IrregularSeries, text: str) -> float:
    try:
        if given.axis.kind == "number":
            length = float(text)
        else:
            length = float(pd.Timedelta(text) / pd.Timedelta(1, unit=given.axis.unit))
    except ValueError as error:
        example = "10" if given.axis.kind == "number" else "7D"
        raise InputError(f"--horizon must be a duration such as {example}, got {text!r}") from error
    if not length > 0 or not np.isfinite(length):
        raise InputError(f"--horizon must be positive, got {text!r}")
    return length


def _script(model: Model, settings: dict[str, Any], paths: int) -> list[str]:
    return [
        f"from trajinfer import {model.estimator}",
        f"model = {call_of(model.estimator, settings)}.fit(past)",
        f"forecast = model.forecast(past, ts, n={paths})",
    ]


def _scores(found: Forecast, past: IrregularSeries, truth: Array) -> dict[str, float]:
    last = persistence(past, found.ts)
    seen = np.isfinite(truth)
    return {
        **forecast_figures(found, truth),
        "mse_of_the_last_value": float(((last - truth)[seen] ** 2).mean()),
    }


def _text(document: dict[str, Any], table: pd.DataFrame | None, out: Path) -> str:
    lines = [f"{document['series']} series forecast in {document['seconds']:.1f} s"]
    if document["scores"] is not None:
        lines += [f"  {name} = {score:.5g}" for name, score in document["scores"].items()]
    if table is not None:
        lines += ["", table_text(table)]
    return "\n".join([*lines, "", f"written to {out}"])


def _draw(
    folder: Path, found: Forecast, given: IrregularSeries, table: pd.DataFrame | None
) -> None:
    n, n_channels = min(len(found), _MOST_FIGURES), len(found.channels)
    for i in range(n):
        figure = new_figure(6.4, 2.6 * min(n_channels, 4))
        panels = figure.subplots(min(n_channels, 4), 1, squeeze=False)[:, 0]
        for channel, ax in enumerate(panels):
            plot.forecast(found, series=i, dim=channel, observed=given[i], ax=ax)
        figure.savefig(folder / f"forecast_{i}.png")
    if table is not None:
        figure = new_figure(4.0, 4.0)
        plot.calibration(table, ax=figure.subplots())
        figure.savefig(folder / "calibration.png")
