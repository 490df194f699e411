"""Questions on a grid: values of one or several functionals, at the cells and between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.interpolate

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.between import between
from trajinfer.functionals.methods.chain import Killed
from trajinfer.functionals.methods.grid import (
    FaceRate,
    Grid,
    GridRates,
    crossing_rate,
    grid_rates,
)
from trajinfer.questions.functional import Functional, Indicator, Value, values_at
from trajinfer.questions.region import Region

# of a cell along each axis, where a mean over it is taken, and where the function jumps
_PARTS = {1: (32, 512), 2: (4, 32), 3: (2, 8)}
_JUMP = 0.1  # of the range of all means, between the mean of a cell and the value at its centre
CELLS = {1: 200, 2: 100, 3: 28}


@packable
@dataclass(frozen=True, eq=False)
class GridSolution:
    """Values at the centres of cells, with ghosts behind the walls.

    Attributes:
        axes: the centres along each axis.
        table: values on the grid, cubic between centres that are known.
        functional: the question.
        residual: the largest of the errors.
        known: of the shape of the grid, bool: cells that go on, and those right behind walls; None
            where all are.
        errors: of the shape of the grid, how far values may be off; None where not known.
    """

    axes: tuple[Array, ...]
    table: Array
    functional: Functional
    residual: float = 0.0
    known: Array | None = None
    errors: Array | None = None

    def value(self, t: float, x: Array) -> Array:
        """Values (n,) at x (n, D)."""
        result = self.between(x)
        for region, paid in reversed(self.functional.stopping):
            inside = region.contains(x)
            result[inside] = values_at(paid, t, x[inside])
        return result

    def gradient(self, t: float, x: Array) -> Array:
        """Derivatives (n, D), by differences over a tenth of a cell."""
        columns = []
        for d, axis in enumerate(self.axes):
            step = np.zeros(len(self.axes))
            step[d] = (axis[1] - axis[0]) * (0.1 if len(self.axes) == 1 else 1.0)
            columns.append((self.between(x + step) - self.between(x - step)) / (2 * step[d]))
        return np.stack(columns, axis=1)

    def std_error(self, x: Array) -> Array:
        """How far the values may be off (n,) at x (n, D); 0 in the stopping set."""
        if self.errors is None:
            return np.full(len(x), self.residual)
        cell = [np.abs(axis - x[:, d, None]).argmin(axis=1) for d, axis in enumerate(self.axes)]
        result = np.array(self.errors[tuple(cell)])
        for region, _ in self.functional.stopping:
            result[region.contains(x)] = 0.0
        return result

    def outside(self, x: Array) -> Array:
        """Which of the states x (n, D) lie beyond the grid, and do not stop."""
        low, high = (np.array([axis[end] for axis in self.axes]) for end in (0, -1))
        half = np.array([axis[1] - axis[0] for axis in self.axes]) * (0.5 + 1e-9)
        beyond = ((x < low - half) | (x > high + half)).any(axis=1)
        for region, _ in self.functional.stopping:
            beyond &= ~region.contains(x)
        return np.asarray(beyond)

    def between(self, x: Array) -> Array:
        """Values (n,) at x (n, D), as if nothing stopped there."""
        if len(self.axes) > 1:
            return between(self.axes, self.table, self.known, x)
        (axis,) = self.axes
        curve = scipy.interpolate.make_interp_spline(axis, self.table, k=3)
        half = (axis[1] - axis[0]) / 2
        return np.asarray(curve(np.clip(x[:, 0], axis[0] - half, axis[-1] + half)))


@dataclass(frozen=True, eq=False)
class GridQuestions:
    """Functionals that share regions, discount and horizon, on one grid.

    Attributes:
        functionals: K of them.
        grid: the cells.
        rates: between them.
    """

    functionals: Sequence[Functional]
    grid: Grid
    rates: GridRates

    @classmethod
    def of(
        cls,
        functionals: Sequence[Functional],
        diffusion: Diffusion,
        grid: Grid,
        across: FaceRate = crossing_rate,
    ) -> GridQuestions:
        """The questions on a grid; `across` is the rate across a face, as for `grid_rates`.

        Raises:
            InputError: for a part of the stopping set that lies between the centres of cells, or a
                process that changes in time.
        """
        diffusion.require_steady(grid.centers)
        rates = grid_rates(diffusion, grid, stopping_set(functionals[0]), across=across)
        for region, _ in functionals[0].stopping:
            _require_seen(region, grid, rates)
        return cls(functionals, grid, rates)

    @property
    def centers(self) -> Array:
        """(N, D) centres of the cells that go on."""
        return self.grid.centers[self.rates.going]

    def killed(self, reward: Array | None = None) -> Killed:
        """The stopped jump process."""
        centers, rates = self.centers, self.rates
        paid = np.zeros((len(centers), len(self.functionals)))
        for k, wall in enumerate(self.walls().T):
            paid[:, k] = np.bincount(rates.wall_from, rates.wall_rate * wall, len(centers))
        if reward is None:
            parts = [self._means(f.running, 0.0) for f in self.functionals]
            reward = np.stack(parts, axis=1)
        discount = values_at(self.functionals[0].discount, 0.0, centers)
        return Killed(rates.rates, paid, reward, discount)

    def _means(self, part: Value, t: float) -> Array:
        """A part of a functional (N,), mean over every cell and half of its neighbours.

        Places count by how near they are to the centre, so that a jump has its share and its place,
        wherever in a cell it lies. What stops does not count. Cells in which the part jumps are
        looked at more closely.
        """
        centers = self.centers
        if not callable(part):
            return values_at(part, t, centers)
        few, many = _PARTS[centers.shape[1]]
        everywhere = np.arange(len(centers))
        if isinstance(part, Indicator) and part.region.distance(centers[:1]) is not None:
            return self._sampled(partial(_share, part.region, self._apart(few)), t, everywhere, few)
        means = self._sampled(part, t, everywhere, few)
        steps = np.abs(means - values_at(part, t, centers))
        jumps = np.flatnonzero(steps > _JUMP * np.ptp(means)) if len(means) else everywhere
        if len(jumps):
            means[jumps] = self._sampled(part, t, jumps, many)
        return means

    def _apart(self, parts: int) -> float:
        """How far places are apart of which there are so many along the width of a cell."""
        return float(self.grid.sizes.mean() / parts)

    def _sampled(self, part: Value, t: float, cells: Array, parts: int) -> Array:
        """Mean (n,) of a part around some cells, from so many places along a cell's width."""
        centers, stop = self.centers[cells], stopping_set(self.functionals[0])
        shifts = (np.arange(2 * parts) + 0.5) / parts - 1
        total, count = np.zeros(len(centers)), np.zeros(len(centers))
        for shift in itertools.product(shifts, repeat=centers.shape[1]):
            weight = float(np.prod(1 - np.abs(shift)))
            x = centers + np.array(shift) * self.grid.sizes
            x = np.clip(x, self.grid.low, self.grid.high)
            going = np.ones(len(x), dtype=bool) if stop is None else ~stop.contains(x)
            total[going] += weight * values_at(part, t, x[going])
            count += weight * going
        return np.asarray(np.where(count > 0, total / np.where(count > 0, count, 1), 0.0))

    def walls(self) -> Array:
        """(W, K) what is paid at the walls."""
        points = self.rates.wall_point
        columns = []
        for functional in self.functionals:
            value = np.zeros(len(points))
            for region, paid in reversed(functional.stopping):
                inside = region.contains(points)
                value[inside] = values_at(paid, 0.0, points[inside])
            columns.append(value)
        return np.stack(columns, axis=1)

    def settle(self) -> Array:
        """Values (N, K) without a horizon."""
        values = self.killed().settle()
        for power in range(2, self.functionals[0].power + 1):
            values = self.killed(power * values).settle()
        return values

    def march(self, times: Array) -> Array:
        """Values (T, N, K) with `times` to go."""
        ends = [self._means(f.terminal, times[-1]) for f in self.functionals]
        return self.killed().march(np.stack(ends, axis=1), times)

    def march_to(self, horizon: float) -> Array:
        """Values (N, K) with the whole horizon to go."""
        last: Array = self.march(np.array([horizon]))[-1]
        return last

    def solution(self, values: Array, k: int) -> GridSolution:
        """What lies between the values (N,) of question k at the centres."""
        table, sure = self._with_ghosts(values, self.walls()[:, k])
        shaped, known = table.reshape(self.grid.shape), sure.reshape(self.grid.shape)
        axes = tuple(self.grid.axes)
        return GridSolution(axes, shaped, self.functionals[k], known=None if sure.all() else known)

    def _with_ghosts(self, values: Array, wall: Array) -> tuple[Array, Array]:
        """Values at all centres: behind a wall, what a straight line through it has there.

        And which of them are known (N,): those that go on, and those right behind a wall.
        """
        rates, grid = self.rates, self.grid
        n = len(grid.centers)
        table, count = np.zeros(n), np.zeros(n)
        table[rates.going], count[rates.going] = values, 1.0
        known = table.copy()
        going = np.zeros(n + 1, dtype=bool)
        going[rates.going] = True
        for axis in range(len(grid.shape)):
            for sign in (1, -1):
                mine = (rates.wall_step == (axis, sign)).all(axis=1)
                cell = rates.going[rates.wall_from[mine]]
                behind, before = (grid.neighbours(axis, s)[cell] for s in (sign, -sign))
                gap = rates.wall_gap[mine]
                two = (before >= 0) & going[before]
                inner = np.where(two, known[before], known[cell])
                length = np.where(two, 1 + gap, np.maximum(gap, 0.5))
                ghost = wall[mine] + (wall[mine] - inner) / length * (1 - gap)
                inside = behind >= 0
                np.add.at(table, behind[inside], ghost[inside])
                np.add.at(count, behind[inside], 1.0)
        known = np.divide(table, count, out=np.zeros(n), where=count > 0)
        return self._around_corners(known, count > 0), count > 0

    def _around_corners(self, known: Array, sure: Array) -> Array:
        """Cells behind two walls: what the straight line through their neighbours has there."""
        grid = self.grid
        table, count = np.zeros(len(known)), np.zeros(len(known))
        for axis in range(len(grid.shape)):
            for sign in (1, -1):
                near = grid.neighbours(axis, sign)
                far = np.where(near >= 0, near[near], -1)
                ready = (near >= 0) & (far >= 0) & ~sure & sure[near] & sure[far]
                table[ready] += 2 * known[near[ready]] - known[far[ready]]
                count[ready] += 1
        corner = count > 0
        return np.where(corner, table / np.maximum(count, 1), known)


def _share(region: Region, apart: float, x: Array) -> Array:
    """The share (n,) of a region around places x (n, D) that are so far apart."""
    distance = region.distance(x)
    assert distance is not None  # noqa: S101 (for types)
    return np.asarray(np.clip(0.5 - distance / apart, 0.0, 1.0))


def _require_seen(region: Region, grid: Grid, rates: GridRates) -> None:
    """Refuse a region so small that paths on the grid pass it by."""
    distance = region.distance(grid.centers)
    if distance is None or (distance <= 0).any() or region.contains(rates.wall_point).any():
        return
    nearest = float(distance.min())
    if nearest <= np.linalg.norm(grid.sizes) / 2:
        raise InputError(
            f"cells {grid.sizes.max():.2g} wide pass by a part of the stopping set that lies "
            f"between their centres; give a resolution= above {2 * max(grid.shape)}, a smaller "
            "domain=, or take estimate"
        )


def stopping_set(functional: Functional) -> Region | None:
    """The union of the regions that stop."""
    regions = [region for region, _ in functional.stopping]
    union = regions[0] if regions else None
    for region in regions[1:]:
        union = region if union is None else union | region
    return union
