"""Grids of noise levels, falling."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from trajinfer._core.checks import Array, unmasked
from trajinfer._core.errors import InputError, nearest
from trajinfer.diffusion.paths import require_levels

GridName = Literal["edm", "lambda"]
_POWER = 7.0


def level_grid(grid: Any, n_steps: int, levels: tuple[float, float]) -> Array:
    """Noise levels of n_steps steps, (n_steps + 1,), or (n_steps + 1, D) by entry.

    Args:
        grid: "edm" (uniform in rho^(1/7)), "lambda" (uniform in log rho), or the levels themselves.
        n_steps: number of steps.
        levels: (rho_max, rho_min) of a named grid.

    Raises:
        InputError: for an unknown name, another number of levels, or a grid that does not fall.
    """
    if not isinstance(grid, str):
        return _own_grid(grid, n_steps)
    if grid not in get_args(GridName):
        raise InputError(f"no grid {grid!r}; {nearest(grid, get_args(GridName))}")
    require_levels(*levels)
    power = 1 / _POWER
    if grid == "lambda":
        rhos = np.exp(np.linspace(np.log(levels[0]), np.log(levels[1]), n_steps + 1))
    else:
        rhos = np.linspace(levels[0] ** power, levels[1] ** power, n_steps + 1) ** _POWER
    rhos[0], rhos[-1] = levels
    return np.asarray(rhos)


def _own_grid(grid: Any, n_steps: int) -> Array:
    rhos = np.array(unmasked(grid), dtype=np.float64)
    if rhos.ndim not in (1, 2) or len(rhos) != n_steps + 1:
        raise InputError(
            f"a grid of {n_steps} steps has {n_steps + 1} levels, got shape {rhos.shape}"
        )
    if not (np.isfinite(rhos).all() and (rhos > 0).all() and (np.diff(rhos, axis=0) < 0).all()):
        raise InputError("the levels of a grid must be positive and fall from step to step")
    return rhos


def jump_factor(n_evaluations: int) -> float:
    """Level to jump to, in standard deviations of the widest direction.

    The error of the jump falls like the square of it and must stay below that of the steps: where
    it does not, a few paths end in another part, and they are most of the mean squared error.
    """
    if n_evaluations <= 8:
        return 2.0
    if n_evaluations <= 15:
        return 3.0
    return 5.0 * max(1.0, n_evaluations / 20) ** 2
