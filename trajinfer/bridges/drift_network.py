"""The network that says what the drift of a bridge adds to one in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trajinfer.nn import MLP, TimeFeatures

_HIDDEN, _FREQUENCIES = (128, 128, 128), 6


class DriftNetwork(nn.Module):
    """What the drift of a bridge adds to one in closed form, (share, segment, x) -> (n, D).

    Args:
        dim: D.
        n_segments: of the bridge.
        seed: of the first weights.
    """

    center: Tensor
    scale: Tensor
    size: Tensor

    def __init__(self, dim: int, n_segments: int, seed: int) -> None:
        super().__init__()
        self.features = TimeFeatures(_FREQUENCIES)
        self.n_segments = n_segments
        wide = dim + self.features.width + n_segments
        self.body = MLP(wide, dim, _HIDDEN, random_state=seed)
        self.skip = MLP(self.features.width + n_segments, dim * dim, (), random_state=seed)
        for last in (self.skip, self.body.layers[-1]):  # untrained it adds nothing
            for weights in last.parameters():
                nn.init.zeros_(weights)
        for name in ("center", "scale", "size"):
            self.register_buffer(name, torch.ones(dim))

    def set_units(self, x: Tensor, drift: Tensor) -> None:
        """Take the units of positions and of drifts from examples (n, D)."""
        self.center.copy_(x.mean(0))
        self.scale.copy_(x.std(0).clamp_min(1e-12))
        self.size.copy_(drift.square().mean(0).sqrt().clamp_min(1e-12))

    def forward(self, share: Tensor, segment: Tensor, x: Tensor) -> Tensor:
        """Drifts (n, D) in their units at shares (n,) of segments (n,) and positions (n, D)."""
        which = nn.functional.one_hot(segment, self.n_segments).to(x.dtype)
        when = torch.cat([self.features(share.unsqueeze(1)), which], dim=1)
        white = (x - self.center) / self.scale
        matrix = self.skip(when).reshape(len(x), x.shape[1], x.shape[1])
        linear: Tensor = (matrix @ white.unsqueeze(2)).squeeze(2)
        body: Tensor = self.body(torch.cat([white, when], dim=1))
        return linear + body
