"""Finding a mixture potential from points at the start and at the end of a segment.

The potential minimises the mean of log c over the starts minus that of log v over the ends, where c
and v are the sums of its terms there: this is, up to what does not depend on the potential, the
divergence from the true plan. At the minimum every component has the same mass and the same moments
of ends on both sides. One step therefore computes, for all components, the moments of the starts
and of the ends that belong to it, and takes the bridge between the two Gaussians, which is known in
closed form; masses are met by scaling. With one component the first step is the last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from trajinfer.bridges.mixed_steps import MixedSteps
from trajinfer.bridges.mixture_potential import (
    MixturePotential,
    end_exponents,
    gaussian_spread,
    start_exponents,
)
from trajinfer.references.linalg import whiten
from trajinfer.references.stratified import draw_atoms

_COMPONENTS = (1, 2, 4, 8, 16, 32)
_HELD_OUT = 0.2
_LEAST_POINTS = 20
_GAIN = 2e-3
_SCALINGS = 3
_FIRST_SCALINGS = 30
_CLUSTERINGS = 10
_FLOOR = 1e-3
_RELATIVE_VARIANCE, _LEAST_VARIANCE = 1e-9, 1e-12
_REMEMBERED, _SHARES = 8, (1.0, 0.5, 0.125)
_NO_SHARE = 1e-12


@dataclass(frozen=True)
class Sample:
    """Weighted points, (N, D) and (N,); weights sum to 1."""

    points: Tensor
    mass: Tensor

    def take(self, rows: Tensor) -> Sample:
        """Some of the points, their weights normalised."""
        mass = self.mass[rows]
        return Sample(self.points[rows], mass / mass.sum())

    def draw(self, most: int, generator: torch.Generator) -> Sample:
        """The sample itself if it is small, else so many points drawn by their mass."""
        if len(self.points) <= most:
            return self
        rows = draw_atoms(self.mass, most, generator)
        return Sample(self.points[rows], self.mass.new_full((most,), 1 / most))


@dataclass(frozen=True)
class Moments:
    """Mass (K,), mean (K, D) and covariance (K, D, D) of the points of every component."""

    mass: Tensor
    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, sample: Sample, share: Tensor) -> Moments:
        """Moments under the shares (N, K) that components have in the points.

        Points in which a component has next to no share are left out, so that the cost does not
        grow with the number of components that lie apart.
        """
        weights = share * sample.mass.unsqueeze(1)
        mass = weights.sum(0).clamp_min(1e-300)
        means, covariances = [], []
        for own, total, part in zip(weights.unbind(1), mass, share.unbind(1)):
            rows = (part > _NO_SHARE).nonzero().squeeze(1)
            points, own = sample.points[rows], (own[rows] / total).unsqueeze(1)
            mean = own.T @ points
            off = points.sub_(mean)
            means.append(mean[0])
            covariances.append((off * own).mT @ off)
        return cls(mass, torch.stack(means), torch.stack(covariances))


@dataclass(frozen=True)
class _Standing:
    """A potential on both samples: exponents (N, K) of starts, terms (M, K) of ends, divergence."""

    potential: MixturePotential
    exponents: Tensor
    terms: Tensor
    value: float

    @classmethod
    def of(cls, potential: MixturePotential, start: Sample, end: Sample) -> _Standing:
        exponents = start_exponents(start.points, potential.location, potential.spread)
        return cls._with(potential, exponents, start, end)

    @classmethod
    def with_masses(
        cls, potential: MixturePotential, start: Sample, end: Sample, mass: Tensor
    ) -> _Standing:
        """Under the weights with which the starts give every component its mass."""
        exponents = start_exponents(start.points, potential.location, potential.spread)
        weight = _scaled(potential.log_weight, exponents, start.mass, mass, _SCALINGS)
        return cls._with(replace(potential, log_weight=weight), exponents, start, end)

    @classmethod
    def _with(
        cls, potential: MixturePotential, exponents: Tensor, start: Sample, end: Sample
    ) -> _Standing:
        terms = potential.log_terms(end.points)
        reach = torch.logsumexp(potential.log_weight + exponents, dim=1)
        value = start.mass @ reach - end.mass @ torch.logsumexp(terms, dim=1)
        return cls(potential, exponents, terms, float(value))


@dataclass(frozen=True)
class _Units:
    """Potentials as vectors, in units of the spread of every component."""

    factor: Tensor

    @classmethod
    def of(cls, potential: MixturePotential) -> _Units:
        return cls(torch.linalg.cholesky(potential.spread))

    def vector(self, potential: MixturePotential) -> Tensor:
        location = whiten(self.factor, potential.location.unsqueeze(2))
        spread = whiten(self.factor, whiten(self.factor, potential.spread).mT)
        return torch.cat([potential.log_weight, location.flatten(), spread.flatten()])

    def potential(self, vector: Tensor) -> MixturePotential:
        n, dim, _ = self.factor.shape
        weight, location, spread = vector.split([n, n * dim, n * dim * dim])
        half = self.factor @ spread.reshape(n, dim, dim)
        coloured = half @ self.factor.mT
        moved = (self.factor @ location.reshape(n, dim, 1)).squeeze(2)
        return MixturePotential(weight, moved, (coloured + coloured.mT) / 2)


def search(
    start: Sample, end: Sample, potential: MixturePotential, *, tol: float, max_steps: int
) -> MixturePotential:
    """Improve a potential until a step gains less than `tol`.

    A step alone goes too far in some directions and hardly advances in others; `MixedSteps` of
    several ones heed both. Where they do not help, shorter and shorter parts of a step do.
    """
    if len(potential) == 1:
        return one_component(start, end)
    floor = _FLOOR * Moments.of(end, torch.ones_like(end.mass).unsqueeze(1)).covariance
    units, mixed = _Units.of(potential), MixedSteps(_REMEMBERED)
    now = _Standing.of(potential, start, end)
    for _ in range(max_steps):
        goal, mass = _goal(now, start, end, floor)
        here = units.vector(now.potential)
        move = units.vector(goal) - here
        trials = [mixed.step(here, move), *(here + share * move for share in _SHARES)]
        after = _first_lower(now, (units.potential(v) for v in trials), mass, start, end)
        if after is None:
            break
        now, gain = after, now.value - after.value
        if gain < tol:
            break
    return now.potential


def _goal(
    now: _Standing, start: Sample, end: Sample, floor: Tensor
) -> tuple[MixturePotential, Tensor]:
    """Bridges between the moments on both sides, and the masses of the components at the ends."""
    ends = Moments.of(end, torch.softmax(now.terms, dim=1))
    ends = replace(ends, covariance=ends.covariance + floor)
    old = now.potential.log_weight
    log_weight = _scaled(old, now.exponents, start.mass, ends.mass, _SCALINGS)
    starts = Moments.of(start, torch.softmax(log_weight + now.exponents, dim=1))
    return _bridge(starts, ends, log_weight), ends.mass


def _first_lower(
    now: _Standing,
    trials: Iterable[MixturePotential],
    mass: Tensor,
    start: Sample,
    end: Sample,
) -> _Standing | None:
    """The first of some potentials that lowers the divergence, with these masses."""
    for trial in trials:
        if bool(torch.linalg.cholesky_ex(trial.spread).info.any()):
            continue
        found = _Standing.with_masses(trial, start, end, mass)
        if found.value < now.value:
            return found
    return None


def choose(
    start: Sample, end: Sample, generator: torch.Generator, *, tol: float, max_steps: int
) -> MixturePotential:
    """The potential with as many components as points that are set aside ask for."""
    (start, start_out), (end, end_out) = (_split(s, generator) for s in (start, end))
    first = one_component(start, end)
    best = first
    few = min(len(start.points), len(end.points)) // (_LEAST_POINTS + start.points.shape[1])
    for n in _COMPONENTS[1:]:
        if n > few:
            break
        initial = _from_clusters(first, start, end, n, generator)
        trial = search(start, end, initial, tol=tol, max_steps=max_steps)
        gain, error = _gain(best, trial, start_out, end_out)
        if gain < max(_GAIN, error):
            break
        best = trial
    return best


def _gain(
    old: MixturePotential, new: MixturePotential, start: Sample, end: Sample
) -> tuple[float, float]:
    """By how much a potential beats another on these points, and the standard error of that."""
    gain, variance = 0.0, 0.0
    for sample, terms in (
        (start, [-torch.logsumexp(h.log_reach(start.points), 1) for h in (old, new)]),
        (end, [torch.logsumexp(h.log_terms(end.points), 1) for h in (old, new)]),
    ):
        rise = terms[1] - terms[0]
        mean = sample.mass @ rise
        gain += float(mean)
        variance += float(sample.mass.square() @ (rise - mean).square())
    return gain, variance**0.5


def one_component(start: Sample, end: Sample) -> MixturePotential:
    """The bridge between the two Gaussians with the moments of the points."""
    x, y = (Moments.of(s, torch.ones_like(s.mass).unsqueeze(1)) for s in (start, end))
    return _bridge(x, y, torch.zeros_like(x.mass))


def divergence(potential: MixturePotential, start: Sample, end: Sample) -> float:
    """What the potential minimises; differences between potentials are divergences."""
    reach = torch.logsumexp(potential.log_reach(start.points), dim=1)
    terms = torch.logsumexp(potential.log_terms(end.points), dim=1)
    return float(start.mass @ reach - end.mass @ terms)


def _bridge(start: Moments, end: Moments, log_weight: Tensor) -> MixturePotential:
    """Bridges between the Gaussians of every component."""
    spread = gaussian_spread(start.covariance, _positive(end.covariance))
    location = end.mean - (spread @ start.mean.unsqueeze(2)).squeeze(2)
    return MixturePotential(log_weight, location, spread)


def _positive(covariance: Tensor) -> Tensor:
    """Covariances (K, D, D) with a little variance where the ends have none."""
    variance = covariance.diagonal(dim1=1, dim2=2)
    least = _RELATIVE_VARIANCE * variance.mean(1, keepdim=True) + _LEAST_VARIANCE
    return covariance + torch.diag_embed(least.expand_as(variance))


def _with_masses(
    potential: MixturePotential, start: Sample, mass: Tensor, n: int
) -> MixturePotential:
    """Weights under which the starts give every component its mass."""
    exponents = start_exponents(start.points, potential.location, potential.spread)
    return replace(
        potential, log_weight=_scaled(potential.log_weight, exponents, start.mass, mass, n)
    )


def _scaled(log_weight: Tensor, exponents: Tensor, start: Tensor, mass: Tensor, n: int) -> Tensor:
    for _ in range(n):
        share = start @ torch.softmax(log_weight + exponents, dim=1)
        log_weight = log_weight + (mass / share.clamp_min(1e-300)).log()
    return log_weight - log_weight.logsumexp(0)


def _from_clusters(
    first: MixturePotential, start: Sample, end: Sample, n: int, generator: torch.Generator
) -> MixturePotential:
    """Components at clusters of ends; starts belong to where one component would send them."""
    labels = _clusters(end, n, generator)
    ends = Moments.of(end, one_hot(labels, n).to(end.points))
    pooled = Moments.of(end, torch.ones_like(end.mass).unsqueeze(1)).covariance
    ends = replace(ends, covariance=ends.covariance + _FLOOR * pooled)
    sent = first.location[0] + start.points @ first.spread[0]
    reach = _positive(ends.covariance + first.spread[0])
    nearness = ends.mass.log() + end_exponents(sent, ends.mean, reach)
    starts = Moments.of(start, torch.softmax(nearness, dim=1))
    initial = _bridge(starts, ends, torch.zeros_like(ends.mass))
    return _with_masses(initial, start, ends.mass, _FIRST_SCALINGS)


def _clusters(sample: Sample, n: int, generator: torch.Generator) -> Tensor:
    """Labels (N,) of n clusters, from starts that lie far apart."""
    points, mass = sample.points, sample.mass
    chosen = [int(torch.multinomial(mass, 1, generator=generator))]
    distance = (points - points[chosen[0]]).square().sum(1)
    while len(chosen) < n:
        weight = distance * mass
        weight = weight if bool(weight.sum() > 0) else mass
        chosen.append(int(torch.multinomial(weight, 1, generator=generator)))
        distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(1))
    centers = points[chosen]
    for _ in range(_CLUSTERINGS):
        labels = torch.cdist(points, centers).argmin(1)
        weights = one_hot(labels, n).to(points) * mass.unsqueeze(1)
        total = weights.sum(0).unsqueeze(1)
        centers = torch.where(total > 0, weights.mT @ points / total.clamp_min(1e-300), centers)
    return labels


def _split(sample: Sample, generator: torch.Generator) -> tuple[Sample, Sample]:
    order = torch.randperm(len(sample.points), generator=generator)
    n = max(1, round(_HELD_OUT * len(order)))
    return sample.take(order[n:]), sample.take(order[:n])
