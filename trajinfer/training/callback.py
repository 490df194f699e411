"""Base class of the hooks of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from trajinfer.training.run import Report, Run, State


class Callback:
    """Hooks that do nothing; a callback overrides those it needs."""

    def on_fit_start(self, run: Run) -> None:
        """Before the first step."""

    def on_step(self, run: Run) -> None:
        """After every step; `run.step` steps have been made."""

    def on_epoch(self, run: Run) -> None:
        """After every epoch; `run.record` adds figures to its row of the history."""

    def on_fit_end(self, report: Report) -> None:
        """After the last step, not when the run is broken off by an error or by the user."""

    def state(self) -> State:
        """State that a resumed run needs: values that JSON holds, and tensors."""
        return {}, {}

    def restore(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Set the state that `state` gave."""
