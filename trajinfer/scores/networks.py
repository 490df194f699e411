"""Networks of the denoisers: perceptrons for points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trajinfer._core.packing import packable
from trajinfer._core.seeding import seeded
from trajinfer.scores.corrected import Entries


@packable
class PointNetwork(nn.Module):
    """A residual perceptron from the entries of a point to one number each; at first all zero.

    Args:
        dim: D, entries of a point.
        hidden: width.
        layers: residual layers.
        seed: of the first weights.
    """

    def __init__(self, dim: int, hidden: int, layers: int, seed: int) -> None:
        super().__init__()
        self.plan = {"dim": dim, "hidden": hidden, "layers": layers, "seed": seed}
        with seeded(seed):
            self.first = nn.Linear(4 * dim + 1, hidden)
            self.blocks = nn.ModuleList(residual_block(hidden) for _ in range(layers))
            self.last = nn.Linear(hidden, dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, entries: Entries, places: Any = None) -> Tensor:
        """The correction, (B, D), in standard deviations of the linear law."""
        parts = (entries.state, entries.hidden, entries.mean, entries.sd, entries.log_level)
        x = self.first(torch.cat(parts, -1))
        for block in self.blocks:
            x = x + block(x)
        result: Tensor = self.last(x)
        return result

    def to_state(self) -> dict[str, Any]:
        """The plan and the weights."""
        return {"plan": self.plan, "weights": dict(self.state_dict())}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> PointNetwork:
        """The network that `to_state` described."""
        network = cls(**state["plan"])
        network.load_state_dict(state["weights"])
        return network.eval()


def residual_block(hidden: int) -> nn.Module:
    """Normalisation and a perceptron of one hidden layer, to be added to its input."""
    return nn.Sequential(
        nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
    )
