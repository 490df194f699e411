"""Sums over the steps of a solve, kept per output interval: log-ratios and penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Step, StepNoise


class AcceptedStep(NamedTuple):
    """An accepted step.

    Attributes:
        t: its start.
        h: its length.
        y: the state it starts from.
        noise: of the step.
        step: its result.
    """

    t: Tensor
    h: Size
    y: Tensor
    noise: StepNoise
    step: Step


class StepAccumulator(Protocol):
    """Folds the accepted steps of each output interval into one tensor.

    All methods are pure functions of their arguments, so that a chunk of steps can be run again
    for a gradient.
    """

    def start(self, y: Tensor) -> Tensor:
        """The total before the first step of an interval."""
        ...

    def update(
        self, total: Tensor, problem: Problem, steps: Sequence[AcceptedStep], errors: Tensor | None
    ) -> Tensor:
        """The total after N consecutive steps and, where estimated, their errors (N, B, D)."""
        ...

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """The total of two neighbouring intervals from theirs."""
        ...
