"""Series of unequal length as inputs of networks, padded a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.data.grouping import similar_lengths
from trajinfer.data.ragged import RaggedLayout
from trajinfer.series.objective import weighed
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.training import Loss


@dataclass(frozen=True, eq=False)
class SeriesRows:
    """B series laid end to end, so that memory follows the number of observations.

    Attributes:
        layout: where the N entries of the series stand.
        times: (N,) rescaled.
        values: (N, C) standardised, NaN = not observed.
        statics: (B, S) standardised.
    """

    layout: RaggedLayout
    times: Tensor
    values: Tensor
    statics: Tensor

    @classmethod
    def of(cls, series: IrregularSeries, scaling: Scaling) -> Self:
        """Series with an observation at every time, as `compacted` makes them."""
        times = (series.flat_times - scaling.time_origin) / scaling.time_scale
        return cls(
            series.layout,
            torch.as_tensor(times),
            torch.as_tensor(scaling.values.apply(series.flat_values), dtype=torch.float32),
            scaling.standardised_statics(series),
        )

    def __len__(self) -> int:
        return len(self.layout.lengths)

    def rows(self, index: Array | Tensor) -> SeriesBatch:
        """Some of the series, padded to the longest of them."""
        chosen = np.asarray(index)
        lengths = torch.as_tensor(self.layout.lengths[chosen])[:, None]
        starts = torch.as_tensor(self.layout.starts[chosen])[:, None]
        steps = torch.arange(int(lengths.max()))
        places = starts + torch.minimum(steps, lengths - 1)
        times, values = self.times[places], self.values[places]
        values[steps >= lengths] = torch.nan
        return SeriesBatch(times, values, self.statics[chosen], times[:, -1])

    def groups(self, index: Array | Tensor) -> list[Tensor]:
        """Rows of an index in groups of similar length."""
        chosen = torch.as_tensor(index)
        groups = similar_lengths(self.layout.lengths[np.asarray(chosen)]) if len(chosen) else []
        return [chosen[torch.as_tensor(group)] for group in groups]

    def batches(self) -> list[SeriesBatch]:
        """All series in groups of similar length."""
        return [self.rows(group) for group in self.groups(np.arange(len(self)))]

    def mean_loss(self, index: Tensor, loss: Callable[[Tensor], Loss]) -> Loss:
        """The mean over some series of a loss that is a mean over the series it is given."""
        parts = [(len(group) / len(index), loss(group)) for group in self.groups(index)]
        return weighed(parts)
