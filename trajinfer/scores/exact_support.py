"""What holds exactly in every series: cells that never change, sums, orders, functions of others.

A density has no room for it: the covariance of such series is singular, a floor of variance makes
it regular, and draws miss by that floor, which any classifier sees. What holds is found from the
values and given back to draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.generation.relations import ChannelRelations, SmoothRelation
from trajinfer.scores.hung_channels import HungChannel

_NULL = 1e-9
_ROWS_A_CELL = 2
_MOST_ROWS = 4000
_MOST_CELLS = 600
_FEWEST = 200
_CLOSE = 0.05
_RARE = 0.01
_TURNS = 50


@packable
@dataclass(frozen=True, eq=False)
class ExactSupport:
    """Relations that every training series obeys.

    Attributes:
        grid: (J,) times that the series share; empty where they share none.
        still: (J, C) the value of cells that are the same in all series, NaN elsewhere.
        directions: (M, J, C) linear functions of a series that never change.
        offsets: (M,) their values.
        order: pairs of channels of which the first never exceeds the second.
        smooth: channels that are a smooth function of others.
        bounds: (2, C) lowest and highest value of every channel.
        hung: ordered channels that are drawn at a gap from others, whose law is known.
    """

    grid: Array
    still: Array
    directions: Array
    offsets: Array
    order: tuple[tuple[int, int], ...]
    smooth: tuple[SmoothRelation, ...]
    bounds: Array
    hung: tuple[HungChannel, ...] = ()

    @classmethod
    def of(
        cls, rows: Array, grid: Array, series: Array | None, plain: Array, bounds: Array
    ) -> Self:
        """Find what holds.

        Args:
            rows: (N, C) values at single times, NaN = not observed.
            grid: (J,) times that all series share.
            series: (B, J, C) the series on that grid, whole; None where they have their own times.
            plain: (C,) bool, channels whose values are not moved to a grid of their own.
            bounds: (2, C) of every channel.
        """
        order = _orders(rows)
        smooth = ChannelRelations.of(rows).smooth
        if series is None:
            nothing = np.empty((0, rows.shape[1]))
            empty = np.empty(0)
            return cls(empty, nothing, nothing[None][:0], empty, order, smooth, bounds)
        same = _same(series)
        still = np.where(same, series[0], np.nan)
        directions, offsets = _unchanging(series, ~same & plain)
        return cls(grid, still, directions, offsets, order, smooth, bounds)

    def give_back(self, values: Array, ts: Array, hidden: Array) -> Array:
        """Values (n, T, C) at times ts (T,), of which the hidden cells (T, C) obey what holds.

        Hidden channels that hang from others are drawn at a gap from them; an order that is still
        broken, where a channel is hidden and one that hangs from it is not, is met by the nearest.
        """
        x = np.array(values)
        place = np.minimum(np.searchsorted(self.grid, ts), max(len(self.grid) - 1, 0))
        rows = np.flatnonzero(self.grid[place] == ts) if len(self.grid) else np.empty(0, dtype=int)
        fixed = np.full(hidden.shape, np.nan)
        fixed[rows] = self.still[place[rows]]
        x = np.where(hidden & ~np.isnan(fixed), fixed, x)
        hidden = hidden & np.isnan(fixed)
        for one in self.hung:
            c = one.place.channel
            x[..., c] = np.where(hidden[:, c], np.clip(one.hung(x), *self.bounds[:, c]), x[..., c])
        for low, high in self.order:
            below, above = x[..., low], x[..., high]
            raised = hidden[:, high]
            x[..., high] = np.where(raised, np.maximum(below, above), above)
            x[..., low] = np.where(raised | ~hidden[:, low], below, np.minimum(below, above))
        x = self._projected(x, hidden, rows, place[rows])
        for relation in self.smooth:
            c = relation.channel
            x[..., c] = np.where(hidden[:, c], relation.value(x), x[..., c])
        return x

    def functions(self, scale: Array, linear: Sequence[bool]) -> Array:
        """(M, J C) orthonormal functions that never change, of series in units of their own.

        Args:
            scale: (C,) of a channel, in the unit of its values.
            linear: (C,) whether a channel is modelled as it is: of others only values are known.
        """
        others = ~np.asarray(linear, dtype=bool)
        plain = (self.directions[..., others] == 0).all(axis=(1, 2))
        shape = int(plain.sum()), int(np.prod(self.directions.shape[1:]))
        flat = (self.directions[plain] * scale).reshape(shape)
        return np.asarray(np.linalg.qr(flat.T)[0].T)

    def _projected(self, x: Array, hidden: Array, rows: Array, places: Array) -> Array:
        """Values whose hidden cells are moved, so that what never changes does not change here.

        The nearest point that obeys may lie outside the bounds; then bounds and functions are met
        in turn, until both are.
        """
        needed = np.flatnonzero((self.directions != 0).any(axis=(0, 2)))
        if not len(self.directions) or not np.isin(needed, places).all():
            return x
        functions = np.zeros((len(self.directions), *hidden.shape))
        functions[:, rows] = self.directions[:, places]
        flat, free = functions.reshape(len(functions), -1), hidden.ravel()
        inverse = np.linalg.pinv(flat[:, free], rcond=1e-6).T
        cells = np.array(x).reshape(len(x), -1)
        low, high = (np.broadcast_to(end, hidden.shape).ravel()[free] for end in self.bounds)
        for _ in range(_TURNS):
            cells[:, free] -= (cells @ flat.T - self.offsets) @ inverse
            inside = np.clip(cells[:, free], low, high)
            if (inside == cells[:, free]).all():
                break
            cells[:, free] = inside
        return cells.reshape(x.shape)


def _orders(rows: Array) -> tuple[tuple[int, int], ...]:
    """Pairs of channels, one of which never exceeds the other and comes near to it.

    A channel that lies below the most others comes last as the lower one, so that what was raised
    for one pair stays so for the next.
    """
    known = rows[~np.isnan(rows).any(axis=1)]
    if len(known) < _FEWEST:
        return ()
    found = []
    for low, high in permutations(range(rows.shape[1]), 2):
        gap = known[:, high] - known[:, low]
        spread = min(known[:, low].std(), known[:, high].std())
        if gap.min() >= 0 < gap.std() < spread and np.quantile(gap, 0.01) < _CLOSE * gap.std():
            found.append((low, high))
    above = {high: sum(pair[1] == high for pair in found) for _, high in found}
    return tuple(sorted(found, key=lambda pair: above[pair[1]]))


def _same(series: Array) -> Array:
    """Cells (J, C) that are one value in all series, and not by chance.

    A value that is frequent elsewhere, such as no rain, may be that of a cell in a few series.
    """
    same: Array = (series == series[:1]).all(axis=0)
    if len(series) < _FEWEST:
        moving = ~same
        for j, c in np.argwhere(same):
            others = series[:, moving[:, c], c]
            same[j, c] = not others.size or (others == series[0, j, c]).mean() < _RARE
    return same


def _unchanging(series: Array, moving: Array) -> tuple[Array, Array]:
    """Linear functions (M, J, C) of the moving cells that have no variance, and their values."""
    n_cells, shape = int(moving.sum()), series.shape[1:]
    nothing = np.empty((0, *shape)), np.empty(0)
    if not n_cells or n_cells > _MOST_CELLS or len(series) < _ROWS_A_CELL * n_cells:
        return nothing
    few = series[np.linspace(0, len(series) - 1, min(len(series), _MOST_ROWS)).astype(int)]
    cells = few[:, moving]
    scale = cells.std(axis=0)
    _, sizes, axes = np.linalg.svd((cells - cells.mean(axis=0)) / scale, full_matrices=False)
    null = axes[sizes <= _NULL * sizes[0]] / scale
    null = np.where(np.abs(null) > _NULL * np.abs(null).max(initial=0), null, 0.0)
    directions = np.zeros((len(null), *shape))
    directions[:, moving] = null
    return directions, null @ cells.mean(axis=0)
