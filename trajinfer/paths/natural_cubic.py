"""Natural cubic splines, each channel through its own observations."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.paths.observations import (
    at_least_two,
    filled,
    require_knots,
    seen,
    with_clock,
)
from trajinfer.paths.path import PiecewisePolynomial


def natural_cubic_path(
    times: Tensor, values: Tensor, mask: Tensor | None = None, *, clock: Tensor | None = None
) -> PiecewisePolynomial:
    """The twice differentiable cubic through the observations with no curvature at the ends.

    Each channel has knots where it was observed; a channel not observed at the first or last time
    of its series takes its nearest observation there. Every piece depends on all observations.

    Args:
        times: (B, T) non-decreasing, padded by repeating the last time.
        values: (B, T, C); NaN = not observed. A channel without an observation is 0.
        mask: (B, T, C) bool; False = not observed, whatever the value.
        clock: (B, T) a first channel that runs with time.

    Raises:
        InputError: if shapes disagree or times decrease.
    """
    require_knots(times, values)
    known = with_clock(seen(values, mask), None if clock is None else clock.isfinite())
    knots, whole = at_least_two(times, with_clock(filled(times, values, mask), clock))
    known = known.expand(-1, knots.shape[1], -1) if known.shape[1] == 1 else known
    own = _own_knots(knots, known)
    pieces = _spline(*_gathered(knots, whole, own))
    return PiecewisePolynomial(knots, _on_all_knots(knots, own, pieces), causal=False)


def _own_knots(knots: Tensor, known: Tensor) -> Tensor:
    """(B, C, T) bool: observed, or an end of the series; never on the padding."""
    first = torch.zeros_like(knots, dtype=torch.bool)
    first[:, 0] = True
    padding = torch.cat([first[:, :1] & False, knots.diff(dim=1) <= 0], dim=1)
    end = (knots == knots[:, -1:]) & ~padding
    return ((known | (first | end)[:, :, None]) & ~padding[:, :, None]).transpose(1, 2)


def _gathered(knots: Tensor, whole: Tensor, own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Own knots and their values moved to the front, (B, C, T), and which places are taken."""
    order = (~own).to(torch.int8).argsort(dim=2, stable=True)
    taken = own.gather(2, order)
    clock = knots[:, None, :].expand(own.shape).gather(2, order)
    return clock, whole.transpose(1, 2).gather(2, order), taken


def _spline(clock: Tensor, value: Tensor, taken: Tensor) -> Tensor:
    """Coefficients (B, C, T, 4) of the pieces that start at each own knot."""
    inside = taken[:, :, 1:]
    h = torch.where(inside, clock.diff(dim=2), 1.0).to(value)
    slope = torch.where(inside, value.diff(dim=2) / h, 0.0)
    both = (inside[:, :, :-1] & inside[:, :, 1:]).to(value)
    zero = torch.zeros_like(value[:, :, :1])
    # Rows of the ends and of unused places say: curvature 0.
    lower = torch.cat([zero, both * h[:, :, :-1], zero], dim=2)
    upper = torch.cat([zero, both * h[:, :, 1:], zero], dim=2)
    right = torch.cat([zero, both * 6 * slope.diff(dim=2), zero], dim=2)
    diagonal = torch.where(upper > 0, 2 * (lower + upper), 1.0)
    curvature = solve_tridiagonal(lower, diagonal, upper, right)
    now, then = curvature[:, :, :-1], curvature[:, :, 1:]
    pieces = [value[:, :, :-1], slope - h * (2 * now + then) / 6, now / 2, (then - now) / (6 * h)]
    return torch.cat([torch.stack(pieces, dim=3), zero[..., None].expand(-1, -1, -1, 4)], dim=2)


def _on_all_knots(knots: Tensor, own: Tensor, pieces: Tensor) -> Tensor:
    """The same curve written on the intervals between all times, (B, T - 1, 4, C)."""
    rank = own.cumsum(dim=2) - 1
    newest = rank.minimum(own.sum(dim=2, keepdim=True) - 2).clamp(min=0)[:, :, :-1]
    a, b, c, d = pieces.gather(2, newest[..., None].expand(*newest.shape, 4)).unbind(dim=3)
    starts = torch.where(own, knots[:, None, :], -torch.inf).cummax(dim=2).values[:, :, :-1]
    u = (knots[:, None, :-1] - starts).to(a)
    shifted = [a + u * (b + u * (c + u * d)), b + u * (2 * c + 3 * u * d), c + 3 * u * d, d]
    return torch.stack(shifted, dim=3).permute(0, 2, 3, 1)


def solve_tridiagonal(lower: Tensor, diagonal: Tensor, upper: Tensor, right: Tensor) -> Tensor:
    r"""Solve $l_i x_{i-1} + d_i x_i + u_i x_{i+1} = r_i$ along the last axis, for a batch.

    Parallel cyclic reduction: about $\log_2 n$ rounds, each of which eliminates the neighbours of
    all rows at once. Stable for diagonally dominant systems.

    Args:
        lower, diagonal, upper, right: (..., n); `lower[..., 0]` and `upper[..., -1]` must be 0.

    Returns:
        The solution, (..., n).

    Source: Hockney, Jesshope, "Parallel Computers", Adam Hilger, 1981.
    """
    n, stride = diagonal.shape[-1], 1
    while stride < n:
        above = _shifted((lower, diagonal, upper, right), stride)
        below = _shifted((lower, diagonal, upper, right), -stride)
        alpha, gamma = -lower / above[1], -upper / below[1]
        diagonal = diagonal + alpha * above[2] + gamma * below[0]
        right = right + alpha * above[3] + gamma * below[3]
        lower, upper = alpha * above[0], gamma * below[2]
        stride *= 2
    return right / diagonal


def _shifted(rows: tuple[Tensor, ...], stride: int) -> tuple[Tensor, ...]:
    """Rows i - stride in the place of row i; beyond the ends the row that says 0 + 1 x + 0 = 0."""
    fill = (0.0, 1.0, 0.0, 0.0)
    size = abs(stride)
    moved = []
    for row, value in zip(rows, fill):
        edge = torch.full_like(row[..., :size], value)
        diagonal = row[..., :-size] if stride > 0 else row[..., size:]
        moved.append(torch.cat([edge, diagonal] if stride > 0 else [diagonal, edge], dim=-1))
    return tuple(moved)
