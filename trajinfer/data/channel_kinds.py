"""Kinds of channels: free, positive, bounded, whole numbers; and maps that keep values inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable

Bounds = Mapping[str, tuple[float | None, float | None]]

_FEWEST = 20
_FEWEST_AT_BOUND = 5
_SHARE_AT_BOUND = 5e-3


@packable
@dataclass(frozen=True)
class ChannelKinds:
    r"""The values that C channels can take.

    A value x below a bound b is moved inside. Where values at the bound occur, such as no rain, it
    becomes b. Where they do not, the map

    $$x \mapsto b + \frac{\delta}{2 - (x - b)/\delta} \quad\text{for } x < b + \delta$$

    is used, which increases, is smooth, ends above b and leaves values above $b + \delta$ alone;
    $\delta$ is the distance from b below which 1 % of the training values lie. Upper bounds are
    treated alike. Whole numbers are rounded last.

    Attributes:
        lower, upper: (C,) bounds; infinite where there is none.
        lower_margin, upper_margin: (C,) $\delta$; 0 where values at the bound occur.
        whole: (C,) bool, whole numbers.
    """

    lower: Array
    upper: Array
    lower_margin: Array
    upper_margin: Array
    whole: Array

    @classmethod
    def of(
        cls, values: Array, channels: Sequence[str] = (), bounds: Bounds | None = None
    ) -> ChannelKinds:
        """Find the kinds of channels from their values.

        A channel of 20 values or more, none of them negative, is bounded by 0. A bound is also
        found where the extreme value itself occurs often, five times and in .5 % of the values at
        least, and more often than its neighbour. A channel of whole numbers stays whole.

        Args:
            values: (N, C), NaN = not observed.
            channels: their names, for `bounds`.
            bounds: (lower, upper) by name of the channel, None = no bound; these are taken as they
                are, and channels that are not named are judged by their values.

        Raises:
            InputError: for the name of no channel, a lower bound that is not below the upper one,
                or values outside the bounds.
        """
        given = dict(bounds or {})
        unknown = [name for name in given if name not in channels]
        if unknown:
            raise InputError(
                f"bounds are given for {unknown[0]!r}, the channels are {', '.join(channels)}"
            )
        parts = []
        for c in range(values.shape[1]):
            known = values[:, c][~np.isnan(values[:, c])]
            name = channels[c] if channels else f"x{c}"
            ends = _checked(given[name], name, known) if name in given else _judged(known)
            whole = len(np.unique(known)) > 1 and bool((known == np.round(known)).all())
            margins = [_margin(known, end, sign) for end, sign in zip(ends, (1, -1), strict=True)]
            parts.append((*ends, *margins, whole))
        columns = [np.array(column) for column in zip(*parts, strict=True)]
        return cls(*columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Kind of every channel: "real", "nonnegative", "positive", "bounded"; "whole" in front."""
        kinds = []
        for c in range(len(self.lower)):
            low, high = np.isfinite(self.lower[c]), np.isfinite(self.upper[c])
            kind = "bounded" if high or (low and self.lower[c] != 0) else "real"
            if low and not high and self.lower[c] == 0:
                kind = "positive" if self.lower_margin[c] > 0 else "nonnegative"
            kinds.append(f"whole {kind}" if self.whole[c] else kind)
        return tuple(kinds)

    @property
    def bounds(self) -> tuple[tuple[float | None, float | None], ...]:
        """(lower, upper) of every channel, None = no bound."""
        return tuple(
            (float(a) if np.isfinite(a) else None, float(b) if np.isfinite(b) else None)
            for a, b in zip(self.lower, self.upper, strict=True)
        )

    def reaching(self, lowest: Array, highest: Array) -> ChannelKinds:
        """For series of which some values are known: these, and all between, stay as they are.

        Args:
            lowest, highest: (..., C) of the known values, NaN = none; they are put before the
                values that are moved, as numpy does.
        """
        return replace(
            self,
            lower_margin=np.fmin(self.lower_margin, np.maximum(lowest - self.lower, 0) / 2),
            upper_margin=np.fmin(self.upper_margin, np.maximum(self.upper - highest, 0) / 2),
        )

    def inside(self, values: Array) -> Array:
        """Values (..., C) moved within the bounds, in the order they had; not yet rounded."""
        x = np.asarray(values, dtype=np.float64)
        if np.isfinite(self.lower).any():
            x = _above(x, self.lower, self.lower_margin)
        if np.isfinite(self.upper).any():
            x = -_above(-x, -self.upper, self.upper_margin)
        return x

    def attainable(self, values: Array) -> Array:
        """Values (..., C) within the bounds, whole where the channel is."""
        x = self.inside(values)
        # + 0.0 makes the negative zeros that rounding leaves plain ones
        return np.where(self.whole, np.round(x) + 0.0, x) if self.whole.any() else x


def extremes(values: Array, starts: Array) -> tuple[Array, Array]:
    """Lowest and highest (B, 1, C) of the values (N, C) of series that begin at rows (B,)."""
    low, high = (f.reduceat(values, starts, axis=0)[:, None] for f in (np.fmin, np.fmax))
    return low, high


def _above(x: Array, bound: Array, margin: Array) -> Array:
    """X moved above its lower bound (C,)."""
    width = np.where(margin > 0, margin, 1.0)
    base = np.where(np.isfinite(bound), bound, 0.0)
    low = x - base < width
    squeezed = base + width / (2.0 - np.minimum((x - base) / width, 1.0))
    moved = np.where(margin > 0, np.where(low, squeezed, x), np.maximum(x, base))
    return np.where(np.isfinite(bound), moved, x)


def _judged(known: Array) -> tuple[float, float]:
    """Bounds that the values themselves show."""
    if len(known) < _FEWEST:
        return -np.inf, np.inf
    levels, counts = np.unique(known, return_counts=True)
    if len(levels) < 2:
        return -np.inf, np.inf
    if len(levels) == 2:
        return float(levels[0]), float(levels[1])
    often = counts >= max(_FEWEST_AT_BOUND, _SHARE_AT_BOUND * len(known))
    low = float(levels[0]) if often[0] and counts[0] > counts[1] else -np.inf
    high = float(levels[-1]) if often[-1] and counts[-1] > counts[-2] else np.inf
    return (0.0 if levels[0] >= 0 and not low > 0 else low), high


def _checked(pair: Any, name: str, known: Array) -> tuple[float, float]:
    """Bounds as they were given."""
    try:
        low, high = (
            side if end is None else float(end)
            for end, side in zip(pair, (-np.inf, np.inf), strict=True)
        )
    except (TypeError, ValueError) as error:
        raise InputError(
            f"bounds of {name!r} must be a pair (lower, upper) of numbers or None, got {pair!r}"
        ) from error
    if not low < high:
        raise InputError(f"the lower bound of {name!r} must be below the upper one, got {pair!r}")
    if len(known) and (known.min() < low or known.max() > high):
        raise InputError(
            f"values of {name!r} lie in [{known.min():g}, {known.max():g}], outside the bounds "
            f"{pair!r}; widen the bounds"
        )
    return low, high


def _margin(known: Array, end: float, sign: int) -> float:
    """Width of the zone near a bound in which values are squeezed; 0 where the bound is reached."""
    if not np.isfinite(end) or not len(known):
        return 0.0
    distance = sign * (known - end)
    return 0.0 if distance.min() <= 0 else float(np.quantile(distance, 0.01))
