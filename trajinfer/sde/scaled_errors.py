"""Errors in units of the tolerance, with their derivative in closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def mean_squares(errors: Tensor, y: Tensor, *, rtol: float, atol: float, shared: bool) -> Tensor:
    r"""Mean squares of $e_j / s_j$ with $s_j = atol + rtol \max(|y_j|, |y_{j+1}|)$.

    One node of the graph, because a penalty on the steps must cost little beside the steps.

    Args:
        errors: e, (N, B, D).
        y: states at the ends of the steps, (N + 1, B, D).
        rtol: relative tolerance.
        atol: absolute tolerance.
        shared: whether to take the mean over the batch too.

    Returns:
        (N,) if shared, else (N, B).
    """
    dim = (1, 2) if shared else 2
    found: Tensor = _MeanSquares.apply(errors, y, rtol, atol, dim)  # type: ignore[no-untyped-call]
    return found


class _MeanSquares(torch.autograd.Function):
    """Its backward pass is made of differentiable operations: there are second derivatives."""

    @staticmethod
    def forward(
        ctx: Any, errors: Tensor, y: Tensor, rtol: float, atol: float, dim: int | tuple[int, int]
    ) -> Tensor:
        ctx.rtol, ctx.atol = rtol, atol
        ctx.save_for_backward(errors, y)
        squares = _ratios(errors, y.abs(), rtol, atol)[0].square().mean(dim)
        ctx.share = 2.0 * squares.numel() / errors.numel()
        return squares

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (errors, y), (bar,) = ctx.saved_tensors, cotangents
        size = y.abs()
        ratios, scale = _ratios(errors, size, ctx.rtol, ctx.atol)
        bar = (bar * ctx.share)[:, None, None] if bar.ndim == 1 else (bar * ctx.share)[:, :, None]
        errors_bar = bar * ratios / scale
        size_bar = errors_bar * ratios * -ctx.rtol
        # a product with the mask takes less time than torch.where
        earlier = size_bar * (size[:-1] > size[1:])
        y_bar = torch.zeros_like(y)
        y_bar[:-1] += earlier
        y_bar[1:] += size_bar - earlier
        return errors_bar, y_bar * y.sign(), None, None, None


def _ratios(errors: Tensor, size: Tensor, rtol: float, atol: float) -> tuple[Tensor, Tensor]:
    """The errors in units of their scale, and the scale."""
    scale = torch.maximum(size[:-1], size[1:]).mul_(rtol).add_(atol)
    return errors / scale, scale
