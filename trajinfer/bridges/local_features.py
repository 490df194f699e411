"""Random features around a population that moves: what drifts and scores are regressed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer.references.linalg import cholesky

_WAVES, _SCALES = 128, (1.0, 0.5, 0.25, 0.125)


@packable
@dataclass(frozen=True)
class LocalFeatures:
    r"""Features $\phi_s(x)$ at the nodes s of a segment: 1, z and $\cos(\omega^T z + \beta)$.

    z is the position in the deviations of the population at the node. Waves of four lengths are
    drawn once, so that a sum of functions in these features is one function in them.

    Attributes:
        centre: (S, D) of the population at every node.
        whiten: (S, D, D), z = whiten (x - centre).
        waves: (D, R), omega.
        phase: (R,), beta.

    References:
        Rahimi, Recht, "Random features for large-scale kernel machines", NeurIPS 2007.
    """

    centre: Tensor
    whiten: Tensor
    waves: Tensor
    phase: Tensor

    @classmethod
    def around(cls, population: Tensor, generator: torch.Generator) -> Self:
        """Features around points (S, N, D) of the population at every node."""
        dim = population.shape[2]
        centre = population.mean(1)
        off = population - centre.unsqueeze(1)
        factor, _ = cholesky(off.mT @ off / population.shape[1])
        eye = torch.eye(dim, dtype=population.dtype).expand_as(factor)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        normal = torch.randn(dim, _WAVES, generator=generator, dtype=population.dtype)
        length = torch.tensor(_SCALES, dtype=normal.dtype).repeat(_WAVES)[:_WAVES] * dim**0.5
        phase = 2 * np.pi * torch.rand(_WAVES, generator=generator, dtype=normal.dtype)
        return cls(centre, inverse.contiguous(), normal / length, phase)

    @property
    def steepness(self) -> Tensor:
        """Squared gradients (F,) of the features in deviations; 0 for constant and linear ones."""
        waves = self.waves.square().sum(0)
        return torch.cat([waves.new_zeros(1 + self.centre.shape[1]), waves])

    def __call__(self, node: int, x: Tensor) -> Tensor:
        """Features (N, F) at a node and positions x (N, D)."""
        z = (x - self.centre[node]) @ self.whiten[node].mT
        return torch.cat([torch.ones_like(z[:, :1]), z, (z @ self.waves + self.phase).cos()], dim=1)
