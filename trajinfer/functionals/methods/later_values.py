"""Values on a grid at every time before a horizon, for controls and tilts along the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.domain import domain_of
from trajinfer.functionals.methods.grid import Grid
from trajinfer.functionals.methods.grid_values import (
    CELLS,
    GridQuestions,
    GridSolution,
    stopping_set,
)
from trajinfer.questions.functional import Functional

_LAYERS = 24


@dataclass(frozen=True, eq=False)
class LaterValues:
    """Values with some of the horizon to go, linear between the times that were kept.

    Attributes:
        left: (T,) times to go, ascending; they crowd towards the end, where values change most.
        layers: the values at each.
        horizon: the longest time to go, at t = 0.
    """

    left: Array
    layers: tuple[GridSolution, ...]
    horizon: float

    @classmethod
    def on_grid(
        cls, functional: Functional, diffusion: Diffusion, starts: Array, horizon: float, seed: int
    ) -> LaterValues:
        """On one grid of the usual size around paths from the starts (n, D)."""
        stop = stopping_set(functional)
        low, high = domain_of(diffusion, starts, horizon, stop, None, seed)
        grid = Grid(low, high, (CELLS[diffusion.dim],) * diffusion.dim)
        return cls._on(grid, functional, diffusion, horizon)

    @classmethod
    def beside(cls, solution: GridSolution, diffusion: Diffusion, horizon: float) -> LaterValues:
        """On the grid of a solution with the whole horizon to go."""
        half = np.array([(axis[1] - axis[0]) / 2 for axis in solution.axes])
        low, high = (np.array([axis[end] for axis in solution.axes]) for end in (0, -1))
        grid = Grid(low - half, high + half, solution.table.shape)
        return cls._on(grid, solution.functional, diffusion, horizon)

    @classmethod
    def _on(
        cls, grid: Grid, functional: Functional, diffusion: Diffusion, horizon: float
    ) -> LaterValues:
        questions = GridQuestions.of([functional], diffusion, grid)
        left = horizon * np.linspace(0.0, 1.0, _LAYERS + 1) ** 2
        values = questions.march(left)[:, :, 0]
        return cls(left, tuple(questions.solution(v, 0) for v in values), horizon)

    def value(self, t: float, x: Array) -> Array:
        """Values (n,) at x (n, D), a time t after the start."""
        near, far, share = self._around(t)
        return np.asarray((1 - share) * near.value(t, x) + share * far.value(t, x))

    def gradient(self, t: float, x: Array) -> Array:
        """Their derivatives (n, D)."""
        near, far, share = self._around(t)
        return np.asarray((1 - share) * near.gradient(t, x) + share * far.gradient(t, x))

    def _around(self, t: float) -> tuple[GridSolution, GridSolution, float]:
        """The layers before and after a time, and the share of the second."""
        left = float(np.clip(self.horizon - t, 0.0, self.horizon))
        k = int(np.clip(np.searchsorted(self.left, left) - 1, 0, _LAYERS - 1))
        share = (left - self.left[k]) / (self.left[k + 1] - self.left[k])
        return self.layers[k], self.layers[k + 1], float(share)
