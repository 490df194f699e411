"""Excursions: times that paths spend on one side of a level."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer.metrics.paths import as_paths


def time_above(x: Any, level: Any) -> Array:
    """Share of its times that each path spends above a level.

    Args:
        x: (n, T, C).
        level: a number or one per channel (C,).

    Returns:
        (n, C) in [0, 1].

    Example:
        >>> time_above([[0.0, 2.0, 3.0, 0.0]], 1.0).item()
        0.5
    """
    return np.asarray((as_paths(x, "x") > as_array(level, "level")).mean(axis=1))


def crossing_counts(x: Any, level: Any) -> Array:
    """Number of level crossings of each path, (n, C); see `time_above`.

    Example:
        >>> crossing_counts([[0.0, 2.0, 3.0, 0.0]], 1.0).item()
        2.0
    """
    above = as_paths(x, "x") > as_array(level, "level")
    return np.asarray((above[:, 1:] != above[:, :-1]).sum(axis=1), dtype=np.float64)


def crossing_intervals(x: Any, level: Any) -> Array:
    """Steps between two crossings of a level that follow each other, all paths and channels.

    The stays that the ends of a path cut off are not counted.

    Example:
        >>> crossing_intervals([[0.0, 2.0, 3.0, 0.0, 0.0, 2.0]], 1.0).tolist()
        [2, 2]
    """
    above = np.moveaxis(as_paths(x, "x") > as_array(level, "level"), 2, 1)
    path, channel, when = np.nonzero(above[..., 1:] != above[..., :-1])
    same = (np.diff(path) == 0) & (np.diff(channel) == 0)
    return np.asarray(np.diff(when)[same])
