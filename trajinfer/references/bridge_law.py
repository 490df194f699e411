r"""Gaussian bridges: paths of the reference between two given points.

With mean $m_s$, covariance $P_s$ and flow $\Psi_s$ from time s to the end,

$x_s \mid x, y \sim N\left(m_s + G_s (y - m_T),\; P_s - G_s \Psi_s P_s\right)$,
$G_s = P_s \Psi_s^T P_T^{-1}$.

Whole paths are drawn at once: an unconditional path is corrected by $G_s$ times the amount by which
it misses its end, which gives the conditional law exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer.references.linalg import apply, cholesky
from trajinfer.references.transitions import Transitions


@dataclass(frozen=True)
class BridgeLaw:
    """Gaussian path law of the reference from given starts, read at L nodes and at the end.

    Attributes:
        transitions: of the reference.
        means: (L + 1, S, N, D), the last entry at the end of the segment.
        flows: (L + 1, S, N or 1, D, D) from the node before (from the start for the first).
        noises: (L + 1, S, N or 1, D, D), covariance added since the node before.
        covariances: (L + 1, S, N or 1, D, D), covariance since the start.
        gains: (L, S, N or 1, D, D), G at the nodes.
        to_end: (L, S, N or 1, D, D), flow from the nodes to the end.
        remaining: (L, S, N or 1, D, D), covariance still to come, given the position at the node.
        times: (L, S) of the nodes.
    """

    transitions: Transitions
    means: list[Tensor]
    flows: list[Tensor]
    noises: list[Tensor]
    covariances: list[Tensor]
    gains: list[Tensor]
    to_end: list[Tensor]
    remaining: list[Tensor]
    times: Tensor

    def expected(self, end: Tensor) -> Tensor:
        """Mean positions at the nodes given the end (S, N, D); returns (L, S, N, D)."""
        miss = end - self.means[-1]
        return torch.stack([m + apply(g, miss) for m, g in zip(self.means, self.gains)])

    def draw(self, end: Tensor, generator: torch.Generator) -> Tensor:
        """One path per start given its end (S, N, D); returns (L, S, N, D)."""
        deviation = torch.zeros_like(end)
        deviations = []
        for flow, noise in zip(self.flows, self.noises, strict=True):
            normal = torch.randn(end.shape, generator=generator, dtype=end.dtype)
            factor, _ = cholesky(noise)
            deviation = apply(flow, deviation) + apply(factor, normal)
            deviations.append(deviation)
        miss = end - self.means[-1] - deviations[-1]
        return torch.stack(
            [m + z + apply(g, miss) for m, z, g in zip(self.means, deviations, self.gains)]
        )

    def conditional_drift(self, positions: Tensor, end: Tensor) -> Tensor:
        """Drift at the nodes of the path that is tied to its end.

        Args:
            positions: (L, S, N, D) at the nodes.
            end: (S, N, D).

        Returns:
            (L, S, N, D).
        """
        drifts = []
        for node, x in enumerate(positions):
            to_end, offset = self.to_end[node], x - self.means[node]
            miss = end - self.means[-1] - apply(to_end, offset)
            pull = apply(self._rate(node) @ to_end.mT, _over(self.remaining[node], miss))
            drifts.append(self._local(node, offset) + pull)
        return torch.stack(drifts)

    def backward_drift(self, positions: Tensor) -> Tensor:
        r"""Drift at the nodes, towards earlier times, of the paths seen backwards.

        With $b$ the drift and $q$ the law at the node given the start,
        $-b + \Sigma \nabla \log q$.

        Args:
            positions: (L, S, N, D) at the nodes.

        Returns:
            (L, S, N, D).
        """
        drifts = []
        for node, x in enumerate(positions):
            offset = x - self.means[node]
            score = -_over(self.covariances[node], offset)
            drifts.append(apply(self._rate(node), score) - self._local(node, offset))
        return torch.stack(drifts)

    def _local(self, node: int, offset: Tensor) -> Tensor:
        """Drift (S, N, D) at a node, linear in the offset (S, N, D) from the mean."""
        dynamics, (t, mean) = self.transitions.dynamics, self._rows(node)
        jacobian = dynamics.jacobian(t, mean).reshape(*offset.shape, -1)
        return dynamics.drift(t, mean).reshape(offset.shape) + apply(jacobian, offset)

    def _rows(self, node: int) -> tuple[Tensor, Tensor]:
        """Times (S N, 1) and means (S N, D) at a node."""
        mean = self.means[node]
        t = self.times[node].unsqueeze(1).expand(mean.shape[:2]).reshape(-1, 1)
        return t, mean.flatten(0, 1)

    def _rate(self, node: int) -> Tensor:
        """Rate of the covariance at a node, (S, N, D, D) or (D, D)."""
        rate = self.transitions.dynamics.covariance_rate(*self._rows(node))
        return rate.reshape(*self.means[node].shape, -1) if rate.ndim == 3 else rate


def _over(covariance: Tensor, x: Tensor) -> Tensor:
    """Inverse of covariances (S, N or 1, D, D), times vectors (S, N, D)."""
    factor, _ = cholesky(covariance)
    solved: Tensor = torch.cholesky_solve(x.unsqueeze(3), factor.expand(*x.shape, -1)).squeeze(3)
    return solved


def bridge_law(
    transitions: Transitions, t0: Tensor, x: Tensor, duration: Tensor, fractions: Tensor
) -> BridgeLaw:
    """Path law of the reference from x, read at fractions of the duration.

    Args:
        transitions: of the reference over a whole segment.
        t0: (S,) starting times.
        x: (S, N, D).
        duration: (S,).
        fractions: (L,) increasing, strictly between 0 and 1 (L = 0: only the end).
    """
    ends = torch.cat([fractions, fractions.new_ones(1)])
    means, flows, noises, covariances = [], [], [], []
    mean = x
    covariance = torch.zeros((), dtype=x.dtype)
    previous = 0.0
    for fraction in ends.tolist():
        share = fraction - previous
        local = transitions.within(share)(
            t0 + previous * duration, mean, share * duration, with_flow=True
        )
        flow, mean = local.flow, local.mean
        covariance = local.covariance + (
            flow @ covariance @ flow.mT if covariance.ndim else covariance
        )
        means.append(mean)
        flows.append(flow)
        noises.append(local.covariance)
        covariances.append(covariance)
        previous = fraction
    factor, _ = cholesky(covariances[-1])
    gains: list[Tensor] = []
    to_end: list[Tensor] = []
    remaining: list[Tensor] = []
    onward = torch.eye(x.shape[2], dtype=x.dtype)
    for node in range(len(fractions) - 1, -1, -1):
        onward = onward @ flows[node + 1]
        cross = onward @ covariances[node]
        gains.insert(0, torch.cholesky_solve(cross, factor).mT)
        to_end.insert(0, onward)
        remaining.insert(0, covariances[-1] - cross @ onward.mT)
    times = t0 + fractions.unsqueeze(1) * duration
    return BridgeLaw(
        transitions, means, flows, noises, covariances, gains, to_end, remaining, times
    )
