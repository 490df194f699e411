"""Stopping when validation gets no better, and going back to the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn

from trajinfer._core.checks import require_integer
from trajinfer.training.callback import Callback
from trajinfer.training.run import Report, Run, State
from trajinfer.training.weight_average import WeightAverage

GiveUp = Callable[[float, float], bool]


class EarlyStopping(Callback):
    """Validate after epochs; keep the best state (buffers too) and restore it at the end.

    Args:
        module: whose state is kept.
        validate: () -> a number, lower is better; use the same noise at every call.
        patience: validations without a better one before the run stops; None never stops.
        every: epochs between validations.
        average: validate and keep the averaged weights of this callback, which must stand before
            this one in the list.
        give_up: (share of the steps made at the validation before, share made now) -> whether to
            stop here; asked after every validation, with the same weights.

    Attributes:
        best: the lowest validation so far; best_epoch: its epoch.
    """

    def __init__(
        self,
        module: nn.Module,
        validate: Callable[[], float],
        patience: int | None,
        *,
        every: int = 1,
        average: WeightAverage | None = None,
        give_up: GiveUp | None = None,
    ) -> None:
        self.module, self.validate, self.patience = module, validate, patience
        self.every = require_integer(every, "every", least=1)
        self.average, self.give_up = average, give_up
        self.best, self.best_epoch, self._waited = math.inf, 0, 0
        self._best_state: dict[str, Tensor] = {}

    def on_epoch(self, run: Run) -> None:
        """Validate; keep the state if it is the best, stop if patience is at its end."""
        if run.epoch % self.every and run.step < run.n_steps:
            return
        with self.average.applied() if self.average else nullcontext():
            value = run.processes.said(float(self.validate()))
            if value < self.best:
                self.best, self.best_epoch, self._waited = value, run.epoch, 0
                self._best_state = {
                    k: v.detach().clone() for k, v in self.module.state_dict().items()
                }
            else:
                self._waited += 1
            gives_up = self.give_up is not None and bool(
                run.processes.said(float(self.give_up(*self._shares_made(run))))
            )
        run.record(validation=value)
        if self.patience is not None and self._waited >= self.patience:
            run.stop(f"no better validation than {self.best:.6g} (epoch {self.best_epoch})")
        if gives_up:
            run.stop("more training promises nothing")

    def _shares_made(self, run: Run) -> tuple[float, float]:
        before = max(0, run.step - self.every * run.batches.per_epoch)
        return before / run.n_steps, run.step / run.n_steps

    def on_fit_end(self, report: Report) -> None:
        """Put the best state back."""
        if self._best_state:
            self.module.load_state_dict(self._best_state)

    def state(self) -> State:
        """The best value, the wait, and the kept state."""
        values = {"best": self.best, "best_epoch": self.best_epoch, "waited": self._waited}
        return values, dict(self._best_state)

    def restore(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Set the state that `state` gave."""
        self.best, self.best_epoch = values["best"], values["best_epoch"]
        self._waited, self._best_state = values["waited"], dict(tensors)
