"""Bounding memory: large snapshots are represented by a random part of their points."""

from __future__ import annotations

import logging
import math

import numpy as np

from trajinfer._core.checks import Array, require_integer
from trajinfer.data import Snapshots

logger = logging.getLogger(__name__)

_LARGEST_COUPLING = 2**25


def thin(snapshots: Snapshots, max_samples: int | None, seed: int) -> tuple[Snapshots, list[Array]]:
    """Keep at most `max_samples` points of every snapshot, chosen evenly.

    Args:
        snapshots: the data.
        max_samples: bound on the points of a snapshot; None takes one at which all couplings
            together have at most 2^25 entries (0.27 GB each copy).
        seed: of the choice.

    Returns:
        The thinned snapshots and, per snapshot, the indices of the rows kept.

    Raises:
        InputError: if `max_samples` is not a positive integer.
    """
    if max_samples is None:
        max_samples = math.isqrt(_LARGEST_COUPLING // max(1, len(snapshots) - 1))
    else:
        require_integer(max_samples, "max_samples", least=1)
    rng = np.random.default_rng(seed)
    kept = [
        _choose(len(points), snapshots.probabilities(k), int(max_samples), rng)
        for k, points in enumerate(snapshots.points)
    ]
    if all(len(rows) == len(points) for rows, points in zip(kept, snapshots.points)):
        return snapshots, kept
    logger.warning(
        "snapshots of %d points are represented by at most %d of them (max_samples)",
        max(len(points) for points in snapshots.points),
        max_samples,
    )
    return snapshots.take(kept), kept


def _choose(n: int, odds: Array, most: int, rng: np.random.Generator) -> Array:
    """Rows without weight go first; the others are chosen evenly and keep their weights."""
    if n <= most:
        return np.arange(n)
    possible = np.flatnonzero(odds > 0)
    if len(possible) > most:
        possible = rng.choice(possible, size=most, replace=False)
    return np.sort(possible)
