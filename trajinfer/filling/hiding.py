"""What is hidden from series: judges, which no fit is asked for, and draws of other values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries

_FEWEST_LEFT = 2


@dataclass(frozen=True, eq=False)
class Hiding:
    """Series without some of their observations.

    Attributes:
        shown: the series, with all of their times.
        asked: (N, C) bool, which of the hidden values are asked for; N entries end to end.
    """

    shown: IrregularSeries
    asked: Array

    def values(self, whole: IrregularSeries) -> IrregularSeries:
        """The series with the values that are asked for alone."""
        return replace(whole, flat_values=np.where(self.asked, whole.flat_values, np.nan))


def judges_hidden(data: IrregularSeries, share: float, seed: int) -> Hiding:
    """Series without a random share of their observations, all of which are asked for.

    A channel of a series keeps two observations at least, or all.

    Args:
        data: the series.
        share: of the observations.
        seed: of the choice.
    """
    observed = ~np.isnan(data.flat_values)
    hidden = observed & (np.random.default_rng(seed).random(observed.shape) < share)
    row = np.repeat(np.arange(len(data)), data.lengths)
    left = np.zeros((len(data), observed.shape[1]), dtype=int)
    np.add.at(left, row, observed & ~hidden)
    hidden &= left[row] >= _FEWEST_LEFT
    shown = replace(data, flat_values=np.where(hidden, np.nan, data.flat_values))
    return Hiding(shown, hidden)


def hidings(
    data: IrregularSeries, share: float, n: int, judges: Array, seed: int
) -> tuple[Hiding, ...]:
    """Draws of what is hidden; every second one hides in one channel at a time only.

    Args:
        data: the series.
        share: of the observations of each channel.
        n: number of draws.
        judges: (N, C) bool, observations that are never asked for.
        seed: of the draws.
    """
    return tuple(
        _hiding(data, share, one, judges, alone=k % 2 == 1) for k, one in enumerate(spawn(seed, n))
    )


def all_but(data: IrregularSeries, judges: Array) -> Hiding:
    """Nothing is hidden, and every observation but the judges is asked for."""
    return Hiding(data, ~np.isnan(data.flat_values) & ~judges)


def _hiding(
    data: IrregularSeries, share: float, seed: int, judges: Array, *, alone: bool
) -> Hiding:
    """One draw; `alone` lets the other channels be seen beside what is hidden."""
    shown = data.drop_observations(share, seed)
    if alone:
        n_channels = data.flat_values.shape[1]
        chosen = np.random.default_rng(seed).integers(n_channels, size=(len(data.flat_values), 1))
        kept = np.where(chosen == np.arange(n_channels), shown.flat_values, data.flat_values)
        shown = replace(data, flat_values=kept)
    hidden = np.isnan(shown.flat_values) & ~np.isnan(data.flat_values)
    return Hiding(shown, hidden & ~judges)
