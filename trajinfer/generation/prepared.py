"""Series as the user gave them become what the stages work on; what cannot be used is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from trajinfer._core.checks import Array, as_array, require_finite, unmasked
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries, Trajectories
from trajinfer.data.channel_kinds import Bounds, ChannelKinds
from trajinfer.data.input import as_series, series_to_learn
from trajinfer.data.open_table import OpenTable
from trajinfer.data.windows import FEWEST_FOR_A_LAW
from trajinfer.generation.constraints import LinearConstraints
from trajinfer.generation.observed import ObservedPaths
from trajinfer.generation.offset import Offset

# complete rows per channel that show which channels are redundant
_FEWEST_ROWS = 3
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Prepared:
    """Checked series.

    Attributes:
        series: all channels.
        constraints: which channels are redundant, and how they are rebuilt.
        groups: (B,) numbers of the interacting systems, or None.
        weight: (B,) of the series, or None.
        bounds: of channels by name, or None.
        device: of what is learned from them.
    """

    series: IrregularSeries
    constraints: LinearConstraints
    groups: Array | None
    weight: Array | None = None
    bounds: Bounds | None = None
    device: torch.device = _CPU

    def require_complete_rows(self) -> None:
        """Refuse series with fewer than two rows at which all channels are observed.

        Raises:
            InputError: naming one.
        """
        complete = self.series.mask.all(axis=2)
        short = np.flatnonzero(complete.sum(axis=1) < 2)
        if len(short):
            raise InputError(
                f"{len(short)} series have fewer than two times at which all channels are "
                f"observed, such as {self.series.ids[short[0]]!r}; leave them out, drop the "
                "channel that is missing, or use transform='rows'"
            )

    def offset(self) -> Offset:
        """What brings times and kept channels near zero."""
        complete = self.series.mask.all(axis=2)
        kept = self.constraints.drop(self.series.values)
        return Offset.of(self.series.times[complete], kept[complete])

    def paths(self, offset: Offset) -> ObservedPaths:
        """The kept channels as tensors, near zero."""
        complete: Array = np.asarray(self.series.mask.all(axis=2))
        kept = self.constraints.drop(self.series.values) - offset.state
        paths = ObservedPaths(
            torch.as_tensor(self.series.times - offset.time),
            torch.as_tensor(np.where(complete[:, :, None], kept, np.nan), dtype=torch.float32),
            torch.as_tensor(complete),
            None if self.groups is None else torch.as_tensor(self.groups),
        )
        return paths.to(self.device)


def to_series(X: Any) -> IrregularSeries:
    """What a user has, `Trajectories` included, as one container."""
    if isinstance(X, Trajectories):
        ts = np.broadcast_to(X.ts, X.values.shape[:2])
        made = IrregularSeries.from_arrays(ts, X.values, channels=X.features)
        return replace(made, axis=X.axis)
    return as_series(X)


def prepare(
    X: Any, groups: Any = None, sample_weight: Any = None, bounds: Bounds | None = None
) -> Prepared:
    """Check series and find redundant channels.

    Raises:
        InputError: for fewer than 20 series, series of fewer than two rows, groups or weights of
            the wrong length, bounds of unknown channels or that values exceed, or if no channel
            moves.
    """
    data = series_to_learn(X) if isinstance(X, OpenTable) else to_series(X)
    if len(data) < FEWEST_FOR_A_LAW:
        raise InputError(
            f"a law cannot be learned from n_samples={len(data)} series, at least "
            f"{FEWEST_FOR_A_LAW} are needed; cut a long series by trajinfer.data.Windows (--window)"
        )
    short = np.flatnonzero(np.asarray(data.lengths) < 2)
    if len(short):
        raise InputError(
            f"{len(short)} series have fewer than two times, such as {data.ids[short[0]]!r}; leave "
            "them out: series[series.lengths >= 2], on the command line --drop-short"
        )
    ChannelKinds.of(np.asarray(data.flat_values), data.channels, bounds)
    complete = data.mask.all(axis=2)
    rows = data.values[complete]
    if len(rows) >= _FEWEST_ROWS * len(data.channels):
        constraints = LinearConstraints.of(rows)
    else:
        constraints = LinearConstraints.none(len(data.channels))
    if not constraints.kept:
        raise InputError("no channel ever changes; there is nothing to learn")
    weight = None if sample_weight is None else _weights(sample_weight, len(data))
    return Prepared(data, constraints, _group_numbers(groups, len(data)), weight, bounds)


def _weights(given: Any, n: int) -> Array:
    weight = as_array(given, "sample_weight")
    require_finite(weight, "sample_weight")
    if weight.shape != (n,) or (weight < 0).any() or not weight.any():
        raise InputError(
            f"sample_weight must hold a number, not negative, for each of the {n} series, got "
            f"shape {weight.shape}"
        )
    return np.asarray(weight * n / weight.sum())


def _group_numbers(groups: Any, n: int) -> Array | None:
    if groups is None:
        return None
    names = np.asarray(unmasked(groups))
    if names.shape != (n,):
        raise InputError(
            f"groups must name the system of each of the {n} series, got {names.shape}"
        )
    codes = np.asarray(pd.factorize(names, sort=True)[0])
    if (codes < 0).any():
        raise InputError(
            f"groups has no name at index {int((codes < 0).argmax())}; name the system of every "
            "series, or leave the others out"
        )
    return codes
