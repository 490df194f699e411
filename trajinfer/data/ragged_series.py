"""Series laid end to end, as a container shows them: one by one, and padded."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.ragged import RaggedLayout


class RaggedSeries:
    """B series, each with times of its own; a container adds what was observed at them.

    Attributes:
        flat_times: (N,) series after series, increasing along each of them.
        lengths: (B,) number of times of each series.
    """

    flat_times: Array
    lengths: Array

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def layout(self) -> RaggedLayout:
        """Where the entries of each series stand."""
        return RaggedLayout(self.lengths)

    @cached_property
    def times(self) -> Array:
        """(B, T), padded by repeating the last time of each series."""
        return self.layout.pad(self.flat_times)

    @property
    def present(self) -> Array:
        """(B, T) bool, False on the padding."""
        return self.layout.present

    @property
    def first_times(self) -> Array:
        """(B,) the first time of each series."""
        return np.asarray(self.flat_times[self.layout.starts])

    @property
    def last_times(self) -> Array:
        """(B,) the last time of each series, whether anything was observed there or not."""
        return np.asarray(self.flat_times[self.layout.ends - 1])
