"""Questions on a grid: values of one or several functionals, at the cells and between them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.interpolate

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.chain import Killed
from trajinfer.functionals.methods.grid import Grid, GridRates, grid_rates
from trajinfer.questions.functional import Functional, values_at
from trajinfer.questions.region import Region

_RAISED = 0.1
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
        """The questions on a grid."""
        return cls(functionals, grid, grid_rates(diffusion, grid, stopping_set(functionals[0])))

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
            parts = [values_at(f.running, 0.0, centers) for f in self.functionals]
            reward = np.stack(parts, axis=1)
        discount = values_at(self.functionals[0].discount, 0.0, centers)
        return Killed(rates.rates, paid, reward, discount)

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
        ends = [values_at(f.terminal, times[-1], self.centers) for f in self.functionals]
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
) -> list[GridSolution]:
    """Solutions of questions that share regions, discount and horizon.

    In one dimension two grids, one with cells half as wide, give the limit and its error.
    """
    cells = resolution or CELLS[diffusion.dim]
    grids = [Grid(low, high, (cells,) * diffusion.dim)]
    if diffusion.dim == 1:
        grids.append(Grid(low, high, (2 * cells,)))
    answers = []
    for grid in grids:
        questions = GridQuestions.of(functionals, diffusion, grid)
        values = questions.settle() if horizon is None else questions.march_to(horizon)
        answers.append([questions.solution(values[:, k], k) for k in range(len(functionals))])
    if len(grids) == 1:
        return answers[0]
    return [_extrapolated(coarse, fine) for coarse, fine in zip(*answers)]


def _extrapolated(coarse: GridSolution, fine: GridSolution) -> GridSolution:
    """The limit of an error that falls with the square of the width."""
    x = np.concatenate(fine.axes)[:, None]
    at_coarse = coarse._between(x)
    with np.errstate(invalid="ignore"):
        change = (fine.table - at_coarse) / 3
    stopped = np.zeros(len(x), dtype=bool)
    for region, _ in fine.functional.stopping:
        stopped |= region.contains(x)
    residual = float(np.abs(change[~stopped]).max(initial=0.0))
    return GridSolution(fine.axes, fine.table + change, fine.functional, residual)


def warn_of_edges(share: float) -> None:
    """Say that mass meets the edge of the domain."""
    if share > 1e-4:
        warnings.warn(
            f"a share {share:.2g} of the law meets the edge of the domain, where it is reflected; "
            "give a wider domain=",
            UserWarning,
            stacklevel=3,
        )


def warn_of_wide_cells(raised: float, cells: int) -> None:
    """Say that the drift across a cell outweighs the noise, so that the law comes out too wide."""
    if raised > _RAISED:
        peclet = 2 * np.sqrt((1 + raised) ** 2 - 1)  # about, from (p/2) coth(p/2) = 1 + raised
        needed = int(np.ceil(1.25 * cells * peclet / np.sqrt(12 * _RAISED)))
        warnings.warn(
            f"cells are so wide that the grid raises the noise by {raised:.0%} where the law is; "
            f"give resolution={needed}, a smaller domain=, or simulate",
            UserWarning,
            stacklevel=3,
        )


def edge_share(grid: Grid, law: Any) -> float:
    """The share of a law (N,) in the outermost cells."""
    table = np.asarray(law).reshape(grid.shape)
    inner = table[tuple(slice(1, -1) for _ in grid.shape)]
    return float(1 - inner.sum() / table.sum())
