"""A diffusion on a grid is a jump process: rates between cells, walls where they truly are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.questions.region import Region

_BISECTIONS = 30
_UPWIND = 600.0


@dataclass(frozen=True, eq=False)
class Grid:
    """Equal cells of a box.

    Attributes:
        low: (D,) lower corner.
        high: (D,) upper corner.
        shape: number of cells along each axis.
    """

    low: Array
    high: Array
    shape: tuple[int, ...]

    @property
    def sizes(self) -> Array:
        """(D,) edge lengths of a cell."""
        return np.asarray((self.high - self.low) / np.array(self.shape))

    @property
    def axes(self) -> list[Array]:
        """The centres along each axis."""
        return [
            a + (np.arange(n) + 0.5) * h
            for a, n, h in zip(self.low, self.shape, self.sizes, strict=True)
        ]

    @property
    def centers(self) -> Array:
        """(N, D), the last axis running fastest."""
        return np.stack([m.ravel() for m in np.meshgrid(*self.axes, indexing="ij")], axis=1)

    def neighbours(self, axis: int, sign: int) -> Array:
        """(N,) index of the next cell, -1 at the edge."""
        index = np.arange(int(np.prod(self.shape))).reshape(self.shape)
        moved = np.full(self.shape, -1)
        here: list[slice] = [slice(None)] * len(self.shape)
        there = list(here)
        here[axis], there[axis] = (
            (slice(None, -1), slice(1, None)) if sign > 0 else (slice(1, None), slice(None, -1))
        )
        moved[tuple(here)] = index[tuple(there)]
        return moved.ravel()


@dataclass(frozen=True, eq=False)
class GridRates:
    """Rates between the cells that go on, and into walls.

    Attributes:
        rates: sparse (N, N) among the cells that go on; rows sum to minus the rate into walls.
        going: indices (N,) of these cells in the grid.
        wall_from: (W,) places among the cells that go on.
        wall_rate: (W,) rate into the wall.
        wall_point: (W, D) where.
        wall_gap: (W,) distance to the wall along the axis, in cells.
        wall_step: (W, 2) axis and sign of the way there.
        cut: (N,) whether the domain ends at the cell though the process would go on.
    """

    rates: Any
    going: Array
    wall_from: Array
    wall_rate: Array
    wall_point: Array
    wall_gap: Array
    wall_step: Array
    cut: Array


def bernoulli(z: Array) -> Array:
    """Bernoulli's function z / (e^z - 1), by its series near 0."""
    small = np.abs(z) < 1e-6
    safe = np.where(small, 1.0, z)
    series = 1 - np.where(small, z, 0.0) / 2
    return np.asarray(np.where(small, series, safe / np.expm1(safe)))


FaceRate = Callable[[Array, Array, Array], Array]
"""Rate across a face per unit of inverse cell width, of drift, diffusivity and gap."""


def crossing_rate(drift: Array, diffusivity: Array, gap: Array) -> Array:
    """D/h B(-b h/D), upwind where D is 0: right at rest, across cells of any width."""
    upwind = np.abs(drift) * gap >= _UPWIND * diffusivity
    safe = np.where(upwind, 1.0, diffusivity)
    peclet = np.where(upwind, 0.0, drift) * gap / safe
    return np.asarray(np.where(upwind, np.maximum(drift, 0.0), safe / gap * bernoulli(-peclet)))


def moving_rate(drift: Array, diffusivity: Array, gap: Array) -> Array:
    """max(D/h + b/2, b, 0): what moves has mean b and variance 2 D per time, while |b| h < 2 D."""
    return np.asarray(np.maximum(diffusivity / gap + drift / 2, np.maximum(drift, 0.0)))


def central_rate(drift: Array, diffusivity: Array, gap: Array) -> Array:
    """D/h + b/2, also where it is negative: no jumps, but central differences of the equation.

    What is smooth across a cell comes out right to the second order however fast it moves; walls
    that the drift leaves in less than a cell, and laws at rest in steep valleys, do not.
    """
    return np.asarray(diffusivity / gap + drift / 2)


def added_noise(
    diffusion: Diffusion,
    grid: Grid,
    law: Array,
    parts: float = 1.0,
    across: FaceRate = crossing_rate,
) -> float:
    """The share by which cells raise the noise along the worst axis, mean over a law (N,).

    With `parts`, cells narrower by this factor. Across cells of width h the variance per time is h
    times the rates forth and back, 2 D (p/2) coth(p/2) by `crossing_rate` with p = b h / D and
    2 D max(1, |p|/2) by `moving_rate`: rates that are never negative cannot do with less.
    """
    held = law > 1e-12 * law.max()
    x, weight = grid.centers[held], law[held] / law[held].sum()
    gap = grid.sizes / parts
    drift = diffusion.drift(0.0, x)
    noise = np.stack([_diffusivity(diffusion, 0.0, x, d) for d in range(x.shape[1])], axis=1)
    both = across(drift, noise, gap) + across(-drift, noise, gap)
    raised = both * gap / np.maximum(2 * noise, 1e-300) - 1
    return float((weight @ np.maximum(raised, 0.0)).max())


def shared_out(x: Array, grid: Grid) -> Array:
    """Points shared out to the nearest centres, so that the mean is kept."""
    table = np.zeros(grid.shape)
    place = np.clip((x - grid.low) / grid.sizes - 0.5, 0, np.array(grid.shape) - 1)
    low = np.minimum(place.astype(int), np.array(grid.shape) - 2)
    part = place - low
    for corner in np.ndindex(*(2,) * x.shape[1]):
        weight = np.prod(np.where(np.array(corner) == 1, part, 1 - part), axis=1)
        np.add.at(table, tuple((low + np.array(corner)).T), weight / len(x))
    return table.ravel()


def grid_rates(
    diffusion: Diffusion,
    grid: Grid,
    stop: Region | None,
    t: float = 0.0,
    across: FaceRate = crossing_rate,
) -> GridRates:
    """The jump process on the cells of a grid that do not stop.

    Args:
        diffusion: with noise i on coordinate i alone.
        grid: of at most three axes.
        stop: the stopping set; None for none.
        t: the time at which drift and noise are taken.
        across: the rate across a face: `crossing_rate` for laws at rest, and for what is reached;
            `moving_rate` for laws on the way; `central_rate` for values where drift outweighs
            noise.

    Raises:
        InputError: for more than three coordinates, or noise that is correlated.
    """
    require_grid(diffusion, grid.centers)
    centers = grid.centers
    stopped = np.zeros(len(centers), bool) if stop is None else stop.contains(centers)
    going = np.flatnonzero(~stopped)
    place = np.full(len(centers) + 1, -1)
    place[going] = np.arange(len(going))
    rows, columns, rates, walls = [], [], [], []
    cut = np.zeros(len(going), dtype=bool)
    for axis, h in enumerate(grid.sizes):
        sides = [_side(diffusion, grid, stop, going, axis, sign, t, across) for sign in (1, -1)]
        width = (sides[0].gap + sides[1].gap) / 2
        for side in sides:
            rate = np.where(side.closed, 0.0, side.flow / width)
            cut |= side.closed & (side.flow > 0)
            inner = ~side.wall & ~side.closed
            rows.append(np.flatnonzero(inner))
            columns.append(place[side.neighbour[inner]])
            rates.append(rate[inner])
            at = np.flatnonzero(side.wall)
            step = np.tile([axis, side.sign], (len(at), 1))
            walls.append((at, rate[at], side.point[at], side.gap[at] / h, step))
    into, at_rate, points, gaps, steps = (np.concatenate(part) for part in zip(*walls))
    row, column = np.concatenate(rows), np.concatenate(columns)
    rate = np.concatenate(rates)
    n = len(going)
    leaving = np.bincount(row, rate, n).astype(float) + np.bincount(into, at_rate, n)
    matrix = scipy.sparse.csr_array((rate, (row, column)), shape=(n, n))
    whole = matrix - scipy.sparse.diags_array(leaving)
    return GridRates(whole, going, into, at_rate, points, gaps, steps, cut)


@dataclass(frozen=True, eq=False)
class _Side:
    sign: int
    neighbour: Array
    wall: Array
    closed: Array
    gap: Array
    point: Array
    flow: Array


def _side(
    diffusion: Diffusion,
    grid: Grid,
    stop: Region | None,
    going: Array,
    axis: int,
    sign: int,
    t: float,
    across: FaceRate,
) -> _Side:
    """What lies beyond one face of every cell that goes on."""
    x = grid.centers[going]
    h = grid.sizes[axis]
    step = np.zeros(x.shape[1])
    step[axis] = sign * h
    neighbour = grid.neighbours(axis, sign)[going]
    # the neighbour's own centre, since a sum may round to the other side of a boundary
    beyond = np.where((neighbour < 0)[:, None], x + step, grid.centers[neighbour])
    wall = np.zeros(len(x), bool) if stop is None else stop.contains(beyond)
    closed = (neighbour < 0) & ~wall
    gap = np.full(len(x), h)
    point = x + step
    if wall.any() and stop is not None:
        share = _share_to_wall(stop, x[wall], step)
        gap[wall] = share * h
        whole = (share == 1)[:, None]
        point[wall] = np.where(whole, beyond[wall], x[wall] + share[:, None] * step)
    middle, far = x + (gap / h)[:, None] * step / 2, x + (gap / h)[:, None] * step
    slope = (_diffusivity(diffusion, t, far, axis) - _diffusivity(diffusion, t, x, axis)) / gap
    drift = sign * diffusion.drift(t, middle)[:, axis] - slope
    flow = across(drift, _diffusivity(diffusion, t, middle, axis), gap)
    return _Side(sign, neighbour, wall, closed, gap, point, flow)


def _diffusivity(diffusion: Diffusion, t: float, x: Array, axis: int) -> Array:
    g = diffusion.noise(t, x)
    square = g[:, axis] ** 2 if diffusion.diagonal else (g[:, axis] ** 2).sum(axis=1)
    return np.asarray(square / 2)


def _share_to_wall(stop: Region, x: Array, step: Array) -> Array:
    """The share of the step (D,) from x (n, D) after which the region begins."""
    low, high = np.zeros(len(x)), np.ones(len(x))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        inside = stop.contains(x + middle[:, None] * step)
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    return np.asarray(np.maximum(high, 1e-3))


def require_grid(diffusion: Diffusion, x: Array) -> None:
    """Refuse what no grid can hold.

    Raises:
        InputError: for more than three coordinates, or noise that is correlated.
    """
    if diffusion.dim > 3:
        raise InputError(
            f"a grid of {diffusion.dim} coordinates does not fit into memory (3 at most); take "
            "method='galerkin', or 'simulate' of fates and passages"
        )
    if diffusion.diagonal:
        return
    a = diffusion.covariance(0.0, x[:: max(1, len(x) // 64)])
    off = a - np.einsum("ndd,de->nde", a, np.eye(diffusion.dim))
    if np.abs(off).max(initial=0.0) > 1e-12 * np.abs(a).max():
        raise InputError(
            "the noise of the coordinates is correlated, which rates between neighbouring cells "
            "cannot give; take method='galerkin', or 'simulate' of fates and passages"
        )
