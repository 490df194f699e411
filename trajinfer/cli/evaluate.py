"""`trajinfer evaluate`: hold out every snapshot in turn."""

from __future__ import annotations

from typing import Annotated

import typer

from trajinfer._core.text import table_text
from trajinfer.cli.bridge import BridgeSettings
from trajinfer.cli.command import command
from trajinfer.cli.console import say
from trajinfer.cli.options import DrawingRun, names
from trajinfer.cli.output import Job, Result
from trajinfer.cli.snapshots import SnapshotFile


@command(DrawingRun, out=None)
def evaluate(
    file: SnapshotFile,
    settings: BridgeSettings,
    run: DrawingRun,
    scoring: Annotated[str, typer.Option(help="w1, w2, mmd or energy, or several: w1,w2.")] = "w1",
) -> Job:
    """Score a bridge at every snapshot, each held out in turn, beside the exact-OT line."""
    from trajinfer.evaluation import leave_one_snapshot_out, mean_scores
    from trajinfer.metrics import metric_names

    metrics = metric_names(names(scoring))
    call = settings.bridge()
    population = file.read()
    snapshots = population.snapshots
    estimator = call.build(snapshots.dim, verbose=0)
    script = [
        "from trajinfer import SchrodingerBridge, Snapshots, evaluation",
        *population.script,
        *call.script(snapshots.dim),
        f"evaluation.leave_one_snapshot_out(bridge, data, scoring={metrics!r})",
    ]

    def work() -> Result:
        from trajinfer import plot
        from trajinfer.plot.later import figure_of

        scores = leave_one_snapshot_out(
            estimator,
            snapshots,
            scoring=metrics,
            progress=lambda text: say(text, quiet=run.quiet),
        )
        means = mean_scores(scores)
        figures = {
            f"scores_{metric}": figure_of(plot.scores, scores, metric=metric, size=(6.4, 4.0))
            for metric in metrics
        }
        title = "distance to each snapshot, held out (smaller is better)"
        return Result(
            {"scores": scores, "mean_scores": means},
            f"{title}\n{table_text(scores)}\n\nmeans\n{table_text(means)}",
            {"scores": scores},
            figures=figures,
            converged=bool(scores["converged"].all()),
        )

    return Job(script, f"scoring {snapshots} of {file.data}", work, call.toml())
