"""Irregular series from a table, and models by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

import trajinfer
from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import Channels, Id, Time, call_of, names
from trajinfer.cli.settings import Settings

if TYPE_CHECKING:
    from trajinfer import IrregularSeries
    from trajinfer.data.categories import CategoryCodes

Statics = Annotated[str, typer.Option(help="Columns constant along a series, by commas.")]
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


@dataclass(frozen=True, kw_only=True)
class _Columns:
    id: Id = "id"
    time: Time = "time"
    channels: Channels = ""
    variable: Annotated[
        str | None, typer.Option(help="Long tables: column that names the channel.")
    ] = None
    value: Annotated[str | None, typer.Option(help="Long tables: column of the values.")] = None
    duplicates: Annotated[str, typer.Option(help="Repeated times: raise, mean or last.")] = "raise"


@dataclass(frozen=True, kw_only=True)
class SeriesFile(TableFile, _Columns):
    """A file with series: a wide table (a column per channel) or a long one (a row per value)."""

    def check(self) -> None:
        """Refuse words that are not known."""
        super().check()
        known = ("raise", "mean", "last")
        if self.duplicates not in known:
            raise InputError(
                f"no --duplicates '{self.duplicates}'; {nearest(self.duplicates, known)}"
            )

    def read(
        self, *, labels: str | None = None, statics: str = ""
    ) -> tuple[IrregularSeries, list[str]]:
        """The series, and the Python that reads the same into `series`.

        Args:
            labels: column of classes.
            statics: columns that are constant along a series, by commas.

        Raises:
            InputError: if the file is unreadable, or as for `IrregularSeries.from_frame`.
        """
        series, script, _ = self.read_with_categories(labels=labels, statics=statics, encode=False)
        return series, script

    def read_with_categories(
        self, *, labels: str | None = None, statics: str = "", encode: bool = True
    ) -> tuple[IrregularSeries, list[str], dict[str, CategoryCodes]]:
        """The same, and the codes by which columns of text became channels."""
        from trajinfer import IrregularSeries

        frame, script = self.read_table(text=(self.id, labels, self.variable), time=self.time)
        categories: dict[str, CategoryCodes] = {}
        if encode and self.variable is None:
            from trajinfer.data.categories import text_categories

            taken = {self.id, self.time, labels, *names(statics)}
            categories = text_categories(frame, taken, names(self.channels))
            frame = frame.assign(**{k: code.encode(frame[k]) for k, code in categories.items()})
            script += [
                f"frame[{name!r}] = CategoryCodes.of(frame[{name!r}]).encode(frame[{name!r}])"
                for name in categories
            ]
            if categories:
                script.insert(0, "from trajinfer.data.categories import CategoryCodes")
        words: dict[str, Any] = {
            "id": self.id,
            "time": self.time,
            "channels": names(self.channels) or None,
            "variable": self.variable,
            "value": self.value,
            "statics": names(statics) or None,
            "labels": labels,
            "duplicates": None if self.duplicates == "raise" else self.duplicates,
        }
        words = {key: value for key, value in words.items() if value is not None}
        series = IrregularSeries.from_frame(frame, **words)
        call = call_of(
            "IrregularSeries.from_frame", {**words, "channels": list(series.channels)}, "frame"
        )
        lines = ["from trajinfer import IrregularSeries", *script, f"series = {call}"]
        return series, lines, categories


@dataclass(frozen=True)
class Model:
    """A model the command line knows by name.

    Attributes:
        estimator: name of its class in `trajinfer`.
        settings: constructor arguments that the name stands for.
        horizon: whether it takes a `horizon`, the longest time ahead of the last observation.
    """

    estimator: str
    settings: Mapping[str, Any]
    horizon: bool = False

    def load(self) -> type:
        """The class, imported when it is asked for."""
        estimator: type = getattr(trajinfer, self.estimator)
        return estimator

    def resolve(
        self,
        settings: Settings,
        *,
        named: bool = False,
        defaults: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Constructor arguments.

        Args:
            settings: as the user gave them.
            named: whether the user named the model, which then counts more than the file.
            defaults: values for settings the file does not name.
            options: settings that the command has an option for; None means not given.

        Raises:
            InputError: see `Settings.resolve`.
        """
        return settings.resolve(
            self.estimator,
            list(inspect.signature(self.load()).parameters),
            options=options,
            defaults={**(defaults or {}), **self.settings},
            chosen=self.settings if named else {},
        )


def neural(estimator: str, *, horizon: bool = False) -> dict[str, Model]:
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
