"""Random features around a population that moves: what drifts and scores are regressed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer.references.linalg import cholesky

_WAVES, _SCALES = 96, (1.0, 0.5, 0.25)


@packable
@dataclass(frozen=True)
class LocalFeatures:
    r"""Features $\phi_s(x)$ at the nodes s of a segment: 1, z and $\cos(\omega^T z + \beta)$.

    z is the position in the deviations of the population at the node. Waves of three lengths are
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
    def n_linear(self) -> int:
        """The first features, which are constant or linear."""
        return 1 + self.centre.shape[1]

    def __call__(self, node: int, x: Tensor) -> Tensor:
        """Features (N, F) at a node and positions x (N, D)."""
        z = (x - self.centre[node]) @ self.whiten[node].mT
        return torch.cat([torch.ones_like(z[:, :1]), z, (z @ self.waves + self.phase).cos()], dim=1)

    def mean_slope(self, node: int, x: Tensor) -> Tensor:
        """Mean over positions x (N, D) of the gradients of all features, (F, D)."""
        whiten = self.whiten[node]
        z = (x - self.centre[node]) @ whiten.mT
        steep = (z @ self.waves + self.phase).sin().mean(0)
        waves = -steep.unsqueeze(1) * (self.waves.mT @ whiten)
        return torch.cat([torch.zeros_like(whiten[:1]), whiten, waves])
