"""Examples for filling in: hidden observations of series, and a smoother's law of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor
from torch.distributions import Normal

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.filling.share_of_network import Comparison
from trajinfer.series.series_batch import Scaling, SeriesBatch


@dataclass(frozen=True)
class HiddenValues:
    """Series without some observations, those observations, and a smoother's law of them.

    Attributes:
        context: the series without them.
        values: (B, T, C) standardised, at the times of the whole series; NaN where nothing was
            hidden.
        mean, std: (B, T, C) of the smoother's law.
    """

    context: SeriesBatch
    values: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def of(
        cls, asked: IrregularSeries, shown: IrregularSeries, law: Normal, scaling: Scaling
    ) -> Self:
        """The values that are asked for, beside what is shown and a law (B, T, C)."""
        values = scaling.batch(asked).values
        return cls(scaling.batch(shown), values, law.mean.float(), law.stddev.float())

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Several draws of what is hidden, one after the other."""
        names = [f.name for f in fields(SeriesBatch)]
        context = SeriesBatch(*(torch.cat([getattr(p.context, n) for p in parts]) for n in names))
        rest = (torch.cat([getattr(p, n) for p in parts]) for n in ("values", "mean", "std"))
        return cls(context, *rest)

    def __len__(self) -> int:
        return len(self.values)

    def compared(self, moves: Tensor) -> Comparison:
        """The values beside the smoother's law and moves of it (2, B, T, C), end to end."""
        values, mean, std = (part.flatten(0, 1) for part in (self.values, self.mean, self.std))
        law = Normal(mean.double(), std.double(), validate_args=False)
        return Comparison(values.double(), law, moves.flatten(1, 2).double())

    def subset(self, index: Array | Tensor) -> Self:
        """Some of the series."""
        rows = torch.as_tensor(index)
        context = SeriesBatch(*(getattr(self.context, f.name)[rows] for f in fields(SeriesBatch)))
        return type(self)(context, self.values[rows], self.mean[rows], self.std[rows])

    def rows(self, index: Tensor, most: int) -> tuple[Self, Tensor]:
        """Some series with up to `most` of their hidden times, drawn at random, and these times."""
        hidden = ~self.values[index].isnan().all(2)
        order = torch.where(hidden, torch.rand(hidden.shape), 2.0).argsort(1)[:, :most]
        places = order.sort(1).values
        column = torch.arange(len(index))[:, None]
        chosen = self.subset(index)
        values, mean, std = (
            part[column, places] for part in (chosen.values, chosen.mean, chosen.std)
        )
        return type(self)(chosen.context, values, mean, std), chosen.context.times[column, places]


def some_of(parts: Sequence[HiddenValues], most: int) -> list[HiddenValues]:
    """Examples spread evenly over parts that hold about `most` together."""
    every = max(1, -(-sum(map(len, parts)) // most))
    return [part.subset(torch.arange(0, len(part), every)) for part in parts]
