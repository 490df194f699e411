"""Stretches of steps that are run again in the backward pass, with their noise drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trajinfer._core.errors import InputError
from trajinfer.sde.job import Job, run_chunk
from trajinfer.sde.stepping import Saved, State, StepChunk


@dataclass(frozen=True)
class Checkpoint:
    """Store the state every `every` steps and recompute what lies between.

    Args:
        every: length of a chunk; memory grows with N / every + every.
    """

    every: int = 32

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"Checkpoint(every) must be at least 1, got {self.every}")


def run_checkpointed(job: Job, chunk: StepChunk, state: State) -> tuple[State, Saved]:
    """One chunk whose inside is not kept for the backward pass."""

    def inside(y: Tensor, carry: Any, totals: Any) -> tuple[State, Saved]:
        return run_chunk(job, chunk, State(y, carry, totals))

    result: tuple[State, Saved] = checkpoint(inside, *state, use_reentrant=False)
    return result
