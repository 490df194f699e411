"""A training on its way, and how it went."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from trajinfer._core.errors import NotConverged
from trajinfer._core.seeding import seeded
from trajinfer.training.batches import BatchSource
from trajinfer.training.loss import Loss
from trajinfer.training.optimization import Optimization
from trajinfer.training.processes import Processes

State = tuple[dict[str, Any], dict[str, Tensor]]

_MOST_SKIPPED = 20
_STEP_SEEDS = 0x9E3779B97F4A7C15


class Stateful(Protocol):
    """A companion of the run whose state a checkpoint keeps."""

    def state(self) -> State:
        """State that a resumed run needs: values that JSON holds, and tensors."""

    def restore(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Set the state that `state` gave."""


@dataclass(frozen=True)
class Report:
    """How a training went.

    Attributes:
        history: a dict per epoch: step, epoch, losses and terms (means over the epoch), seconds,
            and what callbacks recorded.
        stopped: why it ended before its last step, or None.
        n_steps: steps made.
        n_skipped: steps not made because a loss or gradient was not finite.
        wall_time: seconds, those before a resumed checkpoint included.
    """

    history: list[dict[str, Any]]
    stopped: str | None
    n_steps: int
    n_skipped: int
    wall_time: float


@dataclass(eq=False)
class Run:
    """A training on its way, as callbacks see it.

    Attributes:
        optimizations, batches, n_steps, callbacks: as given to `train`.
        processes: that train together; callbacks write where `processes.first`.
        step: steps made so far.
        history: rows of the epochs so far.
        stopped: the reason given to `stop`, or None.
    """

    optimizations: Sequence[Optimization]
    batches: BatchSource
    n_steps: int
    callbacks: Sequence[Stateful]
    processes: Processes = field(default_factory=Processes.here)
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None
    n_skipped: int = 0
    seconds_before: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _sums: dict[str, list[Tensor | float]] = field(default_factory=dict)
    _failures: int = 0

    @property
    def epoch(self) -> int:
        """Number of whole epochs made."""
        return self.step // self.batches.per_epoch

    @property
    def at_end_of_epoch(self) -> bool:
        """Whether the step made last was that of an epoch, or of the run."""
        return self.step % self.batches.per_epoch == 0 or self.step == self.n_steps

    @property
    def seconds(self) -> float:
        """Time spent, that before a resumed checkpoint included."""
        return self.seconds_before + time.monotonic() - self._began

    def stop(self, reason: str) -> None:
        """End the run after the current epoch or step."""
        self.stopped = reason

    def record(self, **figures: float) -> None:
        """Add figures to the history row of the epoch that has just ended."""
        self.history[-1].update(figures)

    def advance(self) -> None:
        """One step of every optimization whose turn it is."""
        batch = self.batches.at(self.step)
        with self._stream():
            for optimization in self.optimizations:
                if self.step % optimization.every == 0:
                    self._record_loss(
                        optimization, optimization.move(batch, self.step, self.processes)
                    )
        self.step += 1

    def _stream(self) -> AbstractContextManager[None]:
        """The stream of this step, where some objective draws from one."""
        if not any(optimization.draws for optimization in self.optimizations):
            return nullcontext()
        # of several processes each draws for its own rows
        place = self.processes.count * self.step + self.processes.rank
        return seeded((self.batches.seed + _STEP_SEEDS * (place + 1)) % 2**63)

    def close_epoch(self) -> None:
        """Add a row of means since the last epoch to the history."""
        means = {name: _mean(values) for name, values in self._sums.items()}
        self._sums = {}
        self.history.append(
            {"step": self.step, "epoch": self.epoch, **means, "seconds": self.seconds}
        )

    def open_epoch(self) -> dict[str, Tensor]:
        """Losses and terms (steps,) of the epoch that has not ended yet."""
        return {name: _stacked(values) for name, values in self._sums.items()}

    def reopen_epoch(self, figures: Mapping[str, Tensor]) -> None:
        """Go on with an epoch whose first losses and terms are these."""
        self._sums = {name: list(values.unbind()) for name, values in figures.items()}

    def _record_loss(self, optimization: Optimization, loss: Loss | None) -> None:
        if loss is None:
            self._count_failure(optimization)
            return
        self._failures = 0
        prefix = f"{optimization.name}_" if len(self.optimizations) > 1 else ""
        for name, value in {"loss": loss.total, **loss.terms}.items():
            number = value.detach() if isinstance(value, Tensor) else value
            self._sums.setdefault(prefix + name, []).append(number)

    def _count_failure(self, optimization: Optimization) -> None:
        self.n_skipped += 1
        self._failures += 1
        if self._failures > _MOST_SKIPPED:
            raise NotConverged(
                f"the loss of '{optimization.name}' or its gradient was not finite in "
                f"{self._failures} steps in a row, the last one step {self.step}; try a smaller "
                "learning rate, or look for infinite or huge values in the data"
            )


def _mean(values: Sequence[Tensor | float]) -> float:
    return float(_stacked(values).mean())


def _stacked(values: Sequence[Tensor | float]) -> Tensor:
    """Numbers in double precision on the CPU, in one move where all are on one device."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if len(tensors) == len(values) and len({(v.device, v.dtype) for v in tensors}) == 1:
        return torch.stack(tensors).cpu().double()
    return torch.tensor([float(value) for value in values], dtype=torch.float64)
