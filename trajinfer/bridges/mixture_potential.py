r"""Gaussian-mixture potentials: the couplings of a segment in closed form, without atoms.

In units in which the noise of the segment is $N(0, I)$, a start a has its end b near a. The plan is
this law times a potential of the end,

$\pi(b \mid a) \propto N(b; a, I)\, h(b)$,
$h(b) = e^{|b|^2/2} \sum_k \alpha_k N(b; r_k, S_k)$,

so that $b \mid a$ is a mixture of $N(r_k + S_k a, S_k)$ with weights proportional to
$\alpha_k \exp(a^T S_k a / 2 + r_k^T a)$. Later positions on the way to the end, at which the noise
to come has covariance V, see the potential through a Gaussian integral, again in closed form.

References:
    Korotin, Gushchin, Burnaev, "Light Schroedinger Bridge", ICLR 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer._core.packing import packable
from trajinfer.references.linalg import whiten

_NEAR = 2**12


@dataclass(frozen=True)
class EndLaw:
    """Mixture law of the end, given the position before it.

    Attributes:
        log_share: (N, K) logarithm of the weights.
        log_mass: (N,) logarithm of the potential's expectation, up to one constant.
        means: (K, N, D) of the components.
        factors: (K, D, D), F of the covariances F F^T.
        slope: (N, D) gradient of `log_mass` in the position.
    """

    log_share: Tensor
    log_mass: Tensor
    means: Tensor
    factors: Tensor
    slope: Tensor

    @property
    def mean(self) -> Tensor:
        """(N, D)."""
        return torch.einsum("nk,knd->nd", self.log_share.exp(), self.means)

    @property
    def covariance(self) -> Tensor:
        """(N, D, D)."""
        share = self.log_share.exp()
        inner = torch.einsum("nk,kde->nde", share, self.factors @ self.factors.mT)
        off = self.means - self.mean
        return inner + torch.einsum("nk,knd,kne->nde", share, off, off)

    def draw(self, level: Tensor, normal: Tensor) -> Tensor:
        """Draw an end for every position.

        Args:
            level: (N,) uniform, which choose the components.
            normal: (N, D) standard normal.
        """
        ladder = self.log_share.exp().cumsum(1)
        chosen = (level.unsqueeze(1) * ladder[:, -1:] >= ladder[:, :-1]).sum(1)
        rows = torch.arange(len(level), device=level.device)
        moved = torch.stack([normal @ factor.mT for factor in self.factors])
        return self.means[chosen, rows] + moved[chosen, rows]


@packable
@dataclass(frozen=True)
class MixturePotential:
    """The potential h of a segment.

    Attributes:
        log_weight: (K,) logarithm of alpha.
        location: (K, D), r.
        spread: (K, D, D), S, positive definite.
    """

    log_weight: Tensor
    location: Tensor
    spread: Tensor

    def __len__(self) -> int:
        return len(self.log_weight)

    def contiguous(self) -> MixturePotential:
        """The same, laid out in memory as it is after saving."""
        return MixturePotential(
            self.log_weight.contiguous(), self.location.contiguous(), self.spread.contiguous()
        )

    def log_reach(self, a: Tensor) -> Tensor:
        """Logarithm of the terms that the starts a (N, D) give the components, (N, K)."""
        return self.log_weight + start_exponents(a, self.location, self.spread)

    def log_terms(self, b: Tensor) -> Tensor:
        """Logarithm of alpha_k N(b; r_k, S_k) at the ends b (M, D), (M, K)."""
        return self.log_weight + end_exponents(b, self.location, self.spread)

    def end_law(self, a: Tensor, noise: Tensor | None = None) -> EndLaw:
        """Law of the end from positions a, when noise of covariance V is still to come.

        Args:
            a: (N, D), where the reference expects the end.
            noise: (D, D), at most the identity; None is the identity, as at the start.
        """
        dim = a.shape[1]
        eye = torch.eye(dim, dtype=a.dtype, device=a.device)
        root = eye if noise is None else _symmetric_root(noise)
        factor = torch.linalg.cholesky(self.spread)
        precision = torch.cholesky_inverse(factor)
        bend = precision - eye
        inner = root @ bend @ root + eye
        inner_factor = torch.linalg.cholesky((inner + inner.mT) / 2)
        ends = whiten(inner_factor, root.expand_as(inner)).mT
        pull = (precision @ self.location.unsqueeze(2)).squeeze(2)
        off = pull.unsqueeze(1) - a @ bend
        moved = off @ ends
        step = moved @ ends.mT
        log_term = (
            self.log_weight.unsqueeze(1)
            - factor.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)
            - inner_factor.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)
            - 0.5 * (pull * self.location).sum(1, keepdim=True)
            + 0.5 * ((pull.unsqueeze(1) + off) * a).sum(2)
            + 0.5 * moved.square().sum(2)
        ).mT
        log_mass = torch.logsumexp(log_term, dim=1)
        log_share = log_term - log_mass.unsqueeze(1)
        slope = torch.einsum("nk,knd->nd", log_share.exp(), off - step @ bend)
        return EndLaw(log_share, log_mass, a + step, ends, slope)


def start_exponents(a: Tensor, location: Tensor, spread: Tensor) -> Tensor:
    """a^T S_k a / 2 + r_k^T a, (N, K)."""

    def columns(part: Tensor) -> list[Tensor]:
        return [((0.5 * part @ S + r) * part).sum(1) for r, S in zip(location, spread)]

    return _by_parts(columns, a)


def end_exponents(b: Tensor, location: Tensor, spread: Tensor) -> Tensor:
    """Log N(b; r_k, S_k), (M, K)."""
    factor = torch.linalg.cholesky(spread)
    inverse = torch.linalg.inv(factor).mT
    constant = factor.diagonal(dim1=1, dim2=2).log().sum(1)
    constant = constant + 0.5 * b.shape[1] * math.log(2 * math.pi)

    def columns(part: Tensor) -> list[Tensor]:
        return [((part - r) @ white).square().sum(1) for r, white in zip(location, inverse)]

    exponents: Tensor = -0.5 * _by_parts(columns, b) - constant
    return exponents


def _by_parts(columns: Callable[[Tensor], list[Tensor]], points: Tensor) -> Tensor:
    """Columns (N, K) of points (N, D), so many points at a time as a processor keeps near."""
    return torch.cat([torch.stack(columns(part), dim=1) for part in points.split(_NEAR)])


def gaussian_spread(start: Tensor, end: Tensor) -> Tensor:
    r"""S of the bridge between Gaussians: the solution of $S \Xi S + S = C$.

    Args:
        start: Xi (K, D, D), covariance of the starts.
        end: C (K, D, D) of the ends, positive definite.
    """
    factor = torch.linalg.cholesky(end)
    values, vectors = torch.linalg.eigh(factor.mT @ start @ factor)
    shrunk = 2 / (1 + (1 + 4 * values.clamp_min(0)).sqrt())
    half: Tensor = factor @ vectors * shrunk.sqrt().unsqueeze(1)
    spread: Tensor = half @ half.mT
    return spread


def _symmetric_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.mT
    return root
