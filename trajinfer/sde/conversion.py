"""From one calculus to the other, with true Jacobian-vector products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trajinfer.sde.problem import Problem


class Converted(nn.Module):
    r"""The same process in the other calculus.

    $$f_{Strat} = f_{Ito} - \tfrac12 \sum_k (\partial_y g_k)\, g_k$$

    over the Brownian columns $g_k$. Noise that is diagonal and commutes costs one product per
    evaluation; diagonal noise that mixes costs D, a matrix M.

    Args:
        sde: what to convert, without its context.
        commutes: whether its noise commutes.
    """

    def __init__(self, sde: Any, *, commutes: bool) -> None:
        super().__init__()
        self.sde, self.commutes = sde, commutes
        plain = Problem(sde)
        self.noise_type = plain.noise_type
        self.sde_type = "stratonovich" if plain.sde_type == "ito" else "ito"
        self._sign = -0.5 if plain.sde_type == "ito" else 0.5
        for name in ("noise_dim", "control"):
            if getattr(sde, name, None) is not None:
                setattr(self, name, getattr(sde, name))
        if getattr(sde, "h", None) is not None:
            self.h = self._reference

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Drift in the other calculus."""
        return self.f_and_g(t, y, context)[0]

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The diffusion, which is the same."""
        return Problem(self.sde, context).g(t, y)

    def f_and_g(self, t: Tensor, y: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        """Both, sharing what the correction needs."""
        inner = Problem(self.sde, context)
        f, g = inner.f_and_g(t, y)
        return f + self._sign * self._bend(inner, t, y, g), g

    def _reference(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The reference drift h; f - h does not depend on the calculus."""
        inner = Problem(self.sde, context)
        return inner.h(t, y) + self._sign * self._bend(inner, t, y, inner.g(t, y))

    def _bend(self, inner: Problem, t: Tensor, y: Tensor, g: Tensor) -> Tensor:
        r"""$\sum_k (\partial_y g_k)\, g_k$."""

        def product(direction: Tensor) -> Tensor:
            bent: Tensor = torch.func.jvp(lambda x: inner.g(t, x), (y,), (direction,))[1]
            return bent

        if self.noise_type == "diagonal" and self.commutes:
            return product(g)
        if self.noise_type == "diagonal":
            eye = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
            rows = [product(e.expand_as(y).clone())[:, i] for i, e in enumerate(eye.unbind(0))]
            return torch.stack(rows, dim=1) * g
        columns = [column.contiguous() for column in g.unbind(2)]
        return torch.stack([product(c)[..., k] for k, c in enumerate(columns)]).sum(0)


def convert(problem: Problem, *, commutes: bool) -> Problem:
    """The problem in the other calculus."""
    return Problem(Converted(problem.sde, commutes=commutes), problem.context)
