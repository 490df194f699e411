"""Sets of the line: closed intervals in order, and the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Intervals:
    """Disjoint intervals (low, high) in order; ends may be infinite.

    Example:
        >>> Intervals.of((0.0, 1.0), (0.5, 2.0)).gaps().pairs
        ((-inf, 0.0), (2.0, inf))
    """

    pairs: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, *pairs: tuple[float, float]) -> Self:
        """The union of intervals in any order."""
        merged: list[tuple[float, float]] = []
        for low, high in sorted(pairs):
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return cls(tuple(merged))

    def gaps(self) -> Intervals:
        """The complement, with its edges."""
        ends = [-np.inf, *(end for pair in self.pairs for end in pair), np.inf]
        pairs = list(zip(ends[::2], ends[1::2]))
        return Intervals(tuple((a, b) for a, b in pairs if a < b))
