"""The gradient of a potential that a network gives."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.seeding import RandomState
from trajinfer.nn import MLP
from trajinfer.processes.base import Values
from trajinfer.processes.network_drift import NetworkDrift


class GradientField(NetworkDrift):
    r"""A gradient drift $b = \nabla U$, $U(x) = \frac{s^2}{\tau}\,N((x - \text{center})/s)$.

    N is a network with one output and s one scale for all coordinates, so that the curl is zero
    whatever the weights. The activation is smooth: with ReLU the gradient would jump. Minus U is
    the energy of a landscape; with volatility $\sigma$ the stationary density is
    $\propto \exp(2 U / \sigma^2)$ where that can be normalised.

    Args:
        dim: D.
        hidden: widths of the hidden layers; the published networks have (128, 64, 64).
        activation: "silu", "lipswish", "softplus" or "tanh".
        volatility: see `Process`.
        random_state: seed of the initial weights.

    References:
        Shen, Berlinghieri, Broderick, arXiv 2408.06277 (gradient fields as references).
    """

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Take centre, one scale for all coordinates and the unit of time from the data."""
        super().adapt_to(center, scale, duration)
        self.scale = self.scale.square().mean().sqrt().expand(self.dim).clone()

    def potential(self, y: Tensor, p: Values | None = None) -> Tensor:
        """U(y), (B,); the drift is its gradient."""
        p = self.values(y.dtype) if p is None else p
        unit = self.scale[0].square() / self.duration
        return unit.to(y) * self.applied(self.normed(y), p)[:, 0]

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Gradient of the potential, sample by sample."""

        def total(x: Tensor) -> Tensor:
            return self.potential(x, p).sum()

        gradient: Tensor = torch.func.grad(total)(y)
        return gradient

    def _network(self, random_state: RandomState) -> MLP:
        return MLP(
            self.dim,
            1,
            self.hidden,
            activation=self.activation,
            last_bias=False,
            dtype=torch.float64,
            random_state=random_state,
        )
