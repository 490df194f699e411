"""What is observed of one series, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array


@dataclass(frozen=True)
class Seen:
    """One series as entries: times (n,), channels (n,), values (n,)."""

    times: Array
    channels: Array
    values: Array

    def __getitem__(self, which: Array) -> Seen:
        """Some of the entries (n,) bool."""
        return Seen(self.times[which], self.channels[which], self.values[which])


def seen(times: Array, values: Array) -> Seen:
    """The observed entries of values (T, C), NaN = not observed, times first."""
    rows, channels = np.nonzero(~np.isnan(values))
    return Seen(times[rows], channels, values[rows, channels])
