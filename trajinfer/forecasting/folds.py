"""Held-out parts: whole series, or blocks in time where there are few series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import Pairs

_FEWEST_SERIES = 12


@dataclass(frozen=True)
class Folds:
    """A partition of pairs into K held-out parts.

    Attributes:
        count: K.
        group: (B,) part of each series, where parts are whole series; empty for blocks in time.
        gap: time after a block whose cuts are left out of training.
    """

    count: int
    group: Array
    gap: float

    @classmethod
    def of(cls, data: Observations, n_usable: int, horizon: float, count: int, seed: int) -> Folds:
        """Whole series where 12 or more have pairs, else blocks with a gap of one horizon."""
        if n_usable >= _FEWEST_SERIES:
            group = np.random.default_rng(seed).permutation(np.arange(data.n_series) % count)
            return cls(count, group, 0.0)
        return cls(count, np.zeros(0, dtype=int), horizon)

    @property
    def in_time(self) -> bool:
        """Whether the parts are blocks in time."""
        return len(self.group) == 0

    def held(self, data: Observations, pairs: Pairs) -> Array:
        """(P,) the part that each pair is held out in."""
        if not self.in_time:
            return np.asarray(self.group[pairs.series])
        first, last = self._span(data, pairs)
        share = (data.times[pairs.target] - first) / np.where(last > first, last - first, 1.0)
        return np.asarray(np.clip((self.count * share).astype(int), 0, self.count - 1))

    def trains(self, data: Observations, pairs: Pairs, part: int) -> Array:
        """(P,) whether a pair may be learned from where a part is held out."""
        if not self.in_time:
            return np.asarray(self.held(data, pairs) != part)
        first, last = self._span(data, pairs)
        width = (last - first) / self.count
        begin = first + part * width
        gap = np.minimum(self.gap, width)
        before = data.times[pairs.target] < begin
        return np.asarray(before | (data.times[pairs.cut] > begin + width + gap))

    def _span(self, data: Observations, pairs: Pairs) -> tuple[Array, Array]:
        first = data.times[data.starts[:-1].clip(max=len(data.times) - 1)]
        last = data.times[data.starts[1:] - 1]
        return first[pairs.series], last[pairs.series]
