"""Training of the network that moves a law in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.seeding import Seeds
from trajinfer.scores.corrected import Corrected
from trajinfer.scores.denoising import DenoisingLoss, Examples, HeldOutLevels
from trajinfer.scores.memorisation import Memorisation
from trajinfer.training import Batches, Recipe, Report

_STEPS_A_VALIDATION = 100
_HALF_LIFE = 0.05


@dataclass(frozen=True)
class Schedule:
    """How long a correction is trained.

    Attributes:
        max_epochs: bound on the passes over the rows.
        batch_size: rows a step.
        lr: largest learning rate.
        patience: validations without a better one before the training ends.
        verbose: 1 shows a bar, 2 logs.
    """

    max_epochs: int
    batch_size: int
    lr: float
    patience: int
    verbose: int


@dataclass(frozen=True)
class Learned:
    """What came of a training.

    Attributes:
        helps: whether held-out losses fell below those of the law in closed form.
        report: of the training.
        rhos, by_level: held-out loss by level over that of the law in closed form.
        memorisation: see `nearest_ratio`.
    """

    helps: bool
    report: Report
    rhos: Array
    by_level: Array
    memorisation: float


def learn_correction(
    network: nn.Module,
    examples: Examples,
    n_rows: int,
    questions: Sequence[tuple[Corrected, Tensor]],
    levels: tuple[float, float],
    draw: Callable[[int], Array],
    rows: tuple[Array, Array],
    schedule: Schedule,
    seeds: Seeds,
) -> Learned:
    """Train until the held-out loss, every level counting alike, gets no better.

    Args:
        network: trained in place.
        examples: clean rows.
        n_rows: their number.
        questions: denoisers of held-out rows with their clean entries.
        levels: (rho_max, rho_min).
        draw: number -> as many rows drawn with the network as it is.
        rows: training and held-out rows, to see whether draws are copies.
        schedule: of the training.
        seeds: of the fit.
    """
    held_out = HeldOutLevels.of(questions, levels, seeds.split)
    batches = Batches(n_rows, schedule.batch_size, seeds.batches)
    every = -(-_STEPS_A_VALIDATION // batches.per_epoch)
    copies = Memorisation(_quietly(network, draw, len(rows[1])), *rows, every=3 * every)
    recipe = Recipe(
        seed=seeds.batches,
        epochs=schedule.max_epochs,
        lr=schedule.lr,
        clip=10.0,
        average=0.5 ** (1 / max(1.0, _HALF_LIFE * schedule.max_epochs * batches.per_epoch)),
        floor=0.1,
        warmup=50,
        patience=schedule.patience,
        validation_interval=_STEPS_A_VALIDATION,
        name="denoiser",
        callbacks=(copies,),
        verbose=schedule.verbose,
    )
    report = recipe.fit(network, DenoisingLoss(examples, levels, seeds.noise), batches, held_out)
    with torch.no_grad():
        by_level = held_out.by_level()
    helps = float(by_level.mean()) < 1.0
    return Learned(helps, report, held_out.rhos, by_level, copies.ratio)


def _quietly(network: nn.Module, draw: Callable[[int], Array], n: int) -> Callable[[], Any]:
    """Rows drawn without gradients and in evaluation mode."""

    def drawn() -> Array:
        training = network.training
        network.eval()
        with torch.no_grad():
            rows = draw(n)
        network.train(training)
        return np.asarray(rows)

    return drawn
