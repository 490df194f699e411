"""Questions on a grid: values of one or several functionals, at the cells and between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.interpolate

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.chain import Killed
from trajinfer.functionals.methods.grid import Grid, GridRates, grid_rates
from trajinfer.functionals.methods.grid_checks import check_grid
from trajinfer.questions.functional import Functional, Value, values_at
from trajinfer.questions.region import Region

_PARTS = {1: 64, 2: 8, 3: 4}  # of a cell along each axis, where a mean over it is taken
CELLS = {1: 200, 2: 100, 3: 28}


@packable
@dataclass(frozen=True, eq=False)
class GridSolution:
    """Values at the centres of cells, with ghosts behind the walls.

    Attributes:
        axes: the centres along each axis.
        table: values on the grid, linear between centres in two and three dimensions, cubic in one.
        functional: the question.
        horizon: T as a number, where there is one.
    """

    axes: tuple[Array, ...]
    table: Array
    functional: Functional
    residual: float = 0.0
    at_end: bool = False

    def value(self, t: float, x: Array) -> Array:
        """Values (n,) at x (n, D)."""
        result = self._between(x)
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
            columns.append((self._between(x + step) - self._between(x - step)) / (2 * step[d]))
        return np.stack(columns, axis=1)

    def _between(self, x: Array) -> Array:
        ends = [(axis[0], axis[-1]) for axis in self.axes]
        if len(self.axes) == 1:
            curve = scipy.interpolate.make_interp_spline(self.axes[0], self.table, k=3)
            half = (self.axes[0][1] - self.axes[0][0]) / 2
            return np.asarray(curve(np.clip(x[:, 0], ends[0][0] - half, ends[0][1] + half)))
        inside = np.stack([np.clip(x[:, d], *end) for d, end in enumerate(ends)], axis=1)
        look_up = scipy.interpolate.RegularGridInterpolator(self.axes, self.table)
        return np.asarray(look_up(inside))


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
        cls, functionals: Sequence[Functional], diffusion: Diffusion, grid: Grid
    ) -> GridQuestions:
        """The questions on a grid.

        Raises:
            InputError: for a part of the stopping set that lies between the centres of cells, or a
                process that changes in time.
        """
        diffusion.require_steady(grid.centers)
        rates = grid_rates(diffusion, grid, stopping_set(functionals[0]))
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
        """A part of a functional (N,), mean over every cell: a jump within one counts by its share.

        What stops in a cell does not count.
        """
        centers = self.centers
        if not callable(part):
            return values_at(part, t, centers)
        stop, parts = stopping_set(self.functionals[0]), _PARTS[centers.shape[1]]
        shifts = (np.arange(parts) + 0.5) / parts - 0.5
        total, count = np.zeros(len(centers)), np.zeros(len(centers))
        for shift in itertools.product(shifts, repeat=centers.shape[1]):
            x = centers + shift * self.grid.sizes
            going = np.ones(len(x), dtype=bool) if stop is None else ~stop.contains(x)
            total[going] += values_at(part, t, x[going])
            count += going
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), 0.0))

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
        table = self._with_ghosts(values, self.walls()[:, k])
        shaped = table.reshape(self.grid.shape)
        return GridSolution(tuple(self.grid.axes), shaped, self.functionals[k])

    def _with_ghosts(self, values: Array, wall: Array) -> Array:
        """Values at all centres: behind a wall, what a straight line through it has there."""
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
        return self._around_corners(known, count > 0)

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


def solve_on(
    functionals: Sequence[Functional],
    diffusion: Diffusion,
    low: Array,
    high: Array,
    resolution: int | None,
    horizon: float | None,
    starts: Array,
) -> list[GridSolution]:
    """Solutions of questions that share regions, discount and horizon.

    Two grids, one with cells half as wide, tell the error; in one dimension they give the limit.

    Args:
        functionals: the questions.
        diffusion: what is asked.
        low: corner of the domain.
        high: the other corner.
        resolution: cells along each axis; None takes those of `CELLS`.
        horizon: T as a number.
        starts: (n, D) states that are asked about.

    Warns:
        UserWarning: where the domain or the cells change the answer; see `check_grid`.
    """
    answers = []
    for questions in pair_of_grids(functionals, diffusion, low, high, resolution, horizon, starts):
        values = questions.settle() if horizon is None else questions.march_to(horizon)
        answers.append([questions.solution(values[:, k], k) for k in range(len(functionals))])
    both = list(zip(*answers))
    if len(low) == 1:
        return [_extrapolated(rough, fine) for rough, fine in both]
    return [replace(fine, residual=_largest_change(rough, fine)) for rough, fine in both]


def pair_of_grids(
    functionals: Sequence[Functional],
    diffusion: Diffusion,
    low: Array,
    high: Array,
    resolution: int | None,
    horizon: float | None,
    starts: Array,
) -> tuple[GridQuestions, GridQuestions]:
    """Questions on a grid, and on one with cells half as wide; arguments as for `solve_on`.

    In one dimension the first has `resolution` cells, in more the second: it costs most.
    """
    cells = resolution or CELLS[diffusion.dim]
    counts = (cells, 2 * cells) if diffusion.dim == 1 else ((cells + 1) // 2, cells)
    grids = [Grid(low, high, (count,) * diffusion.dim) for count in counts]
    rough, fine = (GridQuestions.of(functionals, diffusion, grid) for grid in grids)
    stop = stopping_set(functionals[0])
    going = starts if stop is None else starts[~stop.contains(starts)]
    discount = rough.killed().discount
    if len(going):
        check_grid(diffusion, grids, rough.rates, going, discount, horizon)
    return rough, fine


def _extrapolated(rough: GridSolution, fine: GridSolution) -> GridSolution:
    """The limit of an error that falls with the square of the width."""
    change = _change(rough, fine) / 3
    largest = _largest_change(rough, fine) / 3
    return replace(fine, table=fine.table + change, residual=largest)


def _largest_change(rough: GridSolution, fine: GridSolution) -> float:
    """The largest change of a value that goes on, from cells twice as wide."""
    x = _centers(fine)
    stopped = np.zeros(len(x), dtype=bool)
    for region, _ in fine.functional.stopping:
        stopped |= region.contains(x)
    return float(np.abs(_change(rough, fine).ravel()[~stopped]).max(initial=0.0))


def _change(rough: GridSolution, fine: GridSolution) -> Array:
    """What halving the cells changed, on the finer grid."""
    at_rough = rough._between(_centers(fine)).reshape(fine.table.shape)
    with np.errstate(invalid="ignore"):
        return np.asarray(fine.table - at_rough)


def _centers(solution: GridSolution) -> Array:
    return np.stack([m.ravel() for m in np.meshgrid(*solution.axes, indexing="ij")], axis=1)
