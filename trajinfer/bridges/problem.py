"""The bridge problem as tensors: every pair of neighbouring snapshots is one segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.data import Snapshots


@dataclass(frozen=True)
class Problem:
    """Snapshots padded to equal size, so that all K-1 segments are one batch.

    Padding repeats the first point of a snapshot and carries no mass.

    Attributes:
        times: (K,) observation times.
        points: (K, N, D).
        log_mass: (K, N) logarithm of the weights, minus infinity where padded.
        sizes: number of points of every snapshot.
    """

    times: Tensor
    points: Tensor
    log_mass: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, snapshots: Snapshots) -> Problem:
        """Pad the snapshots."""
        sizes = tuple(len(p) for p in snapshots.points)
        largest = max(sizes)
        points = np.stack([_pad(p, largest) for p in snapshots.points])
        mass = np.zeros((len(snapshots), largest))
        for k, size in enumerate(sizes):
            mass[k, :size] = snapshots.probabilities(k)
        return cls(
            torch.as_tensor(np.array(snapshots.times)),
            torch.as_tensor(points),
            torch.as_tensor(mass).log(),
            sizes,
        )

    @property
    def dim(self) -> int:
        """D."""
        return int(self.points.shape[2])

    @property
    def n_segments(self) -> int:
        """K - 1."""
        return len(self.times) - 1

    @property
    def durations(self) -> Tensor:
        """(K-1,) lengths of the segments."""
        return self.times.diff()

    @property
    def start(self) -> Tensor:
        """(K-1, N, D) points at which the segments start."""
        return self.points[:-1]

    @property
    def end(self) -> Tensor:
        """(K-1, N, D) points at which the segments end."""
        return self.points[1:]


def _pad(points: Array, size: int) -> Array:
    return np.concatenate([points, np.repeat(points[:1], size - len(points), axis=0)])
