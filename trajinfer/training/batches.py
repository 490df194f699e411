"""Mini-batches of indices: which ones a step sees depends on the seed and the step alone."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import require_integer


class BatchSource(Protocol):
    """What `train` draws from: the batch of any step, so that a resumed run sees the same ones."""

    seed: int
    per_epoch: int

    def at(self, step: int) -> Any:
        """The batch of step `step`, counted from 0."""


class Batches:
    r"""Random batches without replacement within an epoch.

    Args:
        n: number of items.
        size: most items per batch; the batches of an epoch differ by one at most.
        seed: of the permutations; that of an epoch depends on the seed and the epoch alone.

    Raises:
        InputError: if `n` or `size` is not a positive integer.

    Example:
        >>> batches = Batches(5, 2, seed=0)
        >>> batches.per_epoch, [len(batches.at(step)) for step in range(3)]
        (3, [2, 1, 2])
        >>> sorted(int(i) for step in range(3) for i in batches.at(step))
        [0, 1, 2, 3, 4]
    """

    def __init__(self, n: int, size: int, seed: int) -> None:
        self.n = require_integer(n, "n", least=1)
        size = min(require_integer(size, "size", least=1), self.n)
        self.per_epoch = -(-self.n // size)
        self.seed = seed
        self._bounds = np.linspace(0, self.n, self.per_epoch + 1).round().astype(int)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> Tensor:
        """(size,) indices of the batch of step `step`, counted from 0."""
        epoch, k = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            self._epoch, self._order = epoch, torch.as_tensor(order)
        return self._order[self._bounds[k] : self._bounds[k + 1]]
