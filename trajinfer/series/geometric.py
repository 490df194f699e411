"""Geometric dynamics: every channel of the state is positive, by construction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trajinfer._core.seeding import RandomState, seed_from, seeded
from trajinfer._core.words import renamed_settings
from trajinfer.nn import TimeFeatures
from trajinfer.series.driven_network import DrivenNetwork, Layers
from trajinfer.series.dynamics import Damping, Drive, LatentDynamics, TimeVolatility, damped

_LARGEST_READ = 15.0
_SMALLEST_START = 1e-3


@renamed_settings(noise="stochastic")
class GeometricSDE(LatentDynamics):
    r"""$dz / z = \gamma\,dt + \sigma(t)\,dW$ elementwise, solved for $u = \log z$:

    $du = (\gamma(t, u, X(t)) - \tfrac12 \sigma(t)^2)\,dt + \sigma(t)\,dW$, with
    $\gamma = g_{max} \tanh((N(t, \tanh u, X) - \kappa u) / g_{max})$.

    The state of `solve` is u, so $z = e^u > 0$ for steps of any length, where Euler steps of z
    itself cross zero. The bound on $\gamma$ is needed: an unbounded one, such as $\gamma = z$,
    lets z explode in finite time. $E z_i(T)^p \le z_i(0)^p \exp(p g_{max} T + p(p-1) s^2 T / 2)$.

    Args:
        dim: H, number of latent channels.
        n_controls: C, channels of the control path; 0 leaves it out.
        layers: number of hidden layers of N, as wide as the state, or the width of each.
        fastest_growth: $g_{max}$, per unit of time.
        stochastic: False makes the dynamics an ODE.
        random_state: seed of the initial weights.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989.
    """

    def __init__(
        self,
        dim: int,
        n_controls: int,
        *,
        layers: Layers = 2,
        fastest_growth: float = 5.0,
        stochastic: bool = True,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(dim, n_controls, stochastic=stochastic)
        self.fastest_growth = fastest_growth
        self.time = TimeFeatures()
        with seeded(seed_from(random_state)):
            self.network = DrivenNetwork(dim, n_controls + self.time.width, layers)
            self.volatility = TimeVolatility(dim)
            self.damping = Damping(dim)

    def from_start(self, start: Tensor) -> Tensor:
        """Logarithm of softplus(start) + 1e-3, a positive z."""
        return torch.log(nn.functional.softplus(start) + _SMALLEST_START)

    def readable(self, z: Tensor) -> Tensor:
        """The logarithm u, limited to where exp(u) is harmless."""
        return z.clamp(-_LARGEST_READ, _LARGEST_READ)

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """What the network is told of t and X, and sigma(t)."""
        told = self.time(t)
        inputs = told if x is None else torch.cat([told, x], dim=-1)
        return Drive(self.network.drive(inputs), self.volatility(t), self.damping())

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """Drift of the logarithm."""
        wanted = damped(self.network(torch.tanh(z), drive.drift), z, drive)
        growth = self.fastest_growth * torch.tanh(wanted / self.fastest_growth)
        if self.noise_type == "none":
            return growth
        return torch.addcmul(growth, drive.volatility, drive.volatility, value=-0.5)

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """sigma(t): the noise of the logarithm is additive."""
        return drive.volatility.expand_as(z)
