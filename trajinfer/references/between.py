"""Positions between two snapshots, once the ends are known: shared by all path laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.references.bridge_law import BridgeLaw, bridge_law
from trajinfer.references.transitions import Transitions


def draw_between(
    transitions: Transitions,
    span: tuple[float, float],
    ends: tuple[Tensor, Tensor],
    ts: Array,
    generator: torch.Generator,
    *,
    with_end: bool,
) -> Tensor:
    """Positions (n, T_k, D) at those of the times that lie in a segment.

    Args:
        transitions: of the reference.
        span: times of the two snapshots.
        ends: positions (n, D) there.
        ts: increasing times.
        generator: of the noise.
        with_end: whether the later snapshot belongs to the segment.
    """
    x, y = ends

    def drawn(inside: Array) -> Tensor:
        return _law(transitions, span, x, inside).draw(y.unsqueeze(0), generator)[:, 0]

    return joined(span, ends, ts, drawn, with_end=with_end)


def joined(
    span: tuple[float, float],
    ends: tuple[Tensor, Tensor],
    ts: Array,
    inside: Callable[[Array], Tensor],
    *,
    with_end: bool,
) -> Tensor:
    """Positions (n, T_k, D) at those of the times that lie in a segment.

    Args:
        span: times of the two snapshots.
        ends: positions (n, D) there.
        ts: increasing times.
        inside: (L,) times between the two -> positions (L, n, D).
        with_end: whether the later snapshot belongs to the segment.
    """
    (t0, t1), (x, y) = span, ends
    within = ts[(ts > t0) & (ts < t1)]
    pieces = [x.unsqueeze(1)] * int((ts == t0).sum())
    if len(within):
        pieces.append(inside(within).transpose(0, 1))
    if with_end:
        pieces += [y.unsqueeze(1)] * int((ts == t1).sum())
    return torch.cat(pieces, dim=1) if pieces else x.new_zeros(len(x), 0, x.shape[1])


def expected_between(
    transitions: Transitions, span: tuple[float, float], x: Tensor, target: Tensor, times: Array
) -> Tensor:
    """Mean positions (n, T, D) at times of a segment from x, given the mean end (n, D)."""
    t0, t1 = span
    inside = times[(times > t0) & (times < t1)]
    pieces = [x.unsqueeze(1).expand(-1, int((times <= t0).sum()), -1)]
    if len(inside):
        law = _law(transitions, span, x, inside)
        pieces.append(law.expected(target.unsqueeze(0))[:, 0].transpose(0, 1))
    pieces.append(target.unsqueeze(1).expand(-1, int((times >= t1).sum()), -1))
    return torch.cat(pieces, dim=1)


def reference_means(transitions: Transitions, t: float, x: Tensor, durations: Array) -> Tensor:
    """Means (n, T, D) of the reference, a while after it stood at x (n, D) at time t."""
    n_times = len(durations)
    law = transitions(
        x.new_full((n_times,), t), x.expand(n_times, -1, -1), torch.as_tensor(durations)
    )
    return law.mean.transpose(0, 1)


def segment_times(ts: Array, t0: float, t1: float, *, final: bool) -> Array:
    """Those of the times that belong to a segment; its end only where it is the last."""
    return np.asarray(ts[(ts >= t0) & ((ts < t1) | (final & (ts <= t1)))])


def _law(
    transitions: Transitions, span: tuple[float, float], x: Tensor, inside: Array
) -> BridgeLaw:
    t0, t1 = span
    fractions = torch.as_tensor((inside - t0) / (t1 - t0))
    return bridge_law(
        transitions, x.new_full((1,), t0), x.unsqueeze(0), x.new_full((1,), t1 - t0), fractions
    )
