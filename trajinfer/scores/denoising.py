"""Learning a denoiser: the loss of a step, and held-out losses by level that end the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.seeding import torch_generator
from trajinfer.scores.corrected import Corrected
from trajinfer.training import Loss

_N_LEVELS = 12
_STEP_SEEDS = 0x5DEECE66D


class Examples(Protocol):
    """Clean rows, and which of their entries are taken as known."""

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Corrected, Tensor]:
        """A denoiser of the rows given what a draw of the mask knows, and their clean entries."""


@dataclass(frozen=True)
class DenoisingLoss:
    r"""$E\,|(D(x + \rho\xi, \rho) - x)/s|^2$ over hidden entries, $\log\rho$ uniform.

    Args:
        examples: clean rows.
        levels: (rho_max, rho_min).
        seed: of masks and noise; those of a step depend on it and the step alone.
    """

    examples: Examples
    levels: tuple[float, float]
    seed: int

    def __call__(self, rows: Any, step: int) -> Loss:
        """The loss of a batch of rows."""
        generator = torch_generator((self.seed + _STEP_SEEDS * (step + 1)) % 2**63)
        denoiser, clean = self.examples.draw(rows, generator)
        high, low = np.log(self.levels)
        u = torch.rand(len(clean), 1, generator=generator, dtype=clean.dtype)
        rho = (low + (high - low) * u).exp()
        xi = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
        mean, sd = denoiser.moments(clean + rho * xi, rho)
        hidden = denoiser.law.hidden.expand(clean.shape)
        off = torch.where(hidden, (mean - clean) / sd.clamp(min=1e-9), 0.0)
        return Loss(off.square().sum() / hidden.sum().clamp(min=1))


@dataclass(frozen=True)
class HeldOutLevels:
    """Held-out losses by noise level, relative to those of the law in closed form.

    Args:
        questions: denoisers of held-out rows with their clean entries.
        rhos: the levels.
        noise: per question and level what is added, over the level.
        closed: (levels,) mean squared errors without the network.
    """

    questions: Sequence[tuple[Corrected, Tensor]]
    rhos: Array
    noise: Sequence[Sequence[Tensor]]
    closed: Array

    @classmethod
    def of(
        cls,
        questions: Sequence[tuple[Corrected, Tensor]],
        levels: tuple[float, float],
        seed: int,
    ) -> HeldOutLevels:
        """Fix levels and noise."""
        generator = torch_generator(seed)
        rhos = np.geomspace(*levels, _N_LEVELS)
        noise = [
            [torch.randn(x.shape, generator=generator, dtype=x.dtype) for _ in rhos]
            for _, x in questions
        ]
        alone = [(Corrected(d.law, d.linear, None, d.places, d.levels), x) for d, x in questions]
        return cls(questions, rhos, noise, _errors(alone, rhos, noise))

    def by_level(self) -> Array:
        """(levels,) mean squared errors over those of the law in closed form."""
        return _errors(self.questions, self.rhos, self.noise) / self.closed

    def __call__(self) -> float:
        """Their mean: every level counts alike, whatever its size."""
        return float(self.by_level().mean())


def _errors(
    questions: Sequence[tuple[Corrected, Tensor]],
    rhos: Array,
    noise: Sequence[Sequence[Tensor]],
) -> Array:
    sums, count = np.zeros(len(rhos)), 0
    for (denoiser, clean), draws in zip(questions, noise, strict=True):
        hidden = denoiser.law.hidden.expand(clean.shape)
        count += int(hidden.sum())
        for k, (rho, xi) in enumerate(zip(rhos, draws, strict=True)):
            level = torch.full((len(clean), 1), float(rho), dtype=clean.dtype)
            off = denoiser.moments(clean + rho * xi, level)[0] - clean
            sums[k] += float(off[hidden].square().sum())
    return np.maximum(sums / max(count, 1), 1e-300)
