"""Networks that correct a law in closed form: residual perceptrons, and that for points."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from trajinfer._core.packing import packable
from trajinfer._core.seeding import seeded
from trajinfer.scores.corrected import Entries


class PlannedNetwork(nn.Module):
    """A network that is kept as its plan, the arguments that build it, and its weights."""

    plan: dict[str, Any]

    def to_state(self) -> dict[str, Any]:
        """The plan and the weights."""
        return {"plan": self.plan, "weights": dict(self.state_dict())}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The network that `to_state` described."""
        network = cls(**state["plan"])
        network.load_state_dict(state["weights"])
        return network.eval()


class ResidualPerceptron(PlannedNetwork):
    """Residual layers between a first and a last linear map; at first the answer is zero.

    Args:
        n_inputs: numbers in.
        n_outputs: numbers out.
        plan: of the network that this is: `hidden` width, residual `layers`, and `seed` of the
            first weights.
    """

    def __init__(self, n_inputs: int, n_outputs: int, plan: dict[str, Any]) -> None:
        super().__init__()
        self.plan, hidden = plan, plan["hidden"]
        with seeded(plan["seed"]):
            self.first = nn.Linear(n_inputs, hidden)
            self.blocks = nn.ModuleList(residual_block(hidden) for _ in range(plan["layers"]))
            self.last = nn.Linear(hidden, n_outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def through(self, x: Tensor) -> Tensor:
        """The answer to inputs (..., n_inputs)."""
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        result: Tensor = self.last(x)
        return result


@packable
class PointNetwork(ResidualPerceptron):
    """A residual perceptron from the entries of a point to one number each; at first all zero.

    Args:
        dim: D, entries of a point.
        hidden: width.
        layers: residual layers.
        seed: of the first weights.
    """

    def __init__(self, dim: int, hidden: int, layers: int, seed: int) -> None:
        plan = {"dim": dim, "hidden": hidden, "layers": layers, "seed": seed}
        super().__init__(4 * dim + 1, dim, plan)

    def forward(self, entries: Entries, places: Any = None) -> Tensor:
        """The correction, (B, D), in standard deviations of the linear law."""
        parts = (entries.state, entries.hidden, entries.mean, entries.sd, entries.log_level)
        return self.through(torch.cat(parts, -1))


def residual_block(hidden: int) -> nn.Module:
    """Normalisation and a perceptron of one hidden layer, to be added to its input."""
    return nn.Sequential(
        nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
    )
