"""Times of observations and queries of several series, merged into one grid per series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array


@dataclass(frozen=True)
class ObservationGrid:
    """N increasing times per series; equal times are steps of length zero, which change nothing.

    Attributes:
        times: (B, N).
        values: (B, N, C) NaN where nothing was observed.
        queries: (B, Q) places of the query times on the grid, the first of several.
    """

    times: Tensor
    values: Tensor
    queries: Tensor

    @property
    def observed(self) -> Tensor:
        """(B, N, C) bool."""
        return ~self.values.isnan()

    @property
    def steps(self) -> Tensor:
        """(B, N) durations into every time, 0 for the first."""
        return torch.diff(self.times, dim=1, prepend=self.times[:, :1])

    @property
    def shared(self) -> bool:
        """Whether all series have the same times."""
        return bool((self.times == self.times[:1]).all())

    def rows(self, index: Tensor) -> ObservationGrid:
        """Some of the series."""
        return ObservationGrid(self.times[index], self.values[index], self.queries[index])

    def alone(self, i: int) -> ObservationGrid:
        """One of the series, without the padding behind its last observation, query or new time."""
        real = self.observed[i].any(-1) | (self.steps[i] > 0)
        length = int(torch.cat([real.nonzero()[:, 0], self.queries[i]]).max()) + 1
        return ObservationGrid(
            self.times[i : i + 1, :length],
            self.values[i : i + 1, :length],
            self.queries[i : i + 1],
        )


def merged_grid(
    times: Array, values: Array, queries: Array | None = None, largest_step: float | None = None
) -> ObservationGrid:
    """Merge observation times, query times and, where asked, a regular grid between them.

    The grid of a series does not depend on the other series, but for padding at its end.

    Args:
        times: (B, T) increasing, padded by repeating the last time.
        values: (B, T, C), NaN on the padding.
        queries: (B, Q) in any order, or None.
        largest_step: bound on the distance of grid times; None for none.
    """
    n, _, n_channels = values.shape
    asked = np.empty((n, 0)) if queries is None else queries
    end = np.maximum(times[:, -1], asked.max(axis=1, initial=-np.inf))[:, None]
    padding = np.isnan(values).all(axis=2) & (times == times[:, -1:])
    padding[:, 1:] &= np.diff(times, axis=1) == 0
    padding[:, 0] = False
    parts = [np.where(padding, end, times), asked]
    if largest_step is not None:
        parts.append(_regular(times[:, :1], end, largest_step))
    every = np.concatenate(parts, axis=1)
    holes = np.full((n, every.shape[1] - times.shape[1], n_channels), np.nan)
    order = np.argsort(every, axis=1, kind="stable")
    data = np.take_along_axis(np.concatenate([values, holes], axis=1), order[..., None], axis=1)
    merged = np.take_along_axis(every, order, axis=1)
    first = [np.searchsorted(row, wanted) for row, wanted in zip(merged, asked)]
    return ObservationGrid(
        torch.as_tensor(merged), torch.as_tensor(data), torch.as_tensor(np.stack(first))
    )


def _regular(start: Array, end: Array, largest_step: float) -> Array:
    """Equal steps (B, G) from start to end, for each series as few as it needs."""
    count = np.maximum(np.ceil((end - start) / largest_step), 1)
    number = np.arange(int(count.max()) + 1)
    return np.where(number < count, start + number * ((end - start) / count), end)
