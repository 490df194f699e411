"""Groups of states that were never observed to mix."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components

from trajinfer._core.checks import Array


def groups_of(jumps: Array) -> Array:
    """(S,) number of the group of each state; a positive entry (S, S) joins two states."""
    return np.asarray(connected_components(jumps > 0, directed=True, connection="weak")[1])
