"""Whether draws are copies: how near they are to training rows, beside held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.training import Callback
from trajinfer.training.run import Run, State

LEAST_RATIO = 0.7


def nearest_ratio(draws: Array, training: Array, held_out: Array) -> float:
    """Median distance of draws to their nearest training row, over that of held-out rows.

    1 for draws of the law itself; near 0 for copies of the training rows. Rows (N, D) in one unit.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(300, 2))
        >>> nearest_ratio(rows[:100] + 1e-6, rows[:100], rows[200:]) < 0.01
        True
    """
    tree = cKDTree(training)
    near, usual = (np.median(tree.query(rows)[0]) for rows in (draws, held_out))
    return float(near / max(usual, 1e-300))


class Memorisation(Callback):
    """Stops a training whose draws come nearer to the training rows than held-out rows are.

    Args:
        draw: () -> rows drawn with the network as it is.
        training, held_out: rows.
        every: epochs between two looks.

    Attributes:
        ratio: of the last look, see `nearest_ratio`; 1 before the first.
    """

    def __init__(
        self, draw: Callable[[], Array], training: Array, held_out: Array, every: int
    ) -> None:
        self.draw, self.training, self.held_out, self.every = draw, training, held_out, every
        self.ratio = 1.0

    def on_epoch(self, run: Run) -> None:
        """Look, and stop the run where draws are nearer than `LEAST_RATIO` of what is usual."""
        if run.epoch % self.every and run.step < run.n_steps:
            return
        self.ratio = nearest_ratio(self.draw(), self.training, self.held_out)
        run.record(memorisation=self.ratio)
        if self.ratio < LEAST_RATIO:
            run.stop(f"draws memorise: {self.ratio:.2f} of the usual distance to training rows")

    def state(self) -> State:
        """The ratio."""
        return {"ratio": self.ratio}, {}

    def restore(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Set the state that `state` gave."""
        self.ratio = values["ratio"]
