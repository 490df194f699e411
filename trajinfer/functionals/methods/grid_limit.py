"""The limit of narrow cells and wide domains: answers from several grids, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage

from trajinfer._core.checks import Array
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.grid import (
    FaceRate,
    Grid,
    central_rate,
    crossing_rate,
    require_grid,
    shared_out,
)
from trajinfer.functionals.methods.grid_checks import (
    Blur,
    share_cut_off,
    time_spent,
    warn_of_edges,
)
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
_BLURRED = 0.01  # share by which cells raise the noise, above which central differences are tried
_CLOSE = 0.01  # of the largest value, for an error that needs no warning
_PART = 0.2  # of the spread at the horizon that a cell on the line may be wide
_MOST = 3200


@dataclass(frozen=True, eq=False)
class Pair:
    """Questions on two grids and a wider one, with rates of one kind.

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


@dataclass(frozen=True, eq=False)
class Grids:
    """Questions on several grids, whose answers tell the limit and how far it may be off.

    Attributes:
        jumping: with rates of jumps, right at rest.
        central: by central differences, which do not raise the noise; None where jumps raise it
            by little, or a coordinate has none.
        blur: how the rates of jumps raise the noise; None where nothing moves.
    """

    jumping: Pair
    central: Pair | None
    blur: Blur | None

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

        In one dimension the rough grid has `resolution` cells, in more the fine one: it costs most.

        Warns:
            UserWarning: where more than 1e-4 of the time is spent where the domain cuts off the
                way.
        """
        require_grid(diffusion, starts)
        cells = resolution or _cells(diffusion, low, high, horizon, starts)
        counts = (cells, 2 * cells) if diffusion.dim == 1 else ((cells + 1) // 2, cells)
        grids = [Grid(low, high, (count,) * diffusion.dim) for count in counts]
        rough, fine = (GridQuestions.of(functionals, diffusion, grid) for grid in grids)
        stop = stopping_set(functionals[0])
        going = starts if stop is None else starts[~stop.contains(starts)]
        if not len(going):
            return cls(Pair(rough, fine, None, 0.0), None, None)

        def on(grid: Grid | None, across: FaceRate) -> GridQuestions | None:
            return None if grid is None else GridQuestions.of(functionals, diffusion, grid, across)

        spent = _spent(rough, going, horizon)
        blur = Blur.of(diffusion, grids, spent)
        smooth, edge = None, share_cut_off(spent, rough.rates)
        if blur.fine > _BLURRED and not blur.hopeless:
            smooth = [
                GridQuestions.of(functionals, diffusion, grid, central_rate) for grid in grids
            ]
            # noise that is raised brings more of it there, as ripples of differences do
            spent = _spent(smooth[0], going, horizon)
            edge = min(edge, share_cut_off(spent, rough.rates))
        warn_of_edges(edge)
        wider = _wider(rough.grid, diffusion) if edge > _EDGE else None
        jumping = Pair(rough, fine, on(wider, crossing_rate), blur.fine)
        if smooth is None:
            return cls(jumping, None, blur)
        return cls(jumping, Pair(smooth[0], smooth[1], on(wider, central_rate), 0.0), blur)

    def limit(
        self, answers: Callable[[GridQuestions], Array], weights: Array | None = None
    ) -> tuple[Array, Array]:
        """The limit of answers at the same places on every grid, and how far it may be off.

        That of the rates whose limit may be less off. Fast turns raise the noise of jumps so far
        that their answers change no more, which is told by central differences.

        Args:
            answers: on a grid.
            weights: of the places, (n,); None weighs all alike.

        Warns:
            UserWarning: where jumps between the cells raise the noise by more than a tenth, unless
                central differences are right to a hundredth.
        """
        value, error = self.jumping.limit(answers)
        other = None
        if self.central is not None:
            other, spread = self.central.limit(answers)
            if (np.isfinite(other) == np.isfinite(value)).all():
                with np.errstate(invalid="ignore"):
                    apart = np.nan_to_num(np.abs(value - other), nan=0.0)
                error = np.maximum(error, apart - spread)
                if _mean(spread, weights) < _mean(error, weights):
                    value, error = other, spread
        close = _CLOSE * np.abs(value).max(initial=0.0, where=np.isfinite(value))
        if self.blur is not None and not (value is other and _mean(error, weights) < close):
            self.blur.warn()
        return value, error


def _spent(questions: GridQuestions, starts: Array, horizon: float | None) -> Array:
    """The time (N,) that paths from the starts spend in each cell."""
    discount = questions.killed().discount
    return time_spent(questions.grid, questions.rates, starts, discount, horizon)


def _mean(errors: Array, weights: Array | None) -> float:
    return float(np.average(errors, axis=0, weights=weights).mean())


def _cells(
    diffusion: Diffusion, low: Array, high: Array, horizon: float | None, starts: Array
) -> int:
    """How many cells along an axis; more on a line on which paths do not come far."""
    usual = CELLS[diffusion.dim]
    if diffusion.dim > 1 or horizon is None:
        return usual
    spread = np.sqrt(np.median(diffusion.noise(0.0, starts)[..., 0] ** 2) * horizon)
    wanted = float((high - low)[0]) / max(_PART * float(spread), 1e-300)
    return int(np.clip(np.ceil(min(wanted, _MOST)), usual, _MOST))


def _wider(grid: Grid, diffusion: Diffusion) -> Grid | None:
    """A grid that goes on by some cells on each side; None where the process ends before."""
    more = np.ceil(_WIDER * np.array(grid.shape)).astype(int)
    shape = tuple(int(n) for n in np.array(grid.shape) + 2 * more)
    wide = Grid(grid.low - more * grid.sizes, grid.high + more * grid.sizes, shape)
    x = wide.centers
    with np.errstate(all="ignore"):
        known = [diffusion.drift(0.0, x), diffusion.noise(0.0, x)]
    return wide if all(np.isfinite(part).all() for part in known) else None


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
        resolution: cells along each axis; None takes those of `CELLS`, or more on a line of which
            paths see little.
        horizon: T as a number.
        starts: (n, D) states that are asked about.

    Warns:
        UserWarning: where the domain or the cells change the answer.
    """
    grids = Grids.of(functionals, diffusion, low, high, resolution, horizon, starts)
    fine = grids.jumping.fine

    def at_centers(questions: GridQuestions) -> Array:
        values = questions.settle() if horizon is None else questions.march_to(horizon)
        if questions.grid is fine.grid:
            return values
        columns = [questions.solution(column, k) for k, column in enumerate(values.T)]
        return np.stack([s.between(fine.centers) for s in columns], axis=1)

    law = shared_out(starts, fine.grid)[fine.rates.going]
    values, errors = grids.limit(at_centers, law if law.any() else None)
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
