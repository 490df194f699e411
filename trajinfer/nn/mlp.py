"""A multilayer perceptron that is initialised from a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from, seeded


class LipSwish(nn.Module):
    r"""$0.909\,x\,\sigma(x)$: smooth, with a slope of at most 1.

    References:
        Chen, Behrmann, Duvenaud and Jacobsen, arXiv 1906.02735, section 3.3.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The activation, elementwise."""
        return 0.909 * nn.functional.silu(x)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "lipswish": LipSwish,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}
"""Smooth activations only: a drift must be Lipschitz, its Jacobian continuous."""


class MLP(nn.Module):
    """Linear layers with a smooth activation between them.

    Args:
        dim_in: width of the input.
        dim_out: width of the output.
        hidden: widths between them; empty for a linear map.
        activation: one of "lipswish", "silu", "softplus", "tanh".
        last_bias: whether the last layer has a bias.
        dtype: of the weights.
        random_state: seed of the initial weights, torch's own initialisation; the global generator
            is left as it is.

    Raises:
        InputError: for widths below 1 or an unknown activation.

    Example:
        >>> MLP(2, 1, (8,), random_state=0)(torch.zeros(5, 2)).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        hidden: Sequence[int] = (64, 64),
        *,
        activation: str = "silu",
        last_bias: bool = True,
        dtype: torch.dtype = torch.float32,
        random_state: RandomState = None,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise InputError(f"no activation {activation!r}; {nearest(activation, ACTIVATIONS)}")
        widths = [dim_in, *hidden, dim_out]
        for width in widths:
            require_integer(width, "the width of a layer", least=1)
        layers: list[nn.Module] = []
        with seeded(seed_from(random_state)):
            for k in range(len(widths) - 1):
                last = k == len(widths) - 2
                bias = last_bias or not last
                layers.append(nn.Linear(widths[k], widths[k + 1], bias=bias, dtype=dtype))
                layers += [] if last else [ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The network, (..., dim_in) -> (..., dim_out)."""
        result: Tensor = self.layers(x)
        return result
