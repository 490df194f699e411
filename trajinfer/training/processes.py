r"""One training in several processes, as `torchrun` starts them.

Every process holds the whole module and takes its own part of each batch. With $n_r$ of the N rows
of a batch in process r, losses and gradients are summed with weights $n_r / N$: those of the whole
batch, where the loss is a mean over rows. So a training has one course for any number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trajinfer._core.errors import InputError, TaskFailure

Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """The processes of a training, seen from one of them.

    Attributes:
        rank: number of this one; 0 writes and shows progress.
        count: of all.
    """

    rank: int
    count: int

    @classmethod
    def here(cls) -> Processes:
        """Those that torch was told of; this one alone otherwise."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls(0, 1)
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.count == 1

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def part(self, batch: Any) -> tuple[Any, float]:
        """The rows of a batch that this process takes, and their share of all.

        Raises:
            InputError: for batches that are no tensors of rows, or of fewer rows than processes.
        """
        if self.alone:
            return batch, 1.0
        if not isinstance(batch, Tensor) or len(batch) < self.count:
            given = f"{len(batch)} rows" if isinstance(batch, Tensor) else type(batch).__name__
            raise InputError(
                f"a batch must be a tensor of at least {self.count} rows, one per process, got "
                f"{given}; take a larger batch_size or fewer processes"
            )
        mine = batch.tensor_split(self.count)[self.rank]
        return mine, len(mine) / len(batch)

    def summed(self, tensors: Sequence[Tensor], share: float) -> None:
        """Sum tensors over the processes, in place, each times the share of its process."""
        if self.alone or not tensors:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors]) * share
        _together(lambda: dist.all_reduce(flat))
        for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors])):
            tensor.detach().copy_(total.view_as(tensor))

    def said(self, value: float) -> float:
        """The number that the first process has."""
        if self.alone:
            return value
        told = torch.tensor(value, dtype=torch.float64)
        _together(lambda: dist.broadcast(told, 0))
        return float(told)

    def agree_on(self, seed: int, modules: Iterable[nn.Module]) -> None:
        """Take the weights of the first process.

        Raises:
            InputError: if the processes draw their batches from different seeds.
        """
        if self.alone:
            return
        own = torch.tensor([seed, -seed], dtype=torch.int64)
        _together(lambda: dist.all_reduce(own, dist.ReduceOp.MAX))
        if int(own[0]) != -int(own[1]):
            raise InputError(
                "the processes of a training must have one seed; give random_state= a number"
            )
        for module in modules:
            for tensor in module.state_dict().values():
                _together(partial(dist.broadcast, tensor, 0))


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that `torchrun` started with this one, joined for the length of a block."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or not dist.is_available() or dist.is_initialized():
        yield Processes.here()
        return
    dist.init_process_group()
    try:
        yield Processes.here()
    finally:
        dist.destroy_process_group()


def _together(call: Callable[[], Result]) -> Result:
    """A call that all processes make; one that ended ends it."""
    try:
        return call()
    except RuntimeError as error:
        raise TaskFailure(
            "another process of this training has ended, so this one ends too "
            f"({str(error).splitlines()[0]}); look at the first error above"
        ) from error
