"""A bridge found by iterative proportional fitting: a forward and a backward drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.bridges.drift_bridge import DriftBridge
from trajinfer.bridges.local_features import LocalFeatures
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.bridges.proportional_fitting import ProportionalFit, SegmentDrifts
from trajinfer.references.linalg import apply, cholesky
from trajinfer.references.stratified import draw_atoms

_PATHS, _INTERVALS = 4096, 32


@packable
@dataclass(frozen=True)
class IpfBridge(DriftBridge):
    """A bridge by its forward and its backward drift.

    Attributes:
        base: couplings, by which questions about points of the data are answered.
        segments: both drifts of every segment.
        error: largest miss of a snapshot by simulated paths.
    """

    base: MultiMarginalBridge
    segments: tuple[SegmentDrifts, ...]
    error: float = 0.0

    @classmethod
    def of(cls, base: MultiMarginalBridge, seed: int) -> Self:
        """Both drifts between the snapshots of a bridge, under its reference of constant noise."""
        draws, check = spawn(seed, 2)
        generator = torch_generator(draws)
        with torch.no_grad():
            segments = tuple(_fitted(base, k, generator) for k in range(base.problem.n_segments))
            bare = cls(base, segments)
            return cls(base, segments, bare.miss(torch_generator(check)))

    def velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift of the path law at time t and positions x (n, D)."""
        drift = self.transitions.dynamics.drift(x.new_full((len(x), 1), t), x)
        if t >= float(self.problem.times[-1]):
            return drift
        return drift + self.segments[self.problem.segment_of(t)].control(t, x)

    def backward_velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift, towards earlier times, of the path law seen backwards, at positions x (n, D)."""
        drift = self.transitions.dynamics.drift(x.new_full((len(x), 1), t), x)
        segment = self.segments[self.problem.segment_of(t)]
        return segment.control(t, x, backwards=True) - drift


def _fitted(base: MultiMarginalBridge, k: int, generator: torch.Generator) -> SegmentDrifts:
    """Both drifts of segment k; features lie where paths of the base go."""
    problem = base.problem
    start, end = problem.span(k)
    times = torch.linspace(start, end, _INTERVALS + 1, dtype=problem.times.dtype)
    inside = torch.as_tensor(base.draw(times[1:-1].numpy(), _PATHS, generator))
    ends = tuple(
        problem.points[side][draw_atoms(problem.log_mass[side].exp(), _PATHS, generator)]
        for side in (k, k + 1)
    )
    population = torch.cat([ends[0].unsqueeze(0), inside.transpose(0, 1), ends[1].unsqueeze(0)])
    dynamics, dim = base.transitions.dynamics, population.shape[2]
    rate = dynamics.covariance_rate(times[:1, None], ends[0][:1]).reshape(dim, dim)
    shape = (2, _INTERVALS, _PATHS, dim)
    factor, _ = cholesky(rate)
    noise = apply(factor, torch.randn(shape, generator=generator, dtype=population.dtype))
    features = LocalFeatures.around(population, generator)
    fit = ProportionalFit(dynamics, rate, times, (ends[0], ends[1]), features, noise)
    return once("segment", fit.run)
