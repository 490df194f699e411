"""The exact transition law of an affine SDE with constant noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TAYLOR_TERMS = 14
_TAYLOR_REACH = 0.25


def affine_transition(
    matrix: Tensor, offset: Tensor, rate: Tensor, duration: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Transition of $dX = (A X + c)\,dt + g\,dW$: $X_T \mid x \sim N(E x + o, T R)$.

    A Taylor series over a short time h is doubled until the duration is reached,
    $E_{2h} = E_h E_h$, $o_{2h} = E_h o_h + o_h$, $R_{2h} = \tfrac12 (E_h R_h E_h^T + R_h)$,
    which keeps R positive definite however strongly the drift contracts. A duration of zero is
    allowed.

    Args:
        matrix: A, (D, D).
        offset: c, (D,).
        rate: g g^T, (D, D).
        duration: (S,), non-negative.

    Returns:
        E (S, D, D), o (S, D) and the covariance per unit of time R (S, D, D).

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> flow, shift, rate = affine_transition(-one, one[0], one, one[0])
        >>> bool(torch.isclose(rate[0, 0, 0], (1 - torch.exp(-2 * one[0, 0])) / 2))
        True
    """
    size = float(torch.linalg.matrix_norm(matrix.detach(), ord=2) * duration.max())
    n_doublings = max(0, math.ceil(math.log2(size / _TAYLOR_REACH))) if size > 0 else 0
    h = (duration / 2**n_doublings).reshape(-1, 1, 1)
    eye = torch.eye(len(offset), dtype=offset.dtype, device=offset.device)
    power = eye.expand(len(h), -1, -1)
    flow, integral = power, h * eye
    term = spread = rate.expand(len(h), -1, -1)
    for k in range(1, _TAYLOR_TERMS + 1):
        power = power @ matrix * (h / k)
        flow = flow + power
        integral = integral + power * (h / (k + 1))
        product = matrix @ term
        term = (product + product.mT) * (h / (k + 1))
        spread = spread + term
    shift = integral @ offset
    for _ in range(n_doublings):
        shift = (flow @ shift.unsqueeze(-1)).squeeze(-1) + shift
        spread = (flow @ spread @ flow.mT + spread) / 2
        flow = flow @ flow
    return flow, shift, spread
