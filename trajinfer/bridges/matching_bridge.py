r"""A bridge whose drift is a network: smooth everywhere, answered without the points.

The path law of a bridge is the diffusion whose drift is the mean of the drifts that are tied to
their ends,

$v(t, x) = E[u(t, X_t; X_{t_{k+1}}) \mid X_t = x]$,

so that a network regressed on such drifts, along paths drawn between the coupled points, becomes
the drift of the bridge (its Markovian projection). The couplings are those of the bridge under the
reference, found before; a projection of paths between other couplings would have to be followed by
new ones until both agree, here one projection is the end of that iteration. The network learns what
the drift of Gaussian-mixture potentials, which is known in closed form, leaves over.

References:
    Shi, De Bortoli, Campbell, Doucet, "Diffusion Schroedinger bridge matching", NeurIPS 2023;
    Peluchetti, "Diffusion bridge mixture transports", JMLR 24 (2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.bridges.drift_bridge import DriftBridge
from trajinfer.bridges.drift_network import DriftNetwork
from trajinfer.bridges.mixture_bridge import MixtureBridge
from trajinfer.bridges.mixture_couplings import MixtureCouplings
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.references.bridge_law import bridge_law
from trajinfer.references.partners import Pairs
from trajinfer.training import Loss, Recipe

_STEPS, _BATCH, _RATE, _AVERAGE = 1500, 1024, 2e-3, 0.995
_PAIRS, _NODES, _GROUPS, _ELEMENTS = 8192, 24, 8, 2**25
_LATEST, _FLOOR = 0.98, 0.02
_TOLERANCE = 1e-4


@packable
@dataclass(frozen=True)
class MatchingBridge(DriftBridge):
    """A bridge between points, and the network that is its drift.

    Attributes:
        base: couplings, by which questions about points of the data are answered.
        smooth: mixture potentials of the same snapshots under the same reference.
        network: the drift, less that of the mixtures.
        error: largest miss of a snapshot by simulated paths.
    """

    base: MultiMarginalBridge
    smooth: MixtureBridge
    network: DriftNetwork
    error: float = 0.0

    @classmethod
    def of(cls, base: MultiMarginalBridge, seed: int) -> Self:
        """The network regressed on paths of a bridge."""
        first, draws, order, check = spawn(seed, 4)
        problem = base.problem
        network = DriftNetwork(problem.points[0].shape[1], problem.n_segments, first)
        generator = torch_generator(draws)
        with torch.no_grad():
            potentials = MixtureCouplings.solve(
                problem, base.transitions, None, generator, tol=_TOLERANCE
            )
            smooth = MixtureBridge(base.reference, potentials)
            data = _along_paths(base, smooth, generator)
        _train(network, data, order)
        bare = cls(base, smooth, network)
        return cls(base, smooth, network, bare.miss(torch_generator(check)))

    def to_state(self) -> dict[str, Any]:
        """What can be saved."""
        weights = dict(self.network.state_dict())
        return {"base": self.base, "smooth": self.smooth, "weights": weights, "error": self.error}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The path law that `to_state` described."""
        problem = state["base"].problem
        network = DriftNetwork(problem.points[0].shape[1], problem.n_segments, 0)
        network.load_state_dict(state["weights"])
        return cls(state["base"], state["smooth"], network.eval(), state["error"])

    def velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift of the path law at time t and positions x (n, D)."""
        drift = self.smooth.velocity(t, x)
        if t >= float(self.problem.times[-1]):
            return drift
        k = self.problem.segment_of(t)
        start, end = self.problem.span(k)
        share = torch.full((len(x),), min((t - start) / (end - start), _LATEST))
        with torch.no_grad():
            learned: Tensor = self.network(share, torch.full((len(x),), k), x.float())
        found: Tensor = drift + learned.to(x) * self.network.size.to(x)
        return found


@dataclass(frozen=True)
class _Examples:
    """Shares (n,), segments (n,), positions and drifts less those of mixtures (n, D)."""

    share: Tensor
    segment: Tensor
    x: Tensor
    drift: Tensor


def _along_paths(
    bridge: MultiMarginalBridge, smooth: MixtureBridge, generator: torch.Generator
) -> _Examples:
    """Drifts tied to ends, along paths between coupled points of all segments."""
    problem = bridge.problem
    dim = problem.points[0].shape[1]
    most = min(_PAIRS, max(64, _ELEMENTS // (_NODES * dim * problem.n_segments)))
    parts = []
    drawn = bridge.couplings.pairs(most, generator)
    for batch, pairs in zip(problem.batches, drawn, strict=True):
        segments = torch.tensor(batch.segments)
        groups = zip(pairs.start.chunk(_GROUPS, 1), pairs.end.chunk(_GROUPS, 1), strict=True)
        for number, (start, end) in enumerate(groups):
            # every group at times of its own: the drift turns fast where the segment ends
            strata = torch.arange(_NODES) + (number + torch.rand(1, generator=generator)) / _GROUPS
            shares = _LATEST * strata.double() / _NODES
            part = Pairs(pairs.times, pairs.durations, start, end)
            parts.append(_tied(smooth, part, segments, shares, generator))
    return _Examples(*(torch.cat(column) for column in zip(*parts)))


def _tied(
    smooth: MixtureBridge,
    pairs: Pairs,
    segments: Tensor,
    shares: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shares, segments, positions and drifts less those of mixtures, at these shares of paths."""
    law = bridge_law(smooth.transitions, pairs.times, pairs.start, pairs.durations, shares)
    positions = law.draw(pairs.end, generator)
    shape, flat = positions.shape[:3], positions.flatten(0, 2)
    known = [
        smooth.velocity(t, x) for t, x in zip(law.times.flatten().tolist(), positions.flatten(0, 1))
    ]
    extra = law.conditional_drift(positions, pairs.end).flatten(0, 2) - torch.cat(known)
    segment = segments.reshape(1, -1, 1).expand(shape)
    share = shares.reshape(-1, 1, 1).expand(shape)
    return share.flatten().float(), segment.flatten(), flat.float(), extra.float()


def _train(network: DriftNetwork, data: _Examples, seed: int) -> None:
    network.set_units(data.x, data.drift)
    target = data.drift / network.size
    weight = (1 - data.share) + _FLOOR

    def objective(rows: Tensor, _step: int) -> Loss:
        found = network(data.share[rows], data.segment[rows], data.x[rows])
        return Loss((weight[rows] * (found - target[rows]).square().mean(1)).mean())

    recipe = Recipe(
        seed=seed, steps=_STEPS, batch_size=_BATCH, lr=_RATE, average=_AVERAGE, name="drift"
    )
    recipe.fit(network, objective, len(target))
