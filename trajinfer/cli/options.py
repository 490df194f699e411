"""Options that several commands share, each declared once; and how options form groups."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from trajinfer._core.errors import InputError

T = TypeVar("T")

Id = Annotated[
    str, typer.Option(help="Column that names the series; '' for a table that is one series.")
]
Time = Annotated[str, typer.Option(help="Column of the observation times.")]
Channels = Annotated[
    str, typer.Option(help="Columns (long tables: variables) to use, by commas; all if empty.")
]
Model = Annotated[str | None, typer.Option(help="Model by name; the first one if not given.")]
Level = Annotated[
    float | None, typer.Option(help="Probability of the intervals; 0.95 if not given.")
]
N = Annotated[int, typer.Option("--n", help="Number of paths to draw.")]
Seed = Annotated[int | None, typer.Option(help="Seed (random_state); 0 if not given anywhere.")]
Json = Annotated[bool, typer.Option("--json", help="Result as JSON on standard output.")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """A group of options: every field is a flag of the command that takes the group."""

    def check(self) -> None:
        """Refuse what can be refused before a table is read or a large package is imported.

        Raises:
            InputError: naming the option.
        """


@dataclass(frozen=True, kw_only=True)
class Run(Options):
    """Where the result goes, and what is said on the way."""

    out: Annotated[Path | None, typer.Option(help="Folder for the result.")] = Path("result")
    as_json: Json = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the Python call and stop.")] = (
        False
    )
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="The package's log as well.")] = (
        False
    )

    @property
    def draws(self) -> bool:
        """Whether the command is to draw figures."""
        return False

    @property
    def reports(self) -> bool:
        """Whether the command is to write a page on its result."""
        return False

    @property
    def processes(self) -> int:
        """How many processes the command is to run in."""
        return 1


@dataclass(frozen=True, kw_only=True)
class TrainingRun(Run):
    """The same for commands that train networks."""

    nproc: Annotated[
        int, typer.Option(help="Processes that train networks together, started by torchrun.")
    ] = 1

    @property
    def processes(self) -> int:
        """How many processes the command is to run in."""
        return self.nproc

    def check(self) -> None:
        """Refuse numbers of processes that cannot be started."""
        super().check()
        if self.nproc < 1:
            raise InputError(f"--nproc must be a number of processes, at least 1, got {self.nproc}")
        if self.nproc > 1 and "WORLD_SIZE" in os.environ:
            raise InputError("--nproc starts torchrun, which runs already; leave --nproc out")


@dataclass(frozen=True, kw_only=True)
class DrawingRun(Run):
    """The same for commands that draw."""

    figures: Annotated[bool, typer.Option(help="Whether to draw.")] = True
    report: Annotated[
        bool, typer.Option("--report", help="Also one page with all of it, report.html.")
    ] = False

    @property
    def draws(self) -> bool:
        """Whether the command is to draw figures."""
        return self.figures

    @property
    def reports(self) -> bool:
        """Whether the command is to write a page on its result."""
        return self.report

    def check(self) -> None:
        """Refuse a report that has nowhere to stand."""
        super().check()
        if self.report and self.out is None:
            raise InputError("--report writes a page into the folder of the result; give --out")


@dataclass(frozen=True, kw_only=True)
class DrawingTrainingRun(DrawingRun, TrainingRun):
    """The same for commands that train networks and draw."""


@dataclass(frozen=True, kw_only=True)
class Draws(Options):
    """The number of sample paths."""

    n: N = 200
    paths: Annotated[int | None, typer.Option(hidden=True)] = None

    def number(self, least: int) -> int:
        """How many paths to draw.

        Raises:
            InputError: for fewer than `least`.
        """
        n: int = renamed("--paths", self.paths, "--n", self.n)
        if n < least:
            raise InputError(f"--n must be at least {least}, got {n}")
        return n


def renamed(old: str, old_value: T | None, new: str, value: T) -> T:
    """The value of an option that may still be given under its former name."""
    if old_value is None:
        return value
    warnings.warn(f"{old} is called {new} now; use {new}", FutureWarning, stacklevel=2)
    return old_value


def names(text: str) -> list[str]:
    """Names that are separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def call_of(function: str, arguments: dict[str, Any], *first: str) -> str:
    """A call as Python; arguments that are None are left out."""
    named = [f"{key}={value!r}" for key, value in arguments.items() if value is not None]
    return f"{function}({', '.join([*first, *named])})"
