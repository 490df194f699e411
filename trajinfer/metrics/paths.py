"""Input checks common to all measures of paths."""

from __future__ import annotations

from typing import Any

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError


def as_paths(value: Any, name: str) -> Array:
    """Paths as float64 (n, T, D); two axes mean one channel.

    Raises:
        InputError: for another number of axes, an empty array, or values that are not finite.
    """
    array = as_array(value, name)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or array.size == 0:
        raise InputError(
            f"{name} must be paths (n, T, D), or (n, T) for one channel, got shape {array.shape}"
        )
    require_finite(array, name)
    return array


def as_path_pair(x: Any, y: Any) -> tuple[Array, Array]:
    """Two samples of paths on one grid, (n, T, D) and (m, T, D).

    Raises:
        InputError: if a sample cannot be used, or the grids differ.
    """
    first, second = as_paths(x, "x"), as_paths(y, "y")
    if first.shape[1:] != second.shape[1:]:
        raise InputError(
            "x and y must agree in times and channels, got (T, D) = "
            f"{first.shape[1:]} and {second.shape[1:]}"
        )
    return first, second
