"""Points to learn from: whole ones, and ones of which some coordinates are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.scores.corrected import Corrected
from trajinfer.scores.networks import PointNetwork
from trajinfer.scores.posterior_mixture import PosteriorMixture


@dataclass(frozen=True, eq=False)
class PointLaw:
    """A mixture of points, its one Gaussian, and the network that moves it.

    Attributes:
        mixture: of standardised points.
        network: of the correction, or None.
        levels: (rho_max, rho_min).
    """

    mixture: GaussianMixture
    network: PointNetwork | None
    levels: tuple[float, float]

    def given(self, known: Tensor, values: Tensor) -> Corrected:
        """The denoiser of rows (B, D) of which the entries `known` (D,) are known."""
        law = _posterior(self.mixture, known, values)
        if self.network is None or len(self.mixture.weights) == 1:
            linear = law
        else:
            linear = _posterior(self.mixture.moments_matched(), known, values)
        return Corrected(law, linear, self.network, None, self.levels)

    def whole(self, n: int = 1) -> Corrected:
        """The denoiser of n rows of which nothing is known."""
        nothing = torch.zeros(self.mixture.dim, dtype=torch.bool)
        return self.given(nothing, torch.zeros(n, self.mixture.dim, dtype=torch.float64))


def _posterior(mixture: GaussianMixture, known: Tensor, values: Tensor) -> PosteriorMixture:
    return PosteriorMixture.of(mixture.weights, mixture.means, mixture.covariances, known, values)


@dataclass(frozen=True, eq=False)
class PointExamples:
    """Standardised rows (N, D); every other batch knows a random set of coordinates."""

    law: PointLaw
    rows: Tensor

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Corrected, Tensor]:
        """Rows, and their denoiser given the coordinates that this batch knows."""
        clean = self.rows[rows]
        return self.law.given(random_mask(clean.shape[1], generator), clean), clean


def random_mask(n: int, generator: torch.Generator) -> Tensor:
    """(n,) bool: half of the time nothing, else a random share; one entry at least is hidden."""
    share, kept, *_ = torch.rand(2, generator=generator)
    known: Tensor = torch.rand(n, generator=generator) < share * float(kept > 0.5)
    known[int(torch.randint(n, (), generator=generator))] = False
    return known
