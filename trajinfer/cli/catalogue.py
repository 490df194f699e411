"""`trajinfer datasets`: what can be loaded, and a way to write it to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from trajinfer._core.archive import write_text
from trajinfer._core.errors import InputError
from trajinfer.cli import options
from trajinfer.cli.console import show_json, table_text
from trajinfer.datasets import DatasetInfo, available, describe, fetch_snapshots, write_snapshots


def datasets(
    name: Annotated[str | None, typer.Argument(help="A data set; the list if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write it to this .csv or .npz file.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the data sets, describe one, or write one to a file."""
    if name is None:
        if out is not None:
            raise InputError("--out needs the name of a data set")
        table = pd.DataFrame([_row(info) for info in available()])
        show_json({"datasets": table}) if as_json else typer.echo(table_text(table))
        return
    info = describe(name)
    if out is not None:
        _write(name, out)
    card = _card(info)
    if as_json:
        show_json({**card, "out": None if out is None else str(out)})
    else:
        typer.echo("\n".join(f"{key}: {value}" for key, value in card.items() if value))
        if out is not None:
            typer.echo(f"written to {out}")


def _row(info: DatasetInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "source": info.source,
        "times": info.n_times,
        "rows": info.n_points,
        "dim": info.dim,
        "title": info.title,
    }


def _card(info: DatasetInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "title": info.title,
        "description": info.description,
        "call": f"trajinfer.datasets.{info.loader}",
        "times": info.n_times,
        "rows": info.n_points,
        "coordinates": ", ".join(info.features),
        "units": f"{info.state_unit}; time: {info.time_unit}",
        "licence": info.licence,
        "citation": info.citation,
        "url": info.url,
    }


def _write(name: str, out: Path) -> None:
    if out.suffix not in (".csv", ".npz"):
        raise InputError(f"--out must end in .csv or .npz, got {out}")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}")
    dataset = fetch_snapshots(name)
    if out.suffix == ".csv":
        write_text(out, dataset.to_frame().to_csv(index=False))
    else:
        write_snapshots(out, dataset.snapshots, dataset.split)
