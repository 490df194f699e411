"""Series as networks see them: standardised values, rescaled times, what was seen and what not."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.data.irregular_series import fits_columns


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
        seen = self.mask[index].any(2)
        places = torch.arange(1, seen.shape[1] + 1)
        longest = max(1, int((seen * places).max()))
        return SeriesBatch(
            self.times[index, :longest],
            self.values[index, :longest],
            self.statics[index],
            self.end[index],
        )

    def repeated(self, n: int) -> SeriesBatch:
        """Every series n times in a row."""
        return SeriesBatch(
            *(getattr(self, f.name).repeat_interleave(n, dim=0) for f in fields(self))
        )

    def thinned(self, most: float) -> SeriesBatch:
        """Every series without a random share, up to `most`, of its observations.

        Draws from torch's generator, which training seeds by the step. A series keeps everything
        where nothing would be left.
        """
        share = most * torch.rand(len(self), 1, 1)
        keep = torch.rand(self.values.shape) >= share
        left = (keep & self.mask).flatten(1).any(1)
        kept = torch.where(keep | ~left[:, None, None], self.values, torch.nan)
        return SeriesBatch(self.times, kept, self.statics, self.end)


@dataclass(frozen=True)
class Scaling:
    """The affine maps from data to networks, taken from the observed training values.

    Attributes:
        center, spread: (C,) of the channels; a constant channel keeps its unit.
        static_center, static_spread: (S,).
        time_origin, time_scale: times become (t - origin) / scale.
        channels, static_names: what the columns were called.
    """

    center: Array
    spread: Array
    static_center: Array
    static_spread: Array
    time_origin: float
    time_scale: float
    channels: tuple[str, ...] = ()
    static_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, series: IrregularSeries, *, time_origin: float, time_scale: float) -> Self:
        """Measure the channels of training series."""
        center, spread = _moments(series.values.reshape(-1, series.values.shape[2]))
        empty = np.zeros((len(series), 0))
        known = _moments(empty if series.statics is None else series.statics)
        scale = time_scale if time_scale > 0 else 1.0
        names = series.channels, series.static_names
        return cls(center, spread, *known, time_origin, scale, *names)

    def require(self, series: IrregularSeries) -> None:
        """Refuse series of another kind than those of the fit.

        Raises:
            InputError: if the number of channels or of statics differs, or their names or their
                order; columns that were never named fit any names.
        """
        n_statics = 0 if series.statics is None else series.statics.shape[1]
        found = (series.values.shape[2], n_statics)
        if found != (len(self.center), len(self.static_center)):
            raise InputError(
                f"these series have {found[0]} channels and {found[1]} statics, the fit saw "
                f"{len(self.center)} and {len(self.static_center)}; give the same ones in the "
                "same order"
            )
        pairs = (
            (self.channels, series.channels, "x"),
            (self.static_names, series.static_names, "s"),
        )
        for fitted, given, letter in pairs:
            if fitted and not fits_columns(given, fitted, letter):
                raise InputError(
                    f"the columns of these series are {given}, those of the fit were {fitted}; "
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
        values = (series.values - self.center) / self.spread
        statics = np.zeros((len(series), 0)) if series.statics is None else series.statics
        statics = np.nan_to_num((statics - self.static_center) / self.static_spread)
        return SeriesBatch(
            torch.as_tensor(times),
            torch.as_tensor(values, dtype=torch.float32),
            torch.as_tensor(statics, dtype=torch.float32),
            torch.as_tensor(last),
        )

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in found.items()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        arrays: dict[str, Any] = {
            k: np.array(v) if isinstance(v, list) else v for k, v in saved.items()
        }
        names = {k: tuple(saved.get(k, ())) for k in ("channels", "static_names")}
        return cls(**(arrays | names))


def _moments(values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the known values of every column; (0, 1) where none is.

    Constant is what does not differ beyond rounding, however far from zero it lies.
    """
    known = ~np.isnan(values)
    n = np.maximum(known.sum(0), 1)
    mean = np.where(known, values, 0.0).sum(0) / n
    low = np.where(known, values, np.inf).min(0, initial=np.inf)
    high = np.where(known, values, -np.inf).max(0, initial=-np.inf)
    flat = ~(high - low > 1e-13 * np.maximum(np.abs(low), np.abs(high)))
    # squares of values in units of a power of two neither overflow nor vanish, and keep all digits
    unit = np.ldexp(1.0, np.frexp(np.where(flat, 1.0, high - low))[1])
    variance = ((np.where(known & ~flat, values - mean, 0.0) / unit) ** 2).sum(0) / n
    return mean, np.where(flat, 1.0, unit * np.sqrt(np.where(flat, 1.0, variance)))
