"""A trained recurrent network that predicts the next increment of a series."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.seeding import seeded, spawn
from trajinfer.training import Loss, Recipe

_WIDTH, _STEPS, _BATCH, _RATE, _CLIP = 32, 120, 64, 1e-2, 1.0
_MOST_PATHS = 1024


class _Reader(nn.Module):
    """A gated recurrent network with a linear readout at every time."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.memory = nn.GRU(n_inputs, _WIDTH, batch_first=True)
        self.readout = nn.Linear(_WIDTH, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, n_outputs)."""
        out: Tensor = self.readout(self.memory(x)[0])
        return out


def prediction_error(learned: Array, asked: Array, scaling: Array, seed: int) -> float:
    """Mean absolute error of the next increment on `asked` of a network trained on `learned`.

    Args:
        learned: (n, T, C), generated or real.
        asked: (m, T, C), real and held out.
        scaling: (k, T, C), the real paths that set the units, the same for all that is compared.
        seed: of the network.
    """
    shift, scale = _scaling(scaling)
    rng, (s_net, s_batch) = np.random.default_rng(seed), spawn(seed, 2)
    x, y = (_shown(_few(paths, rng), shift, scale) for paths in (learned, asked))
    dim = learned.shape[2]
    with seeded(s_net):
        net = _Reader(x.shape[2], dim)

    def error(paths: Tensor) -> Tensor:
        # The increment that leads to a value stands beside it.
        missed: Tensor = net(paths[:, :-1]) - paths[:, 1:, dim:]
        return missed.abs().mean()

    _run(net, lambda batch, _step: Loss(error(x[batch])), len(x), s_batch)
    with torch.no_grad():
        return float(error(y))


def _run(net: nn.Module, objective: Any, n: int, seed: int) -> None:
    recipe = Recipe(
        seed=seed,
        steps=_STEPS,
        batch_size=_BATCH,
        lr=_RATE,
        clip=_CLIP,
        draws=False,
        name="judge",
    )
    recipe.fit(net, objective, n)


def _shown(paths: Array, shift: Array, scale: Array) -> Tensor:
    """Standardised levels and the increments that lead to them, (n, T, 2 C)."""
    steps = np.diff(paths, axis=1, prepend=paths[:, :1])
    table = np.concatenate([paths, steps], axis=2)
    shown: Tensor = torch.from_numpy(((table - shift) / scale).astype(np.float32))
    return shown


def _scaling(paths: Array) -> tuple[Array, Array]:
    steps = np.diff(paths, axis=1)
    scale = np.concatenate([paths.std(axis=(0, 1)), steps.std(axis=(0, 1))])
    shift = np.concatenate([paths.mean(axis=(0, 1)), np.zeros(paths.shape[2])])
    return shift, np.where(scale > 0, scale, 1.0)


def _few(paths: Array, rng: np.random.Generator) -> Array:
    if len(paths) <= _MOST_PATHS:
        return paths
    return paths[rng.choice(len(paths), _MOST_PATHS, replace=False)]
