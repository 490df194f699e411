"""Series as the user gave them become what the stages work on; what cannot be used is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries, Trajectories
from trajinfer.data.input import as_series
from trajinfer.generation.constraints import LinearConstraints
from trajinfer.generation.observed import ObservedPaths
from trajinfer.generation.offset import Offset

_FEWEST = 20


@dataclass(frozen=True)
class Prepared:
    """Checked series.

    Attributes:
        series: all channels.
        constraints: which channels are redundant, and how they are rebuilt.
        groups: (B,) numbers of the interacting systems, or None.
    """

    series: IrregularSeries
    constraints: LinearConstraints
    groups: Array | None

    def offset(self) -> Offset:
        """What brings times and kept channels near zero."""
        complete = self.series.mask.all(axis=2)
        kept = self.constraints.drop(self.series.values)
        return Offset.of(self.series.times[complete], kept[complete])

    def paths(self, offset: Offset) -> ObservedPaths:
        """The kept channels as tensors, near zero."""
        complete: Array = np.asarray(self.series.mask.all(axis=2))
        kept = self.constraints.drop(self.series.values) - offset.state
        return ObservedPaths(
            torch.as_tensor(self.series.times - offset.time),
            torch.as_tensor(np.where(complete[:, :, None], kept, np.nan), dtype=torch.float32),
            torch.as_tensor(complete),
            None if self.groups is None else torch.as_tensor(self.groups),
        )


def to_series(X: Any) -> IrregularSeries:
    """What a user has, `Trajectories` included, as one container."""
    if isinstance(X, Trajectories):
        ts = np.broadcast_to(X.ts, X.values.shape[:2])
        made = IrregularSeries.from_arrays(ts, X.values, channels=X.features)
        return replace(made, axis=X.axis)
    return as_series(X)


def prepare(X: Any, groups: Any = None) -> Prepared:
    """Check series and find redundant channels.

    Raises:
        InputError: for fewer than 20 series, series with fewer than two complete observations,
            groups of the wrong length, or if no channel moves.
    """
    data = to_series(X)
    if len(data) < _FEWEST:
        raise InputError(
            f"a law cannot be learned from n_samples={len(data)} series, at least {_FEWEST} are "
            "needed; cut a long series into windows first"
        )
    complete = data.mask.all(axis=2)
    short = np.flatnonzero(complete.sum(axis=1) < 2)
    if len(short):
        raise InputError(
            f"{len(short)} series have fewer than two times at which all channels are observed, "
            f"such as {data.ids[short[0]]!r}; leave them out, or drop the channel that is missing"
        )
    constraints = LinearConstraints.of(data.values[complete])
    if not constraints.kept:
        raise InputError("no channel ever changes; there is nothing to learn")
    return Prepared(data, constraints, _group_numbers(groups, len(data)))


def _group_numbers(groups: Any, n: int) -> Array | None:
    if groups is None:
        return None
    names = np.asarray(groups)
    if names.shape != (n,):
        raise InputError(
            f"groups must name the system of each of the {n} series, got {names.shape}"
        )
    return np.asarray(np.unique(names, return_inverse=True)[1])
