"""Answers at times that are asked for in any order, from methods that go forward in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array


@dataclass(frozen=True)
class TimeOrder:
    """Times (B, T) in ascending order, and the way back to the order in which they were asked.

    Attributes:
        times: (B, T) ascending along each row.
        rank: (B, T) place in `times` of every time that was asked for.

    Example:
        >>> order = TimeOrder.of(np.array([[2.0, 0.5, 1.0]]))
        >>> order.times.tolist(), order.restore(order.times, axis=1).tolist()
        ([[0.5, 1.0, 2.0]], [[2.0, 0.5, 1.0]])
    """

    times: Array
    rank: Array

    @classmethod
    def of(cls, asked: Array) -> Self:
        """The order of times (B, T)."""
        order = np.argsort(asked, axis=1, kind="stable")
        return cls(np.take_along_axis(asked, order, axis=1), np.argsort(order, axis=1))

    def restore(self, values: Array, axis: int) -> Array:
        """Answers at `times` in the order in which they were asked.

        Args:
            values: series along the first axis, ascending times along `axis`.
            axis: of the times.
        """
        return _taken(values, self.rank, axis)

    def sort(self, values: Array, axis: int) -> Array:
        """Values that stand at the times as they were asked, in the order of `times`.

        Args:
            values: series along the first axis, times as they were asked along `axis`.
            axis: of the times.
        """
        return _taken(values, np.argsort(self.rank, axis=1), axis)


def _taken(values: Array, places: Array, axis: int) -> Array:
    shape = [1] * values.ndim
    shape[0], shape[axis] = places.shape
    return np.asarray(np.take_along_axis(values, places.reshape(shape), axis=axis))
