"""The vector fields of the published code, where a tanh bounds drift and diffusion."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from trajinfer._core.seeding import RandomState, seed_from, seeded
from trajinfer._core.words import renamed_settings
from trajinfer.series.driven_network import Layers, hidden_widths
from trajinfer.series.dynamics import Drive, LatentDynamics


@renamed_settings(noise="stochastic")
class ClippedSDE(LatentDynamics):
    r"""Drift $\tanh(N(\zeta(t, z, X)))$, diffusion $\tanh(\mathrm{sigmoid}(\theta)\,s(t)\,[z])$.

    $\zeta$ joins an embedding of z (and sin t, cos t) with one of X(t); s is a network of
    (sin t, cos t) that ends in a ReLU, so that its channels can lose their noise for good. The
    outer tanh bounds every coefficient by 1 and takes the classes their structure: linear noise is
    linear near zero only, and a geometric state may change its sign.

    Args:
        dim: H, width of the state and of all layers.
        n_controls: C, channels of the control path.
        layers: number of hidden layers of the drift.
        stochastic: False makes the dynamics an ODE.
        random_state: seed of the initial weights.

    Attributes:
        timed: whether the drift is told the time.
        times_state: whether N is multiplied by tanh z.
        proportional: whether the noise is multiplied by z.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989, and the code published with it.
    """

    timed: bool
    times_state: bool
    proportional: bool

    def __init__(
        self,
        dim: int,
        n_controls: int,
        *,
        layers: Layers = 1,
        stochastic: bool = True,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(dim, n_controls, stochastic=stochastic)
        with seeded(seed_from(random_state)):
            widths = hidden_widths(layers, dim)
            self.of_state = nn.Linear(dim + 2 * self.timed, dim)
            self.of_control = nn.Linear(n_controls, dim) if n_controls else None
            self.joined = nn.Linear(2 * dim if n_controls else dim, widths[0])
            hidden: list[nn.Module] = [nn.ReLU()]
            for before, after in pairwise(widths):
                hidden += [nn.Linear(before, after), nn.ReLU()]
            self.network = nn.Sequential(*hidden, nn.Linear(widths[-1], dim))
            self.scale = nn.Sequential(nn.Linear(2, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU())
        self.theta = nn.Parameter(torch.ones(()))

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """The share of sin t, cos t and X in the layer that joins them, and s(t)."""
        clock = torch.cat([t.sin(), t.cos()], dim=-1)
        of_time = self.of_state.weight[:, self.dim :] if self.timed else None
        told: Tensor = (
            self.of_state.bias if of_time is None else (clock @ of_time.mT + self.of_state.bias)
        )
        told = told @ self.joined.weight[:, : self.dim].mT + self.joined.bias
        if self.of_control is not None and x is not None:
            told = told + self.of_control(x) @ self.joined.weight[:, self.dim :].mT
        return Drive(told if told.ndim > 1 else told[None], self.scale(clock))

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """The bounded drift."""
        embedded = z @ self.of_state.weight[:, : self.dim].mT
        joined = embedded @ self.joined.weight[:, : self.dim].mT + drive.drift
        value = self.network(joined)
        return torch.tanh(value * torch.tanh(z) if self.times_state else value)

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """The bounded diffusion."""
        raw = drive.volatility * z if self.proportional else drive.volatility.expand_as(z)
        return torch.tanh(torch.sigmoid(self.theta) * torch.nan_to_num(raw))


class ClippedLangevinSDE(ClippedSDE):
    """Additive noise; the drift is not told the time."""

    timed, times_state, proportional = False, False, False


class ClippedLinearNoiseSDE(ClippedSDE):
    """Noise multiplied by the state."""

    timed, times_state, proportional = True, False, True


class ClippedGeometricSDE(ClippedSDE):
    """Noise multiplied by the state, drift by tanh of the state."""

    timed, times_state, proportional = True, True, True
