"""A fitted network with everything that reading series needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.devices import home_of
from trajinfer._core.packing import packable
from trajinfer._core.seeding import Seeds, spawn
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.data.input import as_series
from trajinfer.series.encoder import Encoding
from trajinfer.series.network import Network
from trajinfer.series.series_batch import Scaling, SeriesBatch

_CHUNK = 512

ReadOut = Callable[[Encoding, Tensor], Tensor]


@packable
@dataclass(frozen=True, eq=False)
class SeriesModel:
    """A trained network, the scaling of its inputs, and the seeds of its noise.

    Attributes:
        network: encoder and head, on the device that answers.
        scaling: from data to inputs.
        axis: from times to numbers.
        seeds: of the fit.
        n_paths: paths of noise that an answer is averaged over.
    """

    network: Network
    scaling: Scaling
    axis: TimeAxis
    seeds: Seeds
    n_paths: int

    def series(self, X: Any) -> IrregularSeries:
        """Data of a user on the axis of the fit, without empty times.

        Raises:
            InputError: if channels or statics are not those of the fit.
        """
        data = as_series(X).on_axis(self.axis)
        self.scaling.require(data)
        return compacted(data)

    def answers(
        self,
        batch: SeriesBatch,
        read: ReadOut,
        *,
        n: int | None = None,
        seed: int | None = None,
        queries: Tensor | None = None,
        common_noise: bool = True,
    ) -> Tensor:
        """A read-out of the states along paths of noise.

        Args:
            batch: B series.
            read: (encoding of some series, their rows) -> tensor (b, ...).
            n: number of paths; None: that of the fit.
            seed: of the paths; None: that of the fit.
            queries: (B, Q) times at which states are asked for.
            common_noise: the same paths for every series, which keeps answers for a series from
                depending on the others; otherwise each has its own.

        Returns:
            (n, B, ...) on the CPU, or (1, B, ...) where the states do not depend on noise.
        """
        n_paths = (self.n_paths if n is None else n) if self.network.plan.is_noisy else 1
        seeds = spawn(self.seeds.draws if seed is None else seed, n_paths)
        parts, device = [], home_of(self.network)
        with torch.no_grad():
            for rows in torch.arange(len(batch)).split(_CHUNK):
                part = batch.rows(rows).to(device)
                asked = None if queries is None else queries[rows].to(device)
                states = (
                    self.network.encoder(part, asked, seed=one, common_noise=common_noise)
                    for one in seeds
                )
                parts.append(torch.stack([read(encoding, rows) for encoding in states]).cpu())
        return torch.cat(parts, dim=1)


def compacted(series: IrregularSeries) -> IrregularSeries:
    """The series without times at which nothing was observed."""
    occupied = series.mask.any(axis=2)
    return series if (occupied == series.present).all() else series.compact()
