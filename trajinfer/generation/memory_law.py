"""The law of the next row: loc and scale from features, Student's t, hurdles at zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from trajinfer._core.checks import Array
from trajinfer._core.seeding import spawn
from trajinfer.generation.memory_settings import Memory
from trajinfer.nn import MLP
from trajinfer.training import Callback, Loss, Recipe, Report

_LEAST_LOG_SCALE, _LARGEST_LOG_SCALE = -7.0, 4.0
_VALIDATION = 0.2
_LEAST_STEPS = 10


class MemoryLaw(nn.Module):
    r"""$y = m(\phi) + e^{\ell(\phi)}\,\varepsilon$ per channel, and the odds of exact zeros.

    Args:
        n_features: F, of phi.
        dim: D channels.
        n_hurdles: channels with a mass at zero.
        hidden: widths of the network beside the linear map.
        seed: of the initial weights.
    """

    def __init__(
        self, n_features: int, dim: int, n_hurdles: int, hidden: Sequence[int], seed: int
    ) -> None:
        super().__init__()
        first, second = spawn(seed, 2)
        n_out = 2 * dim + n_hurdles
        self.dim = dim
        self.linear = MLP(n_features, n_out, (), random_state=first)
        self.net = MLP(n_features, n_out, hidden, random_state=second)
        self.freedom = nn.Parameter(torch.full((dim,), 2.0))
        with torch.no_grad():
            for parameter in (*self.linear.parameters(), *self.net.layers[-1].parameters()):
                parameter.mul_(0.1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Location and log-scale (n, D) each, and logits of zero (n, Z)."""
        out = self.linear(features) + self.net(features)
        scale = out[:, self.dim : 2 * self.dim].clamp(_LEAST_LOG_SCALE, _LARGEST_LOG_SCALE)
        return out[:, : self.dim], scale, out[:, 2 * self.dim :]

    def loss(self, features: Tensor, target: Tensor, free: Tensor, zero: Tensor) -> Tensor:
        """Mean negative log-likelihood.

        Args:
            features: (n, F).
            target: (n, D) what was observed.
            free: (n, D) bool, False behind a hurdle, where there is nothing to explain.
            zero: (n, Z) bool, the hurdles.
        """
        loc, log_scale, logits = self(features)
        student = torch.distributions.StudentT(2 + softplus(self.freedom), loc, log_scale.exp())
        density = torch.where(free, student.log_prob(torch.where(free, target, loc)), 0.0)
        hurdles = binary_cross_entropy_with_logits(logits, zero.to(logits), reduction="none")
        return hurdles.sum(1).mean() - density.sum(1).mean()


def train_law(
    law: MemoryLaw,
    memory: Memory,
    data: tuple[Tensor, Tensor, Tensor, Tensor],
    blocks: Array,
    seed: int,
    callbacks: Sequence[Callback] = (),
) -> Report:
    """Fit a law to rows, validated on a fifth of the blocks they belong to.

    Args:
        law: is changed.
        memory: the settings.
        data: arguments of `MemoryLaw.loss` for all rows.
        blocks: (n,) number of the block of each row; blocks are not torn apart.
        seed: of the split and of the batches.
        callbacks: of the training.
    """
    seed_split, seed_batches = spawn(seed, 2)
    names = np.unique(blocks)
    chosen = np.random.default_rng(seed_split).permutation(names)
    held = np.isin(blocks, chosen[: max(1, round(_VALIDATION * len(names)))])
    if held.all():
        held[: len(held) // 2] = False
    validation = [part[torch.as_tensor(held)] for part in data]

    def objective(rows: Tensor, _step: int) -> Loss:
        return Loss(law.loss(*(part[rows] for part in data)))

    def validate() -> float:
        return float(law.loss(*validation))

    recipe = Recipe(
        seed=seed_batches,
        steps=memory.n_steps,
        batch_size=memory.batch_size,
        lr=memory.lr,
        weight_decay=memory.weight_decay,
        clip=10.0,
        draws=False,
        patience=memory.patience,
        # few rows make short epochs, after which little can have changed
        validation_interval=_LEAST_STEPS,
        name="memory",
        callbacks=callbacks,
    )
    return recipe.fit(law, objective, np.flatnonzero(~held), validate)
