"""The neural part: means and spreads of increments from the features of a pair."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.devices import Device, device_of
from trajinfer._core.packing import packable
from trajinfer._core.seeding import seeded, spawn
from trajinfer._core.threads import torch_threads
from trajinfer.training import Batches, Callback, Loss, Recipe

LOG_SCALE = (-4.0, 3.0)
_CHUNK = 16384


@dataclass(frozen=True)
class NetworkSettings:
    """How networks are trained.

    Attributes:
        widths: of the hidden layers.
        dropout: share of hidden units left out in training.
        max_epochs, batch_size, lr, weight_decay, patience: as in `NeuralSDEForecaster`.
        callbacks: take part in the first training.
        verbose: whether progress is shown.
        device: where they are trained; what they learn is algebra on the CPU.
    """

    widths: tuple[int, ...] = (96, 96)
    dropout: float = 0.2
    max_epochs: int = 10
    batch_size: int = 256
    lr: float = 4e-3
    weight_decay: float = 0.05
    patience: int | None = None
    callbacks: Sequence[Callback] = ()
    verbose: int = 0
    device: Device = None


@packable
@dataclass(frozen=True)
class IncrementNetwork:
    """A trained perceptron with SiLU units, in double precision.

    Attributes:
        weights: matrices (in, out), one per layer.
        biases: (out,).
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Means and log-scales (P, C) of increments in units of their expected size."""
        parts = [
            self._answer(features[k : k + _CHUNK]) for k in range(0, max(1, len(features)), _CHUNK)
        ]
        mean, log_scale = np.split(np.concatenate(parts), 2, axis=1)
        return mean, np.clip(log_scale, *LOG_SCALE)

    def _answer(self, x: Array) -> Array:
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = x @ weights + bias
            x = x / (1 + np.exp(-np.clip(x, -500, None)))
        return np.asarray(x @ self.weights[-1] + self.biases[-1])


def fit_network(
    draw: Callable[[int], tuple[Array, Array]],
    held_out: tuple[Array, Array],
    settings: NetworkSettings,
    seed: int,
    callbacks: Sequence[Callback],
) -> tuple[IncrementNetwork, list[dict[str, Any]]]:
    r"""Maximum likelihood of normal increments; the best epoch by the held-out ones.

    Args:
        draw: epoch -> features (P, F) and targets (P, C) to learn from, NaN = not observed.
        held_out: features and targets of the held-out part.
        settings: of the training.
        seed: of weights, batches and dropout.
        callbacks: those of the user.

    Returns:
        The network and the history of its training.
    """
    weights_seed, batch_seed = spawn(seed, 2)
    source = _Source(draw, device_of(settings.device))
    x, y = source.at(0)
    with seeded(weights_seed):
        module = Perceptron([x.shape[1], *settings.widths, 2 * y.shape[1]], settings.dropout)
    batches = Batches(len(x), settings.batch_size, batch_seed)
    module.to(source.device)
    valid = [torch.as_tensor(part, dtype=torch.float32, device=source.device) for part in held_out]

    def objective(index: Tensor, step: int) -> Loss:
        features, target = source.at(step // batches.per_epoch)
        index = index % len(features)
        return Loss(_nll(module(features[index]), target[index]), {})

    def validate() -> float:
        return float(_nll(module(valid[0]), valid[1]))

    recipe = Recipe(
        seed=batch_seed,
        epochs=settings.max_epochs,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        warmup=settings.max_epochs * batches.per_epoch // 10,
        floor=1e-3,
        clip=1.0,
        patience=settings.patience,
        callbacks=callbacks,
        verbose=settings.verbose,
    )
    with torch_threads(1):  # more threads cost more than they bring at this width
        report = recipe.fit(module, objective, batches, validate if len(valid[0]) else None)
    layers = [
        tuple(part.detach().cpu().double().numpy().T.copy() for part in layer)
        for layer in module.layers()
    ]
    weights, biases = zip(*layers, strict=True)
    return IncrementNetwork(tuple(weights), tuple(biases)), report.history


class PooledDropout(nn.Module):
    """Dropout whose masks are rows of one large mask from a random place on.

    Drawing a mask anew at every step would take longer than the rest of the step.

    Args:
        width: of the layer.
        rate: share of units left out.
    """

    mask: Tensor
    _ROWS = 16_381  # a prime, so that batches do not meet the same rows again and again

    def __init__(self, width: int, rate: float) -> None:
        super().__init__()
        mask = (torch.rand(self._ROWS, width) >= rate).to(torch.float32) / (1 - rate)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """X with units left out, in training."""
        if not self.training:
            return x
        first = int(torch.randint(self._ROWS, (1,)))
        rows = (first + torch.arange(len(x), device=x.device)) % self._ROWS
        return x * self.mask[rows]


class _Source:
    """The pairs of an epoch as tensors; the last ones drawn are kept."""

    def __init__(self, draw: Callable[[int], tuple[Array, Array]], device: torch.device) -> None:
        self.draw, self.device, self.epoch = draw, device, -1
        self.tensors = (torch.empty(0), torch.empty(0))

    def at(self, epoch: int) -> tuple[Tensor, Tensor]:
        if epoch != self.epoch:
            x, y = self.draw(epoch)
            self.tensors = (
                torch.as_tensor(x, dtype=torch.float32, device=self.device),
                torch.as_tensor(y, dtype=torch.float32, device=self.device),
            )
            self.epoch = epoch
        return self.tensors


class Perceptron(nn.Module):
    """SiLU layers whose weights are views of one vector: an optimizer then has one tensor to move.

    Args:
        widths: of the input, the hidden layers and the output.
        dropout: share of hidden units left out in training.
    """

    def __init__(self, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.shapes = [
            shape
            for n_in, n_out in itertools.pairwise(widths)
            for shape in ((n_out, n_in), (n_out,))
        ]
        layers = [nn.Linear(n_in, n_out) for n_in, n_out in itertools.pairwise(widths)]
        with torch.no_grad():  # the start is persistence with the expected spread
            layers[-1].weight.mul_(0.01)
            layers[-1].bias.zero_()
        parts = [p.detach().flatten() for layer in layers for p in (layer.weight, layer.bias)]
        self.vector = nn.Parameter(torch.cat(parts).to(torch.float32))
        self.drops = nn.ModuleList([PooledDropout(width, dropout) for width in widths[1:-1]])

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weights (out, in) and biases of every layer."""
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        views = [
            part.view(shape)
            for part, shape in zip(self.vector.split(sizes), self.shapes, strict=True)
        ]
        return list(zip(views[::2], views[1::2], strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """(P, out) for (P, in)."""
        *hidden, last = self.layers()
        for (weight, bias), drop in zip(hidden, self.drops, strict=True):
            x = drop(nn.functional.silu(nn.functional.linear(x, weight, bias)))
        return nn.functional.linear(x, *last)


def _nll(answer: Tensor, target: Tensor) -> Tensor:
    """Mean negative log-likelihood over the observed increments."""
    mean, log_scale = answer.chunk(2, dim=1)
    log_scale = log_scale.clamp(*LOG_SCALE)
    known = ~target.isnan()
    error = torch.where(known, target, mean) - mean
    each = 0.5 * (error * torch.exp(-log_scale)).square() + log_scale
    return torch.where(known, each, 0.0).sum() / known.sum().clamp(min=1)
