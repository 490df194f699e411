"""Couplings of all segments by mixture potentials: all points are used, none is paired.

Where mass changes they are between the populations in the middle of the segments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer.bridges.mixture_potential import MixturePotential
from trajinfer.bridges.mixture_search import Sample, choose, divergence, search
from trajinfer.references.linalg import cholesky, whiten
from trajinfer.references.partners import Pairs, Partners
from trajinfer.references.problem import Problem
from trajinfer.references.static_likelihood import RowStatistics
from trajinfer.references.stratified import draw_atoms
from trajinfer.references.transitions import Transition, Transitions

_LANDMARKS = 64
_NEGLIGIBLE = 1e-4
_CHUNK = 2**13
_CHOICE_POINTS, _CHOICE_TOLERANCE = 6000, 1e-4
_APPROACH_POINTS = 2**14
_STEPS = 60
_FEW_STATISTICS = 2**21


@packable
@dataclass(frozen=True)
class WhiteSegment:
    """A segment in units in which its noise is N(0, I) and its ends have mean zero.

    Attributes:
        t0: time of the start.
        duration: of the segment.
        factor: (D, D), Cholesky factor of the noise; the mean over starts where it varies.
        shift: (D,), mean of the ends in these units.
        landmarks: (L, D) starts over which varying noise is averaged.
    """

    t0: float
    duration: float
    factor: Tensor
    shift: Tensor
    landmarks: Tensor

    @classmethod
    def of(cls, problem: Problem, k: int, transitions: Transitions) -> WhiteSegment:
        """Segment k under these transition laws."""
        start, end = problem.points[k], problem.points[k + 1]
        rows = draw_atoms(problem.log_starts(k).exp(), _LANDMARKS, torch.Generator().manual_seed(0))
        t0, duration = float(problem.times[k]), float(problem.times[k + 1] - problem.times[k])
        landmarks = start[rows]
        covariance = _transition(transitions, landmarks, t0, duration).covariance
        factor, _ = cholesky(covariance[0].mean(0))
        center = problem.log_ends(k).exp() @ end
        shift = whiten(factor, center.unsqueeze(1)).squeeze(1)
        return cls(t0, duration, factor.contiguous(), shift, landmarks)

    def ends(self, y: Tensor) -> Tensor:
        """Ends (M, D) in white units."""
        return whiten(self.factor, y.mT).mT - self.shift

    def colour(self, b: Tensor) -> Tensor:
        """Ends in the units of the data."""
        return (b + self.shift) @ self.factor.mT

    def starts(self, transitions: Transitions, x: Tensor, t: float | None = None) -> Tensor:
        """Where the reference expects the end (N, D) from x at time t, in white units."""
        begin = self.t0 if t is None else t
        left = self.t0 + self.duration - begin
        parts = [_transition(transitions, part, begin, left).mean[0] for part in x.split(_CHUNK)]
        return self.ends(torch.cat(parts))

    def noise_left(self, transitions: Transitions, t: float) -> Tensor:
        """Covariance (D, D) of the noise that comes after time t, in white units."""
        passed, left = t - self.t0, self.t0 + self.duration - t
        there = self.landmarks
        if transitions.dynamics.affine is None and passed > 0:
            before = transitions.within(passed / self.duration)
            there = _transition(before, there, self.t0, passed).mean[0]
        rest = transitions.within(left / self.duration)
        covariance = _transition(rest, there, t, left).covariance[0].mean(0)
        white = whiten(self.factor, whiten(self.factor, covariance).mT)
        return (white + white.mT) / 2


@dataclass(frozen=True)
class MixtureCouplings:
    """Mixture potentials of the K-1 segments.

    Attributes:
        problem: the snapshots, all points.
        transitions: of the reference.
        segments: in white units.
        potentials: one for each.
    """

    problem: Problem
    transitions: Transitions
    segments: tuple[WhiteSegment, ...]
    potentials: tuple[MixturePotential, ...]

    @classmethod
    def solve(
        cls,
        problem: Problem,
        transitions: Transitions,
        start: Sequence[MixturePotential] | None,
        generator: torch.Generator,
        *,
        tol: float,
    ) -> MixtureCouplings:
        """Potentials of all segments, from those under similar laws.

        Args:
            problem: the snapshots.
            transitions: of the reference.
            start: potentials found before; their components are kept. None chooses their number.
            generator: of the points on which the number of components is chosen.
            tol: gain below which the search ends.
        """
        segments, potentials = [], []
        for k in range(problem.n_segments):
            segment = WhiteSegment.of(problem, k, transitions)
            found = None if start is None else start[k]
            potential = _solve(problem, k, segment, transitions, found, generator, tol)
            potentials.append(potential.contiguous())
            segments.append(segment)
        return cls(problem, transitions, tuple(segments), tuple(potentials))

    @property
    def n_steps(self) -> int:
        """Components over all segments."""
        return sum(len(potential) for potential in self.potentials)

    @cached_property
    def objective(self) -> float:
        """Sum over the segments of KL(plan || starts x transition law)."""
        return sum(self._divergence(k) for k in range(self.problem.n_segments))

    @cached_property
    def error(self) -> float:
        """Largest distance of a plan's ends from their snapshot: of means, or of covariances.

        Means count in standard deviations of the snapshot, covariances relative to its own; a
        snapshot without spread counts as one of a hundredth of the noise.
        """
        return max(self._marginal_error(k) for k in range(self.problem.n_segments))

    def partners(self) -> list[Partners]:
        """What the static likelihood needs to know of the ends that starts are coupled to."""
        return [self._partners(k) for k in range(self.problem.n_segments)]

    def pairs(self, n: int, generator: torch.Generator) -> list[Pairs]:
        """Draw n starts and ends of every segment."""
        drawn = []
        for k, segment in enumerate(self.segments):
            atoms = draw_atoms(self.problem.log_starts(k).exp(), n, generator)
            x = self.problem.points[k][atoms]
            y = self.draw_ends(k, x, generator)
            t0, duration = (x.new_full((1,), v) for v in (segment.t0, segment.duration))
            drawn.append(Pairs(t0, duration, x.unsqueeze(0), y.unsqueeze(0)))
        return drawn

    def draw_ends(
        self, k: int, x: Tensor, generator: torch.Generator, t: float | None = None
    ) -> Tensor:
        """One end of segment k for every position x (N, D) at time t (None: at its start)."""
        parts = []
        for part in x.split(_CHUNK):
            level = torch.rand(len(part), generator=generator, dtype=x.dtype)
            normal = torch.randn(part.shape, generator=generator, dtype=x.dtype)
            parts.append(self.ends_at(k, part, level, normal, t))
        return torch.cat(parts)

    def ends_at(
        self, k: int, x: Tensor, level: Tensor, normal: Tensor, t: float | None = None
    ) -> Tensor:
        """The ends that given uniform and normal numbers choose."""
        segment = self.segments[k]
        a = segment.starts(self.transitions, x, t)
        noise = None if t is None else segment.noise_left(self.transitions, t)
        return segment.colour(self.potentials[k].end_law(a, noise).draw(level, normal))

    def _white_starts(self, k: int) -> Tensor:
        return self.segments[k].starts(self.transitions, self.problem.points[k])

    def _divergence(self, k: int) -> float:
        a = Sample(self._white_starts(k), self.problem.log_starts(k).exp())
        b = Sample(self.segments[k].ends(self.problem.points[k + 1]), self._end_mass(k))
        squares = a.mass @ a.points.square().sum(1) + b.mass @ b.points.square().sum(1)
        constant = 0.5 * a.points.shape[1] * math.log(2 * math.pi)
        return 0.5 * float(squares) + constant - divergence(self.potentials[k], a, b)

    def _end_mass(self, k: int) -> Tensor:
        return self.problem.log_ends(k).exp()

    def _marginal_error(self, k: int) -> float:
        reached, spread = self._joint_moments[k]
        end, mass = self.problem.points[k + 1], self._end_mass(k)
        dim = end.shape[1]
        mean = mass @ end
        off = end - mean
        covariance = (off * mass.unsqueeze(1)).mT @ off
        least = _NEGLIGIBLE * float(self.segments[k].factor.square().sum()) / dim
        scale = (covariance.diagonal().mean() + least).sqrt()
        size = torch.linalg.matrix_norm(covariance) + least * math.sqrt(dim)
        misses = (
            torch.linalg.vector_norm(reached[dim:] - mean) / scale / math.sqrt(dim),
            torch.linalg.matrix_norm(spread[dim:, dim:] - covariance) / size,
        )
        return max(float(miss) for miss in misses)

    @cached_property
    def _joint_moments(self) -> list[tuple[Tensor, Tensor]]:
        return [self._moments_of(k) for k in range(self.problem.n_segments)]

    def _moments_of(self, k: int) -> tuple[Tensor, Tensor]:
        """Mean (2D,) and covariance (2D, 2D) of starts and ends under the plan."""
        x, mass = self.problem.points[k], self.problem.log_starts(k).exp()
        segment, potential = self.segments[k], self.potentials[k]
        dim = x.shape[1]
        center = torch.cat([mass @ x, self._end_mass(k) @ self.problem.points[k + 1]])
        first, second = x.new_zeros(2 * dim), x.new_zeros(2 * dim, 2 * dim)
        for part, weight in zip(x.split(_CHUNK), mass.split(_CHUNK)):
            law = potential.end_law(segment.starts(self.transitions, part))
            share = law.log_share.exp() * weight.unsqueeze(1)
            for end, factor, w in zip(law.means, law.factors, share.mT):
                joint = torch.cat([part, segment.colour(end)], dim=1) - center
                first += w @ joint
                second += (joint * w.unsqueeze(1)).mT @ joint
                coloured = segment.factor @ factor
                second[dim:, dim:] += w.sum() * coloured @ coloured.mT
        return center + first, second - torch.outer(first, first)

    def _partners(self, k: int) -> Partners:
        if self.transitions.dynamics.affine is not None:
            start, statistics = self._summary(k)
        else:
            start, statistics = self._some_partners(k)
        segment = self.segments[k]
        t0, duration = (start.new_full((1,), v) for v in (segment.t0, segment.duration))
        return Partners(t0, duration, start.unsqueeze(0), statistics)

    def _summary(self, k: int) -> tuple[Tensor, RowStatistics]:
        """Few starts with the joint first two moments of all: all that affine laws depend on."""
        mean, covariance = self._joint_moments[k]
        dim = len(mean) // 2
        values, vectors = torch.linalg.eigh(covariance[:dim, :dim])
        steps = (vectors * (dim * values.clamp_min(0)).sqrt()).mT
        offsets = torch.cat([steps, -steps])
        inverse = torch.linalg.pinv(covariance[:dim, :dim], hermitian=True)
        slope = covariance[dim:, :dim] @ inverse
        rest = covariance[dim:, dim:] - slope @ covariance[:dim, dim:]
        ends = mean[dim:] + offsets @ slope.mT
        mass = ends.new_full((1, len(ends)), 1 / len(ends))
        statistics = RowStatistics(
            mass, ends.unsqueeze(0), rest.expand(1, len(ends), dim, dim).contiguous()
        )
        return mean[:dim] + offsets, statistics

    def _some_partners(self, k: int) -> tuple[Tensor, RowStatistics]:
        """Partners of as many starts as memory allows, drawn by their mass."""
        x = self.problem.points[k]
        n = min(len(x), max(64, _FEW_STATISTICS // x.shape[1] ** 2))
        mass = self.problem.log_starts(k).exp()
        if n < len(x):
            x = x[draw_atoms(mass, n, torch.Generator().manual_seed(0))]
            mass = mass.new_full((n,), 1 / n)
        segment = self.segments[k]
        law = self.potentials[k].end_law(segment.starts(self.transitions, x))
        covariance = segment.factor @ law.covariance @ segment.factor.mT
        ends = segment.colour(law.mean)
        return x, RowStatistics(mass.unsqueeze(0), ends.unsqueeze(0), covariance.unsqueeze(0))


def _transition(transitions: Transitions, x: Tensor, t0: float, duration: float) -> Transition:
    """Law of the reference a duration after it stood at x (N, D)."""
    time, span = x.new_full((1,), t0), x.new_full((1,), duration)
    return transitions(time, x.unsqueeze(0), span)


def _solve(
    problem: Problem,
    k: int,
    segment: WhiteSegment,
    transitions: Transitions,
    found: MixturePotential | None,
    generator: torch.Generator,
    tol: float,
) -> MixturePotential:
    """The potential of one segment."""
    start = Sample(segment.starts(transitions, problem.points[k]), problem.log_starts(k).exp())
    end = Sample(segment.ends(problem.points[k + 1]), problem.log_ends(k).exp())
    if found is None:
        some, others = (s.draw(_CHOICE_POINTS, generator) for s in (start, end))
        found = choose(some, others, generator, tol=_CHOICE_TOLERANCE, max_steps=_STEPS)
        if len(found) > 1:
            some, others = (s.draw(_APPROACH_POINTS, generator) for s in (start, end))
            found = search(some, others, found, tol=tol, max_steps=_STEPS)
    return search(start, end, found, tol=tol, max_steps=_STEPS)
