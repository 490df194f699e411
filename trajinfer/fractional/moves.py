"""Transitions of a linear model with fractional noise over many steps, without their zeros."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor


class Transition(NamedTuple):
    """Law of the state after steps: flow z + N(0, spread).

    Attributes:
        flow: (..., S, S).
        spread: (..., S, S).
    """

    flow: Tensor
    spread: Tensor


class Moves(NamedTuple):
    r"""The law of z' = (x', y') after steps: $x' = a x + r \cdot y + \xi$, $y' = d \odot y + \eta$.

    Attributes:
        stay: (...) a.
        row: (..., J) r.
        decay: (..., J) d.
        own: (...) variance of $\xi$.
        with_y: (..., J) covariance of $\xi$ and $\eta$.
        among: (..., J, J) covariance of $\eta$.
    """

    stay: Tensor
    row: Tensor
    decay: Tensor
    own: Tensor
    with_y: Tensor
    among: Tensor

    def at(self, i: int) -> Self:
        """Those of one step, where the last axis of `stay` runs over the steps."""
        return self._replace(
            stay=self.stay[..., i],
            row=self.row[..., i, :],
            decay=self.decay[..., i, :],
            own=self.own[..., i],
            with_y=self.with_y[..., i, :],
            among=self.among[..., i, :, :],
        )

    def mean(self, z: Tensor) -> Tensor:
        """Means (..., S, M) after the step."""
        x, y = z[..., :1, :], z[..., 1:, :]
        top = self.stay[..., None, None] * x + self.row.unsqueeze(-2) @ y
        return torch.cat([top, self.decay[..., None] * y], dim=-2)

    def covariance(self, law: Tensor) -> Tensor:
        """Covariances (..., S, S) after the step."""
        x, shared, y = law[..., 0, 0], law[..., 0, 1:], law[..., 1:, 1:]
        pulled = (y @ self.row.unsqueeze(-1)).squeeze(-1)
        kept = self.stay[..., None] * shared
        own = (
            self.stay * (self.stay * x + 2 * (self.row * shared).sum(-1))
            + (self.row * pulled).sum(-1)
            + self.own
        )
        side = self.decay * (kept + pulled) + self.with_y
        below = self.decay[..., :, None] * y * self.decay[..., None, :] + self.among
        top = torch.cat([own[..., None], side], dim=-1).unsqueeze(-2)
        return torch.cat([top, torch.cat([side.unsqueeze(-1), below], dim=-1)], dim=-2)

    def back(self, adjoint: Tensor) -> Tensor:
        """Adjoints (..., S, M) before the step."""
        x, y = adjoint[..., :1, :], adjoint[..., 1:, :]
        below = self.row[..., None] * x + self.decay[..., None] * y
        return torch.cat([self.stay[..., None, None] * x, below], dim=-2)

    def dense(self) -> Transition:
        """As matrices."""
        decay = torch.diag_embed(self.decay)
        below = torch.cat([torch.zeros_like(decay[..., :1]), decay], dim=-1)
        top = torch.cat([self.stay[..., None], self.row], dim=-1).unsqueeze(-2)
        shape = torch.broadcast_shapes(top.shape[:-2], below.shape[:-2])
        top, below = (part.expand(*shape, *part.shape[-2:]) for part in (top, below))
        among = self.among.expand(*shape, *self.among.shape[-2:])
        side = self.with_y.expand(*shape, -1).unsqueeze(-2)
        own = self.own.expand(shape)[..., None, None]
        spread = torch.cat([torch.cat([own, side], dim=-1), torch.cat([side.mT, among], -1)], -2)
        return Transition(torch.cat([top, below], dim=-2), spread)
