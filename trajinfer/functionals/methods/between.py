"""Values between the centres of cells: cubic where all cells around are known, else linear."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import scipy.interpolate

from trajinfer._core.checks import Array

_OFFSETS = np.arange(-1, 3)


def between(axes: Sequence[Array], table: Array, known: Array | None, x: Array) -> Array:
    """Values (n,) at x (n, D) by cubics through four centres along every axis.

    Cells behind a wall hold no values beyond what a straight line through it gives, so that a
    cubic would carry their jump inside: where one of the 4^D cells is not known, the value is
    linear. Beyond the outermost centres it is that of the edge.

    Args:
        axes: the centres along each axis, equally far apart.
        table: values there, of the shape of the grid.
        known: of the same shape, bool; None where all are.
        x: (n, D) where.
    """
    low, high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
    inside = np.clip(x, low, high)
    result = np.asarray(scipy.interpolate.RegularGridInterpolator(axes, table)(inside))
    if min(table.shape) < len(_OFFSETS):
        return result
    width = np.array([axis[1] - axis[0] for axis in axes])
    place = (inside - low) / width
    cell = np.clip(place.astype(int), 1, np.array(table.shape) - 3)
    weights = _lagrange(place - cell)
    total, sure = np.zeros(len(x)), np.ones(len(x), dtype=bool)
    for corner in itertools.product(range(len(_OFFSETS)), repeat=len(axes)):
        index = tuple((cell + _OFFSETS[list(corner)]).T)
        part = np.prod([weights[:, d, k] for d, k in enumerate(corner)], axis=0)
        total += part * table[index]
        if known is not None:
            sure &= known[index]
    return np.where(sure & np.isfinite(total), total, result)


def _lagrange(s: Array) -> Array:
    """Weights (..., 4) of values at -1, 0, 1, 2 for the cubic through them at s."""
    others = [np.delete(_OFFSETS, k) for k in range(len(_OFFSETS))]
    parts = [
        np.prod([(s - o) / (own - o) for o in other], axis=0)
        for own, other in zip(_OFFSETS, others)
    ]
    return np.stack(parts, axis=-1)
