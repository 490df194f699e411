r"""Interpolants between ends that are jointly a mixture of Gaussians: everything in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.diffusion.denoiser import as_double
from trajinfer.diffusion.interpolant_path import InterpolantPath
from trajinfer.diffusion.mixture import GaussianMixture

_LOG_TWO_PI = math.log(2 * math.pi)
_STRAIGHT = InterpolantPath()


@packable
class MixtureInterpolant:
    r"""$x_u = a x_0 + b x_1 + \gamma\sigma z$ where (x_0, x_1) is a mixture of Gaussians.

    In a part with ends of means $m_0, m_1$, covariances $S_0, S_1$ and cross covariance C, on the
    straight path, $V = (1-u)^2 S_0 + u^2 S_1 + u(1-u)(C + C^T) + \gamma^2\sigma^2$ and
    $E[\dot x \mid x] = m_1 - m_0 + ((1-u)(C^T - S_0) + u(S_1 - C))\,V^{-1}(x - m)$; the velocity is
    $b = E[\dot x \mid x] - \gamma\gamma'\sigma^2\,s$ with the score s, no division anywhere.

    Args:
        ends: of the rows (x_0, x_1), 2D entries.
        volatility: sigma >= 0, a number or (D,).
        path: shares of the ends and shape of the noise.

    Raises:
        InputError: for an odd number of entries, or a volatility that does not fit.

    Example:
        >>> ends = GaussianMixture([1.0], [[0.0, 3.0]], [[[1.0, 0.0], [0.0, 0.25]]])
        >>> law = MixtureInterpolant(ends, volatility=1.0)
        >>> law.velocity(torch.tensor([[1.5]]), 0.5).item()
        3.0
    """

    def __init__(
        self, ends: GaussianMixture, *, volatility: Any = 1.0, path: InterpolantPath = _STRAIGHT
    ) -> None:
        if ends.dim % 2:
            raise InputError(f"ends must be rows (x_0, x_1) of 2 D entries, got {ends.dim}")
        self.ends, self.path, self.dim = ends, path, ends.dim // 2
        sigma = as_double(volatility)
        if (
            sigma.ndim > 1
            or (sigma.ndim and len(sigma) != self.dim)
            or not bool((sigma >= 0).all())
        ):
            raise InputError(
                f"volatility must be a number >= 0 or ({self.dim},) of them, got {volatility!r}"
            )
        self.volatility = sigma.expand(self.dim).clone()

    def to_state(self) -> dict[str, Any]:
        """The arguments."""
        return {"ends": self.ends, "volatility": self.volatility, "path": self.path}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> MixtureInterpolant:
        """From `to_state`."""
        return cls(**state)

    @cached_property
    def linear(self) -> MixtureInterpolant:
        """The same for the one Gaussian with the moments of the ends."""
        one = self.ends.moments_matched()
        return MixtureInterpolant(one, volatility=self.volatility, path=self.path)

    def at(self, u: Tensor) -> LawsAt:
        """The laws at n places u, (n,)."""
        w = self.path.at(u.to(torch.float64)[:, None, None])
        first, last = self.ends.means.split(self.dim, -1)
        from_line = (1 - u)[:, None, None], u[:, None, None]
        middle = self.ends.mean.split(self.dim)
        shift = (from_line[0] - w.start) * middle[0] + (from_line[1] - w.end) * middle[1]
        slope = -(1 + w.start_slope) * middle[0] + (1 - w.end_slope) * middle[1]
        top, bottom = self.ends.covariances.split(self.dim, -2)
        (s00, s01), (s10, s11) = top.split(self.dim, -1), bottom.split(self.dim, -1)
        a, b, da, db = (x[..., None] for x in w[:4])
        noise = torch.diag_embed(w.variance * self.volatility.square())
        covariance = a * a * s00 + b * b * s11 + a * b * (s01 + s10) + noise
        return LawsAt(
            self.ends.weights.log(),
            shift + w.start * first + w.end * last,
            slope + w.start_slope * first + w.end_slope * last,
            torch.linalg.cholesky(covariance),
            da * (a * s00 + b * s01) + db * (a * s10 + b * s11),
            da * da * s00 + db * db * s11 + da * db * (s01 + s10),
        )

    def place(self, start: Tensor, end: Tensor, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Positions between ends (n, r, D) at u (n,) with noise z, and their slopes without it."""
        w = self.path.at(u[:, None, None])
        first, last = self.ends.mean.split(self.dim)
        line = first + u[:, None, None] * (last - first)
        off, away = start - first, end - last
        x = line + w.start * off + w.end * away + w.variance.sqrt() * self.volatility * z
        return x, last - first + w.start_slope * off + w.end_slope * away

    def velocity_and_score(self, x: Tensor, u: Tensor | float) -> tuple[Tensor, Tensor]:
        """The velocity b and the score of the law at u, (B, D) each."""
        place = as_double(u).reshape(1)
        slope, score = self.at(place).moments(x[None].double())
        return self.flow(slope, score, place)[0].to(x.dtype), score[0].to(x.dtype)

    def flow(self, slope: Tensor, score: Tensor, u: Tensor) -> Tensor:
        """The velocity from the mean slope and the score at places u (n,), (n, r, D)."""
        return slope - self.path.at(u)[5][:, None, None] * self.volatility.square() * score

    def velocity(self, x: Tensor, u: Tensor | float) -> Tensor:
        """The velocity b(x, u), (B, D)."""
        return self.velocity_and_score(x, u)[0]

    def score(self, x: Tensor, u: Tensor | float) -> Tensor:
        """The score of the law at u, (B, D)."""
        return self.velocity_and_score(x, u)[1]

    def log_prob(self, x: Tensor, u: Tensor | float) -> Tensor:
        """Log-density of the law at u, (B,)."""
        return self.at(as_double(u).reshape(1)).log_density(x[None].double())[0].to(x.dtype)


@dataclass(frozen=True)
class LawsAt:
    """Laws of positions and slopes at n places between the ends, each a mixture of K parts.

    Attributes:
        log_weights: (K,).
        means: (n, K, D) of the positions.
        slopes: (n, K, D) of their change with u.
        factor: (n, K, D, D) Cholesky factors of the covariances of the positions.
        cross: (n, K, D, D) covariances of slopes with positions.
        slope_covariance: (n, K, D, D).
    """

    log_weights: Tensor
    means: Tensor
    slopes: Tensor
    factor: Tensor
    cross: Tensor
    slope_covariance: Tensor

    def log_density(self, x: Tensor) -> Tensor:
        """Log-density of positions (n, r, D), (n, r)."""
        return torch.logsumexp(self._parts(x)[1], 1)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean slope given positions (n, r, D), and the score there, (n, r, D) each."""
        pulled, logits = self._parts(x)
        share = torch.softmax(logits, 1)[:, :, None]
        slopes = self.slopes[..., None] + self.cross @ pulled
        return (share * slopes).sum(1).mT, -(share * pulled).sum(1).mT

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, K, D, r) pulls towards the parts, and (n, K, r) log of weight times density."""
        off = (x[:, None] - self.means[:, :, None]).mT
        pulled = torch.cholesky_solve(off, self.factor)
        log_det = self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_norm = self.log_weights - log_det - 0.5 * x.shape[-1] * _LOG_TWO_PI
        return pulled, log_norm[..., None] - 0.5 * (off * pulled).sum(-2)

    def spread(self) -> tuple[Tensor, Tensor]:
        """Deviations of the positions, and of slopes given positions, (n, D); of one part."""
        factor, cross = self.factor[:, 0], self.cross[:, 0]
        explained = torch.linalg.solve_triangular(factor, cross.mT, upper=False).square().sum(-2)
        whole = self.slope_covariance[:, 0].diagonal(dim1=-2, dim2=-1)
        left = (whole - explained).clamp(min=1e-6 * whole.mean() + 1e-12)
        return factor.square().sum(-1).sqrt(), left.sqrt()
