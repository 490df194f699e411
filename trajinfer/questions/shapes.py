"""Regions in one call: above a level, outside a strip, in a ball or a box, states of a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError
from trajinfer.questions.channel import Channel
from trajinfer.questions.region import (
    Ball,
    Box,
    HalfSpace,
    Outside,
    Region,
    States,
    Where,
)


def above(level: float, channel: Channel = 0) -> Region:
    """States whose channel is at or above a level.

    Args:
        level: in the units of the data.
        channel: its number or its name.

    Example:
        >>> above(1.0).contains(np.array([[0.5], [1.5]])).tolist()
        [False, True]
    """
    return HalfSpace(_number(level, "level"), channel, 1)


def below(level: float, channel: Channel = 0) -> Region:
    """States whose channel is at or below a level; arguments as for `above`."""
    return HalfSpace(_number(level, "level"), channel, -1)


def outside(lo: float, hi: float, channel: Channel = 0) -> Region:
    """States whose channel is at or below `lo` or at or above `hi`.

    Args:
        lo: lower edge.
        hi: upper edge.
        channel: its number or its name.

    Raises:
        InputError: if the edges are not in order.
    """
    low, high = _number(lo, "lo"), _number(hi, "hi")
    if low >= high:
        raise InputError(f"outside(lo, hi) needs lo < hi, got {low:g} and {high:g}; swap them")
    return Outside(low, high, channel)


def ball(center: Any, radius: float) -> Region:
    """States within a radius of a centre.

    Args:
        center: (D,).
        radius: positive.
    """
    size = _number(radius, "radius")
    if size <= 0:
        raise InputError(f"the radius of a ball must be positive, got {size:g}")
    return Ball(_point(center, "center"), size)


def box(lo: Any, hi: Any) -> Region:
    """States between two corners.

    Args:
        lo: (D,) lower corner.
        hi: (D,) upper corner.
    """
    low, high = _point(lo, "lo"), _point(hi, "hi")
    if len(low) != len(high) or not all(a < b for a, b in zip(low, high)):
        raise InputError(f"box(lo, hi) needs lo < hi in every coordinate, got {low} and {high}")
    return Box(low, high)


def states(labels: Any) -> Region:
    """States of a chain.

    Args:
        labels: one label, or several.
    """
    several = isinstance(labels, (list, tuple, set, frozenset, np.ndarray))
    items = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return States(tuple(items) if several else (labels,))


def where(
    inside: Callable[[Array], Array], distance: Callable[[Array], Array] | None = None
) -> Region:
    """States at which a function is true.

    Args:
        inside: x (n, D) -> (n,) bool.
        distance: x (n, D) -> (n,) signed distance to the set, positive outside. Without it, exits
            between the steps of a simulation cannot be found; without corners where the process
            goes, it serves features as well (`method="galerkin"`, `"lstd"`).
    """
    return Where(inside, distance)


def _number(value: Any, name: str) -> float:
    array = as_array(value, name, ndim=0)
    require_finite(array.reshape(1), name)
    return float(array)


def _point(value: Any, name: str) -> tuple[float, ...]:
    array = as_array(np.atleast_1d(value), name, ndim=1)
    require_finite(array, name)
    return tuple(array.tolist())
