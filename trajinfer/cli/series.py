"""What `forecast` and `classify` have in common: series from a table, and a model by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import trajinfer
from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.settings import resolve_plain
from trajinfer.cli.tables import read_table, with_dates
from trajinfer.data import IrregularSeries

SeriesFile = Annotated[Path, typer.Argument(help="csv, tsv or parquet; wide or long.")]
Id = Annotated[str, typer.Option(help="Column that names the series.")]
Channels = Annotated[
    str, typer.Option(help="Columns (long tables: variables) to use, by commas; all if empty.")
]
Variable = Annotated[str | None, typer.Option(help="Long tables: column that names the channel.")]
Value = Annotated[str | None, typer.Option(help="Long tables: column of the values.")]
Statics = Annotated[str, typer.Option(help="Columns constant along a series, by commas.")]
Duplicates = Annotated[str, typer.Option(help="Repeated times: raise, mean or last.")]
Settings = Annotated[
    Path | None, typer.Option("--config", help="TOML file with a table named by the estimator.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any constructor argument, such as hidden=64; repeatable."),
]
DYNAMICS = (
    "langevin",
    "linear_noise",
    "geometric",
    "free",
    "ode",
    "cde",
    "latent_sde",
    "gru",
    "ode_rnn",
)


@dataclass(frozen=True)
class Model:
    """A model the command line knows by name.

    Attributes:
        estimator: name of its class in `trajinfer`.
        settings: constructor arguments that the name stands for.
        horizon: what its argument `horizon` counts: time "ahead" of the last observation, or the
            "whole" time from the first one; None: there is no such argument.
    """

    estimator: str
    settings: Mapping[str, Any]
    horizon: Literal["ahead", "whole"] | None = None

    def load(self) -> type:
        """The class, imported when it is asked for."""
        found: type = getattr(trajinfer, self.estimator)
        return found


def neural(estimator: str, horizon: Literal["ahead", "whole"] | None = None) -> dict[str, Model]:
    """One model per dynamics of a neural estimator."""
    return {name: Model(estimator, {"dynamics": name}, horizon) for name in DYNAMICS}


def model_of(name: str | None, models: Mapping[str, Model]) -> Model:
    """A model by name, the first one if none is named.

    Raises:
        InputError: if there is none of that name; the nearest one is named.
    """
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise InputError(f"no model '{name}'; {nearest(name, models)}")
    return models[name]


def settings_of(
    model: Model,
    named: bool,
    config: Path | None,
    assignments: Sequence[str] | None,
    seed: int | None,
    defaults: Mapping[str, Any],
) -> dict[str, Any]:
    """Constructor arguments; a model the user named counts more than the file.

    Raises:
        InputError: see `resolve_plain`.
    """
    return resolve_plain(
        model.load(),
        config,
        assignments or [],
        {"random_state": seed},
        defaults={**defaults, **model.settings},
        chosen=model.settings if named else {},
    )


@dataclass(frozen=True)
class SeriesColumns:
    """The columns of a table, as the user names them."""

    id: str
    time: str
    channels: str = ""
    variable: str | None = None
    value: str | None = None
    statics: str = ""
    labels: str | None = None
    duplicates: str = "raise"

    def keywords(self) -> dict[str, Any]:
        """Arguments of `IrregularSeries.from_frame`."""
        named: dict[str, Any] = {
            "id": self.id,
            "time": self.time,
            "channels": _names(self.channels),
            "variable": self.variable,
            "value": self.value,
            "statics": _names(self.statics),
            "labels": self.labels,
        }
        given = {key: value for key, value in named.items() if value is not None}
        return given if self.duplicates == "raise" else given | {"duplicates": self.duplicates}


def read_series(path: Path, columns: SeriesColumns) -> tuple[IrregularSeries, list[str]]:
    """Series from a file, and the Python that reads the same into `series`.

    Raises:
        InputError: if the file is not there, or as for `IrregularSeries.from_frame`.
    """
    frame, call = read_table(path)
    frame, dating = with_dates(frame, columns.time, path)
    keywords = columns.keywords()
    named = ", ".join(f"{key}={value!r}" for key, value in keywords.items())
    script = [
        "import pandas as pd",
        "from trajinfer import IrregularSeries",
        f"frame = {call}",
        *dating,
        f"series = IrregularSeries.from_frame(frame, {named})",
    ]
    return IrregularSeries.from_frame(frame, **keywords), script


def call_of(estimator: str, settings: Mapping[str, Any]) -> str:
    """A constructor call as Python."""
    return f"{estimator}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"


def _names(text: str) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] or None
