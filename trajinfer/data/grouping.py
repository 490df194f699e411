"""Series of similar length together, so that cost and memory follow the number of observations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.irregular_series import IrregularSeries

_MOST_PADDING = 3
_MOST_TOGETHER = 512


def similar_lengths(lengths: Array, most: int = _MOST_TOGETHER) -> list[Array]:
    """Places of lengths (B,) in groups that padding makes at most three times as large.

    Args:
        lengths: (B,).
        most: places that a group holds.
    """
    order = np.argsort(lengths, kind="stable")
    groups, start = [], 0
    while start < len(order):
        own = lengths[order[start : start + most]]
        padded, whole = np.arange(1, len(own) + 1) * own, np.cumsum(own)
        too_wide = np.flatnonzero(padded > _MOST_PADDING * whole)
        stop = start + (int(too_wide[0]) if len(too_wide) else len(own))
        groups.append(np.sort(order[start:stop]))
        start = stop
    return groups


def in_groups(series: IrregularSeries, answer: Callable[[IrregularSeries], Array]) -> Array:
    """Answers (B, ...) for series, found in groups of similar length.

    Args:
        series: B series.
        answer: (b, ...) for b series; that of a series does not depend on the others.
    """
    return by_group(series.lengths, lambda rows: answer(series[rows]))


def by_group(lengths: Array, answer: Callable[[Array], Array]) -> Array:
    """Answers (B, ...) found in groups of similar length.

    Args:
        lengths: (B,).
        answer: (b, ...) for places (b,) of the lengths.
    """
    groups = similar_lengths(lengths)
    joined = np.concatenate([answer(group) for group in groups])
    result = np.empty_like(joined)
    result[np.concatenate(groups)] = joined
    return result
