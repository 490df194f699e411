"""Heads read latent states: one answer per series, or a law of the values at every query."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from trajinfer._core.errors import InputError
from trajinfer.series.encoder import Encoding

_LOG_STD = (-6.0, 3.0)


class PooledHead(nn.Module):
    """A network of the last state and the mean state over time, shared by the heads below.

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

    def pooled(self, encoding: Encoding) -> Tensor:
        """(B, n_out)."""
        mean = (encoding.weights[:, :, None] * encoding.states).sum(1)
        answer: Tensor = self.network(torch.cat([encoding.last, mean], dim=1))
        return answer


class ClassHead(PooledHead):
    """Law of the class of every series."""

    def forward(self, encoding: Encoding) -> Categorical:
        """Categorical law over n_out classes, (B,)."""
        return Categorical(logits=self.pooled(encoding), validate_args=False)


class NumberHead(PooledHead):
    """Law of the number of every series, with unit standard deviation."""

    def forward(self, encoding: Encoding) -> Normal:
        """Gaussian law, (B,)."""
        mean = self.pooled(encoding)[:, 0]
        return Normal(mean, torch.ones_like(mean), validate_args=False)


class QueryHead(nn.Module):
    r"""Law of the increment at every query, from its state and features of the end of the series.

    A linear map of the features, times $(\tau, \tau^2, \sqrt\tau)$ of the lead time, is added to
    the network, which has the rest to explain.

    Args:
        dim: H.
        n_known: length of the features.
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

    def forward(self, asked: Tensor, known: Tensor, lead: Tensor) -> Normal:
        """Law of the increments (B, Q, C) at lead times (B, Q)."""
        powers = torch.stack([lead, lead.square(), lead.clamp(min=0).sqrt()], dim=-1)
        hidden = self.of_known(known)[:, None] + self.of_state(asked) + self.of_lead(powers)
        increment, spread = self.out(self.trunk(hidden)).chunk(2, dim=-1)
        slopes = self.linear(known).unflatten(1, (3, -1))
        mean = increment + torch.einsum("bqp,bpc->bqc", powers, slopes)
        return Normal(mean, spread.clamp(*_LOG_STD).exp(), validate_args=False)


class CorrectionHead(nn.Module):
    """Law of the values at every query, in units of a smoother's law; N(0, 1) before training.

    Args:
        dim: H.
        n_channels: C.
    """

    def __init__(self, dim: int, n_channels: int) -> None:
        super().__init__()
        last = nn.Linear(dim, 2 * n_channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(dim + n_channels, dim), nn.SiLU(), last)

    def forward(self, asked: Tensor, std: Tensor) -> Normal:
        """Law (B, Q, C) of (value - mean of the smoother) / its standard deviation `std`."""
        shift, stretch = self.network(torch.cat([asked, std.log()], dim=-1)).chunk(2, dim=-1)
        return Normal(shift, stretch.exp(), validate_args=False)


HEADS: Mapping[str, type[nn.Module]] = {
    "class": ClassHead,
    "number": NumberHead,
    "query": QueryHead,
    "correction": CorrectionHead,
}


def make_head(kind: str, dim: int, sizes: Mapping[str, int]) -> nn.Module:
    """A head by name.

    Args:
        kind: "class", "number", "query" or "correction".
        dim: H.
        sizes: the other arguments of its class.

    Raises:
        InputError: for a name that is not known.
    """
    if kind not in HEADS:
        raise InputError(f"a head is one of {', '.join(HEADS)}, got {kind!r}")
    return HEADS[kind](dim, **sizes)
