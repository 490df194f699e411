"""Dynamics that the stable ones are compared with: free networks, ODE, CDE, latent SDE."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from trajinfer._core.seeding import RandomState, seed_from, seeded
from trajinfer._core.words import renamed_settings
from trajinfer.nn import TimeFeatures
from trajinfer.series.driven_network import DrivenNetwork, Layers, hidden_widths
from trajinfer.series.dynamics import Drive, LatentDynamics, TimeVolatility, no_volatility


@renamed_settings(noise="stochastic")
class FreeSDE(LatentDynamics):
    """Drift and diffusion are networks of (t, z) without structure: the naive neural SDE.

    Args:
        dim: H, number of latent channels.
        n_controls: C; 0, the usual case, leaves the control path out.
        layers: number of hidden layers of both networks, as wide as the state, or their widths.
        stochastic: False makes the dynamics an ODE.
        random_state: seed of the initial weights.
    """

    commutes = None

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
            self.noise_network = DrivenNetwork(dim, self.time.width, layers)

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """What both networks are told of t, and the first one of X."""
        told = self.time(t)
        inputs = told if x is None else torch.cat([told, x], dim=-1)
        return Drive(self.network.drive(inputs), self.noise_network.drive(told))

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """A network of (t, z)."""
        value: Tensor = self.network(z, drive.drift)
        return value

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """A network of (t, z), of either sign."""
        value: Tensor = self.noise_network(z, drive.volatility)
        return value


@renamed_settings(noise="stochastic")
class NeuralODE(LatentDynamics):
    """dz = f(t, z) dt: no noise, and nothing of the data after the start.

    Args:
        dim, layers, random_state: as for `FreeSDE`.
        n_controls: C; 0, the usual case, leaves the control path out.
        stochastic: False; there for the sake of a common signature.
    """

    def __init__(
        self,
        dim: int,
        n_controls: int,
        *,
        layers: Layers = 2,
        stochastic: bool = False,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(dim, n_controls, stochastic=False)
        self.time = TimeFeatures()
        with seeded(seed_from(random_state)):
            self.network = DrivenNetwork(dim, n_controls + self.time.width, layers)

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """What the network is told of t and X."""
        told = self.time(t)
        inputs = told if x is None else torch.cat([told, x], dim=-1)
        return Drive(self.network.drive(inputs), no_volatility(told))

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """A network of (t, z)."""
        value: Tensor = self.network(z, drive.drift)
        return value

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """None."""
        return torch.zeros_like(z)


@renamed_settings(noise="stochastic")
class NeuralCDE(LatentDynamics):
    r"""$dz = F(z)\,dX(t)$, with a bounded matrix field $F: R^H \to [-1, 1]^{H \times C}$.

    Args:
        dim, layers, random_state: as for `FreeSDE`.
        n_controls: C, channels of the path, time among them.
        stochastic: False; there for the sake of a common signature.

    References:
        Kidger, Morrill, Foster and Lyons, arXiv 2005.08926.
    """

    wants_slope = True

    def __init__(
        self,
        dim: int,
        n_controls: int,
        *,
        layers: Layers = 2,
        stochastic: bool = False,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(dim, n_controls, stochastic=False)
        with seeded(seed_from(random_state)):
            widths = hidden_widths(layers, dim)
            parts: list[nn.Module] = []
            for before, after in pairwise((dim, *widths)):
                parts += [nn.Linear(before, after), nn.ReLU()]
            self.field = nn.Sequential(*parts, nn.Linear(widths[-1], dim * n_controls), nn.Tanh())

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """X'(t)."""
        slope = t.new_zeros(1, self.n_controls) if x is None else x
        return Drive(slope, no_volatility(t))

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """F(z) X'."""
        matrix = self.field(z).reshape(len(z), self.dim, self.n_controls)
        value: Tensor = (matrix * drive.drift[:, None, :]).sum(-1)
        return value

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """None."""
        return torch.zeros_like(z)


@renamed_settings(noise="stochastic")
class LatentSDE(LatentDynamics):
    r"""Posterior $dz = (h(t, z) + \sigma(t) u(t, z, X))\,dt + \sigma(t)\,dW$; the prior drift is h.

    The control u is known, so the divergence of posterior from prior is $\frac12 \int |u|^2 dt$
    without a division (`solve(..., log_ratio="kl")`); training adds it to the loss.

    Args:
        dim, layers, random_state: as for `FreeSDE`.
        n_controls: C, channels of the control path, which only the posterior sees.
        stochastic: True; there for the sake of a common signature.

    References:
        Li, Wong, Chen and Duvenaud, arXiv 2001.01328.
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
        super().__init__(dim, n_controls)
        self.time = TimeFeatures()
        with seeded(seed_from(random_state)):
            self.prior = DrivenNetwork(dim, self.time.width, layers)
            self.posterior = DrivenNetwork(dim, n_controls + self.time.width, layers)
            self.volatility = TimeVolatility(dim, floor=0.05)

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """What prior and posterior are told, side by side, and sigma(t)."""
        told = self.time(t)
        inputs = told if x is None else torch.cat([told, x], dim=-1)
        both = torch.cat([self.prior.drive(told), self.posterior.drive(inputs)], dim=-1)
        return Drive(both, self.volatility(t))

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """The prior drift, moved by sigma u."""
        prior, posterior = drive.drift.chunk(2, dim=-1)
        value: Tensor = self.prior(z, prior) + drive.volatility * self.posterior(z, posterior)
        return value

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """sigma(t)."""
        return drive.volatility.expand_as(z)

    def h(self, t: Tensor, y: Tensor, context: object = None) -> Tensor:
        """The prior drift."""
        value: Tensor = self.prior(y, self.drive_at(t, y, context).drift.chunk(2, dim=-1)[0])
        return value

    def control(self, t: Tensor, y: Tensor, context: object = None) -> Tensor:
        """u, with f = h + sigma u."""
        value: Tensor = self.posterior(y, self.drive_at(t, y, context).drift.chunk(2, dim=-1)[1])
        return value
