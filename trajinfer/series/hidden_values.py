"""Examples for filling in: hidden observations of series, and a smoother's law of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor
from torch.distributions import Normal

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
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
        cls, whole: IrregularSeries, shown: IrregularSeries, law: Normal, scaling: Scaling
    ) -> Self:
        """The observations of `whole` that `shown` lacks, with the law (B, T, C) at all times."""
        context = scaling.batch(shown)
        values = torch.where(context.mask, torch.nan, scaling.batch(whole).values)
        return cls(context, values, law.mean.float(), law.stddev.float())

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Several draws of what is hidden, one after the other."""
        names = [f.name for f in fields(SeriesBatch)]
        context = SeriesBatch(*(torch.cat([getattr(p.context, n) for p in parts]) for n in names))
        rest = (torch.cat([getattr(p, n) for p in parts]) for n in ("values", "mean", "std"))
        return cls(context, *rest)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def law(self) -> Normal:
        """The smoother's law."""
        return Normal(self.mean, self.std, validate_args=False)

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
