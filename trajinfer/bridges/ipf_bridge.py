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
        check, *seeds = spawn(seed, 1 + base.problem.n_segments)
        with torch.no_grad():
            segments = tuple(_fitted(base, k, own) for k, own in enumerate(seeds))
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
        return self.segments[self.problem.segment_of(t)].backward_drift(t, x)


def _fitted(base: MultiMarginalBridge, k: int, seed: int) -> SegmentDrifts:
    """Both drifts of segment k; features lie where paths of the base go."""
    problem, (draws, turns) = base.problem, spawn(seed, 2)
    generator = torch_generator(draws)
    start, end = problem.span(k)
    shares = (torch.arange(_INTERVALS, dtype=problem.times.dtype) + 0.5) / _INTERVALS
    paths = base.draw((start + (end - start) * shares).numpy(), _PATHS, generator)
    features = LocalFeatures.around(torch.as_tensor(paths).transpose(0, 1), generator)
    fit = ProportionalFit(problem, base.transitions, k, shares, features, _PATHS)
    return once("segment", fit.run, turns)
