"""Steps of a solve along series of different lengths, and one path of noise for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Steps of a batch from the first time of each series to its end, then through its queries.

    Attributes:
        times: (B, N + 1); steps beyond the last query of a series have length zero.
        n_past: (B,) index of the end of each series.
        asked: (B, Q) indices of its queries.
    """

    times: Tensor
    n_past: Tensor
    asked: Tensor


_STABLE_STEP = 1 / 40


def step_grid(
    start: Tensor, end: Tensor, queries: Tensor | None, step: float, most: int | None = None
) -> Grid:
    """Steps no longer than `step` to the end of each series, and on to each of its queries.

    Every series divides its own spans evenly and then waits, with steps of length zero, for the one
    that needs most steps. The steps of a series do not depend on the others.

    Args:
        start: (B,).
        end: (B,).
        queries: (B, Q) ascending, not before the end.
        step: largest length.
        most: bound on the number of steps to the end, which are then longer than `step`, but no
            longer than 1/40, as explicit steps of damped states ask for; None: no bound.
    """
    later = end[:, None] if queries is None else torch.cat([end[:, None], queries], dim=1)
    bounds = torch.cat([start[:, None], later], dim=1)
    spans = bounds.diff(dim=1).clamp(min=0)
    lengths = torch.full_like(spans, step)
    if most is not None:
        lengths[:, 0] = (spans[:, 0] / most).clamp(max=max(step, _STABLE_STEP)).clamp(min=step)
    pieces = (spans / lengths - 1e-9).ceil().clamp(min=0).long()
    pieces[:, 0].clamp_(min=1)
    pieces = torch.where((spans > 0) & (pieces == 0), 1, pieces)
    ends = pieces.cumsum(1)
    n_steps = int(ends[:, -1].max())
    index = torch.arange(n_steps + 1, device=start.device).expand(len(start), -1).contiguous()
    segment = torch.searchsorted(ends, index, right=True)
    over = segment >= pieces.shape[1]
    segment = segment.clamp(max=pieces.shape[1] - 1)
    passed = index - (ends - pieces).gather(1, segment)
    share = passed / pieces.gather(1, segment).clamp(min=1).to(start.dtype)
    times = bounds.gather(1, segment) + share * spans.gather(1, segment)
    times = torch.where(over, bounds[:, -1:], times)
    return Grid(times, ends[:, 0], ends[:, 1:])


def batch_grid(start: Tensor, end: Tensor, queries: Tensor | None, step: float) -> Grid:
    """Steps as version 0.1 took them: between queries, all series take as many as one needs.

    Models of that version are read with these, so that they answer as they did.
    """
    span = (end - start).clamp(min=0)
    needed = (span / step - 1e-9).ceil().clamp(min=1)
    n_past = int(needed.max())
    share = (torch.arange(n_past + 1) / needed[:, None]).clamp(max=1)
    times = start[:, None] + share * span[:, None]
    times[share >= 1] = end[:, None].expand_as(times)[share >= 1]
    place = torch.full((len(start),), n_past)
    if queries is None:
        return Grid(times, place, torch.empty((len(start), 0), dtype=torch.int64))
    whole = torch.cat([end[:, None], queries], dim=1)
    pieces = max(1, int((whole.diff(dim=1).amax() / step - 1e-9).ceil()))
    parts = torch.arange(1, pieces + 1) / pieces
    between = whole[:, :-1, None] + parts * whole.diff(dim=1)[:, :, None]
    between[:, :, -1] = queries
    asked = n_past + pieces * torch.arange(1, queries.shape[1] + 1)
    grid = torch.cat([times, between.flatten(1)], dim=1)
    return Grid(grid, place, asked.expand(len(start), -1))


def common_increments(times: Tensor, dim: int, seed: int) -> tuple[Tensor, Tensor]:
    r"""Increments (B, N, H) of one path of noise in steps of different lengths, and its areas.

    Step k of every series has $\sqrt{h}\,\xi_k$ and the space-time Levy area
    $\sqrt{h / 12}\,\eta_k$. The numbers of a step depend on its place and the seed alone.
    """
    lengths = times.diff(dim=1)[:, :, None]
    numbers = np.random.default_rng(seed).standard_normal((lengths.shape[1], 2, dim))
    xi, eta = torch.as_tensor(numbers, device=times.device).unbind(1)
    return (lengths.sqrt() * xi).float(), ((lengths / 12).sqrt() * eta).float()
