"""Cubic Hermite curves whose slope at an observation is the one before it."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.paths.observations import at_least_two, filled, require_knots, slopes, with_clock
from trajinfer.paths.path import PiecewisePolynomial


def hermite_path(
    times: Tensor, values: Tensor, mask: Tensor | None = None, *, clock: Tensor | None = None
) -> PiecewisePolynomial:
    r"""Cubic Hermite interpolation with backward differences.

    Holes are filled linearly. On $[t_i, t_{i+1}]$ of length $h$, with slope $s$ on this interval
    and $p$ on the one before ($p = s$ on the first), the curve is
    $x_i + p f + 2 (s - p) f^2 / h - (s - p) f^3 / h^2$, $f = t - t_i$: it meets $x_{i+1}$ with
    slope $s$ and so is continuously differentiable on any grid.

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
    knots, whole = at_least_two(times, with_clock(filled(times, values, mask), clock))
    own = slopes(knots, whole)
    before = torch.cat([own[:, :1], own[:, :-1]], dim=1)
    lengths = knots.diff(dim=1)[:, :, None].to(whole)
    bend = torch.where(lengths > 0, (own - before) / lengths.where(lengths > 0, 1.0), 0.0)
    bend_per_length = torch.where(lengths > 0, bend / lengths.where(lengths > 0, 1.0), 0.0)
    pieces = [whole[:, :-1], before, 2 * bend, -bend_per_length]
    return PiecewisePolynomial(knots, torch.stack(pieces, dim=2), causal=False)
