"""Series to learn classes from, and series whose classes to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.options import Options, renamed
from trajinfer.cli.series import SeriesFile

if TYPE_CHECKING:
    from trajinfer import IrregularSeries


@dataclass(frozen=True)
class ClassTask:
    """Series with classes, and others.

    Attributes:
        train: to learn from.
        unseen: whose classes to predict; they may know their own.
        script: the Python that reads and parts them.
    """

    train: IrregularSeries
    unseen: IrregularSeries
    script: list[str]


@dataclass(frozen=True, kw_only=True)
class ClassSplit(Options):
    """A second table, or a share of the first one."""

    label: Annotated[str, typer.Option(help="Column of the class, constant along a series.")] = (
        "label"
    )
    test: Annotated[Path | None, typer.Option(help="A second table whose classes to predict.")] = (
        None
    )
    hold_out_share: Annotated[
        float, typer.Option(help="Share of the series kept aside, if there is no --test.")
    ] = 0.25
    hold_out: Annotated[float | None, typer.Option(hidden=True)] = None

    @property
    def share(self) -> float:
        """Share of the series kept aside."""
        return renamed("--hold-out", self.hold_out, "--hold-out-share", self.hold_out_share)

    def task(self, file: SeriesFile, statics: str, seed: int) -> ClassTask:
        """The series of the file, parted.

        Raises:
            InputError: for a share outside (0, 1), series without a class, or files as for
                `SeriesFile.read`.
        """
        share = self.share
        if not 0 < share < 1:
            raise InputError(f"--hold-out-share must lie between 0 and 1, got {share}")
        other = None if self.test is None else replace(file, data=self.test)
        if other is not None:
            other.check()
        series, reading = file.read(labels=self.label, statics=statics)
        _require_labels(series, self.label)
        if other is None:
            return _parted(series, share, seed, reading)
        frame, _ = other.read_table()
        named = self.label if self.label in frame.columns else None
        unseen, script = other.read(labels=named, statics=statics)
        lines = [*reading, "train = series", *script, "unseen = series"]
        return ClassTask(series, unseen.on_axis(series.axis), lines)


def _require_labels(series: IrregularSeries, label: str) -> None:
    import pandas as pd

    if series.labels is None or pd.isna(series.labels).any():
        raise InputError(f"some series have no '{label}'; leave them out, or into --test")


def _parted(series: IrregularSeries, share: float, seed: int, reading: list[str]) -> ClassTask:
    import numpy as np
    from sklearn.model_selection import train_test_split

    try:
        rows, others = train_test_split(
            np.arange(len(series)), test_size=share, stratify=series.labels, random_state=seed
        )
    except ValueError as error:
        raise InputError(f"the series cannot be parted class by class: {error}") from error
    script = [
        *reading,
        "from sklearn.model_selection import train_test_split",
        f"train, unseen = train_test_split(series, test_size={share}, "
        f"stratify=series.labels, random_state={seed})",
    ]
    return ClassTask(series[rows], series[others], script)
