"""Langevin-type dynamics: additive noise, and a drift that knows the state and the data alone."""

from __future__ import annotations

from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, seeded
from trajinfer._core.words import renamed_settings
from trajinfer.series.driven_network import DrivenNetwork, Layers, PotentialNetwork
from trajinfer.series.dynamics import Damping, Drive, LatentDynamics, TimeVolatility, damped


@renamed_settings(noise="stochastic")
class LangevinSDE(LatentDynamics):
    r"""$dz = (\gamma(z, X(t)) - \kappa z)\,dt + \sigma(t)\,dW$, with diagonal $\kappa, \sigma > 0$.

    Two solutions under the same noise stay together: with
    $\langle \gamma(z) - \gamma(z'), z - z' \rangle \le L |z - z'|^2$ and $K = \min \kappa - L$,
    $|z - z'|(T) \le e^{-KT} |z - z'|(0)$ plus what the controls differ by.

    Args:
        dim: H, number of latent channels.
        n_controls: C, channels of the control path; 0 leaves it out.
        layers: number of hidden layers of $\gamma$, as wide as the state, or the width of each.
        potential: take $\gamma = -\nabla_z U(z, X)$. With X and sigma fixed to constants the law
            $\exp(-2 (U + \kappa |z|^2 / 2) / \sigma^2)$ is invariant (one $\kappa$, one $\sigma$).
        stochastic: False makes the dynamics an ODE.
        random_state: seed of the initial weights.

    References:
        Oh, Lim and Kim, Stable Neural Stochastic Differential Equations in Analyzing Irregular
        Time Series Data, ICLR 2024, arXiv 2402.14989.
    """

    def __init__(
        self,
        dim: int,
        n_controls: int,
        *,
        layers: Layers = 2,
        potential: bool = False,
        stochastic: bool = True,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(dim, n_controls, stochastic=stochastic)
        with seeded(seed_from(random_state)):
            self.network = (
                PotentialNetwork(dim, n_controls, 2 * dim)
                if potential
                else DrivenNetwork(dim, n_controls, layers)
            )
            self.volatility = TimeVolatility(dim)
            self.damping = Damping(dim)

    def drive(self, t: Tensor, x: Tensor | None) -> Drive:
        """What the network is told of X, and sigma(t)."""
        return Drive(self.network.drive(x), self.volatility(t), self.damping())

    def drift(self, z: Tensor, drive: Drive) -> Tensor:
        """The network, damped."""
        return damped(self.network(z, drive.drift), z, drive)

    def diffusion(self, z: Tensor, drive: Drive) -> Tensor:
        """sigma(t), whatever the state."""
        return drive.volatility.expand_as(z)

    def potential(self, z: Tensor, drive: Drive) -> Tensor:
        r"""$U(z, X) + \sum_i \kappa_i z_i^2 / 2$, (B,).

        Raises:
            InputError: if the drift is not made of a potential.
        """
        if not isinstance(self.network, PotentialNetwork):
            raise InputError("this drift has no potential; build LangevinSDE(..., potential=True)")
        well = 0.5 * (self.damping() * z.square()).sum(-1)
        value: Tensor = self.network.potential(z, drive.drift) + well
        return value
