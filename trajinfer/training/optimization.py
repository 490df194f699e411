"""A module with its objective, optimizer and schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trajinfer.training.loss import Loss
from trajinfer.training.processes import Processes
from trajinfer.training.schedules import Schedule, constant

_ALONE = Processes(0, 1)

Objective = Callable[[Any, int], Loss]


@dataclass(eq=False)
class Optimization:
    """A module, the objective that it lowers, and the optimizer that moves it.

    Ordinary training has one; adversarial training has two, with objectives of their own.

    Args:
        name: heads its figures in the history where there are several optimizations.
        module: holds the parameters that `optimizer` moves, and the buffers saved with them.
        objective: (batch, step) -> `Loss`.
        optimizer: of torch.
        schedule: step -> factor on the learning rates given to the optimizer.
        every: the optimization moves at steps that are multiples of this.
        clip: largest norm of its gradient; None leaves it.
        draws: whether the objective may draw without naming a generator, as dropout does. Its
            draws then come from the stream of the step, for which every call of torch is looked
            at: small networks train a third faster without.
    """

    name: str
    module: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: Schedule = constant
    every: int = 1
    clip: float | None = None
    draws: bool = True
    _rates: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rates = [group["lr"] for group in self.optimizer.param_groups]

    def move(self, batch: Any, step: int, processes: Processes = _ALONE) -> Loss | None:
        """One step downhill; None, and no step, where loss or gradient are not finite.

        Of several processes each takes its part of the batch, and all make the same step.
        """
        batch, share = processes.part(batch)
        factor = self.schedule(step)
        for group, rate in zip(self.optimizer.param_groups, self._rates):
            group["lr"] = rate * factor
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective(batch, step)
        total = loss.total.detach().clone()
        processes.summed([total], share)
        if not torch.isfinite(total):
            return None
        loss.total.backward()
        processes.summed([p.grad for p in self._moved if p.grad is not None], share)
        if not torch.isfinite(self._limit_gradient()):
            return None
        self.optimizer.step()
        return loss if processes.alone else Loss(total, loss.terms)

    @property
    def _moved(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _limit_gradient(self) -> Tensor:
        bound = float("inf") if self.clip is None else self.clip
        return nn.utils.clip_grad_norm_(self._moved, bound)
