"""Series as inputs of networks: standardised values, rescaled times, masks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries
from trajinfer.data.names import fits_columns
from trajinfer.data.scaling import Standardisation


@dataclass(frozen=True)
class SeriesBatch:
    """B series as tensors.

    Attributes:
        times: (B, T) rescaled, padded by the last one; double precision.
        values: (B, T, C) standardised, NaN = not observed.
        statics: (B, S) standardised, unknown ones at their mean 0.
        end: (B,) where the state is read: the last observation, or a later cutoff.
    """

    times: Tensor
    values: Tensor
    statics: Tensor
    end: Tensor

    def __len__(self) -> int:
        return len(self.times)

    @property
    def mask(self) -> Tensor:
        """(B, T, C), True = observed."""
        return ~self.values.isnan()

    def rows(self, index: Tensor) -> SeriesBatch:
        """Some of the series, no longer than the longest of them."""
        observed = self.mask[index].any(2)
        places = torch.arange(1, observed.shape[1] + 1)
        longest = max(1, int((observed * places).max()))
        return SeriesBatch(
            self.times[index, :longest],
            self.values[index, :longest],
            self.statics[index],
            self.end[index],
        )

    def to(self, device: torch.device) -> SeriesBatch:
        """The same series on a device."""
        return SeriesBatch(*(getattr(self, f.name).to(device) for f in fields(self)))

    def thinned(self, most: float) -> SeriesBatch:
        """Every series without a random share, up to `most`, of its observations.

        Draws from the stream of the training step. A series keeps everything
        where nothing would be left.
        """
        share = most * torch.rand(len(self), 1, 1)
        keep = torch.rand(self.values.shape) >= share
        left = (keep & self.mask).flatten(1).any(1)
        values = torch.where(keep | ~left[:, None, None], self.values, torch.nan)
        return SeriesBatch(self.times, values, self.statics, self.end)


@packable
@dataclass(frozen=True)
class Scaling:
    """The affine maps from data to networks, taken from the observed training values.

    Attributes:
        values: of the channels.
        statics: of the statics.
        time_origin, time_scale: times become (t - origin) / scale.
        channels, static_names: names of the columns.
    """

    values: Standardisation
    statics: Standardisation
    time_origin: float
    time_scale: float
    channels: tuple[str, ...] = ()
    static_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, series: IrregularSeries, *, time_origin: float, time_scale: float) -> Self:
        """Measure the channels of training series."""
        statics = np.zeros((len(series), 0)) if series.statics is None else series.statics
        return cls(
            Standardisation.of(series.values),
            Standardisation.of(statics),
            time_origin,
            time_scale if time_scale > 0 else 1.0,
            series.channels,
            series.static_names,
        )

    @classmethod
    def on_one_axis(cls, series: IrregularSeries) -> Self:
        """Measure training series whose times are counted on one axis, from the first to the last.

        Args:
            series: the training series.
        """
        origin, end = float(series.times.min()), float(series.times.max())
        return cls.of(series, time_origin=origin, time_scale=end - origin)

    def require(self, series: IrregularSeries) -> None:
        """Refuse series of another kind than those of the fit.

        Raises:
            InputError: if the number of channels or of statics differs, or their names or their
                order; columns that were never named fit any names.
        """
        n_statics = 0 if series.statics is None else series.statics.shape[1]
        sizes = (series.values.shape[2], n_statics)
        fitted = (len(self.values.center), len(self.statics.center))
        if sizes != fitted:
            raise InputError(
                f"these series have {sizes[0]} channels and {sizes[1]} statics, the fit saw "
                f"{fitted[0]} and {fitted[1]}; give the same ones in the same order"
            )
        pairs = (
            (self.channels, series.channels, "x"),
            (self.static_names, series.static_names, "s"),
        )
        for names, given, letter in pairs:
            if names and not fits_columns(given, names, letter):
                raise InputError(
                    f"the columns of these series are {given}, those of the fit were {names}; "
                    "give the same ones in the same order"
                )

    def batch(
        self, series: IrregularSeries, *, end: Array | None = None, origin: Array | None = None
    ) -> SeriesBatch:
        """Series as tensors.

        Args:
            series: with an observation at every time (see `compact`).
            end: (B,) times at which the states are read; the last observations by default.
            origin: (B,) zero of time of every series; `time_origin` by default.
        """
        zero = self.time_origin if origin is None else origin[:, None]
        times = (series.times - zero) / self.time_scale
        last = series.times[:, -1] if end is None else end
        last = (last - (self.time_origin if origin is None else origin)) / self.time_scale
        return SeriesBatch(
            torch.as_tensor(times),
            torch.as_tensor(self.values.apply(series.values), dtype=torch.float32),
            self.standardised_statics(series),
            torch.as_tensor(last),
        )

    def standardised_statics(self, series: IrregularSeries) -> Tensor:
        """(B, S), unknown ones at their mean 0."""
        statics = np.zeros((len(series), 0)) if series.statics is None else series.statics
        return torch.as_tensor(np.nan_to_num(self.statics.apply(statics)), dtype=torch.float32)

    def in_units(self, values: Tensor) -> Array:
        """Standardised values (..., C) in the units of the data."""
        return self.values.invert(values.double().cpu().numpy())
