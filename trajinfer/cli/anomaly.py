"""`trajinfer anomaly`: the values of irregular series that surprise, given all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer._core.text import table_text
from trajinfer.cli.command import command
from trajinfer.cli.fitting import fitting
from trajinfer.cli.models import SCORE
from trajinfer.cli.options import DrawingTrainingRun
from trajinfer.cli.output import Job, Result
from trajinfer.cli.series import SeriesFile
from trajinfer.cli.settings import SeededSettings
from trajinfer.cli.window import Window

if TYPE_CHECKING:
    from trajinfer import IrregularSeries
    from trajinfer._core.checks import Array

_MOST_FIGURES, _SHOWN = 4, 10


@command(DrawingTrainingRun)
def anomaly(
    file: SeriesFile,
    settings: SeededSettings,
    window: Window,
    above: Annotated[
        float, typer.Option(help="Score from which a value is listed; 10 is four deviations off.")
    ] = 10.0,
) -> Job:
    """Score how surprising every value is given all others of its series.

    The law is learned from the same series, 20 or more; fewer are cut into windows (--window 1D).
    """
    if not above >= 0:
        raise InputError(f"--above must be a number >= 0, got {above}")
    series, reading = file.read()
    call = SCORE["score"].call(settings)
    window = window.usual(series)
    windows, name = window.cut(series), window.pieces
    asked = [
        f"odd = model.oddness({name})",
        f"scores = {window.joining('joined', 'odd.score')}",
        f"p_values = {window.joining('joined', 'odd.p_value')}",
    ]
    script = [*reading, *window.script, *call.script(f".fit({window.observed})"), *asked]

    def answer(fitted: Any) -> Result:
        scores, p_values = fitted.oddness(windows.pieces)
        told = window.told(windows)
        return _result(series, windows.joined(scores), windows.joined(p_values), above, told)

    return fitting(call, file, windows.observed, answer, script)


def _result(
    series: IrregularSeries, scores: Array, p_values: Array, above: float, told: list[str]
) -> Result:
    from trajinfer.evaluation.series import anomaly_table
    from trajinfer.plot.anomalies import anomalies_by_channel
    from trajinfer.plot.later import figure_by_channel

    table = anomaly_table(series, scores, p_values)
    listed = table[table["score"] > above]
    ids = list(series.ids)
    worst = [ids.index(name) for name in listed["series"].unique()[:_MOST_FIGURES]] or [0]
    shape: dict[str, Any] = {"n_channels": len(series.channels), "height": 2.4, "above": above}
    figures = {
        f"series_{i}": figure_by_channel(anomalies_by_channel, series, scores, series=i, **shape)
        for i in worst
    }
    lines = [*told, f"{len(listed)} of {len(table)} values score above {above:g}"]
    lines += ["", table_text(listed.head(_SHOWN))] if len(listed) else []
    summary = {"series": len(series), "above": above, "listed": len(listed)}
    tables = {"scores": table, "anomalies": listed}
    return Result(summary, "\n".join(lines), tables, figures=figures)
