"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataFile = Annotated[Path, typer.Argument(help="csv, tsv, parquet, npz or h5ad.")]
Time = Annotated[str, typer.Option(help="Column of the observation times.")]
Features = Annotated[
    str,
    typer.Option(help="Columns of coordinates, separated by commas; all numeric ones if empty."),
]
Weight = Annotated[str | None, typer.Option(help="Column of weights.")]
UseRep = Annotated[str, typer.Option(help="h5ad only: key of obsm, or X.")]
Reference = Annotated[
    str | None, typer.Option(help="Dynamics to refine, e.g. lotka_volterra; Brownian if not given.")
]
VolatilityOption = Annotated[
    str | None, typer.Option(help="A number, one per coordinate separated by commas, or 'learn'.")
]
Config = Annotated[Path | None, typer.Option(help="TOML file with a table [SchrodingerBridge].")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any constructor argument: key=value, reference.degree=3."),
]
Seed = Annotated[int | None, typer.Option(help="Seed (random_state); 0 if not given anywhere.")]
Jobs = Annotated[int | None, typer.Option(help="Threads (n_jobs).")]
Device = Annotated[str | None, typer.Option(help="cpu or auto.")]
Json = Annotated[bool, typer.Option("--json", help="Result as JSON on standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the Python call and stop.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="The package's log as well.")]
