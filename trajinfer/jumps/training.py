"""Training of the recognition network on simulated processes: `python -m trajinfer.jumps.training`.

The recipe (steps, seed, prior) is written beside the weights, and the same recipe gives the same
weights on the same version of torch with one thread.
"""

from __future__ import annotations

import argparse
import copy
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.seeding import seeded
from trajinfer.jumps.network import (
    Features,
    Prediction,
    RecognitionNetwork,
    features_of,
    save_network,
)
from trajinfer.jumps.prior import Batch, draw_batch

_LOG = logging.getLogger("trajinfer.jumps.training")
_TAILS = ((0.05, 0), (0.025, 1))
Example = tuple[Features, dict[str, Tensor]]


def example_of(batch: Batch) -> Example:
    """Features and targets of a batch, in single precision and units of tau."""
    told = np.where(batch.known, batch.error, np.nan)
    tau = batch.statistics.tau
    rates = batch.rates * tau[:, None, None]
    spread = np.sqrt((rates**2).mean(axis=(1, 2))) * 0.7 + 0.15 * tau
    targets = {
        "rates": rates,
        "scale": spread,
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


def train_network(
    n_steps: int,
    seed: int,
    *,
    width: int = 64,
    n_rounds: int = 3,
    lr: float = 2e-3,
    reuse: float = 0.5,
    report: Callable[[int, float], None] | None = None,
) -> RecognitionNetwork:
    """Train on batches simulated on the fly; a share `reuse` of the steps repeats a recent batch.

    Returns:
        The network with the moving average of the weights.
    """
    generator = np.random.default_rng(seed)
    with seeded(seed):
        network = RecognitionNetwork(width, n_rounds)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-4)
    buffer: list[Example] = []
    running = 0.0
    for step in range(n_steps):
        warm = min(1.0, (step + 1) / 200)
        optimiser.param_groups[0]["lr"] = lr * warm * (0.51 + 0.49 * np.cos(np.pi * step / n_steps))
        features, target = _next_example(buffer, generator, reuse)
        optimiser.zero_grad()
        loss = loss_of(network(features), target)
        if not torch.isfinite(loss):
            continue
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        keep = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), network.parameters()):
                slow.lerp_(fast, 1 - keep)
        running += 0.01 * (float(loss.detach()) - running)
        if report is not None and (step + 1) % 250 == 0:
            report(step + 1, running)
    return average


def _next_example(buffer: list[Example], generator: np.random.Generator, reuse: float) -> Example:
    if len(buffer) >= 50 and generator.random() < reuse:
        return buffer[int(generator.integers(len(buffer)))]
    example = example_of(draw_batch(generator))
    buffer.append(example)
    if len(buffer) > 400:
        buffer.pop(0)
    return example


def root_mean_square(estimate: Array, truth: Array) -> Array:
    """(B,) over the off-diagonal rates."""
    n = truth.shape[1]
    off = ~np.eye(n, dtype=bool)
    return np.asarray(np.sqrt(((estimate - truth)[:, off] ** 2).mean(axis=1)))


def main(arguments: list[str] | None = None) -> None:
    """Train and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=14_000)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    begin = time.process_time()
    recipe: dict[str, Any] = {
        "steps": options.steps,
        "seed": options.seed,
        "lr": 2e-3,
        "reuse": 0.5,
    }

    def report(step: int, loss: float) -> None:
        _LOG.info("step %d, loss %.4f, %.0f s", step, loss, time.process_time() - begin)

    network = train_network(options.steps, options.seed, report=report)
    recipe["cpu_seconds"] = round(time.process_time() - begin)
    recipe["torch"] = torch.__version__
    options.out.mkdir(parents=True, exist_ok=True)
    save_network(network, options.out, recipe)


if __name__ == "__main__":
    main()
