"""Rectilinear paths: time advances first, then the values jump. For use while data come in."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.paths.observations import (
    at_least_two,
    carried,
    require_knots,
    slopes,
    with_clock,
)
from trajinfer.paths.path import PiecewisePolynomial


def rectilinear_path(
    times: Tensor, values: Tensor, mask: Tensor | None = None, *, clock: Tensor | None = None
) -> PiecewisePolynomial:
    r"""In the first half of $[t_i, t_{i+1}]$ the clock runs, in the second the values change.

    There are twice as many knots: $(c_i, x_i)$ at $t_i$, then $(c_{i+1}, x_i)$ at the middle $m_i$,
    then $(c_{i+1}, x_{i+1})$ at $t_{i+1}$, for a clock $c$ and values $x$. Holes keep the last
    value and are 0 before the first one, so that up to $m_i$ nothing later than $t_i$ is known:
    `elapsed` gives the parameter at which the clock shows a time.

    Args:
        times: (B, T) non-decreasing, padded by repeating the last time.
        values: (B, T, C); NaN = not observed. A channel without an observation is 0.
        mask: (B, T, C) bool; False = not observed, whatever the value.
        clock: (B, T) a first channel that runs with time.

    Raises:
        InputError: if shapes disagree or times decrease.

    Source: Morrill, Kidger, Yang, Lyons, "Neural Controlled Differential Equations for Online
    Prediction Tasks", arXiv 2106.11028, 2021.
    """
    require_knots(times, values)
    held = carried(values, mask)
    times, held = at_least_two(times, held)
    later = None if clock is None else at_least_two(times, clock[:, :, None])[1][:, 1:, 0]
    middle = with_clock(held[:, :-1], later)
    whole = _alternating(
        with_clock(held, None if clock is None else clock.expand_as(times)), middle
    )
    halves = times[:, :-1] + times.diff(dim=1) / 2
    knots = _alternating(times[:, :, None], halves[:, :, None])[:, :, 0]
    return PiecewisePolynomial(
        knots, torch.stack([whole[:, :-1], slopes(knots, whole)], dim=2), causal=True
    )


def elapsed(times: Tensor, t: Tensor) -> Tensor:
    """The parameter (B, Q) at which the clock of a rectilinear path shows the times t (B, Q).

    Reading the path there uses no observation later than t.

    Args:
        times: (B, T) as given to `rectilinear_path`.
        t: (B, Q) times within those of each series.
    """
    index = torch.searchsorted(times.contiguous(), t.contiguous(), right=True) - 1
    start = times.gather(1, index.clamp(0, times.shape[1] - 1))
    return start + (t - start) / 2


def _alternating(even: Tensor, odd: Tensor) -> Tensor:
    """Rows (B, K, C) and (B, K - 1, C) in turn, (B, 2 K - 1, C)."""
    pairs = torch.stack([even[:, :-1], odd], dim=2).flatten(1, 2)
    return torch.cat([pairs, even[:, -1:]], dim=1)
