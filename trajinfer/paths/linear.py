"""Linear interpolation of the observations."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.paths.observations import at_least_two, filled, require_knots, slopes, with_clock
from trajinfer.paths.path import PiecewisePolynomial


def linear_path(
    times: Tensor, values: Tensor, mask: Tensor | None = None, *, clock: Tensor | None = None
) -> PiecewisePolynomial:
    """Straight lines between the observations of each channel.

    Reads one observation ahead: between two of them the curve depends on the later one.

    Args:
        times: (B, T) non-decreasing, padded by repeating the last time.
        values: (B, T, C); NaN = not observed. A channel without an observation is 0.
        mask: (B, T, C) bool; False = not observed, whatever the value.
        clock: (B, T) a first channel that runs with time.

    Raises:
        InputError: if shapes disagree or times decrease.
    """
    require_knots(times, values)
    whole = with_clock(filled(times, values, mask), clock)
    knots, whole = at_least_two(times, whole)
    return PiecewisePolynomial(
        knots, torch.stack([whole[:, :-1], slopes(knots, whole)], dim=2), causal=False
    )
