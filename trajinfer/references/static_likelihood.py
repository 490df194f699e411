r"""The static side of a bridge: transition costs and their likelihood given a coupling.

For a coupling $\pi$ only the mass $a_i$, mean $\bar y_i$ and covariance $V_i$ of the partners of
every starting point matter,

$-\log L = \sum_i a_i \left[\tfrac12 (\bar y_i - m_i)^T P_i^{-1} (\bar y_i - m_i)
+ \tfrac12 \mathrm{tr}(P_i^{-1} V_i) + \tfrac12 \log\det 2\pi P_i\right]$,

so that one evaluation costs O(N), whatever the size of the coupling.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer.references.linalg import cholesky, half_log_det, whiten
from trajinfer.references.transitions import Transition

_CHUNK_ELEMENTS = 2**24


@dataclass(frozen=True)
class RowStatistics:
    """Mass, mean and covariance of the partners of every starting point.

    Attributes:
        mass: (S, N).
        mean: (S, N, D).
        covariance: (S, N, D, D).
    """

    mass: Tensor
    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, plan: Tensor, end: Tensor) -> RowStatistics:
        """Statistics of a coupling (S, N, M) with the end points (S, M, D)."""
        mass = plan.sum(2)
        rows = plan / torch.where(mass > 0, mass, 1.0).unsqueeze(2)
        mean = rows @ end
        covariance = [
            _partner_covariance(weights, points, center)
            for weights, points, center in zip(rows, end, mean, strict=True)
        ]
        return cls(mass, mean, torch.stack(covariance))


def _partner_covariance(weights: Tensor, points: Tensor, center: Tensor) -> Tensor:
    """Covariance (N, D, D) of the points (M, D) under every row of weights (N, M)."""
    n, dim = center.shape
    size = max(1, _CHUNK_ELEMENTS // max(1, points.numel()))
    parts = []
    for rows, middle in zip(weights.split(size), center.split(size), strict=True):
        offsets = points - middle.unsqueeze(1)
        parts.append((offsets * rows.unsqueeze(2)).mT @ offsets)
    return torch.cat(parts).reshape(n, dim, dim)


def pair_cost(law: Transition, end: Tensor) -> Tensor:
    """Minus the log transition density of every pair, (S, N, M).

    Args:
        law: transition of the starting points, mean (S, N, D).
        end: (S, M, D).
    """
    factor, _ = cholesky(law.covariance)
    offset = half_log_det(factor)
    if factor.shape[1] == 1:
        white_end = whiten(factor.squeeze(1), end.mT).mT
        white_mean = whiten(factor.squeeze(1), law.mean.mT).mT
        distance = torch.stack([_squared_distance(m, e) for m, e in zip(white_mean, white_end)])
        return 0.5 * distance + offset.unsqueeze(2)
    costs = [_segment_cost(m, f, e) for m, f, e in zip(law.mean, factor, end, strict=True)]
    return torch.stack(costs) + offset.unsqueeze(2)


def _squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances (N, M) by differences, which lose no digits far from the origin."""
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(x, y, compute_mode=exact).square()


def _segment_cost(mean: Tensor, factor: Tensor, end: Tensor) -> Tensor:
    size = max(1, _CHUNK_ELEMENTS // max(1, end.numel()))
    parts = []
    for m, f in zip(mean.split(size), factor.split(size), strict=True):
        offsets = (end - m.unsqueeze(1)).mT
        white = whiten(f, offsets)
        parts.append(0.5 * white.square().sum(1))
    return torch.cat(parts)


def negative_log_likelihood(law: Transition, statistics: RowStatistics) -> Tensor:
    """Minus the expected log transition density under the coupling; infinite if P is singular.

    Args:
        law: transition of the starting points, mean (S, N, D).
        statistics: of the coupling.
    """
    factor, failed = cholesky(law.covariance)
    if bool(failed.any()) or not bool(torch.isfinite(law.mean).all()):
        return law.mean.new_full((), torch.inf)
    offset = (statistics.mean - law.mean).unsqueeze(3)
    factor = factor.expand(*law.mean.shape, -1)
    white = whiten(factor, offset).squeeze(3)
    inverse = torch.cholesky_inverse(factor)
    spread = (inverse * statistics.covariance).sum((2, 3))
    density = 0.5 * white.square().sum(2) + 0.5 * spread + half_log_det(factor)
    total: Tensor = (statistics.mass * density).sum()
    return total
