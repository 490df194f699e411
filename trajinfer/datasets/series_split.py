"""Sets of series to learn a generator from and to judge it by, split without leaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import Trajectories
from trajinfer.datasets.files import DataHome, DatasetError, data_folders, verify


@dataclass(frozen=True, eq=False)
class SeriesSplit:
    """Training and held-out series on one grid, and what belongs together among them.

    Attributes:
        train: series to learn from.
        hold_out: series of the same law that no training series overlaps.
        train_groups: (n,) the block of time or the interacting system of each training series.
            Series of one group are dependent: folds of a classifier must not cut through a group.
        hold_out_groups: the same of the held-out series; no group is in both.

    Raises:
        InputError: if the sizes disagree or a group is on both sides.
    """

    train: Trajectories
    hold_out: Trajectories
    train_groups: Array
    hold_out_groups: Array

    def __post_init__(self) -> None:
        sizes = [len(part) for part in (self.train, self.hold_out)]
        groups = [len(part) for part in (self.train_groups, self.hold_out_groups)]
        if sizes != groups:
            raise InputError(f"one group per series is needed, got {groups} for {sizes} series")
        if np.intersect1d(self.train_groups, self.hold_out_groups).size:
            raise InputError("a group is both in training and held out; split by whole groups")

    def __repr__(self) -> str:
        _, steps, dim = self.train.values.shape
        return (
            f"SeriesSplit({len(self.train)} training and {len(self.hold_out)} held-out series, "
            f"{steps} times, dim {dim})"
        )

    @classmethod
    def cut(cls, series: Trajectories, groups: Array, held_out: Array) -> SeriesSplit:
        """Split series by a mask (n,), True = held out."""
        parts = [
            Trajectories(series.ts, series.values[rows], features=series.features)
            for rows in (~held_out, held_out)
        ]
        return cls(parts[0], parts[1], groups[~held_out], groups[held_out])


def find_series_file(name: str, sha256: str, data_home: DataHome = None) -> Path:
    """A file of series in `data_home`, `$TRAJINFER_DATA` or the cache (or `series` below them).

    Raises:
        DatasetError: if it is nowhere, or is not the file that the checksum belongs to.
    """
    folders = data_folders(data_home)
    for path in (place / name for folder in folders for place in (folder / "series", folder)):
        if path.is_file():
            verify(path, sha256)
            return path
    looked = ", ".join(map(str, folders))
    raise DatasetError(
        f"{name} (sha256 {sha256}) was not found in {looked}; put it into a folder 'series' of "
        "data_home= or TRAJINFER_DATA"
    )
