"""Series of unequal length laid end to end, and the padded arrays in which they are seen.

A container keeps N = sum of lengths entries, so that its memory follows the number of observations.
Padded arrays (B, T, ...) cost B times the longest series and are made where they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from trajinfer._core.checks import Array


@dataclass(frozen=True, eq=False)
class RaggedLayout:
    """Where the entries of B series stand in arrays (N, ...) that hold them one after the other.

    Attributes:
        lengths: (B,) number of entries of each series, at least one.

    Example:
        >>> layout = RaggedLayout(np.array([2, 1]))
        >>> layout.pad(np.array([5.0, 6.0, 7.0])).tolist()
        [[5.0, 6.0], [7.0, 7.0]]
    """

    lengths: Array

    @property
    def size(self) -> int:
        """N, the number of entries of all series."""
        return int(self.lengths.sum())

    @property
    def longest(self) -> int:
        """T, the length of the longest series."""
        return int(self.lengths.max())

    @cached_property
    def ends(self) -> Array:
        """(B,) places behind the last entry of each series."""
        return np.asarray(np.cumsum(self.lengths))

    @property
    def starts(self) -> Array:
        """(B,) places of the first entries."""
        return np.asarray(self.ends - self.lengths)

    @cached_property
    def series(self) -> Array:
        """(N,) number of the series that each entry belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def steps(self) -> Array:
        """(N,) place of each entry within its series."""
        return np.asarray(np.arange(self.size) - np.repeat(self.starts, self.lengths))

    @cached_property
    def present(self) -> Array:
        """(B, T) bool, False on the padding."""
        present: Array = np.arange(self.longest) < self.lengths[:, None]
        present.flags.writeable = False
        return present

    def pad(self, flat: Array, fill: float | None = None) -> Array:
        """Entries (N, ...) as a read-only array (B, T, ...).

        Args:
            flat: the entries.
            fill: value of the padding; None repeats the last entry of each series.
        """
        if fill is None:
            steps = np.minimum(np.arange(self.longest), self.lengths[:, None] - 1)
            padded = flat[self.starts[:, None] + steps]
        else:
            padded = np.full((*self.present.shape, *flat.shape[1:]), fill, dtype=flat.dtype)
            padded[self.present] = flat
        padded.flags.writeable = False
        return np.asarray(padded)

    def flatten(self, padded: Array) -> Array:
        """The entries (N, ...) of an array (B, T, ...), without its padding."""
        return np.asarray(padded[:, : self.longest][self.present])

    def take(self, rows: Array) -> tuple[Self, Array]:
        """The layout of some series, and the places (M,) of their entries here."""
        taken = type(self)(self.lengths[rows])
        return taken, np.asarray(np.repeat(self.starts[rows], taken.lengths) + taken.steps)

    def keep(self, entries: Array) -> Self:
        """The layout of some entries, which may leave series without any.

        Args:
            entries: (N,) bool.
        """
        return type(self)(np.bincount(self.series[entries], minlength=len(self.lengths)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The layout of the series of several, one after the other."""
        return cls(np.concatenate([part.lengths for part in parts]))
