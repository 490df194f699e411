"""Intervals of the rates, and what every source of them answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.stats import norm

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

DRAWN_LEVEL = 0.9


@packable
@dataclass(frozen=True, eq=False)
class Intervals:
    """Standard errors and interval ends of the rates.

    Attributes:
        deviations: (S, S), NaN where nothing is known.
        lower, upper: (S, S) ends, likewise.
        covariance: (L, L) of the log-rates of the L links in the order of `np.argwhere`, NaN where
            the curvature of the likelihood tells nothing; None if it was not asked.
    """

    deviations: Array
    lower: Array
    upper: Array
    covariance: Array | None = None


@packable
@dataclass(frozen=True, eq=False)
class Exits:
    """Links out of states that only the data call absorbing: rates of 0 with an upper limit.

    Attributes:
        links: (S, S) bool.
        watched: (S,) time for which paths were seen to stay; 0 where every path ends on entry, and
            the data set no limit.
    """

    links: Array
    watched: Array

    def completed(self, intervals: Intervals, level: float) -> Intervals:
        r"""The intervals with 0 and $\chi^2_{level} / 2$ jumps in the time watched as ends."""
        with np.errstate(divide="ignore"):
            limit = float(norm.ppf((1 + level) / 2)) ** 2 / 2 / self.watched[:, None]
        return replace(
            intervals,
            lower=np.where(self.links, 0.0, intervals.lower),
            upper=np.where(self.links, limit, intervals.upper),
        )


class Uncertainty(Protocol):
    """A source of intervals and of plausible rates."""

    def intervals(self, level: float, *, limits: bool = True) -> Intervals:
        """Intervals of the rates; without `limits` those that need further fits may be NaN."""
        ...

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """(n, S, S) rates as plausible as the data leave them."""
        ...

    def saved(self) -> Any:
        """What a file keeps of it."""
        ...
