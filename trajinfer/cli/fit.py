"""`trajinfer fit`: trajectories and dynamics from a table of snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.bridge import BridgeSettings
from trajinfer.cli.cells import annotated, cell_answers, cell_table, labels_of_rows
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Draws
from trajinfer.cli.output import Job, Result
from trajinfer.cli.population import labels_of
from trajinfer.cli.snapshots import SnapshotFile

if TYPE_CHECKING:
    from trajinfer import Snapshots


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
        result = Result.of(report, {"model": bridge}, converged=bool(bridge.converged_))
        if rows is None:
            return result
        answers = cell_answers(bridge, rows, labels)
        cells = cell_table(answers, rows, report.names, file.time)
        files = annotated(answers, rows, file.time, file.use_rep)
        return replace(result, tables={**result.tables, "cells": cells}, files=files)

    return Job(script, f"fitting {split.train} of {file.data}", work, call.toml())


def _later(train: Snapshots, texts: Sequence[str]) -> list[Any]:
    """Times to forecast, checked before any work."""
    labels = sorted(labels_of(train, texts))
    if labels and train.axis.encode(labels).min() <= train.times[-1]:
        raise InputError(
            f"--forecast takes times after the last snapshot ({train.labels[-1]}), got {labels[0]}"
        )
    return labels
