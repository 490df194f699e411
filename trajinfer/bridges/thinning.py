"""Bounding memory: large snapshots are represented by a random part of their points."""

from __future__ import annotations

import itertools
import logging
import math
from dataclasses import replace

import numpy as np

from trajinfer._core.checks import Array, require_integer
from trajinfer.data import Snapshots

logger = logging.getLogger(__name__)

_LARGEST_COUPLING = 2**25


def thin(snapshots: Snapshots, max_samples: int | None, seed: int) -> tuple[Snapshots, list[Array]]:
    """Represent every snapshot by at most `max_samples` of its points.

    A point is taken with a probability proportional to its weight, at most 1, and stands for its
    weight divided by this probability: heavy points are always there and keep their weight, and the
    expected weight of every set of points is its own.

    Args:
        snapshots: the data.
        max_samples: bound on the points of a snapshot; None takes one at which all couplings
            together have at most 2^25 entries (0.27 GB each copy).
        seed: of the choice.

    Returns:
        The thinned snapshots and, per snapshot, the indices of their rows.

    Raises:
        InputError: if `max_samples` is not a positive integer.
    """
    if max_samples is None:
        bounds = _bounds([len(points) for points in snapshots.points])
    else:
        bounds = [require_integer(max_samples, "max_samples", least=1)] * len(snapshots)
    rng = np.random.default_rng(seed)
    choices = [choose_rows(snapshots.probabilities(k), most, rng) for k, most in enumerate(bounds)]
    rows = [chosen for chosen, _ in choices]
    if all(len(chosen) == len(points) for chosen, points in zip(rows, snapshots.points)):
        return snapshots, rows
    logger.warning(
        "snapshots of %d points are represented by at most %d of them (max_samples)",
        max(len(points) for points in snapshots.points),
        max(len(chosen) for chosen in rows),
    )
    return _part(snapshots, choices), rows


def part_of(snapshots: Snapshots, most: int, seed: int) -> Snapshots:
    """At most so many points of every snapshot, drawn as `thin` draws them."""
    rng = np.random.default_rng(seed)
    choices = [choose_rows(snapshots.probabilities(k), most, rng) for k in range(len(snapshots))]
    return _part(snapshots, choices)


def _part(snapshots: Snapshots, choices: list[tuple[Array, Array]]) -> Snapshots:
    thinned = snapshots.take([rows for rows, _ in choices])
    if snapshots.weights is None:
        return thinned
    return replace(thinned, weights=tuple(weights for _, weights in choices))


def _bounds(sizes: list[int]) -> list[int]:
    """Points per snapshot at which the couplings fit; all where small neighbours leave room."""
    if sum(n * m for n, m in itertools.pairwise(sizes)) <= _LARGEST_COUPLING:
        return sizes
    most = math.isqrt(_LARGEST_COUPLING // max(1, len(sizes) - 1))
    return [min(size, most) for size in sizes]


def choose_rows(weights: Array, most: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Rows that stand for all, and what they weigh."""
    n = len(weights)
    possible = np.flatnonzero(weights > 0)
    if n <= most:
        return np.arange(n), weights
    if len(possible) <= most:
        return possible, weights[possible]
    mass = weights[possible]
    if (mass == mass[0]).all():
        rows = np.sort(rng.choice(possible, size=most, replace=False))
        return rows, np.full(most, 1 / most)
    share = _inclusion(mass, most)
    order = rng.permutation(len(possible))
    levels = np.cumsum(share[order])
    # one level in every unit of the sum: a share of 1 is always hit, and nothing is hit twice
    hits = np.searchsorted(levels, np.arange(most) + rng.uniform(), side="right")
    chosen = np.sort(order[np.minimum(hits, len(order) - 1)])
    return possible[chosen], mass[chosen] / share[chosen]


def _inclusion(mass: Array, most: int) -> Array:
    """Probabilities min(1, c mass) that sum to `most`."""
    share = most * mass / mass.sum()
    certain = np.zeros(len(mass), dtype=bool)
    while (share > 1).any():
        certain |= share >= 1
        rest = mass[~certain].sum()
        share = np.where(certain, 1.0, (most - certain.sum()) * mass / rest)
    return np.asarray(share)
