"""Times of observations and queries of several series, merged into one grid per series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array


@dataclass(frozen=True)
class FractionalGrid:
    """N increasing times per series; equal times are steps of length zero, which change nothing.

    Attributes:
        times: (B, N).
        values: (B, N, C) NaN where nothing was observed.
        queries: (B, Q) places of the query times on the grid.
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

    def rows(self, index: Tensor) -> FractionalGrid:
        """Some of the series."""
        return FractionalGrid(self.times[index], self.values[index], self.queries[index])


def merged_grid(
    times: Array, values: Array, queries: Array | None = None, largest_step: float | None = None
) -> FractionalGrid:
    """Merge observation times, query times and, where asked, a regular grid between them.

    Args:
        times: (B, T) increasing, padded by repeating the last time.
        values: (B, T, C).
        queries: (B, Q), or None.
        largest_step: bound on the distance of grid times; None for none.
    """
    n, _, n_channels = values.shape
    asked = np.empty((n, 0)) if queries is None else queries
    parts = [times, asked]
    if largest_step is not None:
        end = np.concatenate(parts, axis=1).max(axis=1)
        count = int(np.ceil((end - times[:, 0]).max() / largest_step)) + 1
        parts.append(np.linspace(times[:, 0], end, count, axis=1))
    every = np.concatenate(parts, axis=1)
    holes = np.full((n, every.shape[1] - times.shape[1], n_channels), np.nan)
    order = np.argsort(every, axis=1, kind="stable")
    place = np.argsort(order, axis=1, kind="stable")
    data = np.take_along_axis(np.concatenate([values, holes], axis=1), order[..., None], axis=1)
    start = times.shape[1]
    return FractionalGrid(
        torch.as_tensor(np.take_along_axis(every, order, axis=1)),
        torch.as_tensor(data),
        torch.as_tensor(place[:, start : start + asked.shape[1]]),
    )
