r"""What is known of hidden coordinates where individuals stand, carried from snapshot to snapshot.

An individual at the measured y has hidden coordinates $h \sim N(\mu, C)$. Under the Gaussian
transition law of the reference the state after a segment is $N(m, S)$ with
$S = P + F_h C F_h^T$, $F_h$ the flow from the hidden coordinates, so that it arrives at $y'$ with
hidden coordinates $N(m_h + K (y' - m_o),\; S_{hh} - K S_{oh})$, $K = S_{ho} S_{oo}^{-1}$. Those who
arrive at one point come from many: their mixture, under a coupling, is carried on by its mean and
covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer.hidden.coordinates import Coordinates
from trajinfer.references.linalg import cholesky
from trajinfer.references.transitions import Transition, Transitions


@packable
@dataclass(frozen=True)
class HiddenLaw:
    """Gaussian laws of the hidden coordinates of N individuals.

    Attributes:
        mean: (N, H).
        covariance: (N, H, H).
    """

    mean: Tensor
    covariance: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        """One value (N, H) of every individual."""
        normal = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype)
        factor, _ = cholesky(self.covariance)
        return self.mean + (factor @ normal.unsqueeze(2)).squeeze(2)


@dataclass(frozen=True)
class Arrival:
    """Gaussian laws of the states of N individuals after a segment.

    Attributes:
        seen: law of the measured coordinates, mean (1, N, d), covariance (1, N, d, d).
        mean: (N, H) of the hidden coordinates.
        gain: K, (N, H, d).
        remainder: (N, H, H), covariance of the hidden coordinates given the measured ones.
    """

    seen: Transition
    mean: Tensor
    gain: Tensor
    remainder: Tensor

    def at(self, ends: Tensor) -> HiddenLaw:
        """Hidden coordinates of those who arrive at ends (N, d), one each."""
        miss = (ends - self.seen.mean[0]).unsqueeze(2)
        return HiddenLaw(self.mean + (self.gain @ miss).squeeze(2), self.remainder)

    def carried(self, log_plan: Tensor, ends: Tensor) -> HiddenLaw:
        """Hidden coordinates of those who arrive at ends (M, d), under a coupling (N, M).

        The M mixtures of N parts are reduced to their moments by products of matrices.
        """
        weights = torch.softmax(log_plan, dim=0)
        middle = ends.mean(0)
        starts = self.mean + (self.gain @ (middle - self.seen.mean[0]).unsqueeze(2)).squeeze(2)
        center = starts.mean(0).detach()
        parts = torch.cat([(starts - center).unsqueeze(2), self.gain], dim=2)
        away = torch.cat([torch.ones_like(ends[:, :1]), ends - middle], dim=1)
        n, h, size = parts.shape
        first = (weights.T @ parts.reshape(n, -1)).reshape(-1, h, size)
        mean = (first @ away.unsqueeze(2)).squeeze(2)
        products = torch.einsum("nap,nbq->nabpq", parts, parts).reshape(n, -1)
        second = (weights.T @ products).reshape(-1, h, h, size, size)
        spread = torch.einsum("mabpq,mp,mq->mab", second, away, away)
        within = (weights.T @ self.remainder.reshape(n, -1)).reshape(-1, h, h)
        covariance = within + spread - mean.unsqueeze(2) * mean.unsqueeze(1)
        return HiddenLaw(center + mean, covariance)


def arrival(
    transitions: Transitions,
    coordinates: Coordinates,
    span: tuple[float, float],
    seen: Tensor,
    law: HiddenLaw,
    blur: Tensor | None = None,
) -> Arrival:
    """Where individuals at measured positions (N, d) arrive after a segment.

    Args:
        transitions: of the reference.
        coordinates: which are measured.
        span: times of the two snapshots.
        seen: (N, d).
        law: of their hidden coordinates.
        blur: (d,) standard deviations that are added to the measured coordinates at arrival.
    """
    mean, spread, _ = predicted(transitions, coordinates, span, seen, law)
    o, h = list(coordinates.observed), list(coordinates.hidden)
    of_seen, cross = spread[:, o][:, :, o], spread[:, h][:, :, o]
    if blur is not None:
        of_seen = of_seen + torch.diag(blur.square())
    factor, _ = cholesky(of_seen)
    gain = torch.cholesky_solve(cross.mT, factor).mT
    remainder = spread[:, h][:, :, h] - gain @ cross.mT
    law_of_seen = Transition(mean[None, :, o], mean.new_zeros(0), of_seen[None])
    return Arrival(law_of_seen, mean[:, h], gain, (remainder + remainder.mT) / 2)


def predicted(
    transitions: Transitions,
    coordinates: Coordinates,
    span: tuple[float, float],
    seen: Tensor,
    law: HiddenLaw,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (N, D) and covariance (N, D, D) after a segment, and the flow (N, D, H) from hidden."""
    start, end = span
    state = coordinates.whole(seen, law.mean)
    t0, duration = state.new_full((1,), start), state.new_full((1,), end - start)
    moved = transitions(t0, state.unsqueeze(0), duration, with_flow=True)
    n, dim = state.shape
    flow = moved.flow[0].expand(n, dim, dim)[:, :, list(coordinates.hidden)]
    covariance = moved.covariance[0].expand(n, dim, dim) + flow @ law.covariance @ flow.mT
    return moved.mean[0], covariance, flow
