"""Channels of series side by side, each with times of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array


@dataclass(frozen=True)
class Tracks:
    """Observations of M channels, each with times of its own.

    Attributes:
        times: (M, n) ascending, padded by the last one.
        values: (M, n), padded by NaN at the end.
        weights: (M, n) relative variances of the measurements, 1 where nothing is known.
    """

    times: Array
    values: Array
    weights: Array

    @classmethod
    def of(cls, times: Array, values: Array, weights: Array) -> Tracks:
        """Pack observations to the front.

        Args:
            times: (M, n) ascending.
            values: (M, n), NaN = not observed.
            weights: (M, n).
        """
        missing = np.isnan(values)
        most = max(1, int((~missing).sum(1).max()))
        order = np.argsort(missing, axis=1, kind="stable")[:, :most]
        clock, x, w = (np.take_along_axis(a, order, axis=1) for a in (times, values, weights))
        last = np.maximum((~missing).sum(1) - 1, 0)[:, None]
        places = np.minimum(np.arange(most), last)
        return cls(np.take_along_axis(clock, places, axis=1), x, w)

    @property
    def counts(self) -> Array:
        """(M,) numbers of observations."""
        return np.asarray((~np.isnan(self.values)).sum(1))

    def channel(self, c: int, n_channels: int) -> Tracks:
        """Those of one channel, where the channels of a series follow each other."""
        return Tracks(*(part[c::n_channels] for part in (self.times, self.values, self.weights)))

    def gaps(self) -> Array:
        """(P,) times between neighbouring observations."""
        known = ~np.isnan(self.values[:, 1:])
        return np.asarray(np.diff(self.times, axis=1)[known])
