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

    def of_rows(self, rows: Tensor) -> HiddenLaw:
        """Of some of the individuals, possibly several times."""
        return HiddenLaw(self.mean[rows], self.covariance[rows])


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


@dataclass(frozen=True)
class Passage:
    """Transition laws over a segment of N individuals, linear in their hidden coordinates.

    Attributes:
        coordinates: which are measured.
        origin: (N, H) hidden coordinates about which they are linear.
        mean: (N, D) of the states after the segment, for those at the origin.
        flow: (N, D, H), its derivative with respect to the hidden coordinates.
        noise: (N, D, D).
    """

    coordinates: Coordinates
    origin: Tensor
    mean: Tensor
    flow: Tensor
    noise: Tensor

    @classmethod
    def of(
        cls,
        transitions: Transitions,
        coordinates: Coordinates,
        span: tuple[float, float],
        seen: Tensor,
        hidden: Tensor,
    ) -> Passage:
        """From measured (N, d) and hidden (N, H) coordinates.

        Args:
            transitions: of the reference.
            coordinates: which are measured.
            span: times of the two snapshots.
            seen: where the individuals stand.
            hidden: about which laws are linear.
        """
        start, end = span
        state = coordinates.whole(seen, hidden)
        t0, duration = state.new_full((1,), start), state.new_full((1,), end - start)
        moved = transitions(t0, state.unsqueeze(0), duration, with_flow=True)
        full = (len(state), coordinates.dim, coordinates.dim)
        flow = moved.flow[0].expand(full)[:, :, list(coordinates.hidden)]
        return cls(coordinates, hidden, moved.mean[0], flow, moved.covariance[0].expand(full))

    def of_rows(self, rows: Tensor) -> Passage:
        """Of some of the individuals, possibly several times."""
        kept = (part[rows] for part in (self.origin, self.mean, self.flow, self.noise))
        return Passage(self.coordinates, *kept)

    def states(self, law: HiddenLaw) -> tuple[Tensor, Tensor]:
        """Mean (N, D) and covariance (N, D, D) of the states after the segment."""
        off = (law.mean - self.origin).unsqueeze(2)
        mean = self.mean + (self.flow @ off).squeeze(2)
        return mean, self.noise + self.flow @ law.covariance @ self.flow.mT

    def arrival(self, law: HiddenLaw, blur: Tensor | None = None) -> Arrival:
        """Where individuals with this law of the hidden coordinates arrive.

        Args:
            law: at the start of the segment.
            blur: (d,) standard deviations that are added to the measured coordinates at arrival.
        """
        mean, spread = self.states(law)
        o, h = list(self.coordinates.observed), list(self.coordinates.hidden)
        of_seen, cross = spread[:, o][:, :, o], spread[:, h][:, :, o]
        if blur is not None:
            of_seen = of_seen + torch.diag(blur.square())
        factor, _ = cholesky(of_seen)
        gain = torch.cholesky_solve(cross.mT, factor).mT
        remainder = spread[:, h][:, :, h] - gain @ cross.mT
        law_of_seen = Transition(mean[None, :, o], mean.new_zeros(0), of_seen[None])
        return Arrival(law_of_seen, mean[:, h], gain, (remainder + remainder.mT) / 2)
