"""Kinds of channels found from their values, and maps that keep their support exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries
from trajinfer.data.channel_kinds import Bounds
from trajinfer.data.scaling import is_constant
from trajinfer.generation import soft_bound
from trajinfer.generation.rounding import rounded, unit_of
from trajinfer.generation.value_grid import grid_of, nearest_level

Kind = Literal["real", "positive", "whole", "levels", "static"]

_FEW_LEVELS = 12
_ATOM = 0.02
_FEWEST = 20
_SKEW = 0.5
_MARGIN = 0.5
# what shares and percentages never exceed, where as many values come within a twentieth of it
_CEILINGS = (1.0, 100.0)
_NEAR_CEILING = 0.95
_SHARE_NEAR_CEILING = 0.01


@packable
@dataclass(frozen=True)
class ChannelSchema:
    """What one channel can be.

    Attributes:
        kind: "real"; "positive", whose logarithm is modelled; "whole" numbers; "levels", of which
            only those seen occur (0/1, categories in numbers); "static", constant along a series.
        low, high: bounds of its values.
        atoms: values that occur often and are drawn exactly.
        levels: (L,) values of a grid on which the channel lies; empty where there is none.
        unit: of which nearly all values are multiples, such as .1; 0 where there is none.
        margins: distances from the bounds within which values are spread out to be modelled, so
            that none is reached (`soft_bound`); 0 where values reach it, or it is far from all.
    """

    kind: Kind
    low: float
    high: float
    atoms: Array
    levels: Array
    unit: float = 0.0
    margins: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(
        cls, series: Sequence[Array], bounds: tuple[float | None, float | None] | None = None
    ) -> Self:
        """Find the kind of a channel from its values in every series, NaN = not observed.

        Args:
            series: values of the channel in every series.
            bounds: lowest and highest value that can be, in place of those that the values show;
                None of either leaves that to the values.
        """
        series = [part[~np.isnan(part)] for part in series]
        values = np.concatenate(series)
        levels, counts = np.unique(values, return_counts=True)
        whole = bool((values == np.round(values)).all())
        atoms = levels[counts >= max(_ATOM * len(values), 5)]
        few = len(levels) <= _FEW_LEVELS and counts.mean() >= _FEWEST
        grid = grid_of(values)
        low, high = _bounds(levels, counts, len(values), whole)
        kind: Kind = "real"
        if len(series) > 1 and all(
            bool(is_constant(part[:, None]).all()) for part in series if len(part)
        ):
            kind, grid = "static", levels if len(grid) else grid
        elif few:
            kind, low, high, grid = "levels", float(levels[0]), float(levels[-1]), levels
        elif whole:
            kind, grid = "whole", np.empty(0)
        elif levels[0] > 0 and _is_skewed(values):
            kind, low = "positive", 0.0
        unit = 0.0 if len(grid) or kind == "static" else unit_of(values)
        if unit > 0:
            first = np.ceil(low / unit - 1e-6) if low != 0 or levels[0] <= 0 else 1
            low, high = float(first * unit) + 0.0, float(np.floor(high / unit + 1e-6) * unit)
        if bounds is not None:
            low, high = (
                end if new is None else float(new)
                for end, new in zip((low, high), bounds, strict=True)
            )
        is_spread = kind == "real" and not len(grid) and unit == 0
        given = bounds or (None, None)
        is_met = low == 0 or given[0] is not None, high in _CEILINGS or given[1] is not None
        below, above = (
            soft_bound.margin_at(distance) if is_spread and near else 0.0
            for distance, near in zip((values - low, high - values), is_met, strict=True)
        )
        return cls(kind, low, high, atoms, grid, unit, (below, above))

    @property
    def has_atoms(self) -> bool:
        """Whether single values are frequent, so that they are handed on from rows alike."""
        return self.kind == "levels" or len(self.atoms) > 0

    @property
    def is_free(self) -> bool:
        """Whether any number can be a value, so that a law of numbers needs nothing more."""
        special = len(self.levels) or len(self.atoms) or self.unit or self.low == 0
        return self.kind == "real" and not special and self.high not in _CEILINGS

    def forward(self, values: Array) -> Array:
        """Values as they are modelled."""
        if self.kind == "positive":
            return np.asarray(np.log(values))
        if self.kind == "whole" and self.low >= 0:
            return np.asarray(np.sqrt(np.maximum(values, 0) + 0.375))
        if self.margins[0] > 0:
            values = self.low + soft_bound.spread(values - self.low, self.margins[0])
        if self.margins[1] > 0:
            values = self.high - soft_bound.spread(self.high - values, self.margins[1])
        return values

    def log_slope(self, values: Array) -> Array:
        """Logarithm of how much the modelled value moves per unit of the value."""
        if self.kind == "positive":
            return np.asarray(-np.log(values))
        if self.kind == "whole" and self.low >= 0:
            return np.asarray(-0.5 * np.log(np.maximum(values, 0) + 0.375) - np.log(2))
        below, above = self.margins
        slopes = soft_bound.log_slope(values - self.low, below)
        return slopes + soft_bound.log_slope(self.high - values, above)

    def inverse(self, latent: Array) -> Array:
        """Values of the channel, exactly on its support."""
        if self.kind == "positive":
            x = np.exp(latent)
        elif self.kind == "whole":
            x = np.round(latent**2 - 0.375 if self.low >= 0 else latent)
        else:
            x = latent
        if self.margins[1] > 0:
            x = self.high - soft_bound.gathered(self.high - x, self.margins[1])
        if self.margins[0] > 0:
            x = self.low + soft_bound.gathered(x - self.low, self.margins[0])
        x = rounded(nearest_level(x, self.levels), self.unit)
        # + 0.0 makes the negative zeros that rounding leaves plain ones
        return np.asarray(np.clip(x, self.low, self.high) + 0.0)


def _bounds(levels: Array, counts: Array, n: int, whole: bool) -> tuple[float, float]:
    """Bounds of values: those reached often or natural, else far outside.

    Zero is natural for what is never negative (one for whole numbers that are never zero), 1 and
    100 for shares and percentages.
    """
    span = float(levels[-1] - levels[0]) * _MARGIN
    often = counts >= max(_ATOM * n, 5)
    low = float(levels[0]) if often[0] and not whole else float(levels[0]) - span
    high = float(levels[-1]) if often[-1] and not whole else float(levels[-1]) + span
    nonnegative = levels[0] >= 0 and (whole or levels[0] <= 0.05 * float(levels[-1]))
    high = float(np.ceil(high)) if whole else high
    if nonnegative:
        low = max(low, 1.0 if whole and levels[0] >= 1 else 0.0)
        for ceiling in _CEILINGS:
            near = (levels > _NEAR_CEILING * ceiling) & (levels <= ceiling)
            is_near = counts[near].sum() >= max(_SHARE_NEAR_CEILING * n, 5)
            if is_near and levels[-1] <= ceiling < high:
                high = ceiling
    return low, high


def _is_skewed(values: Array) -> bool:
    """Whether logarithms are nearer to symmetry."""
    logs = np.log(values)
    skews = [abs(float((((x - x.mean()) / x.std()) ** 3).mean())) for x in (values, logs)]
    return skews[0] > _SKEW and skews[1] < skews[0]


def schema_of(series: IrregularSeries, bounds: Bounds | None = None) -> tuple[ChannelSchema, ...]:
    """Kinds of all channels; `bounds` by name override those that the values show."""
    parts = np.split(np.asarray(series.flat_values), np.cumsum(series.lengths)[:-1])
    return tuple(
        ChannelSchema.of([part[:, c] for part in parts], (bounds or {}).get(name))
        for c, name in enumerate(series.channels)
    )
