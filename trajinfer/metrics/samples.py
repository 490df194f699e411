"""Input checks common to all distances: two samples of one dimension, and their weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array, require_finite, require_weights
from trajinfer._core.errors import InputError

# Largest block of pairwise values held at once, in float64 numbers (32 MB).
BLOCK = 4_000_000


def as_sample(value: Any, name: str) -> Array:
    """A sample as float64 (n, D); one axis means n points on the line.

    Raises:
        InputError: if the sample is empty, not finite, or has more than two axes.
    """
    array = as_array(value, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise InputError(f"{name} must have shape (n, D) or (n,), got {array.shape}")
    if array.size == 0:
        raise InputError(f"{name} is empty, shape {array.shape}; at least one point is needed")
    require_finite(array, name)
    return array


def as_pair(x: Any, y: Any, weights: Any) -> tuple[Array, Array, Array, Array]:
    """Two samples (n, D), (m, D) and their weights (n,), (m,), each summing to 1.

    Points of weight 0 are left out.

    Raises:
        InputError: if a sample or a weight cannot be used, or the dimensions differ.
    """
    first, second = as_sample(x, "x"), as_sample(y, "y")
    if first.shape[1] != second.shape[1]:
        raise InputError(
            f"x and y must have the same dimension, got {first.shape[1]} and {second.shape[1]} "
            f"(shapes {first.shape} and {second.shape})"
        )
    if weights is not None and len(weights) != 2:
        raise InputError(
            "weights must be a pair (weights of x, weights of y), either may be None, "
            f"got {len(weights)} entries"
        )
    of_x, of_y = (None, None) if weights is None else weights
    first, mass_x = _weighted(first, of_x, "weights of x")
    second, mass_y = _weighted(second, of_y, "weights of y")
    return first, second, mass_x, mass_y


def _weighted(sample: Array, weights: Any, name: str) -> tuple[Array, Array]:
    if weights is None:
        return sample, np.full(len(sample), 1.0 / len(sample))
    mass = as_array(weights, name, ndim=1)
    require_weights(mass, len(sample), name)
    kept = mass > 0
    return sample[kept], mass[kept] / mass[kept].sum()


def common_scale(x: Array, y: Array) -> tuple[Array, Array, float]:
    """Both samples shifted and divided by one number, so that squares neither overflow nor vanish.

    Returns:
        The two samples within [-1, 1] and the number (1 where all points coincide).
    """
    low, high = (f(np.stack([f(x, axis=0), f(y, axis=0)]), axis=0) for f in (np.min, np.max))
    centre = low / 2 + high / 2
    scale = float((high / 2 - low / 2).max()) or 1.0
    return (x - centre) / scale, (y - centre) / scale, scale


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Slices of n rows such that a block of `width` columns stays below `BLOCK` numbers."""
    step = max(1, BLOCK // max(width, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
