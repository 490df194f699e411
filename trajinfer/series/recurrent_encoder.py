"""The encoder that runs a gated recurrent network over the observations."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from trajinfer.sde import SolverRegularization
from trajinfer.series.driven_network import Layers, hidden_widths
from trajinfer.series.encoder import Encoder, Encoding
from trajinfer.series.series_batch import SeriesBatch


class RecurrentEncoder(Encoder):
    r"""A gated recurrent network over the observations, between which the state may flow.

    It is told values (the mean where missing), masks and the time since the previous observation.
    With `flow`, $dz = N(z)\,dt$ carries the state from one observation to the next (ODE-RNN).

    Args:
        dim: H.
        n_channels: C.
        n_statics: S.
        flow: move between the observations.
        layers: number of hidden layers of N, as wide as the state, or their widths.

    References:
        Cho et al., arXiv 1406.1078. Rubanova, Chen and Duvenaud, arXiv 1907.03907.
    """

    def __init__(
        self, dim: int, n_channels: int, n_statics: int, *, flow: bool, layers: Layers = 2
    ) -> None:
        super().__init__()
        self.dim = dim
        self.cell = nn.GRUCell(2 * n_channels + 2, dim)
        self.start = nn.Linear(max(1, n_statics), dim)
        widths = hidden_widths(layers, dim)
        parts: list[nn.Module] = []
        for before, after in pairwise((dim, *widths)):
            parts += [nn.Linear(before, after), nn.Tanh()]
        self.field = nn.Sequential(*parts, nn.Linear(widths[-1], dim)) if flow else None

    def forward(
        self,
        batch: SeriesBatch,
        queries: Tensor | None = None,
        *,
        seed: int = 0,
        common_noise: bool = False,
        regularization: SolverRegularization | None = None,
    ) -> Encoding:
        """Run over the observations; see `Encoder`. Nothing is random here."""
        seen = batch.mask
        gaps = batch.times.diff(dim=1, prepend=batch.times[:, :1]).to(batch.values)[:, :, None]
        clock = batch.times.to(batch.values)[:, :, None]
        told = torch.cat([torch.nan_to_num(batch.values), seen.to(batch.values), gaps, clock], 2)
        given = batch.statics if batch.statics.shape[1] else batch.values.new_zeros(len(batch), 1)
        z, states = self.start(given), []
        real = seen.any(2, keepdim=True)
        for k in range(told.shape[1]):
            z = torch.where(real[:, k], self.cell(told[:, k], self._flown(z, gaps[:, k])), z)
            states.append(z)
        present = real.to(told)[:, :, 0]
        asked = z[:, None].expand(-1, 0 if queries is None else queries.shape[1], -1)
        if queries is not None and self.field is not None:
            asked = self._along(z, queries - batch.end[:, None])
        weights = present / present.sum(1, keepdim=True).clamp(min=1)
        nothing = told.new_zeros(())
        return Encoding(torch.stack(states, 1), weights, z, asked, nothing, nothing)

    def _flown(self, z: Tensor, duration: Tensor, n_steps: int = 2) -> Tensor:
        if self.field is None:
            return z
        for _ in range(n_steps):
            z = z + duration / n_steps * self.field(z)
        return z

    def _along(self, z: Tensor, later: Tensor) -> Tensor:
        steps = later.diff(dim=1, prepend=torch.zeros_like(later[:, :1])).to(z)
        states = []
        for k in range(later.shape[1]):
            z = self._flown(z, steps[:, k : k + 1])
            states.append(z)
        return torch.stack(states, 1)
