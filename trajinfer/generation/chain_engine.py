"""Generation by a directed-chain SDE in the space of the observed channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
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
    Units,
)
from trajinfer.generation.observed import ObservedPaths
from trajinfer.generation.prepared import Prepared
from trajinfer.generation.shift import Shift
from trajinfer.generation.stages import Stage
from trajinfer.generation.transition_likelihood import TransitionLikelihood
from trajinfer.sde import SolverRegularization
from trajinfer.training import Callback, Report

_WALKERS = 1024
_MOST_LINKS = 4
_CORRELATED = 0.1


class ChainEngine:
    """A fitted chain and how it is sampled.

    Args:
        chain: the chain.
        n_links: links that are walked by default.
        dependence: on the seed, per link, where there is one neighbour.
        shift: where the chain has its zero.
    """

    kind = "chain"

    def __init__(
        self, chain: Chain, n_links: int, dependence: Dependence | None, shift: Shift
    ) -> None:
        self.chain, self.n_links, self.dependence = chain, n_links, dependence
        self.shift = shift

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
        """Train a chain by the stages, one after another."""
        seeds = spawn(seed, len(stages) + 2)
        shift = prepared.shift()
        paths, start = prepared.paths(shift), _shifted(start, shift)
        if neighbour == "pool":
            paths.partners(paths.transitions()[torch.arange(1)])
        sde = DirectedChainSDE(
            paths.units(),
            neighbour=neighbour,
            noise=_noise(paths) if noise == "auto" else noise,  # type: ignore[arg-type]
            hidden=hidden,
            random_state=seeds[0],
        )
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
            return cls(chain, 1, None, shift), reports
        engine = cls(chain, chain_steps, None, shift)
        grid = engine.grid() - shift.time
        n = min(_WALKERS, max(len(paths), 100))
        links = _MOST_LINKS * chain_steps
        engine.dependence = measure_dependence(chain, grid, n, links, seeds[1])
        forgotten = engine.dependence.forgotten
        engine.n_links = max(chain_steps, links if forgotten is None else forgotten)
        return engine, reports

    def grid(self) -> Array:
        """(T,) the times of the training series where these share them, else equal steps."""
        paths = self.chain.paths
        if paths.regular:
            return np.asarray(paths.times[0].numpy()) + self.shift.time
        start, horizon, step = (float(value) for value in self.chain.sde.clock)
        return self.shift.time + np.linspace(start, start + horizon, round(horizon / step) + 1)

    def range(self) -> tuple[float, float]:
        """First and last time of the training series."""
        start, horizon, _ = (float(value) for value in self.chain.sde.clock)
        return self.shift.time + start, self.shift.time + start + horizon

    def sample(self, n: int, ts: Array, n_links: int | None, seed: int) -> Array:
        """Paths (n, T, D) of the kept channels."""
        start, ts = float(self.chain.sde.clock[0]), ts - self.shift.time
        before = [start] if ts[0] > start + 1e-9 * max(abs(start), 1) else []
        grid = np.concatenate([before, ts])
        links = self.n_links if n_links is None else n_links
        drawn = self.chain.sample(n, grid, links, seed)
        return self._put_back(drawn[:, len(before) :])

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
        ends = past.values[rows, last] - self.shift.state
        states = torch.as_tensor(ends, dtype=torch.float32).expand(n, -1)
        grid = np.concatenate([when[:1], ts]) - self.shift.time
        drawn = self.chain.sample(n, grid, self.n_links, seed, states.contiguous())
        return self._put_back(drawn[:, 1:])

    def _put_back(self, drawn: Tensor) -> Array:
        return np.asarray(drawn.numpy().astype(np.float64) + self.shift.state)

    def walk(self, n: int, n_steps: int, ts: Array, seed: int) -> list[Array]:
        """The first links of a walk, (n, T, D) each.

        Raises:
            InputError: if no neighbour links the paths.
        """
        if self.chain.sde.neighbour != "one":
            raise InputError("only neighbour='one' makes a chain; use sample")
        walk = self.chain.walk(n, ts - self.shift.time, seed)
        return [self._put_back(next(walk)[0]) for _ in range(n_steps)]

    def pack(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `unpack` needs."""
        if self.chain.start_law is not None:
            raise InputError("a function as start= cannot be saved; fit with start=None")
        sde, paths = self.chain.sde, self.chain.paths
        config = {
            "neighbour": sde.neighbour,
            "noise": sde.noise,
            "hidden": list(sde.hidden),
            "step": self.chain.step,
            "n_links": self.n_links,
            "zero": self.shift.time,
            "dependence": None
            if self.dependence is None
            else {"links": self.dependence.links, "null": self.dependence.null},
        }
        tensors = {f"sde.{name}": value for name, value in sde.state_dict().items()}
        tensors |= {"times": paths.times, "values": paths.values, "complete": paths.complete}
        tensors["shift"] = torch.as_tensor(self.shift.state)
        if paths.systems is not None:
            tensors["systems"] = paths.systems
        return config, tensors

    @classmethod
    def unpack(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The engine that was packed."""
        state = {k.removeprefix("sde."): v for k, v in tensors.items() if k.startswith("sde.")}
        start, horizon, step = (float(value) for value in state["clock"])
        units = Units(state["mean"], state["std"], state["increment"], step, start, horizon)
        sde = DirectedChainSDE(
            units,
            neighbour=config["neighbour"],
            noise=config["noise"],
            hidden=config["hidden"],
            random_state=0,
        )
        sde.load_state_dict(state)
        paths = ObservedPaths(
            tensors["times"], tensors["values"], tensors["complete"], tensors.get("systems")
        )
        kept = config["dependence"]
        dependence = None if kept is None else Dependence(tuple(kept["links"]), kept["null"])
        shift = Shift(config["zero"], tensors["shift"].numpy())
        return cls(Chain(sde, paths, config["step"]), config["n_links"], dependence, shift)


def _shifted(start: StartLaw | None, shift: Shift) -> StartLaw | None:
    """A law of starts in the units of the user, near zero."""
    if start is None or not shift.state.any():
        return start

    def moved(n: int, generator: torch.Generator) -> Tensor:
        drawn: Tensor = torch.as_tensor(start(n, generator), dtype=torch.float64)
        return drawn - torch.as_tensor(shift.state)

    return moved


def _noise(paths: ObservedPaths) -> NoiseKind:
    """Triangular where the increments of different channels are correlated."""
    pairs = paths.transitions()
    scaled = (pairs.change / pairs.gap.sqrt()).double().numpy()
    spread = scaled.std(axis=0)
    if paths.dim == 1 or not (spread > 0).all():
        return "diagonal"
    off = np.corrcoef(scaled.T) - np.eye(paths.dim)
    return "triangular" if np.abs(off).max() > _CORRELATED else "diagonal"
