"""What guides a simulation: controls that take noise away, and tilts towards what is rare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.grid_values import GridSolution
from trajinfer.functionals.methods.later_values import LaterValues
from trajinfer.functionals.methods.registry import choose_solved, solve_by
from trajinfer.questions.functional import Functional

_LEAST = 1e-6
Field = Callable[[float, Array], Array]


@dataclass(frozen=True, eq=False)
class Guide:
    """The question that a simulation asks, and of what.

    Attributes:
        functional: the question.
        diffusion: the process.
        starts: (n, D) states.
        horizon: T as a number, where there is one.
        t0: the time at the start.
        seed: of what is drawn on the way to a guide.
    """

    functional: Functional
    diffusion: Diffusion
    starts: Array
    horizon: float | None
    t0: float
    seed: int

    def slope(self, control: Any) -> Field | None:
        """Gradient (t, x) -> (n, D) of a control.

        Args:
            control: None, "auto", or a fitted `ValueFunction`.

        Raises:
            InputError: for anything else.
        """
        if control is None:
            return None
        if isinstance(control, str):
            if control != "auto":
                raise InputError(
                    f"control must be None, 'auto' or a fitted ValueFunction, got {control!r}"
                )
            values = self._rough()
        else:
            values = self._later(control.solution_)
        return lambda t, x: np.asarray(values.gradient(t - self.t0, x))

    def push(self, tilt: Any) -> Field | None:
        """What is added to the noise, (t, x) -> (n, M).

        Args:
            tilt: None, a callable, or "auto" for the gradient of a logarithm.

        Raises:
            InputError: for anything else.
        """
        if tilt is None:
            return None
        if callable(tilt):
            return lambda t, x: np.broadcast_to(np.asarray(tilt(t, x), dtype=np.float64), x.shape)
        if tilt != "auto":
            raise InputError(f"tilt must be None, 'auto' or a callable (t, x), got {tilt!r}")
        values, diffusion = self._rough(), self.diffusion

        def push(t: float, x: Array) -> Array:
            since = t - self.t0
            value = np.maximum(np.abs(values.value(since, x)), _LEAST)[:, None]
            slope = values.gradient(since, x) / value
            g = diffusion.noise(t, x)
            product = g * slope if diffusion.diagonal else np.einsum("ndm,nd->nm", g, slope)
            return np.asarray(product)

        return push

    def _later(self, solution: Any) -> Any:
        """The values of a control at all times to come."""
        if not isinstance(solution, GridSolution) or solution.functional.horizon is None:
            return solution
        length = self.diffusion.axis.duration(solution.functional.horizon)
        return LaterValues.beside(solution, self.diffusion, length)

    def _rough(self) -> Any:
        """A value function that need not be exact."""
        chosen = choose_solved(self.functional, self.diffusion)
        if self.horizon is None or chosen is None:
            return solve_by("auto", self.functional, self.diffusion, self.starts, seed=self.seed)[0]
        return LaterValues.on_grid(
            self.functional, self.diffusion, self.starts, self.horizon, self.seed
        )
