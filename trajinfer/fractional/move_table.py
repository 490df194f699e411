"""Transitions into all times of series, each distinct or interpolated step computed once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trajinfer._core.chebyshev import N_NODES, panels
from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.moves import Moves
from trajinfer.fractional.ou_transition import ou_covariance

_MOST_DISTINCT = 200


class MovesByKind(NamedTuple):
    """Transitions of a long series that takes a few kinds of steps again and again.

    Attributes:
        kinds: transitions over the distinct steps.
        which: of them each time takes.
    """

    kinds: Moves
    which: list[int]

    def at(self, i: int) -> Moves:
        """The transition into time i."""
        return self.kinds.at(self.which[i])


def moves_between(model: LinearFractionalModel, times: Tensor) -> Moves | MovesByKind:
    """The transitions into every time (..., T) of series, the first of no length.

    Many irregular steps take few evaluations: the responses to the noise are smooth functions of
    the step, and are interpolated to rounding.
    """
    gaps = torch.diff(times, dim=-1, prepend=times[..., :1])
    per_step = model.per_step()
    if times.ndim > 1 and model.theta.ndim and model.theta.shape[-1] != 1:
        return per_step.moves(gaps)
    unit = float(gaps.max()) * 1e-12
    if unit == 0:
        return per_step.moves(gaps)
    distinct, which = torch.unique(torch.round(gaps / unit), return_inverse=True)
    if len(distinct) <= _MOST_DISTINCT and times.ndim == 1:
        return MovesByKind(per_step.moves(distinct * unit), which.tolist())
    if len(distinct) <= _MOST_DISTINCT:
        found = _taken(per_step.moves(distinct * unit), which)
    else:
        found = _interpolated(per_step, gaps)
    lone = times.ndim > 1 and model.theta.ndim > 0
    return _without_series_axis(found) if lone else found


def _taken(moves: Moves, which: Tensor) -> Moves:
    """Those of distinct steps, at the places (..., T) where they occur."""
    return Moves(
        moves.stay[..., which],
        moves.row[..., which, :],
        moves.decay[..., which, :],
        moves.own[..., which],
        moves.with_y[..., which, :],
        moves.among[..., which, :, :],
    )


def _interpolated(per_step: LinearFractionalModel, gaps: Tensor) -> Moves:
    """What depends on the parameters from nodes in the gap, the rest in closed form."""
    flat = gaps.reshape(-1)
    long = flat > 0
    nodes, panel, weights = panels(flat[long].numpy(), 0.0)
    known = per_step.moves(torch.as_tensor(nodes))
    columns = torch.cat(
        [known.stay[..., None], known.own[..., None], known.row, known.with_y], dim=-1
    )
    shares, places = torch.as_tensor(weights), torch.as_tensor(panel)
    found = columns.new_zeros(*columns.shape[:-2], len(shares), columns.shape[-1])
    for k in range(len(nodes) // N_NODES):
        own = (places == k).nonzero()[:, 0]
        part = columns[..., k * N_NODES : (k + 1) * N_NODES, :]
        found = found.index_copy(-2, own, shares[own] @ part)
    still = columns.new_zeros(columns.shape[-1])
    still[0] = 1.0
    whole = still.expand(*found.shape[:-2], len(flat), -1)
    whole = whole.index_copy(-2, long.nonzero()[:, 0], found)
    whole = whole.reshape(*found.shape[:-2], *gaps.shape, -1)
    n_nodes = len(per_step.nodes)
    stay, own, row, with_y = whole.split([1, 1, n_nodes, n_nodes], dim=-1)
    return Moves(
        stay[..., 0],
        row,
        torch.exp(-per_step.nodes * gaps[..., None]),
        own[..., 0],
        with_y,
        ou_covariance(per_step.nodes, gaps),
    )


def _without_series_axis(moves: Moves) -> Moves:
    """Parameters (..., 1) and times (B, T) leave (..., 1, B, T): one axis for the series."""
    return moves._replace(
        stay=moves.stay.squeeze(-3),
        own=moves.own.squeeze(-3),
        row=moves.row.squeeze(-4),
        with_y=moves.with_y.squeeze(-4),
    )
