"""Features of time for networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TimeFeatures(nn.Module):
    r"""$(t, \sin 2\pi kt, \cos 2\pi kt)$, $k = 1..K$, for times of order one.

    Args:
        n_frequencies: K.

    Example:
        >>> TimeFeatures(2)(torch.zeros(3, 1)).shape
        torch.Size([3, 5])
    """

    frequencies: Tensor

    def __init__(self, n_frequencies: int = 4) -> None:
        super().__init__()
        octaves = 2 * math.pi * torch.arange(1, n_frequencies + 1)
        self.register_buffer("frequencies", octaves, persistent=False)

    @property
    def width(self) -> int:
        """Number of features, 1 + 2 K."""
        return 1 + 2 * len(self.frequencies)

    def forward(self, t: Tensor) -> Tensor:
        """Features (..., 1 + 2 K) of times (..., 1)."""
        angle = t * self.frequencies.to(t)
        return torch.cat([t, angle.sin(), angle.cos()], dim=-1)

    def derivative(self, t: Tensor) -> Tensor:
        """Derivatives (..., 1 + 2 K) of the features by time."""
        rate = self.frequencies.to(t)
        angle = t * rate
        return torch.cat([torch.ones_like(t), rate * angle.cos(), -rate * angle.sin()], dim=-1)
