"""First stage: the law of one observed step, by maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.generation.directed_chain import DirectedChainSDE
from trajinfer.generation.noise_free_channels import silence_noise_free_channels
from trajinfer.generation.observed import ObservedPaths, Transitions
from trajinfer.training import Batches, Callback, Loss, Recipe, Report

_PROBED = 4096


@packable
@dataclass(frozen=True)
class TransitionLikelihood:
    r"""Gaussian likelihood of the Euler step over every observed gap h,

    $$x_{t+h} - x_t \sim N\!\left(c\,a\,r,\; c^2\,\Sigma\Sigma^\top r\right), \quad r = h/\delta ,$$

    each term weighted by its own standard deviation to the power 2 beta (without gradient), so that
    channels with little noise do not drown the others. Nothing is simulated. The law is right at
    the gaps that were seen; where they are long against the dynamics, add a path loss with
    `substeps` as a second stage. A channel whose fitted sd stays at the floor is without noise, and
    its diffusion is set to zero; see `silence_noise_free_channels`.

    Args:
        n_steps: training steps.
        batch_size: transitions per step.
        lr: of Adam, falling to 0 along a cosine.
        beta: 0 is the plain likelihood, 1/2 halves the pull of small variances.
        decay: of the moving average of the weights.
        clip: largest norm of a gradient.

    References:
        Seitzer et al., On the pitfalls of heteroscedastic uncertainty estimation, ICLR 2022, eq. 5.
    """

    n_steps: int = 3000
    batch_size: int = 4096
    lr: float = 3e-3
    beta: float = 0.5
    decay: float = 0.998
    clip: float = 10.0

    def train(
        self,
        sde: DirectedChainSDE,
        paths: ObservedPaths,
        seed: int,
        callbacks: Sequence[Callback] = (),
    ) -> Report:
        """Fit the SDE to all transitions of the paths."""
        seed_batches, seed_neighbours = spawn(seed, 2)
        pairs = paths.transitions()
        neighbours = _Neighbours(sde, paths, seed_neighbours)

        def objective(batch: Tensor, step: int) -> Loss:
            chosen = pairs[batch]
            return Loss(self.loss(sde, chosen, neighbours.seen(chosen, step)))

        recipe = Recipe(
            seed=seed_batches,
            steps=self.n_steps,
            lr=self.lr,
            clip=self.clip,
            draws=False,
            average=self.decay,
            name="likelihood",
            callbacks=callbacks,
        )
        batches = Batches(len(pairs), self.batch_size, seed_batches)
        report = recipe.fit(sde, objective, batches)
        probed = pairs[batches.at(0)[:_PROBED]]
        silence_noise_free_channels(sde, probed, neighbours.seen(probed, 0))
        return report

    def loss(self, sde: DirectedChainSDE, pairs: Transitions, seen: Tensor | None) -> Tensor:
        """Mean weighted negative log-density of the steps, without its constant."""
        drift, sigma = sde.coefficients(pairs.t, pairs.x, seen)
        ratio = pairs.gap / sde.step
        residual = (pairs.change / sde.increment - drift * ratio) / ratio.sqrt()
        whitened, deviation = _whiten(sde, residual, sigma)
        weight = deviation.detach() ** (2 * self.beta)
        return (weight * (0.5 * whitened.square() + deviation.log())).sum(1).mean()


class _Neighbours:
    """What the network sees of the neighbours of transitions while it learns.

    One neighbour is another path than the target, drawn anew in every step; a pool is the system
    the target belongs to, as it stood at that time.
    """

    def __init__(self, sde: DirectedChainSDE, paths: ObservedPaths, seed: int) -> None:
        self._sde, self._paths, self._seed = sde, paths, seed

    def seen(self, pairs: Transitions, step: int) -> Tensor | None:
        if self._sde.neighbour == "none":
            return None
        if self._sde.neighbour == "pool":
            return self._sde.pooled(pairs.x, *self._paths.partners(pairs))
        device = self._paths.device
        generator = torch_generator(self._seed + step, device)
        shape = pairs.path.shape
        shift = torch.randint(1, len(self._paths), shape, generator=generator, device=device)
        other = (pairs.path + shift) % len(self._paths)
        return self._paths.as_path(other).evaluate(pairs.t)[:, 0]


def _whiten(sde: DirectedChainSDE, residual: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals of unit variance, and the conditional deviation of every channel, (B, D) each."""
    if sigma.ndim == 2:
        return residual / sigma, sigma
    if isinstance(sde.noise, int):
        ridge = sde.floor**2 * torch.eye(sde.dim, dtype=sigma.dtype, device=sigma.device)
        sigma = torch.linalg.cholesky(sigma @ sigma.mT + ridge)
    whitened = torch.linalg.solve_triangular(sigma, residual[..., None], upper=False)[..., 0]
    return whitened, sigma.diagonal(dim1=1, dim2=2)
