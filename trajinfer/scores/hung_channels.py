"""Channels that hang from others: always above all of them, or below, by a gap of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.scores.gap_law import GapLaw


@packable
@dataclass(frozen=True)
class Place:
    """Where a channel hangs.

    Attributes:
        channel: its number.
        others: numbers of those that it never falls below, or never exceeds.
        above: whether it lies above them.
        logarithm: whether gaps are those of logarithms, as of channels that are positive.
    """

    channel: int
    others: tuple[int, ...]
    above: bool
    logarithm: bool

    def gaps(self, values: Array) -> Array:
        """Distance (...) from the nearest of the others in values (..., C)."""
        x, rim = values[..., self.channel], self._rim(values)
        gap = np.log(x / rim) if self.logarithm else x - rim
        return np.asarray(gap if self.above else -gap)

    def at(self, values: Array, gaps: Array) -> Array:
        """The channel (...) at these distances from the others in values (..., C)."""
        rim, moves = self._rim(values), gaps if self.above else -gaps
        return np.asarray(rim * np.exp(moves) if self.logarithm else rim + moves)

    def _rim(self, values: Array) -> Array:
        nearest = np.max if self.above else np.min
        return np.asarray(nearest(values[..., list(self.others)], axis=-1))


@packable
@dataclass(frozen=True, eq=False)
class HungChannel:
    """A channel that is drawn at a gap from others.

    Attributes:
        place: where.
        law: of the gap.
    """

    place: Place
    law: GapLaw

    def hung(self, values: Array) -> Array:
        """The channel (...) of values (..., C) that know no order, moved so that it holds."""
        return self.place.at(values, self.law.gap(self.place.gaps(values)))


def places_of(order: Sequence[tuple[int, int]], free: Array, positive: Array) -> tuple[Place, ...]:
    """Which channels hang from which, those that others hang from first.

    Taken off one by one is the channel at an end of the order with the most neighbours that are
    left, of those the one that had the fewest; what is left hangs from nothing. A mean lies between
    low and high: both hang from it.

    Args:
        order: pairs of channels of which the first never exceeds the second.
        free: (C,) bool, channels that can take any value between their bounds.
        positive: (C,) bool, channels of which the logarithm is modelled.
    """
    left, found = _direct(set(order)), []
    neighbours = Counter(c for pair in left for c in pair)
    while left:
        ends: dict[tuple[int, bool], tuple[int, ...]] = {}
        for c in sorted({c for pair in left for c in pair}):
            lower = tuple(sorted(low for low, high in left if high == c))
            upper = tuple(sorted(high for low, high in left if low == c))
            if free[c] and not (lower and upper):
                ends[c, bool(lower)] = lower or upper
        if not ends:
            break
        (channel, above), others = max(
            ends.items(), key=lambda end: (len(end[1]), -neighbours[end[0][0]])
        )
        logarithm = bool(positive[[channel, *others]].all())
        found.append(Place(channel, others, above, logarithm))
        left = {pair for pair in left if channel not in pair}
    return tuple(reversed(found))


def _direct(order: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The pairs that do not follow from two others."""
    channels = {c for pair in order for c in pair}
    return {
        (low, high)
        for low, high in order
        if not any({(low, c), (c, high)} <= order for c in channels)
    }


def fit_hung(places: Sequence[Place], real: Array, drawn: Array) -> tuple[HungChannel, ...]:
    """Laws of the gaps at places, those that others hang from first.

    Args:
        places: of the channels.
        real: (N, C) values, NaN = not observed.
        drawn: (n, C) draws of a law that knows no order, NaN = to be left out.
    """
    found: list[HungChannel] = []
    drawn = np.array(drawn)
    for place in places:
        free, gaps = (_known(place.gaps(values)) for values in (drawn, real))
        if not (gaps > 0).any() or not len(free):
            continue
        one = HungChannel(place, GapLaw.of(free, gaps))
        drawn[:, place.channel] = one.hung(drawn)
        found.append(one)
    return tuple(found)


def _known(x: Array) -> Array:
    return np.asarray(x[~np.isnan(x)])
