"""Values on a grid: the levels that a channel takes, and the nearest of them."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array

_SHARE = 0.2
_RARE = 0.1
_NEIGHBOURS = 3
_MOST_RARE = 0.02


def grid_of(values: Array) -> Array:
    """Levels (L,) of a channel whose values (N,) repeat; empty where they do not.

    Levels that are ten times rarer than some nearby ones on both sides, such as readings converted
    from another unit, are left out where they make up less than a fiftieth of the values: they
    would otherwise be the nearest ones as often as the others.

    >>> grid_of(np.repeat([0.0, 0.9, 1.0, 2.0], [30, 1, 40, 30]))
    array([0., 1., 2.])
    """
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) > _SHARE * len(values):
        return np.empty(0)
    rare = counts < _RARE * np.minimum(_most_before(counts), _most_before(counts[::-1])[::-1])
    few = counts[rare].sum() <= _MOST_RARE * len(values)
    return np.asarray(levels[~rare] if few else levels)


def nearest_level(x: Array, levels: Array) -> Array:
    """Values (...) moved to the nearest level, where there are levels; NaN stay."""
    if not len(levels):
        return x
    edges = (levels[1:] + levels[:-1]) / 2
    return np.asarray(np.where(np.isnan(x), np.nan, levels[np.searchsorted(edges, x)]))


def _most_before(counts: Array) -> Array:
    """(L,) the largest of the three counts before each, 0 at the beginning."""
    padded = np.concatenate([np.zeros(_NEIGHBOURS), counts])
    earlier = [padded[k : k + len(counts)] for k in range(_NEIGHBOURS)]
    return np.asarray(np.max(earlier, axis=0))
