"""A drift given by a network."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.seeding import RandomState
from trajinfer.nn import MLP
from trajinfer.processes.base import Values
from trajinfer.processes.network_drift import NetworkDrift


class NeuralDrift(NetworkDrift):
    r"""A drift without structure: a network of the state in natural units,

    $$b(x) = \frac{\text{scale}}{\tau}\,N\!\left(\frac{x - \text{center}}{\text{scale}}\right).$$

    Centre, scale and the typical time $\tau$ are those of the data once it is fitted.

    Args:
        dim: D.
        hidden: widths of the hidden layers.
        activation: "silu", "lipswish", "softplus" or "tanh": smooth, so that the Jacobian exists.
        volatility: see `Process`.
        random_state: seed of the initial weights.

    Example:
        >>> NeuralDrift(2, (16,), random_state=0).f(torch.zeros(()), torch.zeros(5, 2)).shape
        torch.Size([5, 2])
    """

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """The network in natural units."""
        return self.scale.to(y) / self.duration.to(y) * self.applied(self.normed(y), p)

    def _network(self, random_state: RandomState) -> MLP:
        return MLP(
            self.dim,
            self.dim,
            self.hidden,
            activation=self.activation,
            dtype=torch.float64,
            random_state=random_state,
        )
