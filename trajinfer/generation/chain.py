"""A fitted chain: starts, links, and the walk from link to link."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import seed_from, spawn, torch_generator
from trajinfer.generation.directed_chain import DirectedChainSDE, Systems
from trajinfer.generation.observed import ObservedPaths
from trajinfer.metrics.path_dependence import independent_dependence, path_dependence
from trajinfer.paths import Path, linear_path
from trajinfer.sde import Solution, SolverRegularization, solve

StartLaw = Callable[[int, torch.Generator], Tensor]
_JITTER = 0.05
_PERMUTATIONS = 100
# An interval that is longer than the base step by rounding alone is one step, not two.
_SLACK = 1 + 1e-5


@packable
@dataclass(frozen=True)
class Chain:
    """A directed-chain SDE together with what sampling it needs.

    Attributes:
        sde: the SDE.
        paths: observed paths: seeds of walks, and the law of starts.
        step: largest step of the solver.
        start_law: draws starts (n, D); None smooths the observed ones.
        regularization: penalty on what the steps of a training solve cost.
    """

    sde: DirectedChainSDE
    paths: ObservedPaths
    step: float
    start_law: StartLaw | None = None
    regularization: SolverRegularization | None = None

    def starts(self, n: int, generator: torch.Generator) -> Tensor:
        """Starts (n, D): observed ones drawn with replacement, moved by 5 % of their spread.

        A channel that always starts at one value keeps it.
        """
        if self.start_law is not None:
            law = self.start_law(n, _on_cpu(generator))
            drawn = torch.as_tensor(law, dtype=torch.float32, device=self.paths.device)
            if drawn.shape != (n, self.sde.dim):
                raise InputError(
                    f"start(n, generator) must give ({n}, {self.sde.dim}), got {tuple(drawn.shape)}"
                )
            return drawn
        seen = self.paths.starts()
        rows = self._drawn(len(seen), n, generator)
        return self._smoothed(seen, rows, generator)

    def system_starts(self, n: int, generator: torch.Generator) -> tuple[Tensor, Systems]:
        """Starts of at least n rows in whole systems, each like one observed system."""
        ids = self.paths.systems
        if ids is None:
            raise InputError("neighbour='pool' needs fit(series, groups=system of every series)")
        names, sizes = ids.unique(return_counts=True)
        most = -(-n // int(sizes.min()))
        chosen = self._drawn(len(names), most, generator)
        chosen = chosen[: int((sizes[chosen].cumsum(0) < n).sum()) + 1]
        rows = torch.cat([(ids == names[k]).nonzero()[:, 0] for k in chosen])
        numbers = torch.arange(len(chosen), device=chosen.device)
        systems = Systems.of(numbers.repeat_interleave(sizes[chosen]))
        return self._smoothed(self.paths.starts(), rows, generator), systems

    def _smoothed(self, seen: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        shape = len(rows), self.sde.dim
        noise = torch.randn(shape, generator=generator, device=self.paths.device)
        return seen[rows] + _JITTER * seen.std(0) * noise

    def generator(self, seed: int) -> torch.Generator:
        """A generator of the device of the chain."""
        return torch_generator(seed, self.paths.device)

    def _drawn(self, n: int, size: int, generator: torch.Generator) -> Tensor:
        """(size,) numbers below n."""
        return torch.randint(n, (size,), generator=generator, device=self.paths.device)

    def link(
        self, starts: Tensor, ts: Array, context: Path | Systems | None, generator: torch.Generator
    ) -> Tensor:
        """Paths (n, T, D) over ts, driven by fresh noise and by their neighbours."""
        return self._solved(starts, ts, context, generator, None).ys

    def penalised_link(
        self,
        starts: Tensor,
        ts: Array,
        context: Path | Systems | None,
        generator: torch.Generator,
        step: int,
    ) -> tuple[Tensor, Tensor]:
        """The same, and the weighted penalty on its steps at a step of training."""
        solution = self._solved(starts, ts, context, generator, self.regularization)
        if self.regularization is None or solution.penalty is None:
            return solution.ys, solution.ys.new_zeros(())
        return solution.ys, self.regularization.weight(step) * solution.penalty

    def _solved(
        self,
        starts: Tensor,
        ts: Array,
        context: Path | Systems | None,
        generator: torch.Generator,
        regularization: SolverRegularization | None,
    ) -> Solution:
        return solve(
            self.sde,
            starts,
            ts,
            step=self.step * _SLACK,
            method="euler",
            context=context,
            random_state=seed_from(generator),
            regularization=regularization,
        )

    def walk(
        self, n: int, ts: Array, seed: int, given: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Links (n, T, D) one after another without end, each beside its seed paths (n, T, D).

        The first link has observed paths as neighbours, every later one the link before it; starts
        and noise are fresh in every link.

        Args:
            n: number of paths.
            ts: (T,) times, or (n, T).
            seed: of everything random.
            given: (n, D) starts of every link, instead of drawn ones.
        """
        generator = self.generator(seed)
        rows = self._drawn(len(self.paths), n, generator)
        grid = torch.as_tensor(ts, dtype=torch.float32, device=self.paths.device)
        neighbours = self.paths.as_path(rows)
        seeds = neighbours.evaluate(grid)
        while True:
            starts = self.starts(n, generator) if given is None else given
            with torch.no_grad():
                paths = self.link(starts, ts, neighbours, generator)
            yield paths, seeds
            neighbours = linear_path(grid.expand(n, -1), paths).held()

    def sample(
        self, n: int, ts: Array, n_links: int, seed: int, given: Tensor | None = None
    ) -> Tensor:
        """Paths (n, T, D) over ts: link `n_links` of a walk where there is a neighbour."""
        if self.sde.neighbour == "one":
            walk = self.walk(n, ts, seed, given)
            for _ in range(n_links - 1):
                next(walk)
            return next(walk)[0]
        generator = self.generator(seed)
        systems: Systems | None = None
        if self.sde.neighbour == "none":
            starts = self.starts(n, generator) if given is None else given
        elif given is None:
            starts, systems = self.system_starts(n, generator)
        else:
            starts, systems = (
                given,
                Systems.of(torch.zeros(n, dtype=torch.int64, device=given.device)),
            )
        with torch.no_grad():
            return self.link(starts, ts, systems, generator)[:n]


def _on_cpu(generator: torch.Generator) -> torch.Generator:
    """The generator, or one of the CPU seeded by it: the law of a user draws there."""
    if generator.device.type == "cpu":
        return generator
    return torch_generator(seed_from(generator))


@packable
@dataclass(frozen=True)
class Dependence:
    """How much the links of a walk still depend on its seed.

    Attributes:
        links: (Q,) largest absolute correlation over times and pairs of channels, per link.
        null: the 99 % quantile of the same figure under permutation of the seeds.
    """

    links: tuple[float, ...]
    null: float

    @property
    def forgotten(self) -> int | None:
        """The first link at its null level, or None."""
        low = [k for k, value in enumerate(self.links, 1) if value <= self.null]
        return low[0] if low else None


def measure_dependence(chain: Chain, ts: Array, n: int, n_links: int, seed: int) -> Dependence:
    """Walk `n_links` links from n seeds and compare each with the seeds."""
    seed_walk, seed_null = spawn(seed, 2)
    walk = chain.walk(n, ts, seed_walk)
    links, null = [], 0.0
    rng = np.random.default_rng(seed_null)
    for _ in range(n_links):
        paths, seeds = (part.cpu().numpy() for part in next(walk))
        links.append(path_dependence(paths, seeds))
        shuffled = independent_dependence(paths, seeds, _PERMUTATIONS, rng)
        null = max(null, float(np.quantile(shuffled, 0.99)))
    return Dependence(tuple(links), null)
