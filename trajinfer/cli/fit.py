"""`trajinfer fit`: trajectories and dynamics from a table of snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.bridge import BridgeCall, BridgeSettings
from trajinfer.cli.cells import annotated, cell_answers, cell_table, labels_of_rows
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Draws
from trajinfer.cli.output import Job, Result
from trajinfer.cli.population import Population, Rows, Split, labels_of
from trajinfer.cli.snapshots import SnapshotFile

if TYPE_CHECKING:
    from trajinfer import Snapshots
    from trajinfer._core.checks import Array
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
    labels = labels_of_rows(population.rows, fates)
    split = population.split(hold_out or [], quiet=run.quiet)
    later = _later(split.train, forecast or [])
    estimator = call.build(split.train.dim, verbose=0 if run.quiet else 1)

    def work() -> Result:
        from trajinfer.evaluation.bridge_report import BridgeReport

        bridge = estimator.fit(split.train)
        report = BridgeReport(bridge, split.train, split.held_out, later, n)
        result = Result.of(report, {"model": bridge}, converged=bool(bridge.converged_))
        if population.rows is None:
            return result
        return _with_cells(result, report, population.rows, labels, file)

    script = _script(population, call, split)
    return Job(script, f"fitting {split.train} of {file.data}", work, call.toml())


def _script(population: Population, call: BridgeCall, split: Split) -> list[str]:
    return [
        "from trajinfer import SchrodingerBridge, Snapshots, evaluation",
        *population.script,
        *call.script(split.train.dim),
        *split.script(),
        f"bridge.fit({'train' if split.labels else 'data'})",
    ]


def _with_cells(
    result: Result, report: BridgeReport, rows: Rows, labels: Array | None, file: SnapshotFile
) -> Result:
    """The result with what the bridge knows of every cell of the file."""
    answers = cell_answers(report.bridge, rows, labels)
    cells = cell_table(answers, rows, report.names, file.time)
    files = annotated(answers, rows, file.time, file.use_rep)
    return replace(result, tables={**result.tables, "cells": cells}, files=files)


def _later(train: Snapshots, texts: Sequence[str]) -> list[Any]:
    """Times to forecast, checked before any work."""
    labels = sorted(labels_of(train, texts))
    if labels and train.axis.encode(labels).min() <= train.times[-1]:
        raise InputError(
            f"--forecast takes times after the last snapshot ({train.labels[-1]}), got {labels[0]}"
        )
    return labels
