"""The Jacobian of a vector field at many points at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def jacobian(field: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    r"""$\partial f_i / \partial y_j$ at every point, (B, D, D).

    Row by row in reverse mode: one pass backwards per coordinate costs a few operations, where
    forward mode runs through torch's Python decompositions, an order of magnitude slower.

    Args:
        field: (B, D) -> (B, D); a point's value depends on that point alone.
        y: (B, D).

    Where gradients are on, the result is differentiable in y and in what `field` holds.
    """
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        x = y if wanted and y.requires_grad else y.detach().requires_grad_()
        value = field(x)
        if not value.requires_grad:
            return y.new_zeros(*y.shape, y.shape[1])
        units = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
        rows = [
            torch.autograd.grad(
                value,
                x,
                unit.expand_as(value),
                create_graph=wanted,
                retain_graph=True,
                materialize_grads=True,
            )[0]
            for unit in units
        ]
    return torch.stack(rows, dim=1)
