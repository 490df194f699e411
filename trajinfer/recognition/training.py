"""Training of the recognition network: `python -m trajinfer.recognition.training`.

The recipe (steps, seed, prior) is written beside the weights, and the same recipe gives the same
weights on the same version of torch with one thread.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.seeding import seeded
from trajinfer.recognition.network import (
    Features,
    Prediction,
    RecognitionNetwork,
    features_of,
    save_network,
)
from trajinfer.recognition.prior import Batch, draw_batch
from trajinfer.training import Callback, Checkpoint, Loss, Progress, Recipe, Report

_WINDOW = 200
_TAILS = ((0.05, 0), (0.025, 1))
Example = tuple[Features, dict[str, Tensor]]


def example_of(batch: Batch) -> Example:
    """Features and targets of a batch, in single precision and units of tau."""
    told = np.where(batch.known, batch.error, np.nan)
    tau = batch.statistics.tau
    rates = batch.rates * tau[:, None, None]
    targets = {
        "rates": rates,
        "scale": np.sqrt((rates**2).mean(axis=(1, 2))),
        "links": (batch.rates > 0).astype(float),
        "initial": batch.initial,
        "log_error": np.log(batch.error + 1e-3),
        "unknown": (~batch.known).astype(float),
        "weight": np.full(len(tau), (batch.n_paths + 2.0) ** 0.45),
    }
    features = features_of(batch.statistics, told).to(torch.float32)
    return features, {name: torch.as_tensor(v, dtype=torch.float32) for name, v in targets.items()}


def loss_of(out: Prediction, target: dict[str, Tensor]) -> Tensor:
    r"""Bounded root mean square error of the rates per process, quantile, link and law terms.

    The root per process is the very figure that is reported; it is weighted by the square root of
    the number of paths, so that every amount of data counts alike.
    """
    n = out.rates.shape[1]
    off = 1 - torch.eye(n)
    scale = target["scale"][:, None, None]
    residual = (out.rates - target["rates"]) / scale
    rmse = torch.sqrt((residual**2).sum(dim=(1, 2)) / (n * (n - 1)) + 1e-6)
    total = (target["weight"] * rmse / (1 + 0.05 * rmse)).mean()
    unit = (out.upper[..., 0] - out.rates).detach() + 1e-2 * scale
    centre = (out.rates - out.rates.detach())[..., None]
    for tail, k in _TAILS:
        high = (target["rates"] - (out.upper - centre)[..., k]) / unit
        low = ((out.lower - centre)[..., k] - target["rates"]) / unit
        low = torch.where((target["rates"] == 0) & ((out.lower - centre)[..., k] <= 0), 0.0, low)
        total = total + 0.3 * ((_pinball(high, 1 - tail) + _pinball(low, 1 - tail)) * off).mean()
    links = torch.nn.functional.binary_cross_entropy_with_logits(
        out.link_logits, target["links"], reduction="none"
    )
    law = -(target["initial"] * torch.log_softmax(out.law_logits, dim=1)).sum(dim=1)
    error = (out.log_error - target["log_error"]) ** 2 * target["unknown"]
    return total + 0.03 * (links * off).mean() + 0.1 * law.mean() + 0.03 * error.mean()


def _pinball(x: Tensor, level: float) -> Tensor:
    """Loss whose minimum over q in x = y - q is the quantile of that level; bounded in slope."""
    return torch.where(x > 0, level * x, (level - 1) * x).clamp(max=20.0)


class ExampleStream:
    """Examples of the prior, each simulated when first met: a function of the seed and the step.

    Even steps see a new example, odd ones one of the last 200 again, as simulating costs more than
    a step.

    Args:
        seed: of everything drawn.
    """

    per_epoch = 250

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._kept: OrderedDict[int, Example] = OrderedDict()

    def at(self, step: int) -> Example:
        """The example of a step, counted from 0."""
        newest = step // 2
        if step % 2 == 0:
            return self._example(newest)
        back = int(np.random.default_rng([self.seed, step, 1]).integers(_WINDOW))
        return self._example(max(newest - back, 0))

    def _example(self, number: int) -> Example:
        if number not in self._kept:
            generator = np.random.default_rng([self.seed, number, 0])
            self._kept[number] = example_of(draw_batch(generator))
            if len(self._kept) > _WINDOW:
                self._kept.popitem(last=False)
        return self._kept[number]


def fresh_network(seed: int, *, width: int = 64, n_rounds: int = 3) -> RecognitionNetwork:
    """A network with the random weights of a seed."""
    with seeded(seed):
        return RecognitionNetwork(width, n_rounds)


def train_network(
    network: RecognitionNetwork,
    n_steps: int,
    seed: int,
    *,
    lr: float = 2e-3,
    callbacks: Sequence[Callback] = (),
) -> Report:
    """Train in place on processes simulated on the fly; it ends with the average of the weights."""

    def objective(example: Example, _step: int) -> Loss:
        features, target = example
        return Loss(loss_of(network(features), target))

    recipe = Recipe(
        seed=seed,
        steps=n_steps,
        lr=lr,
        weight_decay=1e-4,
        warmup=200,
        floor=0.02,
        clip=1.0,
        draws=False,
        average=0.998,
        name="network",
        callbacks=callbacks,
    )
    return recipe.fit(network, objective, ExampleStream(seed))


def root_mean_square(estimate: Array, truth: Array) -> Array:
    """(B,) over the off-diagonal rates."""
    n = truth.shape[1]
    off = ~np.eye(n, dtype=bool)
    return np.asarray(np.sqrt(((estimate - truth)[:, off] ** 2).mean(axis=1)))


def main(arguments: list[str] | None = None) -> None:
    """Train and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=22_000)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights")
    parser.add_argument("--checkpoint", type=Path, help="file to go on from after a break")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    begin = time.process_time()
    network = fresh_network(options.seed)
    hooks: list[Callback] = [Progress(2)]
    if options.checkpoint is not None:
        hooks.append(Checkpoint(options.checkpoint))
    train_network(network, options.steps, options.seed, callbacks=hooks)
    recipe = {
        "steps": options.steps,
        "seed": options.seed,
        "lr": 2e-3,
        "cpu_seconds": round(time.process_time() - begin),
        "torch": torch.__version__,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    save_network(network, options.out, recipe)


if __name__ == "__main__":
    main()
