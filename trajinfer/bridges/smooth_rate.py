"""A growth rate that varies smoothly with position: few numbers, whatever the dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from trajinfer._core.packing import packable

_NEGLIGIBLE = 1e-5


@packable
@dataclass(frozen=True)
class SmoothRate:
    r"""A function $g(x) = c + w^T \phi(x)$ of position alone.

    The features are those of a Gaussian kernel of one width through some centres; with weights of
    unit variance $w^T \phi$ is a Gaussian field of unit variance there.

    Attributes:
        centres: (M, D).
        width: of the kernel.
        root: (M, F), from kernel values to features.
        offset: (F,), mean of the features over the data.
        weights: (F,), w.
        level: c.
    """

    centres: Tensor
    width: float
    root: Tensor
    offset: Tensor
    weights: Tensor
    level: float = 0.0

    @classmethod
    def through(cls, centres: Tensor, width: float, points: Tensor, mass: Tensor) -> Self:
        """A rate of 0 whose features have mean zero over weighted points."""
        values, vectors = torch.linalg.eigh(_kernel(centres, centres, width))
        kept = values > _NEGLIGIBLE * values[-1]
        root = (vectors[:, kept] / values[kept].sqrt()).contiguous()
        zeros = root.new_zeros(root.shape[1])
        bare = cls(centres, width, root, zeros, zeros)
        return replace(bare, offset=mass @ bare.features(points))

    def features(self, x: Tensor) -> Tensor:
        """Features (N, F) at x (N, D)."""
        return _kernel(x, self.centres, self.width) @ self.root - self.offset

    def __call__(self, t: float, x: Tensor) -> Tensor:
        """Rates (N,) at x (N, D), the same at any time."""
        # not as a matrix product, whose last digit depends on where the weights lie in memory
        return self.level + (self.features(x) * self.weights).sum(1)


def _kernel(x: Tensor, y: Tensor, width: float) -> Tensor:
    return (-0.5 * (torch.cdist(x, y) / width).square()).exp()
