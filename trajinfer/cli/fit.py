"""`trajinfer fit`: trajectories and dynamics from a table of snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.bridge import BridgeSettings
from trajinfer.cli.cells import annotated, cell_answers, cell_table, labels_of_rows
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Draws
from trajinfer.cli.output import Job, Result, figure_of
from trajinfer.cli.population import labels_of
from trajinfer.cli.snapshots import SnapshotFile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trajinfer import Snapshots
    from trajinfer.evaluation.bridge_report import BridgeReport


@command(DrawingRun)
def fit(
    file: SnapshotFile,
    settings: BridgeSettings,
    draws: Draws,
    run: DrawingRun,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="A time to keep aside and score; repeatable.")
    ] = None,
    forecast: Annotated[
        list[str] | None, typer.Option(help="A time after the last snapshot; repeatable.")
    ] = None,
    fates: Annotated[
        str | None, typer.Option(help="Column of labels; those of the last time are the fates.")
    ] = None,
) -> Job:
    """Infer trajectories from population snapshots and refine a reference."""
    n = draws.number(1)
    call = settings.bridge()
    population = file.read()
    rows = population.rows
    labels = labels_of_rows(rows, fates)
    split = population.split(hold_out or [], quiet=run.quiet)
    later = _later(split.train, forecast or [])
    estimator = call.build(split.train.dim, verbose=0 if run.quiet else 1)
    script = [
        "from trajinfer import SchrodingerBridge, Snapshots, evaluation",
        *population.script,
        *call.script(split.train.dim),
        *split.script(),
        f"bridge.fit({'train' if split.labels else 'data'})",
    ]

    def work() -> Result:
        from trajinfer.evaluation.bridge_report import BridgeReport

        bridge = estimator.fit(split.train)
        report = BridgeReport(bridge, split.train, split.held_out, later, n)
        tables, figures = report.tables(), _figures(report)
        summary, text = report.summary(), report.text()
        well, models = bool(bridge.converged_), {"model": bridge}
        if rows is None:
            return Result(summary, text, tables, models, figures=figures, converged=well)
        names = report.paths.features or tuple(f"x{d}" for d in range(split.train.dim))
        answers = cell_answers(bridge, rows, labels)
        tables["cells"] = cell_table(answers, rows, names, file.time)
        files = annotated(answers, rows, file.time, file.use_rep)
        return Result(summary, text, tables, models, {}, figures, well, files)

    return Job(script, f"fitting {split.train} of {file.data}", work, call.toml())


def _later(train: Snapshots, texts: Sequence[str]) -> list[Any]:
    """Times to forecast, checked before any work."""
    labels = sorted(labels_of(train, texts))
    if labels and train.axis.encode(labels).min() <= train.times[-1]:
        raise InputError(
            f"--forecast takes times after the last snapshot ({train.labels[-1]}), got {labels[0]}"
        )
    return labels


def _figures(report: BridgeReport) -> dict[str, Callable[[], Figure]]:
    from trajinfer import plot

    train, bridge = report.train, report.bridge
    figures = {
        "paths": figure_of(plot.trajectories, report.paths, snapshots=train, size=(6.4, 4.8)),
        "objective": figure_of(plot.history, bridge.history_, size=(4.8, 3.2)),
    }
    if train.dim > 1:
        middle = float(train.times[[0, -1]].mean())
        figures["velocity"] = figure_of(plot.velocity, bridge, middle, train, size=(6.0, 4.8))
    if report.interpolated is not None:
        observed, scores = report.interpolated

        def held_out(ax: Any) -> None:
            drawn = bridge.sample(ts=observed.labels)
            plot.held_out(drawn, observed, train=train, scores=scores, ax=ax)

        k = len(observed)
        figures["held_out"] = figure_of(held_out, size=(min(3.2 * k, 16.0), 3.4), panels=(1, k))
    return figures
