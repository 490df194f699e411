r"""Learning a growth rate: the least of movement, growth and contradiction to counts.

For a rate g the starts of a segment stand for their descendants, $r_i \propto a_i e^{G_i}$ with
$G_i = \tfrac{\Delta}{2} [g(x_i) + E\, g(Y_i)]$. Among smooth rates the search minimises, per unit
of mass,

$\sum_k \min_\pi \mathrm{KL}(\pi \,\|\, r \otimes q)
+ \tfrac{c}{2} \sum_k \left[\log \sum_i a_i e^{G_i} - \log \tfrac{N_{k+1}}{N_k}\right]^2
+ \tfrac{\rho}{2 D} |w|^2$.

The first term is what the reference must be bent, over all couplings of the grown starts with the
ends: where the reference is true this is maximum likelihood. The second asks the same rate to
explain how the total mass changes in every segment. The third bounds contrasts of growth. Features
are as wide as the population, whose diameter grows with the root of its dimension D; divided by D,
the bound on a contrast along one direction is the same in every dimension. It is one rate for all
times: what moves and what grows in one pair of snapshots alone cannot be told apart.

Where the reference is far from the data, its noise is widened until partners lie within two
standard deviations of each other, so that movement has a price that growth can meet, and contrasts
are bounded by as much more, since movement that it cannot explain looks like growth.

References:
    Chizat, Peyre, Schmitzer, Vialard, "Unbalanced optimal transport: dynamic and Kantorovich
    formulations", J. Funct. Anal. 274 (2018), for the trade of movement against growth.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.minimise import minimise
from trajinfer.bridges.smooth_rate import SmoothRate
from trajinfer.metrics.entropic_coupling import EntropicCoupling, couple
from trajinfer.references.problem import Problem
from trajinfer.references.static_likelihood import pair_cost
from trajinfer.references.transitions import Transitions

logger = logging.getLogger(__name__)

_POINTS, _CENTRES = 300, 100
_RIDGE, _COUNTS = 0.1, 30.0
_REACH, _WIDENINGS = 4.0, 8
_ROUNDS, _ITERATIONS = 3, 40
_ACCURACY = 1e-5


def learn_rate(problem: Problem, transitions: Transitions, sizes: Array, seed: int) -> SmoothRate:
    """The smooth rate that explains snapshots and counts best.

    Args:
        problem: the snapshots, without growth.
        transitions: laws of the reference.
        sizes: (K,) population sizes.
        seed: of the points that stand for the snapshots.
    """
    few = _represented(problem, _POINTS, np.random.default_rng(seed))
    with torch.no_grad():
        rate = _neutral(few)
        segments = [_Segment.of(few, k, transitions, rate) for k in range(few.n_segments)]
        heat = _heat(segments)
        wide = [replace(s, cost=s.cost / heat) for s in segments]
        log_ratios = np.diff(np.log(np.asarray(sizes, dtype=np.float64)))
        duration = float(problem.times.diff().mean())
        ridge = _RIDGE * heat / few.points[0].shape[1]
        return _Search(wide, log_ratios, duration, ridge).run(rate)


@dataclass(frozen=True)
class _Segment:
    """One segment between few points.

    Attributes:
        cost: (N, M) minus log transition densities.
        log_a: (N,) masses of the starts.
        log_b: (M,) of the ends.
        before: (N, 1 + F) half the duration times features of the rate at the starts.
        after: (M, 1 + F), at the ends.
        squares: (N, M) squared distances of pairs in the noise of the reference, per dimension.
    """

    cost: Tensor
    log_a: Tensor
    log_b: Tensor
    before: Tensor
    after: Tensor
    squares: Tensor

    @classmethod
    def of(cls, problem: Problem, k: int, transitions: Transitions, rate: SmoothRate) -> _Segment:
        """Segment k under the reference."""
        x, y = problem.points[k : k + 2]
        duration = problem.times[k + 1] - problem.times[k]
        law = transitions(problem.times[k : k + 1], x.unsqueeze(0), duration.reshape(1))
        cost = pair_cost(law, y.unsqueeze(0))[0]
        least = pair_cost(replace(law, mean=law.mean * 0), (y * 0)[:1].unsqueeze(0))[0]
        before, after = (
            duration / 2 * torch.cat([p.new_ones(len(p), 1), rate.features(p)], dim=1)
            for p in (x, y)
        )
        squares = 2 * (cost - least) / x.shape[1]
        return cls(cost, problem.log_mass[k], problem.log_mass[k + 1], before, after, squares)

    def coupled(self, log_r: Tensor, warm: Tensor | None) -> EntropicCoupling:
        """Coupling of starts with these masses."""
        return couple(
            self.cost.unsqueeze(0),
            log_r.unsqueeze(0),
            self.log_b.unsqueeze(0),
            warm_start=warm,
            tol=_ACCURACY,
        )


class _Search:
    """L-BFGS over level and contrast of the rate, with the partners' growth renewed in rounds."""

    def __init__(
        self, segments: Sequence[_Segment], log_ratios: Array, duration: float, ridge: float
    ) -> None:
        self.segments = segments
        self.log_ratios = log_ratios
        self.duration = duration
        self.ridge = ridge
        self.plans = [s.coupled(s.log_a, None) for s in segments]

    def run(self, rate: SmoothRate) -> SmoothRate:
        """The rate with the level and weights found."""
        numbers = np.zeros(1 + len(rate.weights))
        total = sum(2 * float(s.before[0, 0]) for s in self.segments) / self.duration
        numbers[0] = self.log_ratios.sum() / total
        for _ in range(_ROUNDS):
            gains = [self._gains(s, plan) for s, plan in zip(self.segments, self.plans)]
            objective = partial(self._objective, gains)
            found = minimise(objective, numbers, options={"maxiter": _ITERATIONS})
            numbers = found.x
        logger.info("growth: objective %.6g after %d rounds", found.value, _ROUNDS)
        weights = torch.as_tensor(numbers[1:] / self.duration)
        return replace(rate, weights=weights, level=float(numbers[0] / self.duration))

    def _gains(self, segment: _Segment, plan: EntropicCoupling) -> Tensor:
        """Growth (N, 1 + F) of every start per unit of the numbers sought."""
        ahead = plan.log_plan[0].softmax(1) @ segment.after
        return (segment.before + ahead) / self.duration

    def _objective(self, gains: Sequence[Tensor], numbers: Array) -> tuple[float, Array]:
        sought = torch.as_tensor(numbers)
        penalty = sought.clone()
        penalty[0] = 0.0
        value = 0.5 * self.ridge * penalty.square().sum()
        slope = self.ridge * penalty
        for k, (segment, gain) in enumerate(zip(self.segments, gains)):
            grown = segment.log_a + gain @ sought
            log_r = grown.log_softmax(0)
            plan = segment.coupled(log_r, self.plans[k].f)
            self.plans[k] = plan
            r, f = log_r.exp(), plan.f[0]
            priced = f - log_r
            value += r @ priced + segment.log_b.exp() @ plan.g[0]
            slope += gain.mT @ (r * (priced - r @ priced))
            miss = grown.logsumexp(0) - self.log_ratios[k]
            value += 0.5 * _COUNTS * miss.square()
            slope += _COUNTS * miss * (gain.mT @ r)
        return float(value), slope.numpy()


def _heat(segments: Sequence[_Segment]) -> float:
    """How many times the variance of the noise must grow for partners to be near; at least 1."""
    heat = 1.0
    for _ in range(_WIDENINGS):
        hot = [replace(s, cost=s.cost / heat) for s in segments]
        apart = np.mean(
            [float((s.coupled(s.log_a, None).log_plan[0].exp() * s.squares).sum()) for s in hot]
        )
        wanted = max(1.0, float(apart) / _REACH)
        if abs(np.log(wanted / heat)) < 0.1:
            break
        heat = wanted
    logger.info("growth: noise of the reference widened %.3g times", heat**0.5)
    return heat


def _neutral(problem: Problem) -> SmoothRate:
    """A rate of 0 with the features of these points; their width is the distance of two of them."""
    pool = torch.cat(problem.points)
    mass = torch.cat([m.exp() for m in problem.log_mass]) / len(problem.points)
    spread = mass @ (pool - mass @ pool).square()
    width = float((2 * spread.sum()).sqrt())
    shares = [len(p) * _CENTRES // len(pool) + 1 for p in problem.points]
    centres = torch.cat([p[:n] for p, n in zip(problem.points, shares)])
    return SmoothRate.through(centres, width if width > 0 else 1.0, pool, mass)


def _represented(problem: Problem, most: int, rng: np.random.Generator) -> Problem:
    """A problem between few points, every one with the mass of those nearest to it."""
    parts = [
        _represent(points, log_mass, most, rng)
        for points, log_mass in zip(problem.points, problem.log_mass)
    ]
    points, mass = zip(*parts)
    return Problem(problem.times, tuple(points), tuple(mass))


def _represent(
    points: Tensor, log_mass: Tensor, most: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    alive = torch.isfinite(log_mass)
    points, mass = points[alive], log_mass[alive].exp()
    order = rng.permutation(len(points))[:most]
    chosen = points[order]
    if len(points) <= most:
        return chosen, mass[order].log()
    _, nearest = cKDTree(chosen.numpy()).query(points.numpy())
    total = torch.zeros(most, dtype=mass.dtype).index_add_(0, torch.as_tensor(nearest), mass)
    kept = total > 0
    return chosen[kept], total[kept].log()
