"""Whether a grid is wide and fine enough for the law that moves on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
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


def check_grid(
    diffusion: Diffusion,
    grids: Sequence[Grid],
    rates: GridRates,
    starts: Array,
    discount: Array,
    horizon: float | None,
) -> tuple[float, float]:
    """Look at the time that paths from the starts spend in each cell until they stop.

    Args:
        diffusion: what moves.
        grids: two, the second with cells half as wide, which are combined.
        rates: between the cells of the first.
        starts: (n, D) states that do not stop.
        discount: (N,) of the cells that go on.
        horizon: T as a number; None for none.

    Returns:
        The share of that time spent where the domain cuts off the way, and the share by which the
        cells of the second grid raise the noise.

    Warns:
        UserWarning: where more than 1e-4 of that time is spent where the domain cuts off the way,
            or the cells raise the noise there by more than a tenth.
    """
    grid, finer = grids
    spent = _time_spent(grid, rates, starts, discount, horizon)
    total = spent.sum()
    if total <= 0:
        return 0.0, 0.0
    edge = float(spent[rates.cut].sum() / total)
    warn_of_edges(edge)
    everywhere = np.zeros(len(grid.centers))
    everywhere[rates.going] = spent

    ratio = grid.sizes[0] / finer.sizes[0]

    def raised(parts: float) -> float:
        """The share by which the noise is raised in the answer, of cells so many times narrower."""
        rough, fine = (added_noise(diffusion, grid, everywhere, parts * r) for r in (1.0, ratio))
        return abs(4 * fine - rough) / 3

    warn_of_wide_cells(raised, (grid if diffusion.dim == 1 else finer).shape[0])
    return edge, added_noise(diffusion, grid, everywhere, ratio)


def _time_spent(
    grid: Grid, rates: GridRates, starts: Array, discount: Array, horizon: float | None
) -> Array:
    """The time (N,) that goes by in the cells that go on, up to a factor."""
    law = shared_out(starts, grid)[rates.going]
    leaving = scipy.sparse.csr_array((rates.rates - scipy.sparse.diags_array(discount)).T)
    if horizon is None:
        # what would never stop is ended after very many steps
        slowest = _SLOWEST * np.abs(rates.rates.diagonal()).max(initial=1e-300)
        system = scipy.sparse.csc_matrix(slowest * scipy.sparse.eye_array(len(law)) - leaving)
        return np.asarray(np.maximum(scipy.sparse.linalg.splu(system).solve(law), 0.0))
    flow, spent = Flow(leaving), np.zeros(len(law))
    for _ in range(_TIMES):
        law = flow.move(horizon / _TIMES, law)
        spent += np.maximum(law, 0.0)
    return spent


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
            f"cells are so wide that the grid raises the noise by {now:.0%} where the law is; "
            f"give resolution={int(np.ceil(cells * parts))}, a smaller domain=, or simulate",
            UserWarning,
            stacklevel=3,
        )


def edge_share(grid: Grid, law: Any) -> float:
    """The share of a law (N,) in the outermost cells."""
    table = np.asarray(law).reshape(grid.shape)
    inner = table[tuple(slice(1, -1) for _ in grid.shape)]
    return float(1 - inner.sum() / table.sum())
