"""Generation by a directed-chain SDE in the space of the observed channels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import ExtrapolationWarning, InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries
from trajinfer.generation.chain import (
    Chain,
    Dependence,
    StartLaw,
    measure_dependence,
)
from trajinfer.generation.directed_chain import (
    DirectedChainSDE,
    NeighbourKind,
    NoiseKind,
)
from trajinfer.generation.observed import ObservedPaths
from trajinfer.generation.offset import Offset
from trajinfer.generation.prepared import Prepared
from trajinfer.generation.stages import Stage
from trajinfer.generation.transition_likelihood import TransitionLikelihood
from trajinfer.sde import SolverRegularization
from trajinfer.training import Callback, Report

_WALKERS = 1024
_MOST_LINKS = 4
_CORRELATED = 0.1


@packable
@dataclass(frozen=True)
class ChainEngine:
    """A fitted chain and how it is sampled.

    Attributes:
        chain: the chain.
        n_links: links that are walked by default.
        dependence: on the seed, per link, where there is one neighbour.
        offset: where the chain has its zero.
    """

    chain: Chain
    n_links: int
    dependence: Dependence | None
    offset: Offset

    from_start: ClassVar[bool] = False
    own_times: ClassVar[bool] = False
    any_time: ClassVar[bool] = True

    @classmethod
    def fit(
        cls,
        prepared: Prepared,
        stages: Sequence[Stage],
        *,
        neighbour: NeighbourKind,
        noise: NoiseKind | int | str,
        hidden: Sequence[int],
        chain_steps: int,
        start: StartLaw | None,
        regularization: SolverRegularization | None,
        seed: int,
        callbacks: Sequence[Callback],
    ) -> tuple[Self, list[Report]]:
        """Train a chain by the stages, one after another, on the device of the paths."""
        seeds = spawn(seed, len(stages) + 2)
        offset = prepared.offset()
        paths, start = prepared.paths(offset), _shifted(start, offset)
        if neighbour == "pool":
            paths.partners(paths.transitions()[torch.arange(1)])
        sde = DirectedChainSDE(
            paths.units(),
            neighbour=neighbour,
            noise=_noise(paths) if noise == "auto" else noise,  # type: ignore[arg-type]
            hidden=hidden,
            random_state=seeds[0],
        ).to(paths.device)
        step, reports = sde.step, []
        for stage, child in zip(stages, seeds[2:]):
            if isinstance(stage, TransitionLikelihood):
                reports.append(stage.train(sde, paths, child, callbacks))
            else:
                step = min(step, sde.step / stage.substeps)
                chain = Chain(sde, paths, step, start, regularization)
                reports.append(stage.train(chain, child, callbacks))
        chain = Chain(sde, paths, step, start)
        if neighbour != "one":
            return cls(chain, 1, None, offset), reports
        grid = cls(chain, chain_steps, None, offset).grid() - offset.time
        n = min(_WALKERS, max(len(paths), 100))
        links = _MOST_LINKS * chain_steps
        dependence = measure_dependence(chain, grid, n, links, seeds[1])
        forgotten = links if dependence.forgotten is None else dependence.forgotten
        return cls(chain, max(chain_steps, forgotten), dependence, offset), reports

    def grid(self) -> Array:
        """(T,) the times of the training series where these share them, else equal steps."""
        paths = self.chain.paths
        if paths.regular:
            return np.asarray(paths.times[0].cpu().numpy()) + self.offset.time
        start, horizon, step = (float(value) for value in self.chain.sde.clock)
        return self.offset.time + np.linspace(start, start + horizon, round(horizon / step) + 1)

    def check_times(self, ts: Array) -> None:
        """Refuse ascending times (..., T) before the training series.

        Raises:
            InputError: if a time precedes the first one of the training series.

        Warns:
            ExtrapolationWarning: for times beyond their end.
        """
        start, horizon, _ = (float(value) for value in self.chain.sde.clock)
        first, last = self.offset.time + start, self.offset.time + start + horizon
        slack = 1e-6 * (last - first)
        if ts.min() < first - slack:
            raise InputError(
                f"series begin at {first:g}, ts begins at {ts.min():g}; nothing is known before"
            )
        if ts.max() > last + slack:
            warnings.warn(
                f"ts goes on to {ts.max():g}, the training series end at {last:g}",
                ExtrapolationWarning,
                stacklevel=4,
            )

    def sample_with_times(self, n: int, seed: int) -> tuple[Array, Array]:
        """Draws on the grid that they share."""
        grid = self.grid()
        return grid, self.sample(n, grid, None, seed)

    def comparable(self, values: Array) -> Array:
        """Paths as they are."""
        return values

    def sample(self, n: int, ts: Array, n_links: int | None, seed: int) -> Array:
        """Draws (n, T, D) at ascending times (T,), or (n, T)."""
        start, ts = float(self.chain.sde.clock[0]), ts - self.offset.time
        late = ts.min() > start + 1e-9 * max(abs(start), 1)
        grid = np.concatenate([np.full((*ts.shape[:-1], int(late)), start), ts], axis=-1)
        if grid.shape[-1] == 1:  # the start alone; a solve needs an end
            grid = np.concatenate([grid, grid + self.chain.step], axis=-1)
        links = self.n_links if n_links is None else n_links
        drawn = self.chain.sample(n, grid, links, seed)
        return self._put_back(drawn[:, int(late) : int(late) + ts.shape[-1]])

    def continue_from(self, past: IrregularSeries, n: int, ts: Array, seed: int) -> Array:
        """Paths (n, T, D) that go on from the last observation of the past."""
        complete: Array = np.asarray(past.mask.all(axis=2))
        last = complete.shape[1] - 1 - complete[:, ::-1].argmax(axis=1)
        rows = np.arange(len(past))
        when = past.times[rows, last]
        if (when != when[0]).any():
            raise InputError("the given series must end at the same time; draw for each by itself")
        if not ts[0] > when[0]:
            raise InputError(
                f"ts must lie after the last given observation at {when[0]:g}, got {ts[0]:g}"
            )
        ends = past.values[rows, last] - self.offset.state
        device = self.chain.paths.device
        states = torch.as_tensor(ends, dtype=torch.float32, device=device).expand(n, -1)
        grid = np.concatenate([when[:1], ts]) - self.offset.time
        drawn = self.chain.sample(n, grid, self.n_links, seed, states.contiguous())
        return self._put_back(drawn[:, 1:])

    def _put_back(self, drawn: Tensor) -> Array:
        return np.asarray(drawn.cpu().numpy().astype(np.float64) + self.offset.state)

    def walk(self, n: int, n_steps: int, ts: Array, seed: int) -> list[Array]:
        """The first links of a walk, (n, T, D) each.

        Raises:
            InputError: if no neighbour links the paths.
        """
        if self.chain.sde.neighbour != "one":
            raise InputError("only neighbour='one' makes a chain; use sample")
        walk = self.chain.walk(n, ts - self.offset.time, seed)
        return [self._put_back(next(walk)[0]) for _ in range(n_steps)]


def _shifted(start: StartLaw | None, offset: Offset) -> StartLaw | None:
    """A law of starts in the units of the user, near zero."""
    if start is None or not offset.state.any():
        return start

    def moved(n: int, generator: torch.Generator) -> Tensor:
        drawn: Tensor = torch.as_tensor(start(n, generator), dtype=torch.float64).cpu()
        return drawn - torch.as_tensor(offset.state)

    return moved


def _noise(paths: ObservedPaths) -> NoiseKind:
    """Triangular where the increments of different channels are correlated."""
    pairs = paths.transitions()
    scaled = (pairs.change / pairs.gap.sqrt()).double().cpu().numpy()
    std = scaled.std(axis=0)
    if paths.dim == 1 or not (std > 0).all():
        return "diagonal"
    off = np.corrcoef(scaled.T) - np.eye(paths.dim)
    return "triangular" if np.abs(off).max() > _CORRELATED else "diagonal"
