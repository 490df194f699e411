"""Inputs of every control path: knots, filled values, a clock, counts of observations."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.errors import InputError


def seen(values: Tensor, mask: Tensor | None) -> Tensor:
    """Which values (B, T, C) count as observed: those in `mask` that are not NaN."""
    known = ~values.isnan()
    return known if mask is None else known & mask


def require_knots(times: Tensor, values: Tensor) -> None:
    """Refuse shapes that do not belong together and times that decrease.

    Raises:
        InputError: naming what was found.
    """
    if values.ndim != 3 or values.shape[:2] != times.shape or not times.numel():
        raise InputError(
            f"times {tuple(times.shape)} and values {tuple(values.shape)} must be (B, T) and "
            "(B, T, C), with T at least 1"
        )
    if bool((times.diff(dim=1) < 0).any()) or not bool(times.isfinite().all()):
        raise InputError("times must be finite and must not decrease along a series")


def filled(times: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Values (B, T, C) without holes: linear in between, held at the ends, 0 where none was seen.

    Args:
        times: (B, T) non-decreasing.
        values: (B, T, C); NaN = not observed.
        mask: (B, T, C) bool; False = not observed, whatever the value.
    """
    known = seen(values, mask)
    if bool(known.all()):
        return values
    steps = torch.arange(times.shape[1], device=times.device)[None, :, None]
    last = len(steps[0])
    before = torch.where(known, steps, -1).cummax(dim=1).values
    after = torch.where(known, steps, last).flip(1).cummin(dim=1).values.flip(1)
    lower = torch.where(before >= 0, before, after).clamp(max=last - 1)
    upper = torch.where(after < last, after, before).clamp(min=0)
    clean = torch.where(known, values, 0.0)
    clock = times[:, :, None].expand_as(values)
    start, span = clock.gather(1, lower), clock.gather(1, upper) - clock.gather(1, lower)
    share = torch.where(span > 0, (clock - start) / span, 0.0).to(values)
    left = clean.gather(1, lower)
    return left + share * (clean.gather(1, upper) - left)


def carried(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Values (B, T, C) with holes filled by the last observation, and 0 before the first."""
    known = seen(values, mask)
    steps = torch.arange(values.shape[1], device=values.device)[None, :, None]
    before = torch.where(known, steps, -1).cummax(dim=1).values
    held = torch.where(known, values, 0.0).gather(1, before.clamp(min=0))
    return torch.where(before >= 0, held, 0.0)


def with_clock(values: Tensor, clock: Tensor | None) -> Tensor:
    """Values with the clock (B, T) as an additional first channel."""
    return values if clock is None else torch.cat([clock[:, :, None].to(values), values], dim=2)


def intensity(mask: Tensor, scale: float = 1.0) -> Tensor:
    """Running number of observations of each channel, (B, T, C), divided by `scale`.

    Args:
        mask: (B, T, C) bool, True = observed; False on the padding, which then counts nothing.
        scale: such as the largest count of the training data.
    """
    return mask.cumsum(dim=1) / scale


def slopes(times: Tensor, values: Tensor) -> Tensor:
    """Slopes (B, T - 1, C) between knots, 0 on intervals of length zero."""
    steps = times.diff(dim=1)[:, :, None].to(values)
    return torch.where(steps > 0, values.diff(dim=1) / steps.where(steps > 0, 1.0), 0.0)


def at_least_two(times: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Knots and values with the only knot repeated, so that there is an interval to read."""
    if times.shape[1] > 1:
        return times, values
    return times.expand(-1, 2), values.expand(-1, 2, -1)
