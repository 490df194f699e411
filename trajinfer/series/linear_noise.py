"""Dynamics whose noise is proportional to the state."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.seeding import RandomState, seed_from, seeded
from trajinfer._core.words import renamed_settings
from trajinfer.nn import TimeFeatures
from trajinfer.series.driven_network import DrivenNetwork, Layers
from trajinfer.series.dynamics import Damping, Drive, LatentDynamics, TimeVolatility, damped


@renamed_settings(noise="stochastic")
class LinearNoiseSDE(LatentDynamics):
    r"""$dz = (\gamma(t, z, X(t)) - \kappa z)\,dt + \sigma(t) \odot z\,dW$ (Ito).

    For two solutions under the same noise, with K as for `LangevinSDE` and $s = \sup \sigma$,
    $E|z - z'|^2(T) \le e^{-(2K - s^2)T} |z - z'|^2(0)$: they contract where $s^2 < 2K$.

    Args:
        dim: H, number of latent channels.
        n_controls: C, channels of the control path; 0 leaves it out.
        layers: number of hidden layers of $\gamma$, as wide as the state, or the width of each.
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
        stochastic: bool = True,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(dim, n_controls, stochastic=stochastic)
        self.time = TimeFeatures()
        with seeded(seed_from(random_state)):
            self.network = DrivenNetwork(dim, n_controls + self.time.width, layers)
            self.volatility = TimeVolatility(dim)
            self.damping = Damping(dim)

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """What the network is told of t and X, and sigma(t)."""
        told = self.time(t)
        inputs = told if x is None else torch.cat([told, x], dim=-1)
        return Drive(self.network.drive(inputs), self.volatility(t), self.damping())

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """The network, damped."""
        return damped(self.network(z, drive.drift), z, drive)

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """sigma(t) z."""
        return drive.volatility * z
