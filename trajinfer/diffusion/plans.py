"""Solver plans: the grid of levels, and order and corrector of every step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.diffusion.grids import level_grid
from trajinfer.diffusion.steps import Step, multisteps

_LONG = 0.5
_PLANS = 32


@packable
@dataclass(frozen=True, eq=False)
class SolverPlan:
    """How a multistep sampler spends its evaluations.

    Attributes:
        rhos: noise levels, falling, (n + 1,) or (n + 1, D); the first is that of the jump.
        orders: values of the denoiser that step i uses, at most i + 1.
        corrections: whether step i is redone with the next value.
        levels: (rho_max, rho_min) the plan is for.
        dim: D it was searched for; None fits any.
        error: rms to the exact flow over the starts of the search, where it was searched.
    """

    rhos: Array
    orders: tuple[int, ...]
    corrections: tuple[bool, ...]
    levels: tuple[float, float]
    dim: int | None = None
    error: float | None = None

    @property
    def n_evaluations(self) -> int:
        """Evaluations of the denoiser, one per step."""
        return len(self.rhos) - 1

    @classmethod
    def fixed(
        cls, rhos: Array, levels: tuple[float, float], order: int, corrector: bool
    ) -> SolverPlan:
        """The plan of one order: lower in the first steps, and in the last ones if these are long.

        Extrapolation over a long last step is unstable; over short ones a lower order would be the
        order of the whole. The last step is not redone.

        Args:
            rhos: noise levels, falling.
            levels: the ends asked for; rhos may begin below the first, after a jump.
            order: 1, 2, 3, ...
            corrector: whether steps but the last are redone.
        """
        n = len(rhos) - 1
        lengths = -np.diff(np.log(rhos), axis=0).reshape(n, -1).max(1)
        left = [n - i if h > _LONG else order for i, h in enumerate(lengths)]
        orders = tuple(min(order, i + 1, left[i]) for i in range(n))
        corrections = tuple(corrector and i < n - 1 for i in range(n))
        return cls(rhos, orders, corrections, levels)

    def require(self, n_evaluations: int, levels: tuple[float, float], dim: int) -> None:
        """Refuse to be used for something else than what the plan was made for.

        Raises:
            InputError: for another number of evaluations, other levels, another dimension.
        """
        if n_evaluations != self.n_evaluations:
            raise InputError(
                f"the plan is for {self.n_evaluations} evaluations, got n_evaluations="
                f"{n_evaluations}; search one for that number"
            )
        if not np.allclose(levels, self.levels, rtol=1e-6):
            raise InputError(
                f"the plan is for levels {self.levels}, got {tuple(levels)}; search one for these"
            )
        if self.dim is not None and dim != self.dim:
            raise InputError(
                f"the plan is for {self.dim} dimensions, the state has {dim}; search another one"
            )

    def steps(self, churn: float) -> list[Step]:
        """The steps, each with the correction of the one before."""
        rhos = np.asarray(self.rhos, dtype=np.float64)
        kept = tuple(self.orders), tuple(self.corrections)
        return _steps(rhos.tobytes(), rhos.shape, *kept, float(churn))


@lru_cache(maxsize=_PLANS)
def _steps(
    rhos: bytes,
    shape: tuple[int, ...],
    orders: tuple[int, ...],
    corrections: tuple[bool, ...],
    churn: float,
) -> list[Step]:
    """The steps of a plan, made once: a sampler asks for those of the same plan again and again."""
    lams = -np.log(np.frombuffer(rhos).reshape(shape))
    return multisteps(lams, orders, corrections, churn)


@lru_cache(maxsize=_PLANS)
def named_plan(
    grid: str, n_steps: int, levels: tuple[float, float, float], order: int, corrector: bool
) -> SolverPlan:
    """The plan of one order on a named grid, made once.

    Args:
        grid: "edm" or "lambda".
        n_steps: number of steps.
        levels: (rho_max, level where steps begin, rho_min).
        order: 1, 2, 3, ...
        corrector: whether steps but the last are redone.
    """
    high, begin, low = levels
    rhos = level_grid(grid, n_steps, (begin, low))
    return SolverPlan.fixed(rhos, (high, low), order, corrector)


def default_order(n_evaluations: int) -> int:
    """2 up to six evaluations, 3 from there on."""
    return 2 if n_evaluations <= 6 else 3
