"""Chains over states and noise levels that are denoised where the level is low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.correct import plain_moves
from trajinfer.diffusion.denoiser import Level, as_denoiser
from trajinfer.diffusion.grids import level_grid
from trajinfer.diffusion.noise import White
from trajinfer.diffusion.paths import require_levels
from trajinfer.diffusion.plans import SolverPlan
from trajinfer.diffusion.samplers import multistep

_STEP = 0.6
_WHITE = White()


@runtime_checkable
class DensityByLevel(Protocol):
    """A denoiser that knows the density at every level and can draw starts."""

    def denoise(self, y: Tensor, rho: Level) -> Tensor:
        """The posterior mean."""
        ...

    def log_prob(self, y: Tensor, rho: Level) -> Tensor:
        """Log-density of the law with noise, (B,)."""
        ...

    def sample(self, n: int, rho: float, random_state: RandomState) -> Tensor:
        """Draws at a level."""
        ...


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of `denoising_mcmc`.

    Attributes:
        samples: (S, D) in the order of the moves; draws of one chain are correlated.
        chain: index of the chain of every sample, (S,).
        n_evaluations: evaluations of the denoiser per sample.
        occupation: share of the moves spent at every level, (n_levels,).
    """

    samples: Tensor
    chain: Tensor
    n_evaluations: float
    occupation: Tensor


def denoising_mcmc(
    denoiser: Any,
    n_chains: int,
    n_moves: int,
    *,
    levels: tuple[float, float],
    n_levels: int = 24,
    below: float | None = None,
    every: int = 4,
    n_evaluations: int = 4,
    random_state: RandomState = None,
) -> Chains:
    r"""Langevin moves of y at the current level, exact draws of the level given y.

    At every few moves the chains whose level is low are denoised to rho_min. The samples are
    correlated; where the score is cheap, sampling from noise needs fewer evaluations. The number of
    levels must grow like the root of the dimension, or chains stay at theirs.

    Args:
        denoiser: with `denoise`, `log_prob(y, rho)` and `sample(n, rho, random_state)`.
        n_chains: chains, started at the highest level.
        n_moves: moves of every chain.
        levels: (rho_max, rho_min of the samples); chains live between rho_max and a fortieth of it,
            or rho_min if that is higher.
        n_levels: log-spaced levels of the chains.
        below: levels that are denoised; .4 of the data's spread by default.
        every: moves between two looks.
        n_evaluations: of denoising a sample.
        random_state: seed of the chains.

    Raises:
        InputError: for a denoiser without densities.
    """
    model = as_denoiser(denoiser)
    if not isinstance(model, DensityByLevel):
        raise InputError("denoising_mcmc needs log_prob(y, rho) and sample(n, rho); a mixture does")
    require_levels(*levels)
    require_integer(n_levels, "n_levels", least=2)
    lowest = max(levels[0] / 40, levels[1])
    rhos = torch.as_tensor(level_grid("lambda", n_levels - 1, (levels[0], lowest)))
    limit = _spread(model) * 0.4 if below is None else below
    seed = seed_from(random_state)
    generator = torch_generator(seed)
    y = model.sample(require_integer(n_chains, "n_chains", least=1), levels[0], seed)
    at = torch.zeros(n_chains, dtype=torch.long)
    visits = torch.zeros(n_levels, dtype=torch.float64)
    samples, chains, cost = [], [], 0
    for move in range(1, require_integer(n_moves, "n_moves", least=1) + 1):
        y = plain_moves(model, y, rhos[at][:, None], 1, _STEP, _WHITE, generator)
        at = _levels_given(model, y, rhos, generator)
        visits += torch.bincount(at, minlength=n_levels)
        cost += n_chains
        low = (rhos[at] < limit).nonzero()[:, 0] if move % every == 0 else at[:0]
        if len(low):
            samples.append(_denoised(model, y[low], rhos[at[low]], levels[1], n_evaluations))
            chains.append(low)
            cost += len(low) * n_evaluations
    drawn = torch.cat(samples) if samples else y[:0]
    who = torch.cat(chains) if chains else at[:0]
    return Chains(drawn, who, cost / max(len(drawn), 1), visits / visits.sum())


def _spread(model: Any) -> float:
    return float(np.sqrt(float(model.covariance.diagonal().mean())))


def _levels_given(
    model: DensityByLevel, y: Tensor, rhos: Tensor, generator: torch.Generator
) -> Tensor:
    """A draw of the level of every chain from p(rho | y), flat prior, (B,)."""
    logs = torch.stack([model.log_prob(y, float(rho)) for rho in rhos], dim=1)
    return torch.multinomial(torch.softmax(logs, 1), 1, generator=generator)[:, 0]


def _denoised(
    model: DensityByLevel, y: Tensor, rho: Tensor, rho_min: float, n_evaluations: int
) -> Tensor:
    """Every row from its own level down to rho_min, level by level."""
    result = torch.empty_like(y)
    for level in rho.unique():
        rows = rho == level
        if float(level) <= rho_min * (1 + 1e-9):
            result[rows] = y[rows]
            continue
        ends = (float(level), rho_min)
        plan = SolverPlan.fixed(level_grid("edm", n_evaluations, ends), ends, 2, True)
        result[rows] = multistep(model, y[rows], plan)
    return result
