"""Estimates of the local error, kept as sums over stages until someone asks for their value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from trajinfer._core.errors import InputError


class ErrorSum(NamedTuple):
    r"""An estimate $e = h \sum_i w_i f_i + \sum_i g_i v_i + r$ of the error of a step.

    Attributes:
        h: length of the step, a float or (B, 1).
        weights: w.
        drifts: f, each (B, D).
        diffusions: g, each (B, D) if diagonal, else (B, D, M).
        noises: v, (S, B, M) for S diffusions.
        rest: r, (B, D).
    """

    h: float | Tensor = 0.0
    weights: Sequence[float] = ()
    drifts: Sequence[Tensor] = ()
    diffusions: Sequence[Tensor] = ()
    noises: Tensor | None = None
    rest: Tensor | None = None


@torch.no_grad()
def error_value(estimate: ErrorSum) -> Tensor:
    """The estimate of one step, (B, D), outside the graph."""
    total: Tensor | None = None if estimate.rest is None else estimate.rest.clone()
    for f, weight in zip(estimate.drifts, estimate.weights):
        if total is None:
            total = f * (estimate.h * weight)
        elif isinstance(estimate.h, float):
            total.add_(f, alpha=estimate.h * weight)
        else:
            total.addcmul_(f, estimate.h, value=weight)
    for g, v in zip(estimate.diffusions, () if estimate.noises is None else estimate.noises):
        if total is None:
            total = g.new_zeros(g.shape[:2])
        if g.ndim == 2:
            total.addcmul_(g, v)
        else:
            total += torch.matmul(g, v[:, :, None])[..., 0]
    if total is None:
        raise InputError("the error estimate of this solver is a sum of nothing; give it terms")
    return total


def error_values(estimates: Sequence[ErrorSum]) -> Tensor:
    """The estimates of N steps of one solver, (N, B, D).

    All at once, because few large operations, and their backward passes, cost less than many small
    ones at every step.
    """
    parts = []
    if estimates[0].drifts:
        drifts = _stacked([e.drifts for e in estimates])
        parts.append((drifts * _factors(estimates, drifts)).sum(1))
    noises = [e.noises for e in estimates if e.noises is not None]
    if noises:
        diffusions, v = _stacked([e.diffusions for e in estimates]), torch.stack(noises)
        diagonal = diffusions.ndim == v.ndim
        product = diffusions * v if diagonal else torch.matmul(diffusions, v[..., None])[..., 0]
        parts.append(product.sum(1))
    rests = [e.rest for e in estimates if e.rest is not None]
    if rests:
        parts.append(torch.stack(rests))
    return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]


def _factors(estimates: Sequence[ErrorSum], like: Tensor) -> Tensor:
    """Weights h w of all stages, (N, S, 1, 1), or (N, S, B, 1) where h differs by series."""
    weights = like.new_tensor(list(estimates[0].weights))[:, None, None]
    if isinstance(estimates[0].h, float):
        sizes = like.new_tensor([e.h for e in estimates])[:, None, None, None]
        return sizes * weights
    return torch.stack([e.h for e in estimates if isinstance(e.h, Tensor)])[:, None] * weights


def _stacked(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """One tensor (N, S, ...) of the S tensors of each of N steps."""
    flat = torch.stack(list(chain.from_iterable(rows)))
    return flat.view(len(rows), len(rows[0]), *flat.shape[1:])
