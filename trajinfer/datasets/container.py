"""Data sets of snapshots: the data, their split, and their source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from trajinfer._core.errors import InputError
from trajinfer.data import Snapshots, Trajectories
from trajinfer.datasets.registry import DatasetInfo

Role = Literal["train", "held_out", "forecast"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Population snapshots with a fixed split, and what is known about them.

    Args:
        snapshots: all snapshots.
        split: what each snapshot is for: "train", "held_out" (to be interpolated) or "forecast"
            (later than every training snapshot).
        info: description, licence, citation, address.
        individuals: names of the rows, where row i is the same individual in every snapshot: the
            true pairing, to compare with. None where nobody is seen twice.
        trajectories: true paths, where they are known.
        validation: a second, independent sample at the same times.

    Raises:
        InputError: if the split does not fit the snapshots, or no snapshot is for training.
    """

    snapshots: Snapshots
    split: tuple[Role, ...]
    info: DatasetInfo
    individuals: tuple[str, ...] | None = None
    trajectories: Trajectories | None = None
    validation: Snapshots | None = None

    def __post_init__(self) -> None:
        check_split(self.split, self.snapshots)
        names = self.individuals
        if names is not None and {len(names)} != {len(p) for p in self.snapshots.points}:
            raise InputError(f"{len(names)} individuals do not fit {self.snapshots}")

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.split.count(role)} {role}" for role in ROLES)
        return f"Dataset({self.info.name}: {self.snapshots.dim} coordinates, {counts})"

    @property
    def train(self) -> Snapshots:
        """The snapshots to learn from."""
        return self.snapshots.select(self._times("train"))

    @property
    def held_out(self) -> Snapshots | None:
        """The snapshots to be interpolated, None if there are none."""
        return self._part("held_out")

    @property
    def forecast(self) -> Snapshots | None:
        """The snapshots beyond the last training time, None if there are none."""
        return self._part("forecast")

    def to_frame(self) -> Any:
        """One row per individual and time, with a column `split` (and `individual`, if known)."""
        frame = self.snapshots.to_frame()
        sizes = [len(p) for p in self.snapshots.points]
        frame["split"] = np.repeat(self.split, sizes)
        if self.individuals is not None:
            frame.insert(0, "individual", np.tile(self.individuals, len(sizes)))
        return frame

    def _times(self, role: Role) -> Any:
        return self.snapshots.times[[r == role for r in self.split]]

    def _part(self, role: Role) -> Snapshots | None:
        return self.snapshots.select(self._times(role)) if role in self.split else None


def check_split(split: tuple[Role, ...], snapshots: Snapshots) -> None:
    """Refuse a split that does not name the role of every snapshot.

    Raises:
        InputError: for a wrong length, an unknown role, no training snapshot, or a forecast that is
            not later than the training.
    """
    if len(split) != len(snapshots):
        raise InputError(f"the split names {len(split)} roles for {len(snapshots)} snapshots")
    unknown = set(split) - set(ROLES)
    if unknown:
        raise InputError(f"roles must be among {', '.join(ROLES)}, got {sorted(unknown)}")
    if "train" not in split:
        raise InputError("no snapshot is for training")
    last = len(split) - 1 - split[::-1].index("train")
    if "forecast" in split[:last]:
        raise InputError("a forecast snapshot must be later than every training snapshot")
