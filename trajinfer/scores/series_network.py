"""The network of series: attention between entries that are observed or asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trajinfer._core.packing import packable
from trajinfer._core.seeding import seeded
from trajinfer.scores.corrected import Entries
from trajinfer.scores.networks import PlannedNetwork

_HEADS = 4
_WAVES = 4


@dataclass(frozen=True)
class Places:
    """Where entries stand: times (B, n) over the span, channels (B, n), present (B, n) bool.

    One row serves all where B is 1.
    """

    times: Tensor
    channels: Tensor
    present: Tensor

    def to(self, device: torch.device) -> Places:
        """The same places on a device, in the precision of the network."""
        return Places(
            self.times.float().to(device), self.channels.to(device), self.present.to(device)
        )


@packable
class SeriesNetwork(PlannedNetwork):
    """Pre-norm attention over entries, each a time and a channel; at first the answer is zero.

    Args:
        n_channels: C.
        hidden: width, a multiple of four.
        layers: of attention.
        seed: of the first weights.
    """

    def __init__(self, n_channels: int, hidden: int, layers: int, seed: int) -> None:
        super().__init__()
        self.plan = {"n_channels": n_channels, "hidden": hidden, "layers": layers, "seed": seed}
        with seeded(seed):
            self.first = nn.Linear(5 + 1 + 2 * _WAVES, hidden)
            self.channel = nn.Embedding(n_channels, hidden)
            self.blocks = nn.ModuleList(_Block(hidden) for _ in range(layers))
            self.last = nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, entries: Entries, places: Places) -> Tensor:
        """The correction, (B, n), in standard deviations of the linear law."""
        shape = entries.state.shape
        t = places.times.expand(shape)[..., None]
        turns = torch.pi * t * 2.0 ** torch.arange(_WAVES, device=t.device)
        parts = (entries.state, entries.hidden, entries.mean, entries.sd)
        columns = [part[..., None] for part in (*parts, entries.log_level.expand(shape))]
        x = self.first(torch.cat([*columns, t, turns.cos(), turns.sin()], -1))
        x = x + self.channel(places.channels.expand(shape))
        seen = places.present.expand(shape)[:, None, None]
        for block in self.blocks:
            x = block(x, seen)
        result: Tensor = self.last(x)[..., 0]
        return result


class _Block(nn.Module):
    """Attention between the entries of a row, then a perceptron of each."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.queries = nn.Linear(hidden, 3 * hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.each = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden)
        )

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(B, n, hidden) given which entries (B, 1, 1, n) are there."""
        n_rows, n, width = x.shape
        parts = self.queries(self.before(x)).view(n_rows, n, 3, _HEADS, width // _HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        x = x + self.mix(mixed.transpose(1, 2).reshape(n_rows, n, width))
        answer: Tensor = x + self.each(self.between(x))
        return answer
