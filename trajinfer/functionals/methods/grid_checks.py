"""Whether a grid is wide and fine enough for the law that moves on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from trajinfer._core.checks import Array
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.flow import Flow
from trajinfer.functionals.methods.grid import Grid, GridRates, added_noise, shared_out

_RAISED = 0.1
_AT_EDGE = 1e-4
_TIMES = 8
_SLOWEST = 1e-9
_FINER = 1.1
_FINEST = 100.0


@dataclass(frozen=True, eq=False)
class Blur:
    """By how much jumps between cells raise the noise where a law is.

    Attributes:
        combined: that share in the limit of two grids, of cells so many times narrower.
        fine: that share on the finer grid.
        cells: how many there are along an axis, as `resolution` counts them.
    """

    combined: Callable[[float], float]
    fine: float
    cells: int

    @classmethod
    def of(cls, diffusion: Diffusion, grids: Sequence[Grid], spent: Array) -> Blur:
        """Of two grids, the second with cells half as wide; `spent` (N,) in the cells of the first.

        A law that is nowhere is not blurred.
        """
        grid, finer = grids
        ratio = grid.sizes[0] / finer.sizes[0]
        cells = (grid if diffusion.dim == 1 else finer).shape[0]
        if spent.sum() <= 0:
            return cls(lambda _: 0.0, 0.0, cells)

        def combined(parts: float) -> float:
            rough, fine = (added_noise(diffusion, grid, spent, parts * r) for r in (1.0, ratio))
            return abs(4 * fine - rough) / 3

        return cls(combined, added_noise(diffusion, grid, spent, ratio), cells)

    @property
    def hopeless(self) -> bool:
        """Whether cells of any width that fits blur the law."""
        return self.combined(_FINEST) > _RAISED

    def warn(self) -> None:
        """Say so where it is by more than a tenth."""
        warn_of_wide_cells(self.combined, self.cells)


def time_spent(
    grid: Grid, rates: GridRates, starts: Array, discount: Array, horizon: float | None
) -> Array:
    """The time (N,) that paths spend in each cell of the grid, up to a factor.

    Args:
        grid: the cells.
        rates: between those that go on.
        starts: (n, D) states that do not stop.
        discount: of the cells that go on.
        horizon: T as a number; None for none.
    """
    law = shared_out(starts, grid)[rates.going]
    leaving = scipy.sparse.csr_array((rates.rates - scipy.sparse.diags_array(discount)).T)
    spent, everywhere = np.zeros(len(law)), np.zeros(len(grid.centers))
    if horizon is None:
        # what would never stop is ended after very many steps
        slowest = _SLOWEST * np.abs(rates.rates.diagonal()).max(initial=1e-300)
        system = scipy.sparse.csc_matrix(slowest * scipy.sparse.eye_array(len(law)) - leaving)
        spent = np.maximum(scipy.sparse.linalg.splu(system).solve(law), 0.0)
    else:
        flow = Flow(leaving)
        for _ in range(_TIMES):
            law = flow.move(horizon / _TIMES, law)
            spent += np.maximum(law, 0.0)
    everywhere[rates.going] = spent
    return everywhere


def share_cut_off(spent: Array, rates: GridRates) -> float:
    """The share of the time (N,) spent where the domain cuts off the way."""
    total = spent.sum()
    return float(spent[rates.going][rates.cut].sum() / total) if total > 0 else 0.0


def warn_of_edges(share: float) -> None:
    """Say that mass meets the edge of the domain."""
    if share > _AT_EDGE:
        warnings.warn(
            f"a share {share:.2g} of the law meets the edge of the domain, where it is reflected; "
            "give a wider domain=",
            UserWarning,
            stacklevel=3,
        )


def warn_of_wide_cells(raised: Callable[[float], float], cells: int) -> None:
    """Say that the drift across a cell outweighs the noise, so that the law comes out too wide.

    Args:
        raised: the share by which cells raise the noise, of cells that many times narrower.
        cells: how many there are along an axis.
    """
    if raised(_FINEST) > _RAISED:
        warnings.warn(
            "where the law is, the noise along a coordinate is absent, or so small that cells of "
            "any width that fits blur it; take estimate or method='simulate', which follow paths",
            UserWarning,
            stacklevel=3,
        )
    elif (now := raised(1.0)) > _RAISED:
        parts = 1.0
        while raised(parts) > _RAISED:
            parts *= _FINER
        warnings.warn(
            f"cells are so wide that a jump across one raises the noise by {now:.0%} where the law "
            f"is; give resolution={int(np.ceil(cells * parts))}, a smaller domain=, or simulate",
            UserWarning,
            stacklevel=3,
        )


def edge_share(grid: Grid, law: Any) -> float:
    """The share of a law (N,) in the outermost cells."""
    table = np.asarray(law).reshape(grid.shape)
    inner = table[tuple(slice(1, -1) for _ in grid.shape)]
    return float(1 - inner.sum() / table.sum())
