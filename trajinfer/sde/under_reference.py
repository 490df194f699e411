"""An SDE driven by its reference drift, for log-ratios along paths of the reference."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from trajinfer.sde.problem import Problem


class UnderReference(nn.Module):
    """The same diffusion with drift h; what was the drift becomes the reference.

    Along its paths the log-ratio of this SDE is minus that of f against h.

    Args:
        sde: with a reference drift, without its context.
    """

    def __init__(self, sde: Any) -> None:
        super().__init__()
        self.sde = sde
        plain = Problem(sde)
        self.noise_type, self.sde_type, self.commutes = (
            plain.noise_type,
            plain.sde_type,
            plain.commutes,
        )
        if getattr(sde, "noise_dim", None) is not None:
            self.noise_dim = sde.noise_dim

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The reference drift."""
        return Problem(self.sde, context).h(t, y)

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The diffusion."""
        return Problem(self.sde, context).g(t, y)

    def h(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The drift that the paths are compared with."""
        return Problem(self.sde, context).f(t, y)


def under_reference(problem: Problem) -> Problem:
    """The problem whose paths follow the reference drift."""
    return Problem(UnderReference(problem.sde), problem.context)
