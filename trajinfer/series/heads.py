"""What reads latent states: one answer per series, or a value with its spread per query."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trajinfer.series.encoder import Encoding


class PooledHead(nn.Module):
    """A network of the last state and the mean state over time.

    Layer normalisation is used, which, unlike batch normalisation, leaves the answer for a series
    independent of the others in its batch.

    Args:
        dim: H.
        n_out: length of the answer.
        dropout: share of hidden units left out in training.
    """

    def __init__(self, dim: int, n_out: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.LayerNorm(2 * dim),
            nn.Linear(2 * dim, 2 * dim),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * dim, n_out),
        )

    def forward(self, encoding: Encoding) -> Tensor:
        """(B, n_out)."""
        mean = (encoding.weights[:, :, None] * encoding.states).sum(1)
        answer: Tensor = self.network(torch.cat([encoding.last, mean], dim=1))
        return answer


class QueryHead(nn.Module):
    r"""Increment and log-spread at every query, from its state and what is known at the end.

    A linear map of what is known, times $(\tau, \tau^2, \sqrt\tau)$ of the lead time, stands beside
    the network, which has the rest to explain.

    Args:
        dim: H.
        n_known: length of what is known at the end of a series.
        n_channels: C.
        width: of the hidden layers.
    """

    def __init__(self, dim: int, n_known: int, n_channels: int, width: int) -> None:
        super().__init__()
        self.of_known = nn.Linear(n_known, width)
        self.of_state = nn.Linear(dim, width)
        self.of_lead = nn.Linear(3, width, bias=False)
        self.trunk = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.out = nn.Linear(width, 2 * n_channels)
        self.linear = nn.Linear(n_known, 3 * n_channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, asked: Tensor, known: Tensor, lead: Tensor) -> tuple[Tensor, Tensor]:
        """Increments and log-spreads (B, Q, C) at lead times (B, Q)."""
        powers = torch.stack([lead, lead.square(), lead.clamp(min=0).sqrt()], dim=-1)
        hidden = self.of_known(known)[:, None] + self.of_state(asked) + self.of_lead(powers)
        increment, spread = self.out(self.trunk(hidden)).chunk(2, dim=-1)
        slopes = self.linear(known).unflatten(1, (3, -1))
        return increment + torch.einsum("bqp,bpc->bqc", powers, slopes), spread
