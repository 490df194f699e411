"""Finding a mixture potential from points at the start and at the end of a segment.

The potential minimises the mean of log c over the starts minus that of log v over the ends, where c
and v are the sums of its terms there: this is, up to what does not depend on the potential, the
divergence from the true plan. At the minimum every component has the same mass and the same moments
of ends on both sides. One step therefore computes, for all components, the moments of the starts
and of the ends that belong to it, and takes the bridge between the two Gaussians, which is known in
closed form; masses are met by scaling. With one component the first step is the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from trajinfer.bridges.mixture_potential import (
    MixturePotential,
    end_exponents,
    gaussian_spread,
    start_exponents,
)
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
_HALVINGS = 4


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
        """Moments under the shares (N, K) that components have in the points."""
        weights = share * sample.mass.unsqueeze(1)
        mass = weights.sum(0).clamp_min(1e-300)
        mean = weights.mT @ sample.points / mass.unsqueeze(1)
        parts = []
        for k, center in enumerate(mean):
            off = sample.points - center
            parts.append((off * weights[:, k : k + 1]).mT @ off / mass[k])
        return cls(mass, mean, torch.stack(parts))


def search(
    start: Sample, end: Sample, potential: MixturePotential, *, tol: float, max_steps: int
) -> MixturePotential:
    """Improve a potential until a step gains less than `tol`."""
    floor = _FLOOR * Moments.of(end, torch.ones_like(end.mass).unsqueeze(1)).covariance
    value = divergence(potential, start, end)
    for _ in range(max_steps if len(potential) > 1 else 1):
        goal = _step(potential, start, end, floor)
        for _ in range(_HALVINGS):
            reached = divergence(goal, start, end)
            if reached < value or len(potential) == 1:
                break
            goal = _halfway(potential, goal)
        if not reached < value and len(potential) > 1:
            break
        potential, gain, value = goal, value - reached, reached
        if gain < tol:
            break
    return potential


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


def _step(
    potential: MixturePotential, start: Sample, end: Sample, floor: Tensor
) -> MixturePotential:
    """Moments on both sides, the bridges between them, and masses that agree."""
    ends = Moments.of(end, torch.softmax(potential.log_terms(end.points), dim=1))
    ends = replace(ends, covariance=ends.covariance + floor)
    exponents = start_exponents(start.points, potential.location, potential.spread)
    log_weight = _scaled(potential.log_weight, exponents, start.mass, ends.mass, _SCALINGS)
    starts = Moments.of(start, torch.softmax(log_weight + exponents, dim=1))
    return _with_masses(_bridge(starts, ends, log_weight), start, ends.mass, _SCALINGS)


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


def _halfway(a: MixturePotential, b: MixturePotential) -> MixturePotential:
    return MixturePotential(
        (a.log_weight + b.log_weight) / 2,
        (a.location + b.location) / 2,
        (a.spread + b.spread) / 2,
    )


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
