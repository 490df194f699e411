"""`trajinfer evaluate`: hold out every snapshot in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trajinfer.cli import options
from trajinfer.cli.console import NOT_CONVERGED, say, show_json, show_log, table_text
from trajinfer.cli.output import check_target, write_result
from trajinfer.cli.request import estimator_of, options_of, script_of, source_of
from trajinfer.cli.settings import resolve, to_toml
from trajinfer.cli.tables import read
from trajinfer.evaluation import leave_one_snapshot_out, mean_scores
from trajinfer.metrics import metric_names


def evaluate(  # noqa: PLR0913 (a command has as many arguments as it has options)
    data: options.DataFile,
    time: options.Time = "time",
    features: options.Features = "",
    weight: options.Weight = None,
    use_rep: options.UseRep = "X_pca",
    reference: options.Reference = None,
    volatility: options.VolatilityOption = None,
    scoring: Annotated[str, typer.Option(help="w1, w2, mmd or energy, or several: w1,w2.")] = "w1",
    config: options.Config = None,
    assignments: options.Set = None,
    seed: options.Seed = None,
    jobs: options.Jobs = None,
    device: options.Device = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the table.")] = None,
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score a bridge at every snapshot, each held out in turn, beside the exact-OT line."""
    show_log(verbose)
    names = metric_names([name.strip() for name in scoring.split(",")])
    given = options_of(reference, volatility, seed, jobs, device)
    settings = resolve(config, assignments or [], given)
    table = read(source_of(data, time, features, weight, use_rep), quiet=quiet)
    estimator = estimator_of(settings, table.snapshots, quiet).set_params(verbose=0)
    if dry_run:
        call = f"evaluation.leave_one_snapshot_out(bridge, data, scoring={names!r})"
        typer.echo("\n".join([*script_of(table, settings, ()), call]))
        return
    if out is not None:
        check_target(out)
    scores = leave_one_snapshot_out(
        estimator,
        table.snapshots,
        scoring=names,
        progress=lambda text: say(text, quiet=quiet),
    )
    means = mean_scores(scores)
    document = {"command": "evaluate", "data": str(data), "scores": scores, "mean_scores": means}
    if out is not None:

        def fill(folder: Path) -> None:
            (folder / "config.toml").write_text(to_toml(settings), encoding="utf-8")
            scores.to_csv(folder / "scores.csv", index=False)

        document = write_result(out, document, fill)
    if as_json:
        show_json(document)
    else:
        typer.echo("distance to each snapshot, held out (smaller is better)")
        typer.echo(f"{table_text(scores)}\n\nmeans\n{table_text(means)}")
    if not scores["converged"].all():
        raise typer.Exit(NOT_CONVERGED)
