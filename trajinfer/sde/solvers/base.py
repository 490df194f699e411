"""The solver protocol: one step as a pure function, with its requirements on noise and SDE."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import BrownianMismatch
from trajinfer.paths.brownian import Increments, Need, Times
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.error_sum import ErrorSum

Estimate = Literal["embedded", "natural"]
Size = float | Tensor
"""Length of a step: a float, or (B, 1) where series have their own times."""


class StepNoise(NamedTuple):
    """Noise of one step.

    Attributes:
        W: increment, (B, M).
        H: space-time Levy area, (B, M).
        Z: further normal numbers, (B, D), for exact steps.
        root: square root of the step length, float or (B, 1).
        terms: what the solver prepared for all steps of a chunk at once.
        lengths: of the step on the host, (1,) or (B,), where series have their own.
    """

    W: Any
    H: Any
    Z: Any
    root: Size
    terms: tuple[Tensor, ...]
    lengths: Times | None = None


class Stage(NamedTuple):
    """A place where a step evaluated the drift.

    Attributes:
        weight: quadrature weight of the stage within the step, as a share of h.
        t: its time.
        y: its state.
        f: the drift there.
        g: the diffusion there, if it was evaluated as such.
    """

    weight: float
    t: Tensor
    y: Tensor
    f: Tensor
    g: Tensor | None = None


class Step(NamedTuple):
    """Result of one step; everything stays in the autograd graph.

    Attributes:
        y: the new state, (B, D).
        carry: what the next step reuses.
        error: estimate of the local error, if the solver was asked for one.
        stages: the drift evaluations, in order.
    """

    y: Tensor
    carry: tuple[Tensor, ...] = ()
    error: ErrorSum | None = None
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class Solver(ABC):
    """A one-step method.

    Attributes:
        estimate: which estimate of the local error to compute, None for none.
        name: as typed by the user.
        calculus: calculi it is right for.
        noise: noise types it is right for.
        need: the noise it uses.
        commuting: whether its order needs noise that commutes.
        halving: whether it converges under adaptive halving even if the noise does not commute.
        order: strong order as shown in the table of solvers.
        estimates: the error estimates it can give.
    """

    estimate: Estimate | None = None

    name: ClassVar[str] = ""
    calculus: ClassVar[tuple[str, ...]] = ("ito",)
    noise: ClassVar[tuple[str, ...]] = ("diagonal", "scalar", "additive", "general")
    need: ClassVar[Need] = "W"
    commuting: ClassVar[bool] = False
    halving: ClassVar[bool] = False
    order: ClassVar[str] = ""
    estimates: ClassVar[tuple[Estimate, ...]] = ()

    @abstractmethod
    def strong_order(self, problem: Problem) -> float:
        """Strong order on this SDE."""

    @abstractmethod
    def step(
        self,
        problem: Problem,
        t: Tensor,
        h: Size,
        y: Tensor,
        noise: StepNoise,
        carry: tuple[Tensor, ...],
    ) -> Step:
        """One step from (t, y) to t + h."""

    def error_order(self) -> float:
        """Local order in h of the error estimate, the q of step control."""
        return 1.5

    def needs(self, problem: Problem) -> Need:
        """The noise it uses on this SDE."""
        return self.need if problem.noise_type != "none" else ""

    def start(self, problem: Problem, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The carry of the first step."""
        return ()

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """Combinations of the noise for all steps of a chunk, each (K, B, M).

        Args:
            noise: of K steps.
            h: their lengths, (K, 1, 1) or (K, B, 1).
            root: square roots of h.
        """
        return ()

    def law(self, problem: Problem, lengths: Times, y: Tensor) -> tuple[Tensor, ...]:
        """What steps use of their lengths alone: tensors of one row per length.

        Args:
            problem: the SDE.
            lengths: of S steps, or of the step of S series, (S,) on the host.
            y: a state, for its dtype and device.
        """
        return ()


def scaled_add(y: Tensor, h: Size, f: Tensor, weight: float = 1.0) -> Tensor:
    """The sum y + weight h f in one kernel."""
    if isinstance(h, float):
        return y.add(f, alpha=h * weight)
    return torch.addcmul(y, h, f, value=weight)


def add_noise(problem: Problem, y: Tensor, g: Tensor, v: Tensor, weight: float = 1.0) -> Tensor:
    """The sum y + weight g v, in one kernel if the noise is diagonal."""
    if problem.noise_type == "diagonal":
        return torch.addcmul(y, g, v, value=weight)
    return y.add(problem.prod(g, v), alpha=weight)


def combine(parts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum of some noise tensors; zero weights cost nothing."""
    total: Tensor | None = None
    for part, weight in zip(parts, weights):
        if weight:
            total = part * weight if total is None else total.add(part, alpha=weight)
    return torch.zeros_like(parts[0]) if total is None else total


def present(noise: Increments) -> tuple[Tensor, Tensor]:
    """W and H of noise that was drawn with both.

    Raises:
        BrownianMismatch: if one is missing.
    """
    if noise.W is None or noise.H is None:
        raise BrownianMismatch("this solver needs W and its space-time Levy area H")
    return noise.W, noise.H


def shifted(t: Tensor, c: float, h: Size) -> Tensor:
    """The time t + c h, and t itself where c = 0."""
    return t if c == 0.0 else t + c * h


def split_noise(
    solver: Solver,
    problem: Problem,
    noise: Increments,
    times: Times,
    sizes: Sequence[Size],
    like: Tensor,
) -> list[StepNoise]:
    """The noise of a chunk, one `StepNoise` per step."""
    n_steps = len(sizes)
    lengths = np.diff(times, axis=-1)
    rows = lengths.T[:, :, None] if times.ndim == 2 else lengths[:, None, None]
    terms: list[tuple[Tensor, ...]] = [()] * n_steps
    roots: list[Size] = []
    shared = times.ndim == 1
    if shared:
        roots = np.sqrt(lengths).tolist()
    if not shared or type(solver).terms is not Solver.terms:
        h = torch.as_tensor(np.ascontiguousarray(rows), dtype=like.dtype, device=like.device)
        root = h.sqrt()
        roots = roots if shared else list(root.unbind(0))
        prepared = solver.terms(noise, h, root)
        terms = list(zip(*(part.unbind(0) for part in prepared))) if prepared else terms
    if shared and (laws := solver.law(problem, lengths, like)):
        terms = list(zip(*(part.split(1) for part in laws)))
    parts = [[None] * n_steps if p is None else p.unbind(0) for p in noise]
    own = [None] * n_steps if shared else lengths.T
    return [StepNoise(*of_step) for of_step in zip(*parts, roots, terms, own)]


def single_noise(solver: Solver, W: Tensor, H: Tensor, h: Size) -> StepNoise:
    """The noise of one step."""
    increments = Increments(W[None], H[None], None)
    if isinstance(h, Tensor):
        root: Size = h.sqrt()
        terms = solver.terms(increments, h[None], h.sqrt()[None])
    else:
        root = math.sqrt(h)
        terms = solver.terms(increments, W.new_full((1, 1, 1), h), W.new_full((1, 1, 1), root))
    return StepNoise(W, H, None, root, tuple(term[0] for term in terms))
