"""`trajinfer datasets`: what can be loaded, and a way to write it to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer._core.errors import InputError
from trajinfer._core.text import table_text
from trajinfer.cli.console import show_json
from trajinfer.cli.options import Json

if TYPE_CHECKING:
    from trajinfer.datasets import DatasetInfo


def datasets(
    name: Annotated[str | None, typer.Argument(help="A data set; the list if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write it to this .csv or .npz file.")] = None,
    as_json: Json = False,
) -> None:
    """List the data sets, describe one, or write one to a file."""
    if out is not None:
        _check(name, out)

    import pandas as pd

    from trajinfer.datasets import available, describe

    if name is None:
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


def _check(name: str | None, out: Path) -> None:
    if name is None:
        raise InputError("--out needs the name of a data set")
    if out.suffix not in (".csv", ".npz"):
        raise InputError(f"--out must end in .csv or .npz, got {out}")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}")


def _write(name: str, out: Path) -> None:
    from trajinfer._core.archive import write_text
    from trajinfer.datasets import fetch_snapshots, write_snapshots

    dataset = fetch_snapshots(name)
    if out.suffix == ".csv":
        write_text(out, dataset.to_frame().to_csv(index=False))
    else:
        write_snapshots(out, dataset.snapshots, dataset.split)
