"""`trajinfer generate`: new series with the law of those given, and a report on them."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from trajinfer import plot
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer.cli import options, series
from trajinfer.cli.console import say, show_json, show_log
from trajinfer.cli.output import can_draw, check_target, new_figure, write_result
from trajinfer.cli.series import (
    Model,
    SeriesColumns,
    call_of,
    read_series,
    settings_of,
)
from trajinfer.cli.settings import to_toml
from trajinfer.data import IrregularSeries, Trajectories
from trajinfer.evaluation import GenerationReport, generation_report

MODEL = Model("DirectedChainGenerator", {})
_HELD_OUT = 4
_DRAWN = 40


def generate(  # noqa: PLR0913 (a command has as many arguments as it has options)
    data: series.SeriesFile,
    n: Annotated[int, typer.Option("--n", help="Number of series to draw.")] = 1000,
    id: series.Id = "id",
    time: options.Time = "time",
    channels: series.Channels = "",
    variable: series.Variable = None,
    value: series.Value = None,
    group: Annotated[
        str | None,
        typer.Option(help="Column of numbers: series of one group are held out together."),
    ] = None,
    transform: Annotated[
        str | None, typer.Option(help="standard, relative (prices) or daily (readings).")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Hold a quarter out and judge the result by it.")
    ] = False,
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
    """Draw synthetic series; with --report, say what is wrong with them."""
    show_log(verbose)
    require_integer(n, "--n", least=1)
    columns = SeriesColumns(id, time, channels, variable, value, statics=group or "")
    given, script = read_series(data, columns)
    chosen = [*(assignments or []), *([] if transform is None else [f'transform="{transform}"'])]
    settings = settings_of(MODEL, False, config, chosen, seed, {})
    if dry_run:
        typer.echo("\n".join([*script, *_script(settings, n, report, group is not None)]))
        return
    check_target(out)
    groups = None if group is None else _groups(given, group)
    held_out = _held_out(given, groups) if report else np.zeros(len(given), dtype=bool)
    learned = given[np.flatnonzero(~held_out)]
    say(f"fitting {learned} of {data}", quiet=quiet)
    started = clock.perf_counter()
    pooled = settings.get("neighbour") == "pool"
    systems = {"groups": groups[~held_out]} if pooled and groups is not None else {}
    fitted = MODEL.load()(**settings).fit(learned, **systems)
    drawn: Trajectories = fitted.sample(n)
    found = None
    if report:
        found = _judge(given, held_out, drawn, groups, settings, quiet)
    document: dict[str, Any] = {
        "command": "generate",
        "data": str(data),
        "model": MODEL.estimator,
        "settings": settings,
        "series": len(given),
        "held_out": int(held_out.sum()),
        "drawn": n,
        "flags": None if found is None else sorted(found.flags),
        "seconds": clock.perf_counter() - started,
    }
    draw = figures and can_draw(quiet=quiet)

    def fill(folder: Path) -> None:
        header = f"# of: trajinfer generate {data}; give it back with --config\n"
        text = header + to_toml(settings, MODEL.estimator)
        (folder / "config.toml").write_text(text, encoding="utf-8")
        drawn.to_frame().to_csv(folder / "synthetic.csv", index=False)
        fitted.save(folder / "model")
        if found is not None:
            (folder / "report.txt").write_text(f"{found}\n", encoding="utf-8")
            (folder / "report.json").write_text(found.to_json() + "\n", encoding="utf-8")
        if draw:
            _draw(folder, drawn, found)

    document = write_result(out, document, fill)
    if as_json:
        show_json(document)
    else:
        typer.echo("\n".join([*([str(found)] if found else []), f"{n} series written to {out}"]))


def _groups(given: IrregularSeries, column: str) -> Array:
    if given.statics is None or not np.isfinite(given.statics[:, -1]).all():
        raise InputError(f"--group {column} must be a number for every series")
    return np.asarray(given.statics[:, -1])


def _held_out(given: IrregularSeries, groups: Array | None) -> Array:
    """Every fourth group (or series), so that no group is on both sides."""
    if not given.mask.all() or not (given.times == given.times[0]).all():
        raise InputError(
            "--report compares series on one grid without holes; leave it out, or fill the table "
            "first"
        )
    names = np.arange(len(given)) if groups is None else groups
    order = np.unique(names, return_inverse=True)[1]
    if order.max() + 1 < 2 * _HELD_OUT:
        raise InputError(
            f"--report needs at least {2 * _HELD_OUT} series or groups, got {order.max() + 1}"
        )
    return np.asarray(order % _HELD_OUT == _HELD_OUT - 1)


def _judge(
    given: IrregularSeries,
    held_out: Array,
    drawn: Trajectories,
    groups: Array | None,
    settings: dict[str, Any],
    quiet: bool,
) -> GenerationReport:
    shown = _relative if settings.get("transform") == "relative" else _as_they_are
    sides = None if groups is None else (groups[~held_out], groups[held_out])
    return generation_report(
        shown(given.values[~held_out]),
        shown(given.values[held_out]),
        shown(drawn.values),
        groups=sides,
        random_state=settings.get("random_state", 0),
        progress=lambda text: say(text, quiet=quiet),
    )


def _as_they_are(values: Array) -> Array:
    return values


def _relative(values: Array) -> Array:
    """Logarithms relative to the first value of every series."""
    if not (values > 0).all():
        raise InputError("--transform relative is for positive values")
    logs = np.log(values)
    return np.asarray(logs - logs[:, :1])


def _script(settings: dict[str, Any], n: int, report: bool, grouped: bool) -> list[str]:
    lines = [
        f"from trajinfer import {MODEL.estimator}",
        f"model = {call_of(MODEL.estimator, settings)}",
    ]
    if not report:
        return [*lines, f"synthetic = model.fit(series).sample({n})"]
    named = ", groups=(groups[~held_out], groups[held_out])" if grouped else ""
    order = "np.unique(groups, return_inverse=True)[1]" if grouped else "np.arange(len(series))"
    return [
        "import numpy as np",
        "from trajinfer.evaluation import generation_report",
        *lines,
        *(["groups = series.statics[:, -1]"] if grouped else []),
        f"held_out = {order} % {_HELD_OUT} == {_HELD_OUT - 1}",
        f"synthetic = model.fit(series[np.flatnonzero(~held_out)]).sample({n})",
        "real = series.values[~held_out], series.values[held_out]",
        f"print(generation_report(*real, synthetic.values{named}))",
    ]


def _draw(folder: Path, drawn: Trajectories, found: GenerationReport | None) -> None:
    figure = new_figure(6.0, 3.8)
    shown = Trajectories(drawn.ts, drawn.values[:_DRAWN], features=drawn.features, axis=drawn.axis)
    plot.trajectories(shown, ax=figure.subplots())
    figure.savefig(folder / "synthetic.png")
    if found is not None:
        figure = new_figure(6.0, 5.0)
        found.plot(ax=figure.subplots())
        figure.savefig(folder / "report.png")
