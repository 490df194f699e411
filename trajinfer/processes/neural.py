"""Drifts given by networks: without structure, and as the gradient of a potential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState
from trajinfer.nn import MLP
from trajinfer.processes.base import Process, Values, Volatility

_PREFIX = "network."


class _Network(Process):
    r"""A drift $b(x) = \frac{1}{\tau}\,\mathrm{scale} \odot N\!\left(
    \frac{x - \text{center}}{\text{scale}}\right)$ with N made from a network.

    Centre, scale and the typical time $\tau$ are those of the data once it is fitted. The weights
    are parameters like all others: `values()` names them "network...".
    """

    settings = ("dim", "hidden", "activation")
    center: Tensor
    scale: Tensor
    _duration: Tensor

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int],
        activation: str,
        network: MLP,
        volatility: Volatility,
    ) -> None:
        super().__init__(dim, volatility, {})
        self.hidden, self.activation = list(hidden), activation
        self.network = network
        self.register_buffer("center", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("_duration", torch.ones((), dtype=torch.float64))

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Take centre, scale and unit of time from the data."""
        super().adapt_to(center, scale, duration)
        self.center, self.scale = torch.as_tensor(center), torch.as_tensor(scale)
        self._duration = torch.as_tensor(duration, dtype=torch.float64)

    def values(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Current parameter values and weights, differentiable."""
        weights = self.network.named_parameters(prefix=_PREFIX[:-1])
        found = {name: w if dtype is None else w.to(dtype) for name, w in weights}
        return super().values(dtype) | found

    def _normed(self, y: Tensor) -> Tensor:
        return (y - self.center.to(y)) / self.scale.to(y)

    def _applied(self, z: Tensor, p: Values) -> Tensor:
        """The network with the weights in p."""
        own = {name.removeprefix(_PREFIX): w for name, w in p.items() if name.startswith(_PREFIX)}
        result: Tensor = torch.func.functional_call(self.network, own, (z,))
        return result


class NeuralDrift(_Network):
    r"""A network drift $b(x) = \frac{1}{\tau}\,\mathrm{scale} \odot N((x - \text{center})/\text{scale})$.

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

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (32, 32),
        *,
        activation: str = "silu",
        volatility: Volatility = None,
        random_state: RandomState = None,
    ) -> None:
        network = _network(dim, dim, hidden, activation, random_state, last_bias=True)
        super().__init__(dim, hidden, activation, network, volatility)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """The network in natural units."""
        return self.scale.to(y) / self._duration.to(y) * self._applied(self._normed(y), p)


class GradientField(_Network):
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

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (32, 32),
        *,
        activation: str = "silu",
        volatility: Volatility = None,
        random_state: RandomState = None,
    ) -> None:
        if not hidden:
            raise InputError("a potential without hidden layers is linear; give hidden=(32,)")
        network = _network(dim, 1, hidden, activation, random_state, last_bias=False)
        super().__init__(dim, hidden, activation, network, volatility)

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Take centre, one scale for all coordinates and the unit of time from the data."""
        super().adapt_to(center, scale, duration)
        self.scale = self.scale.square().mean().sqrt().expand(self.dim).clone()

    def potential(self, y: Tensor, p: Values | None = None) -> Tensor:
        """U(y), (B,); the drift is its gradient."""
        p = self.values(y.dtype) if p is None else p
        unit = self.scale[0].square() / self._duration
        return unit.to(y) * self._applied(self._normed(y), p)[:, 0]

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Gradient of the potential, sample by sample."""

        def total(x: Tensor) -> Tensor:
            return self.potential(x, p).sum()

        gradient: Tensor = torch.func.grad(total)(y)
        return gradient


def _network(
    dim: int,
    dim_out: int,
    hidden: Sequence[int],
    activation: str,
    random_state: Any,
    *,
    last_bias: bool,
) -> MLP:
    return MLP(
        dim,
        dim_out,
        hidden,
        activation=activation,
        last_bias=last_bias,
        dtype=torch.float64,
        random_state=random_state,
    )
