"""`trajinfer hurst`: the Hurst index of the columns of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import pandas as pd
import typer

from trajinfer import plot
from trajinfer._core.errors import InputError, nearest
from trajinfer.cli import options
from trajinfer.cli.console import say, show_json, show_log, table_text
from trajinfer.cli.output import can_draw, check_target, new_figure, write_result
from trajinfer.fractional import HurstEstimate, estimate_hurst
from trajinfer.fractional.estimate import HurstMethod


def hurst(  # noqa: PLR0913 (a command has as many arguments as it has options)
    data: Annotated[Path, typer.Argument(help="csv, tsv or parquet, one row per time.")],
    time: Annotated[
        str | None, typer.Option(help="Column of the times; equal steps if not given.")
    ] = None,
    columns: Annotated[
        str, typer.Option(help="Columns to take, separated by commas; all numeric ones if empty.")
    ] = "",
    method: Annotated[str, typer.Option(help=", ".join(get_args(HurstMethod)) + ".")] = "whittle",
    increments: Annotated[
        bool, typer.Option(help="The columns are the noise itself, not the path.")
    ] = False,
    level: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    observation_noise: Annotated[
        bool, typer.Option(help="Let observations have noise (state_space only).")
    ] = False,
    figures: Annotated[bool, typer.Option(help="Whether to draw variograms.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("result"),
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Estimate the Hurst index of every column, with intervals."""
    show_log(verbose)
    frame = _read(data)
    chosen = _columns(frame, columns, time)
    settings = {
        "method": method,
        "increments": increments,
        "level": level,
        "observation_noise": observation_noise,
    }
    if dry_run:
        typer.echo(_script(data, time, chosen, settings))
        return
    check_target(out)
    times = None if time is None else _times(frame[time])
    say(f"estimating H of {', '.join(chosen)} in {data}", quiet=quiet)
    found = {
        name: estimate_hurst(frame[name].to_numpy(dtype=float), times, **settings)  # type: ignore[arg-type]
        for name in chosen
    }
    table = _table(found)
    document: dict[str, Any] = {
        "command": "hurst",
        "data": str(data),
        "settings": settings,
        "estimates": table,
    }
    draw = figures and can_draw(quiet=quiet)

    def fill(folder: Path) -> None:
        table.to_csv(folder / "hurst.csv", index=False)
        if draw:
            _draw(frame, found, folder, increments=increments)

    document = write_result(out, document, fill)
    if as_json:
        show_json(document)
    else:
        typer.echo(f"{table_text(table, digits=3)}\n\nwritten to {out}")


def _table(found: dict[str, HurstEstimate]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "column": name,
                "hurst": e.hurst,
                "lower": e.interval[0],
                "upper": e.interval[1],
                "method": e.method,
                "at_boundary": e.at_boundary,
            }
            for name, e in found.items()
        ]
    )


def _draw(
    frame: pd.DataFrame, found: dict[str, HurstEstimate], folder: Path, *, increments: bool
) -> None:
    for name, estimate in found.items():
        values = frame[name].to_numpy(dtype=float)
        if np.isnan(values).any():
            continue
        path = np.cumsum(values - values.mean()) if increments else values
        figure = new_figure(5.0, 3.8)
        plot.variogram(path, ax=figure.subplots(), estimate=estimate)
        figure.savefig(folder / f"variogram_{name}.png")


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix in (".csv", ".tsv", ".txt"):
        return pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t")
    raise InputError(f"{path} is neither csv, tsv nor parquet; convert the table first")


def _columns(frame: pd.DataFrame, columns: str, time: str | None) -> list[str]:
    named = [name.strip() for name in columns.split(",") if name.strip()]
    for name in [*named, *([time] if time is not None else [])]:
        if name not in frame.columns:
            raise InputError(f"no column '{name}' in the table; {nearest(name, frame.columns)}")
    numeric = frame.select_dtypes("number").columns
    chosen = named or [str(name) for name in numeric if name != time]
    if not chosen:
        raise InputError("the table has no numeric column; name one by --columns")
    return chosen


def _times(column: pd.Series) -> Any:
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy()
    return pd.to_datetime(column).to_numpy()


def _script(path: Path, time: str | None, columns: list[str], settings: dict[str, Any]) -> str:
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    times = "" if time is None else f", frame[{time!r}]"
    words = ", ".join(f"{k}={v!r}" for k, v in settings.items())
    return "\n".join(
        [
            "import pandas as pd",
            "from trajinfer.fractional import estimate_hurst",
            f"frame = pd.{reader}({str(path)!r})",
            f"print(estimate_hurst(frame[{columns!r}].to_numpy(){times}, {words}))",
        ]
    )
