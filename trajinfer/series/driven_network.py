"""The networks in a drift: of the state, and of a drive that enters the first layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trajinfer.nn import LipSwish

Layers = int | Sequence[int]


def hidden_widths(layers: Layers, dim: int) -> tuple[int, ...]:
    """Widths of hidden layers that are given by their number, all `dim` wide, or by their widths.

    >>> hidden_widths(2, 8), hidden_widths((16, 4), 8)
    ((8, 8), (16, 4))
    """
    return (dim,) * layers if isinstance(layers, int) else tuple(layers)


class Inputs(nn.Module):
    """The drive $d = B x + b$ of a first layer, for any number of inputs, none included.

    Args:
        n_inputs: length of x.
        width: of the first layer.
    """

    def __init__(self, n_inputs: int, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))
        self.weight = nn.Linear(n_inputs, width, bias=False) if n_inputs else None

    def forward(self, x: Tensor | None) -> Tensor:
        """(..., width), or (1, width) without inputs."""
        if self.weight is None or x is None:
            return self.bias[None]
        return torch.nn.functional.linear(x, self.weight.weight, self.bias)


class DrivenNetwork(nn.Module):
    r"""$N(A z + d)$, where the drive $d = B x + b$ of inputs x comes from `drive`.

    The first layer is split so that the part that does not depend on the state can be evaluated
    for all steps of a solve at once.

    Args:
        dim: H, width of the state and of the output.
        n_inputs: length of x.
        layers: number of hidden layers, as wide as the state, or the width of each.
    """

    def __init__(self, dim: int, n_inputs: int, layers: Layers) -> None:
        super().__init__()
        widths = hidden_widths(layers, dim)
        self.of_state = nn.Linear(dim, widths[0], bias=False)
        self.drive = Inputs(n_inputs, widths[0])
        parts: list[nn.Module] = [LipSwish()]
        for before, after in pairwise(widths):
            parts += [nn.Linear(before, after), LipSwish()]
        self.trunk = nn.Sequential(*parts, nn.Linear(widths[-1], dim))

    def forward(self, z: Tensor, drive: Tensor) -> Tensor:
        """The network, (B, H)."""
        result: Tensor = self.trunk(self.of_state(z) + drive)
        return result


class PotentialNetwork(nn.Module):
    r"""$-\nabla_z U$ of $U(z, x) = \sum_j a_j^2 \log\cosh(w_j \cdot z + d_j)$, with $d = B x + b$.

    The gradient is a closed form, $-W^T (a^2 \odot \tanh(W z + d))$, and U is bounded below.

    Args:
        dim: H, width of the state.
        n_inputs: length of x.
        width: number of terms.
    """

    def __init__(self, dim: int, n_inputs: int, width: int) -> None:
        super().__init__()
        self.of_state = nn.Linear(dim, width, bias=False)
        self.drive = Inputs(n_inputs, width)
        self.amplitude = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, z: Tensor, drive: Tensor) -> Tensor:
        """Minus the gradient of U, (B, H)."""
        slope = self.amplitude.square() * torch.tanh(self.of_state(z) + drive)
        force: Tensor = -slope @ self.of_state.weight
        return force

    def potential(self, z: Tensor, drive: Tensor) -> Tensor:
        """U, (B,)."""
        x = (self.of_state(z) + drive).abs()
        log_cosh = x + nn.functional.softplus(-2 * x) - torch.log(x.new_tensor(2.0))
        value: Tensor = (self.amplitude.square() * log_cosh).sum(-1)
        return value
