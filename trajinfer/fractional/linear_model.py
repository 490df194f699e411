r"""A linear SDE driven by Markov-approximate fractional Brownian motion, as a Gaussian state space.

$$dX = -\theta X\,dt + \sum_k \omega_k\,dY_k, \qquad dY_k = -\gamma_k Y_k\,dt + dW,$$

observed with noise. The response of X to the noise u ago is
$\kappa(u) = \bar\omega e^{-\theta u} - \sum_k \omega_k \gamma_k D_k(u)$ with
$D_k(u) = (e^{-\theta u} - e^{-\gamma_k u})/(\gamma_k - \theta)$ and $\bar\omega = \sum_k \omega_k$.
Covariances over a step are integrals of products of such responses: in closed form, or by
quadrature where theta is near a node.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from trajinfer.fractional.moves import Moves, Transition
from trajinfer.fractional.normalization import FbmType
from trajinfer.fractional.ou_transition import (
    decayed_time,
    ou_covariance,
    stationary_covariance,
)

_POINTS = 64
_POWER = 6
_POLE = 1e-2
_STATIONARY = torch.tensor(torch.nan, dtype=torch.float64)


@dataclass(frozen=True)
class LinearFractionalModel:
    """The model of one channel, or of many at once: parameters (...) broadcast.

    Attributes:
        nodes: (J,) rates of Y.
        omega: (..., J) weights, the volatility included.
        theta: (...) rate of return, not negative.
        noise: (...) standard deviation of the observations.
        start_sd: (...) standard deviation of X at the first time, then independent of Y; NaN, the
            default, for the stationary law (theta > 0).
        fbm_type: 1 for a stationary Y at the start, 2 for Y(0) = 0.

    The state is z = (X, Y_1, ..., Y_J), S = J + 1 numbers.
    """

    nodes: Tensor
    omega: Tensor
    theta: Tensor
    noise: Tensor
    start_sd: Tensor = _STATIONARY
    fbm_type: FbmType = 1

    def __post_init__(self) -> None:
        shape = np.broadcast_shapes(
            self.omega.shape[:-1], self.theta.shape, self.noise.shape, self.start_sd.shape
        )
        for name, value in {
            "omega": self.omega.expand(*shape, len(self.nodes)),
            "theta": self.theta.expand(shape),
            "noise": self.noise.expand(shape),
            "start_sd": self.start_sd.expand(shape),
        }.items():
            object.__setattr__(self, name, value)

    def per_step(self) -> LinearFractionalModel:
        """The same model with one more axis on its parameters, for the steps of a series."""
        return replace(
            self,
            omega=self.omega.unsqueeze(-2),
            theta=self.theta.unsqueeze(-1),
            noise=self.noise.unsqueeze(-1),
            start_sd=self.start_sd.unsqueeze(-1),
        )

    def transition(self, steps: Tensor) -> Transition:
        """The exact transition over steps that broadcast with the parameters, zero included."""
        return self.moves(steps).dense()

    def moves(self, steps: Tensor) -> Moves:
        """The same without the zeros of its matrices.

        Away from poles the response is a sum of exponentials, whose products integrate in closed
        form.
        """
        h, theta = steps[..., None], self.theta[..., None]
        row = -self.omega * self.nodes * _divided_difference(theta, self.nodes, h)
        among = ou_covariance(self.nodes, steps)
        own_rate, shares = self._exponentials()
        mixed = decayed_time(theta + self.nodes, h)
        with_y = own_rate[..., None] * mixed + _shared_product(shares, among)
        own = ((with_y + own_rate[..., None] * mixed) * shares).sum(-1)
        own = own + own_rate.square() * decayed_time(2 * self.theta, steps)
        near = self._near_a_pole()
        if near.any():
            by_points = self._by_quadrature(steps)
            own = torch.where(near, by_points[0], own)
            with_y = torch.where(near[..., None], by_points[1], with_y)
        decay = torch.exp(-self.nodes * h)
        return Moves(torch.exp(-self.theta * steps), row, decay, own.clamp_min(0.0), with_y, among)

    def moves_between(self, times: Tensor) -> Moves:
        """The moves into every time (..., T) of series, the first of no length."""
        return self.per_step().moves(torch.diff(times, dim=-1, prepend=times[..., :1]))

    def _near_a_pole(self) -> Tensor:
        """(...) bool, where theta is so near a node that closed forms lose digits."""
        theta = self.theta[..., None]
        gap = (self.nodes - theta).abs()
        return ((gap < _POLE * torch.maximum(self.nodes, theta)) & (theta > 0)).any(-1)

    def _exponentials(self) -> tuple[Tensor, Tensor]:
        r"""Factors of the response: of $e^{-\theta u}$ (...), and of $e^{-\gamma_k u}$ (..., J)."""
        theta = self.theta[..., None]
        gap = torch.where(self.nodes == theta, 1.0, self.nodes - theta)
        share = torch.where(theta > 0, self.nodes / gap, 1.0)
        rate = torch.where(theta > 0, -theta / gap, 0.0)
        return (self.omega * rate).sum(-1), self.omega * share

    def _by_quadrature(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Own variance and covariance with Y of the innovations of X."""
        h = steps[..., None]
        u, w = _legendre()
        places = h * u
        response = self.response(places)
        weighted = response * (w * h)
        with_y = (weighted.unsqueeze(-2) @ torch.exp(-self.nodes * places[..., None])).squeeze(-2)
        return (weighted * response).sum(-1), with_y

    def response(self, u: Tensor) -> Tensor:
        """The response of X to the noise u ago, for u (..., Q)."""
        theta = self.theta[..., None]
        decayed = torch.exp(-theta * u) * self.omega.sum(-1, keepdim=True)
        differences = _divided_difference(theta[..., None], self.nodes, u[..., None])
        weighted = (self.omega * self.nodes)[..., None, :]
        return decayed - (weighted * differences).sum(-1)

    def initial(self) -> Tensor:
        """Covariance of the state at the first time, (..., S, S); its mean is 0.

        The stationary law solves the Lyapunov equation of the model row by row.
        """
        law = stationary_covariance(self.nodes)
        if self.fbm_type == 2:
            law = torch.zeros_like(law)
        stationary = self.start_sd.isnan()
        theta = torch.where(stationary, self.theta, 1.0)
        drift, total = self.omega * self.nodes, self.omega.sum(-1)
        feed = total[..., None] - drift @ law
        moving = stationary[..., None] & (self.nodes > 0)
        with_y = torch.where(moving, feed / (theta[..., None] + self.nodes), 0.0)
        own = (total.square() - 2 * (drift * with_y).sum(-1)) / (2 * theta)
        own = torch.where(stationary, own, self.start_sd.square())
        top = torch.cat([own[..., None, None], with_y.unsqueeze(-2)], dim=-1)
        law = law.expand(*with_y.shape[:-1], -1, -1)
        return torch.cat([top, torch.cat([with_y.unsqueeze(-1), law], dim=-1)], dim=-2)

    def covariance(self, times: Tensor) -> Tensor:
        """Covariance (..., T, T) of X at increasing times (T,), the first of them the start."""
        initial = self.initial()
        since = self.per_step().transition(times - times[0])
        cov = since.flow @ initial.unsqueeze(-3) @ since.flow.mT + since.spread
        gaps = (times[:, None] - times).clamp_min(0.0)
        flows = self.per_step().per_step().transition(gaps).flow[..., 0, :]
        lower = torch.einsum("...tsi,...si->...ts", flows, cov[..., :, :, 0])
        late = torch.tril(torch.ones_like(lower))
        return torch.where(late > 0, lower, lower.mT)


def _shared_product(shares: Tensor, among: Tensor) -> Tensor:
    """Shares (..., J) times matrices (steps, J, J), which are not copied for each of the shares."""
    axes = among.ndim - 2
    if shares.ndim > axes and all(n == 1 for n in shares.shape[-1 - axes : -1]):
        n_nodes, lead = shares.shape[-1], shares.shape[: -1 - axes]
        beside = among.movedim(-2, 0).reshape(n_nodes, -1)
        return (shares.reshape(-1, n_nodes) @ beside).reshape(*lead, *among.shape[:-2], n_nodes)
    total = shares[..., :1] * among[..., 0, :]
    for j in range(1, shares.shape[-1]):
        total = total + shares[..., j : j + 1] * among[..., j, :]
    return total


def _divided_difference(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    r"""$(e^{-a t} - e^{-b t})/(b - a)$, and $t e^{-a t}$ where a = b."""
    gap = (b - a).abs() * t
    near = gap < 1e-5
    away = torch.where(near, 1.0, gap)
    mean = torch.where(near, 1 - gap / 2, -torch.expm1(-away) / away)
    return t * torch.exp(-torch.minimum(a, b) * t) * mean


@lru_cache
def _legendre() -> tuple[Tensor, Tensor]:
    """Points of (0, 1) that crowd at 0, where fast nodes respond."""
    x, w = np.polynomial.legendre.leggauss(_POINTS)
    s = (x + 1) / 2
    return torch.as_tensor(s**_POWER), torch.as_tensor(w / 2 * _POWER * s ** (_POWER - 1))
