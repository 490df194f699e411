"""A context of its own for every step: what drives an SDE, worked out before the solve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trajinfer._core.errors import IncompatibleSolver, InputError

LEFT_END = ("euler", "milstein", "tamed_euler")
"""Solvers that look at an SDE at the left ends of their steps only."""


@dataclass(frozen=True)
class PerStep:
    """Contexts for the left ends of the fixed steps of a solve, in order.

    What does not depend on the state (a control path, the maps it goes through, a volatility that
    depends on time alone) is evaluated for all steps in one call instead of one step at a time;
    step k of the solve then sees `contexts[k]` in the place of the context.

    Args:
        contexts: one per step.

    Example:
        >>> import torch, trajinfer.sde as tsde
        >>> class Driven(tsde.SDE):
        ...     dim = noise_dim = 1
        ...     noise_type = "none"
        ...     def f(self, t, y, context=None):
        ...         return context.expand_as(y)
        ...     def g(self, t, y, context=None):
        ...         return torch.zeros_like(y)
        >>> speeds = tsde.PerStep(torch.tensor([[1.0], [3.0]]).unbind(0))
        >>> tsde.solve(Driven(), torch.zeros(1, 1), [0, 1, 2], method="euler", context=speeds).ys
        tensor([[[0.],
                 [1.],
                 [4.]]])
    """

    contexts: Sequence[Any]

    def check(self, method: str, n_steps: int) -> None:
        """Refuse a solve that would look elsewhere than at the left ends of these steps.

        Raises:
            IncompatibleSolver: for a solver with stages inside a step.
            InputError: if there are more or fewer steps than contexts.
        """
        if method not in LEFT_END:
            raise IncompatibleSolver(
                f"a context per step serves solvers that look at the left ends of steps, "
                f"{', '.join(LEFT_END)}; use one of these, or give the control path as context",
                method=method,
            )
        if n_steps != len(self.contexts):
            raise InputError(
                f"context holds {len(self.contexts)} steps, this solve has {n_steps}; evaluate it "
                "at the left end of every step"
            )
