"""Mini-batches of indices: which ones a step sees depends on the seed and the step alone."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, require_integer


class BatchSource(Protocol):
    """Source of the batch of any step, so that a resumed run sees the same ones."""

    seed: int
    per_epoch: int

    def at(self, step: int) -> Any:
        """The batch of step `step`, counted from 0."""


class Batches:
    r"""Random batches without replacement within an epoch.

    Args:
        rows: the number of items, whose indices are drawn, or the rows to draw from.
        size: most items per batch; the batches of an epoch differ by one at most.
        seed: of the permutations; that of an epoch depends on the seed and the epoch alone.

    Raises:
        InputError: if the number of rows or `size` is not a positive integer.

    Example:
        >>> batches = Batches(5, 2, seed=0)
        >>> batches.per_epoch, [len(batches.at(step)) for step in range(3)]
        (3, [2, 1, 2])
        >>> sorted(int(i) for step in range(3) for i in batches.at(step))
        [0, 1, 2, 3, 4]
    """

    def __init__(self, rows: int | Array, size: int, seed: int) -> None:
        self._rows = None if np.ndim(rows) == 0 else torch.as_tensor(rows)
        self.n = require_integer(rows if self._rows is None else len(self._rows), "n", least=1)
        size = min(require_integer(size, "size", least=1), self.n)
        self.per_epoch = -(-self.n // size)
        self.seed = seed
        self._bounds = np.linspace(0, self.n, self.per_epoch + 1).round().astype(int)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> Tensor:
        """(size,) rows of the batch of step `step`, counted from 0."""
        epoch, k = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            self._epoch, self._order = epoch, torch.as_tensor(order)
        chosen = self._order[self._bounds[k] : self._bounds[k + 1]]
        return chosen if self._rows is None else self._rows[chosen]
