"""Draws of rows of a mixture given some of their entries, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.seeding import torch_generator
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.diffusion.normals import standard_normals
from trajinfer.scores.posterior_mixture import PosteriorMixture


def exact_draws(mixture: GaussianMixture, rows: Array, known: Array, n: int, seed: int) -> Array:
    """Draws (n, B, D) of rows (B, D) of which the entries `known` (D,) are kept."""
    law = PosteriorMixture.of(
        mixture.weights,
        mixture.means,
        mixture.covariances,
        torch.as_tensor(known),
        torch.as_tensor(rows),
    )
    generator = torch_generator(seed)
    return torch.stack([drawn_rows(law, generator) for _ in range(n)]).numpy()


def drawn_rows(law: PosteriorMixture, generator: torch.Generator) -> Tensor:
    """One draw of every row of a law whose rows share their axes, (B, n)."""
    part = torch.multinomial(law.log_weights.exp(), 1, generator=generator)[:, 0]
    z = standard_normals(law.means[:, 0].shape, generator, law.means)
    rows = law.means[torch.arange(len(part)), part]
    for k in range(law.means.shape[1]):
        chosen = part == k
        rows[chosen] += (law.spectra[k].sqrt() * z[chosen]) @ law.axes[k].T
    return rows
