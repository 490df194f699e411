"""Weights of particles: how many count, and drawing anew by them."""

from __future__ import annotations

import torch
from torch import Tensor


def effective_size(log_w: Tensor) -> float:
    """(sum w)^2 / sum w^2."""
    return float((2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp())


def systematic(log_w: Tensor, generator: torch.Generator) -> Tensor:
    """Rows drawn by their weights from one uniform number, (n,): each w_i n times, rounded."""
    n = len(log_w)
    first = torch.rand((), generator=generator, dtype=torch.float64)
    points = (first + torch.arange(n, dtype=torch.float64)) / n
    cumulative = torch.softmax(log_w.to(torch.float64), 0).cumsum(0)
    return torch.searchsorted(cumulative / cumulative[-1], points).clamp(max=n - 1)
