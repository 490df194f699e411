"""Relations between channels: what follows smoothly from others, and what never exceeds another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.generation.rounding import rounded, unit_of
from trajinfer.generation.value_grid import grid_of, nearest_level

_DEGREE = 5
_MOST_INPUTS = 2
_EXACT = 0.01
_FAR = 0.05
_FEWEST = 200
_MOST_ROWS = 4000
_MOST_CHANNELS = 12
_CLOSE = 0.02
_LEAST_CORRELATION = 0.5


@packable
@dataclass(frozen=True)
class SmoothRelation:
    r"""A channel that is a polynomial of others, or whose logarithm is, up to its last digits.

    Attributes:
        channel: its number.
        inputs: numbers of the others.
        coefficients: of the monomials of the standardised inputs up to degree 5.
        center, scale: of the inputs.
        logarithm: whether the polynomial gives the logarithm.
        low, high: bounds of the channel.
        levels: (L,) the grid on which it lies; empty where there is none.
        unit: of which its values are multiples; 0 where there is none.
    """

    channel: int
    inputs: tuple[int, ...]
    coefficients: Array
    center: Array
    scale: Array
    logarithm: bool
    low: float
    high: float
    levels: Array
    unit: float = 0.0

    @classmethod
    def of(cls, rows: Array, channel: int, inputs: Sequence[int]) -> Self | None:
        """The relation that rows (N, C) show, or None where they show none.

        Every other row is held out: there, the error must be below 1 % of the spread of the
        channel at the root of the mean square and below 5 % everywhere.
        """
        target, given = rows[:, channel], rows[:, list(inputs)]
        center, scale = given.mean(axis=0), given.std(axis=0)
        design = _monomials((given - center) / np.where(scale > 0, scale, 1.0))
        learned = np.arange(len(rows)) % 2 == 0
        spread = float(target.std())
        best: tuple[float, bool] | None = None
        for logarithm in (False, True):
            if logarithm and target.min() <= 0:
                continue
            y = np.log(target) if logarithm else target
            said = design[~learned] @ np.linalg.lstsq(design[learned], y[learned], rcond=1e-10)[0]
            error = (np.exp(np.minimum(said, 300.0)) if logarithm else said) - target[~learned]
            size = float(np.sqrt((error**2).mean()))
            exact = size < _EXACT * spread and np.abs(error).max() < _FAR * spread
            if exact and (best is None or size < best[0]):
                best = size, logarithm
        if best is None:
            return None
        y = np.log(target) if best[1] else target
        return cls(
            channel,
            tuple(inputs),
            np.linalg.lstsq(design, y, rcond=1e-10)[0],
            center,
            np.where(scale > 0, scale, 1.0),
            best[1],
            float(target.min()),
            float(target.max()),
            grid_of(target),
            unit_of(target),
        )

    def value(self, rows: Array) -> Array:
        """The channel (...) from all channels (..., C)."""
        given = (rows[..., list(self.inputs)] - self.center) / self.scale
        x = _monomials(given) @ self.coefficients
        x = np.clip(np.exp(x) if self.logarithm else x, self.low, self.high)
        return nearest_level(rounded(x, self.unit), self.levels)


@packable
@dataclass(frozen=True)
class OrderRelation:
    """A channel that never exceeds another: the gap between them is modelled in its stead.

    Attributes:
        channel: the lower one.
        above: the upper one.
        levels: (L,) the grid of the lower one; empty where there is none.
        unit: of which its values are multiples; 0 where there is none.
    """

    channel: int
    above: int
    levels: Array
    unit: float = 0.0

    @classmethod
    def of(cls, rows: Array, channel: int, above: int) -> Self | None:
        """The relation that rows (N, C) show, or None.

        The gap must come near zero, so that the order binds.
        """
        gap = rows[:, above] - rows[:, channel]
        spread = float(gap.std())
        if spread <= 0 or gap.min() < 0 or gap.min() > _CLOSE * spread:
            return None
        if np.corrcoef(rows[:, above], rows[:, channel])[0, 1] < _LEAST_CORRELATION:
            return None
        return cls(channel, above, grid_of(rows[:, channel]), unit_of(rows[:, channel]))

    def value(self, rows: Array) -> Array:
        """The lower channel (...) from rows (..., C) that hold the gap in its place."""
        top = rows[..., self.above]
        x = nearest_level(rounded(top - rows[..., self.channel], self.unit), self.levels)
        if not len(self.levels):
            return np.minimum(x, top)
        below = np.searchsorted(self.levels, top, side="right") - 1
        return np.where(x > top, self.levels[np.maximum(below, 0)], x)


@packable
@dataclass(frozen=True)
class ChannelRelations:
    """Relations of rows of C channels, and the D channels that are modelled.

    Attributes:
        smooth: channels that follow from others.
        order: channels that never exceed others.
        modelled: numbers of the D channels that remain.
        n_channels: C.
    """

    smooth: tuple[SmoothRelation, ...]
    order: tuple[OrderRelation, ...]
    modelled: tuple[int, ...]
    n_channels: int

    @classmethod
    def of(cls, rows: Array) -> Self:
        """Find the relations of rows (N, C), NaN = not observed."""
        known = rows[~np.isnan(rows).any(axis=1)]
        n_channels = rows.shape[1]
        moving = [c for c in range(n_channels) if len(known) and len(np.unique(known[:, c])) > 12]
        if len(known) < _FEWEST or not 1 < len(moving) <= _MOST_CHANNELS:
            return cls((), (), tuple(range(n_channels)), n_channels)
        few = known[np.linspace(0, len(known) - 1, min(len(known), _MOST_ROWS)).astype(int)]
        smooth: list[SmoothRelation] = []
        used: set[int] = set()
        for channel in reversed(moving):
            if channel in used:
                continue
            free = [c for c in moving if c != channel and c not in {r.channel for r in smooth}]
            relation = next(_related(few, channel, free), None)
            if relation is not None:
                smooth.append(relation)
                used |= set(relation.inputs)
        left = [c for c in moving if c not in {r.channel for r in smooth}]
        order: list[OrderRelation] = []
        for channel, above in combinations(left, 2):
            for low, high in ((channel, above), (above, channel)):
                taken = {r.channel for r in order} | {r.above for r in order}
                relation_of_order = OrderRelation.of(known, low, high)
                if relation_of_order is not None and not {low, high} & taken:
                    order.append(relation_of_order)
        derived = {r.channel for r in smooth}
        modelled = tuple(c for c in range(n_channels) if c not in derived)
        return cls(tuple(smooth), tuple(order), modelled, n_channels)

    def forward(self, rows: Array) -> Array:
        """Modelled rows (..., D) of rows (..., C)."""
        moved = np.array(rows)
        for relation in self.order:
            moved[..., relation.channel] = rows[..., relation.above] - rows[..., relation.channel]
        return np.asarray(moved[..., list(self.modelled)])

    def inverse(self, modelled: Array) -> Array:
        """Rows (..., C) from modelled ones (..., D)."""
        rows = np.full((*modelled.shape[:-1], self.n_channels), np.nan)
        rows[..., list(self.modelled)] = modelled
        for relation in self.order:
            rows[..., relation.channel] = relation.value(rows)
        for derived in self.smooth:
            rows[..., derived.channel] = derived.value(rows)
        return rows


def _related(rows: Array, channel: int, others: Sequence[int]) -> Iterator[SmoothRelation]:
    for n_inputs in range(1, _MOST_INPUTS + 1):
        for inputs in combinations(others, n_inputs):
            relation = SmoothRelation.of(rows, channel, inputs)
            if relation is not None:
                yield relation


def _monomials(x: Array) -> Array:
    """All products (..., M) of at most 5 of the columns of x (..., K)."""
    size = x.shape[-1]
    columns = [np.ones(x.shape[:-1])]
    for degree in range(1, _DEGREE + 1):
        columns += [
            np.prod(x[..., list(chosen)], axis=-1)
            for chosen in combinations_with_replacement(range(size), degree)
        ]
    return np.stack(columns, axis=-1)
