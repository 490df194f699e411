"""Losses of whole paths: simulate, compare with observed paths, differentiate through it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.generation.chain import Chain
from trajinfer.metrics import (
    PathKernel,
    SignatureKernel,
    expected_signature_discrepancy,
    expected_signature_distance,
    from_zero,
    with_time,
)
from trajinfer.paths import Path, linear_path
from trajinfer.training import Callback, Loss, Recipe, Report

Distance = Callable[[Tensor, Tensor], Tensor]
_LONGEST_WALK = 3


class PathSimulator:
    """Simulated paths for a batch of targets, with gradients through their last link.

    Neighbours and targets are disjoint: a target that is also the neighbour would reward copying.
    Walks of 1 to 3 links, earlier ones without gradient, keep the fixed point in place.

    Args:
        chain: what is trained.
        seed: of all draws.
        stride: only every so-many-th time is compared, with solver steps so many times as long.
        shared: the published choice instead, for comparison: the targets are the neighbours, and
            walks have one link.
    """

    def __init__(self, chain: Chain, seed: int, *, stride: int = 1, shared: bool = False) -> None:
        if not chain.paths.regular:
            raise InputError(
                "losses of whole paths need series that are complete on the same times; use "
                "loss='likelihood', which takes every series as it was observed"
            )
        if chain.sde.neighbour == "pool":
            raise InputError("a pooled neighbour is learned by loss='likelihood'")
        self.chain = replace(chain, step=chain.step * stride)
        self.seed, self.shared = seed, shared
        self.ts = chain.paths.times[0, ::stride]
        self.real = chain.paths.values[:, ::stride]
        if len(self.ts) < 2:
            raise InputError(
                f"a stride of {stride} leaves one of the {chain.paths.times.shape[1]} times; take "
                "a smaller one"
            )

    def __call__(self, targets: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Fakes (b, T, D) for the targets (b,) of a step, and the penalty on the solver's steps."""
        generator = self.chain.generator((self.seed + step) % 2**63)
        n, ts = len(targets), self.ts.cpu().numpy()
        neighbours = self._neighbours(targets, generator)
        if neighbours is not None and not self.shared:
            extra = int(
                torch.randint(_LONGEST_WALK, (1,), generator=generator, device=generator.device)
            )
            for _ in range(extra):
                with torch.no_grad():
                    link = self.chain.link(
                        self.chain.starts(n, generator), ts, neighbours, generator
                    )
                neighbours = linear_path(self.ts.float().expand(n, -1), link).held()
        starts = self.chain.starts(n, generator)
        return self.chain.penalised_link(starts, ts, neighbours, generator, step)

    def _neighbours(self, targets: Tensor, generator: torch.Generator) -> Path | None:
        if self.chain.sde.neighbour == "none":
            return None
        if self.shared:
            return self.chain.paths.as_path(targets)
        free = torch.ones(len(self.real), dtype=torch.bool, device=self.real.device)
        free[targets] = False
        others = free.nonzero()[:, 0]
        if not len(others):
            raise InputError(
                f"all {len(self.real)} series are targets of one step, none is left as neighbour; "
                "try a smaller batch_size"
            )
        drawn = torch.randint(
            len(others), (len(targets),), generator=generator, device=others.device
        )
        return self.chain.paths.as_path(others[drawn])


@dataclass(frozen=True)
class PathLoss(ABC):
    """Training by a distance between simulated and observed paths.

    Args:
        n_steps: training steps.
        batch_size: simulated, and observed, paths per step.
        lr: of Adam, falling to 0 along a cosine.
        decay: of the moving average of the weights.
        clip: largest norm of a gradient.
        substeps: solver steps per base step of the observations; with gaps that are long against
            the dynamics 3 to 5 let the loss find the law in between.
        stride: simulate and compare only every so-many-th time. A fine grid is learned fastest
            from coarse to fine, `loss=(PathMMD(stride=4), PathMMD())`.
        shared_batch: take the neighbours of a step also as its targets, as published; it rewards
            copies, and is here for comparison only.

    Attributes:
        draws: whether the distance may draw without naming a generator; see `Optimization`.
    """

    draws: ClassVar[bool] = True
    n_steps: int = 2300
    batch_size: int = 256
    lr: float = 1e-3
    decay: float = 0.99
    clip: float = 1.0
    substeps: int = 1
    stride: int = 1
    shared_batch: bool = False

    @abstractmethod
    def distance(self, real: Tensor, ts: Tensor) -> Distance:
        """The distance of batches (b, T, D), fixed by all observed paths and their times."""

    def train(self, chain: Chain, seed: int, callbacks: Sequence[Callback] = ()) -> Report:
        """Lower the distance of the chain's paths to the observed ones."""
        seed_batches, seed_paths = spawn(seed, 2)
        require_integer(self.stride, "stride", least=1)
        simulator = PathSimulator(chain, seed_paths, stride=self.stride, shared=self.shared_batch)
        distance = self.distance(simulator.real, simulator.ts)

        def objective(batch: Tensor, step: int) -> Loss:
            fake, penalty = simulator(batch, step)
            return Loss(distance(fake, simulator.real[batch]) + penalty)

        recipe = Recipe(
            seed=seed_batches,
            steps=self.n_steps,
            batch_size=self.batch_size,
            lr=self.lr,
            betas=(0.9, 0.99),
            clip=self.clip,
            draws=self.draws,
            average=self.decay,
            name="paths",
            callbacks=callbacks,
        )
        return recipe.fit(chain.sde, objective, len(simulator.real))


@packable
@dataclass(frozen=True)
class PathMMD(PathLoss):
    """Unbiased squared MMD with one kernel on levels and increments, `metrics.PathKernel`."""

    draws = False

    def distance(self, real: Tensor, ts: Tensor) -> Distance:
        """See `PathLoss.distance`."""
        return PathKernel.of(real).discrepancy


@packable
@dataclass(frozen=True)
class SigKernelMMD(PathLoss):
    """Unbiased squared MMD with the signature kernel of time-augmented, standardised paths.

    A step costs the square of `batch_size` times the square of the length.

    Args:
        dyadic_order: see `metrics.SignatureKernel`.
    """

    draws = False
    n_steps: int = 500
    batch_size: int = 64
    dyadic_order: int = 0

    def distance(self, real: Tensor, ts: Tensor) -> Distance:
        """See `PathLoss.distance`."""
        augment = time_augmented(real, ts)
        kernel = SignatureKernel.of(augment(real), dyadic_order=self.dyadic_order)
        return lambda fake, true: kernel.discrepancy(augment(fake), augment(true))


@packable
@dataclass(frozen=True)
class ExpectedSignature(PathLoss):
    """Distance of expected truncated signatures.

    Args:
        depth: of the signature.
        unbiased: the squared distance without its bias, levels of equal size; False takes the
            plug-in distance, as published. With `shared_batch` this one rewards copies most: paths
            that equal their neighbours make it vanish, sampling noise and all.
    """

    draws = False
    depth: int = 5
    unbiased: bool = True

    def distance(self, real: Tensor, ts: Tensor) -> Distance:
        """See `PathLoss.distance`."""
        augment = time_augmented(real, ts)
        measure = expected_signature_discrepancy if self.unbiased else expected_signature_distance

        def distance(fake: Tensor, true: Tensor) -> Tensor:
            return measure(from_zero(augment(fake)), from_zero(augment(true)), self.depth)

        return distance


def time_augmented(real: Tensor, ts: Tensor) -> Callable[[Tensor], Tensor]:
    """What standardises paths by all observed ones and puts time, from 0 to 1, first."""
    mean, std = real.mean((0, 1)), real.std((0, 1))
    std = torch.where(std > 0, std, 1.0)
    clock = ((ts - ts[0]) / (ts[-1] - ts[0])).to(real)
    return lambda paths: with_time((paths - mean) / std, clock)
