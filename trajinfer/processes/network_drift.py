"""What drifts given by a network share: natural units, weights among the parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState
from trajinfer.nn import MLP
from trajinfer.processes.base import Process, Values, Volatility

_PREFIX = "network."


class NetworkDrift(Process):
    r"""A drift $b(x) = \frac{1}{\tau}\,\mathrm{scale} \odot N\!\left(
    \frac{x - \text{center}}{\text{scale}}\right)$ with N made from a network.

    Centre, scale and the typical time $\tau$ are those of the data once it is fitted. The weights
    are parameters like all others: `values()` names them "network...".
    """

    settings = ("dim", "hidden", "activation")
    center: Tensor
    scale: Tensor
    duration: Tensor

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (32, 32),
        *,
        activation: str = "silu",
        volatility: Volatility = None,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(dim, volatility, {})
        if not hidden:
            raise InputError("without hidden layers the drift is affine; use AffineDrift")
        self.hidden, self.activation = list(hidden), activation
        self.network = self._network(random_state)
        self.register_buffer("center", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("duration", torch.ones((), dtype=torch.float64))

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Take centre, scale and unit of time from the data."""
        super().adapt_to(center, scale, duration)
        self.center, self.scale = torch.as_tensor(center), torch.as_tensor(scale)
        self.duration = torch.as_tensor(duration, dtype=torch.float64)

    def values(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Current parameter values and weights, differentiable."""
        weights = self.network.named_parameters(prefix=_PREFIX[:-1])
        found = {name: w if dtype is None else w.to(dtype) for name, w in weights}
        return super().values(dtype) | found

    @abstractmethod
    def _network(self, random_state: RandomState) -> MLP:
        """A new network, in double precision."""

    def normed(self, y: Tensor) -> Tensor:
        """The state in natural units."""
        return (y - self.center.to(y)) / self.scale.to(y)

    def applied(self, z: Tensor, p: Values) -> Tensor:
        """The network with the weights in p."""
        own = {name.removeprefix(_PREFIX): w for name, w in p.items() if name.startswith(_PREFIX)}
        result: Tensor = torch.func.functional_call(self.network, own, (z,))
        return result
