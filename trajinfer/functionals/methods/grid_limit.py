"""The limit of narrow cells and wide domains: answers from several grids, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage

from trajinfer._core.checks import Array
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.grid import Grid, require_grid
from trajinfer.functionals.methods.grid_checks import check_grid
from trajinfer.functionals.methods.grid_values import (
    CELLS,
    GridQuestions,
    GridSolution,
    stopping_set,
)
from trajinfer.questions.functional import Functional

_WIDER = 0.25  # of the domain, on each side
_EDGE = 1e-10  # share of the time near an edge below which the domain is as good as endless
_TAIL = 1.5


@dataclass(frozen=True, eq=False)
class Grids:
    """Questions on several grids, whose answers tell the limit and how far it may be off.

    Attributes:
        rough: cells twice as wide as those of `fine`, as nearly as whole numbers allow.
        fine: the grid.
        wide: cells as those of `rough`, of a wider domain; None where no path meets an edge, or
            where drift or noise are not finite there.
        raised: the share by which the cells of `fine` raise the noise where the law is.
    """

    rough: GridQuestions
    fine: GridQuestions
    wide: GridQuestions | None
    raised: float

    @classmethod
    def of(
        cls,
        functionals: Sequence[Functional],
        diffusion: Diffusion,
        low: Array,
        high: Array,
        resolution: int | None,
        horizon: float | None,
        starts: Array,
    ) -> Grids:
        """Questions that share regions, discount and horizon; arguments as for `solve_on`.

        In one dimension `rough` has `resolution` cells, in more `fine`: it costs most.

        Warns:
            UserWarning: where the domain or the cells change the answer; see `check_grid`.
        """
        require_grid(diffusion, starts)
        cells = resolution or CELLS[diffusion.dim]
        counts = (cells, 2 * cells) if diffusion.dim == 1 else ((cells + 1) // 2, cells)
        grids = [Grid(low, high, (count,) * diffusion.dim) for count in counts]
        rough, fine = (GridQuestions.of(functionals, diffusion, grid) for grid in grids)
        stop = stopping_set(functionals[0])
        going = starts if stop is None else starts[~stop.contains(starts)]
        if not len(going):
            return cls(rough, fine, None, 0.0)
        discount = rough.killed().discount
        edge, raised = check_grid(diffusion, grids, rough.rates, going, discount, horizon)
        wide = _wider(rough, diffusion) if edge > _EDGE else None
        return cls(rough, fine, wide, raised)

    def limit(self, answers: Callable[[GridQuestions], Array]) -> tuple[Array, Array]:
        """The limit of answers at the same places on every grid, and how far it may be off.

        What falls with the square of the width of cells is taken out. The error is the whole
        change from wider cells, thrice that of the finer grid; it is larger where cells raise the
        noise by so much that answers no longer change with them, and by what a wider domain
        changes.
        """
        rough, fine = answers(self.rough), answers(self.fine)
        ratio = self.fine.grid.shape[0] / self.rough.grid.shape[0]
        with np.errstate(invalid="ignore"):
            change = np.nan_to_num(fine - rough, nan=0.0)
            tail = 0.0 if self.wide is None else np.abs(answers(self.wide) - rough)
        error = np.abs(change) * (1 + 2 * self.raised) + _TAIL * np.nan_to_num(tail, nan=0.0)
        return np.asarray(fine + change / (ratio**2 - 1)), np.asarray(error)


def _wider(rough: GridQuestions, diffusion: Diffusion) -> GridQuestions | None:
    """The same questions on a domain that goes on by some cells on each side."""
    grid = rough.grid
    more = np.ceil(_WIDER * np.array(grid.shape)).astype(int)
    shape = tuple(int(n) for n in np.array(grid.shape) + 2 * more)
    wide = Grid(grid.low - more * grid.sizes, grid.high + more * grid.sizes, shape)
    x = wide.centers
    with np.errstate(all="ignore"):
        known = [diffusion.drift(0.0, x), diffusion.noise(0.0, x)]
    if not all(np.isfinite(part).all() for part in known):
        return None
    return GridQuestions.of(rough.functionals, diffusion, wide)


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
    grids = Grids.of(functionals, diffusion, low, high, resolution, horizon, starts)
    fine = grids.fine

    def at_centers(questions: GridQuestions) -> Array:
        values = questions.settle() if horizon is None else questions.march_to(horizon)
        if questions is fine:
            return values
        columns = [questions.solution(column, k) for k, column in enumerate(values.T)]
        return np.stack([s.between(fine.centers) for s in columns], axis=1)

    values, errors = grids.limit(at_centers)
    return [
        replace(
            fine.solution(values[:, k], k),
            errors=_largest_near(errors[:, k], fine),
            residual=float(errors[:, k].max(initial=0.0)),
        )
        for k in range(len(functionals))
    ]


def _largest_near(errors: Array, questions: GridQuestions) -> Array:
    """The largest of each cell and those around it, of the shape of the grid.

    A change that passes through 0 is no sign of an answer that is right.
    """
    table = np.zeros(len(questions.grid.centers))
    table[questions.rates.going] = errors
    return np.asarray(scipy.ndimage.maximum_filter(table.reshape(questions.grid.shape), size=5))
