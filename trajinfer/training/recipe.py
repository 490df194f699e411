"""Training of one module from settings: length, optimizer, schedule, averaging, early stopping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from torch import nn

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.training.batches import Batches, BatchSource
from trajinfer.training.callback import Callback
from trajinfer.training.early_stopping import EarlyStopping, GiveUp
from trajinfer.training.loop import train
from trajinfer.training.optimization import Objective, Optimization
from trajinfer.training.parameter_groups import ParameterGroups, all_decay
from trajinfer.training.progress import Progress
from trajinfer.training.run import Report
from trajinfer.training.schedules import cosine
from trajinfer.training.weight_average import WeightAverage

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Recipe:
    r"""How a module is trained: AdamW, a cosine for the learning rate, batches of rows.

    Args:
        seed: of the order of the rows and of the randomness within steps.
        epochs: passes over the rows; exactly one of `epochs` and `steps` is given.
        steps: training steps.
        batch_size: rows per step.
        lr: largest learning rate.
        betas: of AdamW.
        weight_decay: of AdamW; with 0 it is Adam.
        groups: which parameters decay.
        warmup: steps of a linear rise of the learning rate, a tenth of the run at most.
        floor: share of the learning rate at the end of the cosine; 1 keeps it constant.
        clip: largest norm of the gradient; None leaves it.
        draws: whether the objective may draw without naming a generator; see `Optimization`.
        average: limit of the decay of a moving average of the weights, which is what the module
            ends with; None keeps the last weights.
        patience: validations without a better one before the run stops; None never stops.
        validations: most validations of a run; None validates after every epoch.
        validation_interval: least number of steps between two validations.
        name: heads the figures of failures and checkpoints.
        callbacks: called after those that the recipe makes.
        verbose: 1 shows a bar, 2 logs every epoch.

    Raises:
        InputError: unless exactly one of `epochs` and `steps` is given.

    Example:
        >>> from trajinfer.training import Loss
        >>> line, x = nn.Linear(1, 1), torch.linspace(-1, 1, 50)[:, None]
        >>> _ = nn.init.zeros_(line.weight), nn.init.zeros_(line.bias)
        >>> def objective(rows, step):
        ...     return Loss((line(x[rows]) - 3 * x[rows]).square().mean())
        >>> report = Recipe(seed=0, steps=100, lr=0.1).fit(line, objective, 50)
        >>> report.history[-1]["loss"] < 1e-3
        True
    """

    seed: int
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 128
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    groups: ParameterGroups = all_decay
    warmup: int = 0
    floor: float = 0.0
    clip: float | None = None
    draws: bool = True
    average: float | None = None
    patience: int | None = None
    validations: int | None = None
    validation_interval: int = 1
    name: str = "model"
    callbacks: Sequence[Callback] = ()
    verbose: int = 0

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise InputError(
                f"give either epochs or steps, got epochs={self.epochs} and steps={self.steps}"
            )

    def fit(
        self,
        module: nn.Module,
        objective: Objective,
        rows: int | Array | BatchSource,
        validate: Callable[[], float] | None = None,
        give_up: GiveUp | None = None,
    ) -> Report:
        """Train a module in place; it ends in evaluation mode.

        Args:
            module: with its first weights.
            objective: (batch, step) -> `Loss`.
            rows: the number of rows, the rows themselves, or a source of batches of any kind.
            validate: () -> figure of held-out data, lower is better, called without gradients and
                in evaluation mode; the best weights are kept. Use the same noise at every call.
            give_up: (share of the steps made at the validation before, share made now) -> whether
                to stop after a validation; called as `validate` is.

        Raises:
            NotConverged: if losses stay infinite or NaN.
        """
        batches: BatchSource = (
            Batches(rows, self.batch_size, self.seed)
            if isinstance(rows, (int, np.ndarray))
            else rows
        )
        n_steps = self._n_steps(batches)
        module.train()
        report = train(
            [self._optimization(module, objective, n_steps)],
            batches,
            n_steps,
            callbacks=self._hooks(module, validate, give_up, batches),
        )
        module.eval()
        return report

    def _n_steps(self, batches: BatchSource) -> int:
        return self.steps if self.epochs is None else self.epochs * batches.per_epoch  # type: ignore[return-value]

    def _optimization(self, module: nn.Module, objective: Objective, n_steps: int) -> Optimization:
        optimizer = torch.optim.AdamW(
            self.groups(module, self.weight_decay), lr=self.lr, betas=self.betas
        )
        schedule = cosine(n_steps, warmup=min(self.warmup, n_steps // 10), floor=self.floor)
        return Optimization(
            self.name,
            module,
            objective,
            optimizer,
            schedule,
            clip=self.clip,
            draws=self.draws,
        )

    def _hooks(
        self,
        module: nn.Module,
        validate: Callable[[], float] | None,
        give_up: GiveUp | None,
        batches: BatchSource,
    ) -> list[Callback]:
        average = None if self.average is None else WeightAverage(module, self.average)
        hooks: list[Callback] = [] if average is None else [average]
        if validate is not None:
            every = -(-self.validation_interval // batches.per_epoch)
            if self.validations is not None:
                epochs = self._n_steps(batches) // batches.per_epoch
                every = max(every, epochs // self.validations)
            hooks.append(
                EarlyStopping(
                    module,
                    in_evaluation(module, validate),
                    self.patience,
                    every=every,
                    average=average,
                    give_up=None if give_up is None else in_evaluation(module, give_up),
                )
            )
        if self.verbose:
            hooks.append(Progress(self.verbose))
        return [*hooks, *self.callbacks]


def in_evaluation(module: nn.Module, figure: Callable[P, R]) -> Callable[P, R]:
    """The figure, taken without gradients and with the module in evaluation mode."""

    def evaluated(*args: P.args, **kwargs: P.kwargs) -> R:
        was_training = module.training
        module.eval()
        with torch.no_grad():
            value = figure(*args, **kwargs)
        module.train(was_training)
        return value

    return evaluated
