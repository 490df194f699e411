"""Kolmogorov-Smirnov distances of all marginals at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.metrics.paths import as_path_pair


def marginal_ks(x: Any, y: Any) -> Array:
    r"""Two-sample Kolmogorov-Smirnov distance at every time and channel.

    .. math:: D = \sup_a |F_x(a) - F_y(a)|

    Args:
        x: (n, T, C), or (n, T) for one channel.
        y: (m, T, C).

    Returns:
        (T, C) values in [0, 1].

    Raises:
        InputError: for other shapes or values that are not finite.

    Example:
        >>> marginal_ks([[0.0], [1.0]], [[1.0], [2.0]]).item()
        0.5
    """
    first, second = as_path_pair(x, y)
    both = np.concatenate([first, second])
    order = np.argsort(both, axis=0)
    ordered = np.take_along_axis(both, order, axis=0)
    # Whole numbers, so that equal samples have distance 0 exactly.
    share = np.where(order < len(first), len(second), -len(first))
    gap = np.abs(np.cumsum(share, axis=0)) / (len(first) * len(second))
    # Within a run of equal values only the last one is a value of the distribution functions.
    last = np.ones(gap.shape, dtype=bool)
    last[:-1] = ordered[1:] > ordered[:-1]
    return np.asarray(np.where(last, gap, 0.0).max(axis=0))
