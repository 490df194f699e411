"""Maxima over any ranges of an array in constant time, after N log N operations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array


@dataclass(frozen=True)
class RangeMaximum:
    """A sparse table.

    Attributes:
        levels: level k holds the maximum of the 2^k values from each place on.
    """

    levels: tuple[Array, ...]

    @classmethod
    def of(cls, values: Array) -> RangeMaximum:
        """Prepare an array (N,)."""
        levels, width = [values], 1
        while 2 * width <= len(values):
            levels.append(np.maximum(levels[-1][:-width], levels[-1][width:]))
            width *= 2
        return cls(tuple(levels))

    def __call__(self, first: Array, last: Array) -> Array:
        """Maxima of values[first..last], both ends included, first <= last."""
        level = np.frexp((last - first + 1).astype(np.float64))[1] - 1
        result = np.empty(len(first), dtype=self.levels[0].dtype)
        for k in np.unique(level):
            rows, table = level == k, self.levels[k]
            result[rows] = np.maximum(table[first[rows]], table[last[rows] - (1 << int(k)) + 1])
        return result
