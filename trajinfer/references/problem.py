"""The bridge problem as tensors: every pair of neighbouring snapshots is one segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer.data import Snapshots

_SMALL_BATCH = 2**16
_MOST_PADDING = 1.5


@dataclass(frozen=True)
class SegmentBatch:
    """Segments of similar size, padded to the largest of them.

    Padding repeats the first point of a snapshot and carries no mass.

    Attributes:
        segments: indices of the S segments.
        sizes: numbers of points at the start and at the end of each.
        times: (S,) at which the segments start.
        durations: (S,).
        start: (S, N, D).
        end: (S, M, D).
        log_a: (S, N) logarithm of the weights of the start points, minus infinity where padded.
        log_b: (S, M) of the end points.
    """

    segments: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    times: Tensor
    durations: Tensor
    start: Tensor
    end: Tensor
    log_a: Tensor
    log_b: Tensor

    def __len__(self) -> int:
        return len(self.segments)


@packable
@dataclass(frozen=True)
class Problem:
    """Snapshots as tensors.

    Attributes:
        times: (K,) observation times.
        points: K tensors (N_k, D).
        log_mass: K tensors (N_k,), logarithms of the weights.
        half_gains: for every segment the growth over its first half at its starts, (N_k,), and over
            its second half at its ends, (N_{k+1},); empty where mass does not change.
    """

    times: Tensor
    points: tuple[Tensor, ...]
    log_mass: tuple[Tensor, ...]
    half_gains: tuple[tuple[Tensor, Tensor], ...] = ()

    @classmethod
    def of(cls, snapshots: Snapshots) -> Problem:
        """The problem of these snapshots."""
        return cls(
            torch.as_tensor(np.array(snapshots.times)),
            tuple(torch.as_tensor(np.array(points)) for points in snapshots.points),
            tuple(
                torch.as_tensor(np.array(snapshots.probabilities(k))).log()
                for k in range(len(snapshots))
            ),
        )

    @property
    def n_segments(self) -> int:
        """K - 1."""
        return len(self.times) - 1

    @property
    def largest(self) -> int:
        """Number of points of the largest snapshot."""
        return max(len(points) for points in self.points)

    def log_starts(self, k: int) -> Tensor:
        """Log-masses of the starts of segment k, grown to the middle of it."""
        if not self.half_gains:
            return self.log_mass[k]
        return (self.log_mass[k] + self.half_gains[k][0]).log_softmax(0)

    def log_ends(self, k: int) -> Tensor:
        """Log-masses of the ends of segment k, shrunk back to the middle of it."""
        if not self.half_gains:
            return self.log_mass[k + 1]
        return (self.log_mass[k + 1] - self.half_gains[k][1]).log_softmax(0)

    def segment_of(self, t: float) -> int:
        """Index of the segment that holds time t; at a snapshot, the one that starts there."""
        index = int(torch.searchsorted(self.times, self.times.new_tensor(t), right=True)) - 1
        return min(max(index, 0), self.n_segments - 1)

    def span(self, k: int) -> tuple[float, float]:
        """Times of the two snapshots of segment k."""
        return float(self.times[k]), float(self.times[k + 1])

    @cached_property
    def batches(self) -> tuple[SegmentBatch, ...]:
        """All segments, those of similar size together."""
        sizes = [(len(x), len(y)) for x, y in zip(self.points[:-1], self.points[1:])]
        return tuple(self._batch(group, sizes) for group in _groups(sizes))

    @cached_property
    def places(self) -> dict[int, tuple[int, int]]:
        """Batch, and row in it, of every segment."""
        return {
            k: (number, row)
            for number, batch in enumerate(self.batches)
            for row, k in enumerate(batch.segments)
        }

    def _batch(self, group: list[int], sizes: list[tuple[int, int]]) -> SegmentBatch:
        n, m = (max(sizes[k][side] for k in group) for side in (0, 1))
        return SegmentBatch(
            tuple(group),
            tuple(sizes[k] for k in group),
            self.times[group],
            self.times.diff()[group],
            torch.stack([_pad_points(self.points[k], n) for k in group]),
            torch.stack([_pad_points(self.points[k + 1], m) for k in group]),
            torch.stack([_pad_mass(self.log_starts(k), n) for k in group]),
            torch.stack([_pad_mass(self.log_ends(k), m) for k in group]),
        )


def _groups(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Segments that are cheap to pad to one size; small ones go together whatever their sizes."""
    groups: list[list[int]] = []
    for k in range(len(sizes)):
        for group in groups:
            together = [sizes[i] for i in (*group, k)]
            padded = len(together) * max(n for n, _ in together) * max(m for _, m in together)
            if padded <= max(_SMALL_BATCH, _MOST_PADDING * sum(n * m for n, m in together)):
                group.append(k)
                break
        else:
            groups.append([k])
    return groups


def _pad_points(points: Tensor, size: int) -> Tensor:
    return torch.cat([points, points[:1].expand(size - len(points), -1)])


def _pad_mass(log_mass: Tensor, size: int) -> Tensor:
    return torch.cat([log_mass, log_mass.new_full((size - len(log_mass),), -torch.inf)])
