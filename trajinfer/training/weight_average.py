"""Moving average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trajinfer.training.callback import Callback
from trajinfer.training.run import Report, Run, State


class WeightAverage(Callback):
    r"""Exponential moving average of the parameters, put into the module when the run ends.

    $\bar w_k = \beta_k \bar w_{k-1} + (1 - \beta_k) w_k$ with
    $\beta_k = \min(\text{decay}, (k + 1) / (k + 10))$, so that early weights are forgotten.

    Args:
        module: whose parameters are averaged; buffers keep their latest value.
        decay: limit of beta, in [0, 1).

    Source: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self._average = [p.detach().clone() for p in module.parameters()]

    def on_step(self, run: Run) -> None:
        """Move the average towards the new weights."""
        keep = min(self.decay, (run.step + 1) / (run.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, list(self.module.parameters()), 1 - keep)

    def on_fit_end(self, report: Report) -> None:
        """Put the average into the module."""
        self._exchange()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights in the module for the length of a block, for validation."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state(self) -> State:
        """The averages, in the order of the parameters."""
        return {}, {str(k): value for k, value in enumerate(self._average)}

    def restore(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Set the state that `state` gave."""
        for k, average in enumerate(self._average):
            average.copy_(tensors[str(k)])

    def _exchange(self) -> None:
        with torch.no_grad():
            for k, parameter in enumerate(self.module.parameters()):
                mine = self._average[k].clone()
                self._average[k].copy_(parameter)
                parameter.copy_(mine)
