"""How far posterior draws determine the rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.jumps.rate_draws import WEAK, OpenLinks
from trajinfer.jumps.rate_intervals import Exits, Intervals
from trajinfer.markov.rates import off_diagonal, with_diagonal


@packable
@dataclass(frozen=True, eq=False)
class DrawsUncertainty:
    """Posterior draws.

    Attributes:
        rates: (n, S, S).
        jumps: (S, S) expected numbers of jumps; intervals of links with less than one begin at 0.
        exits: out of states that only the data call absorbing.
        unbounded: (S, S) bool, rates to which only the prior sets an upper end.
        apart: links between groups that never mix, whose weights the prior must not settle.

    The last three are None in files of older versions.
    """

    rates: Array
    jumps: Array
    exits: Exits | None = None
    unbounded: Array | None = None
    apart: OpenLinks | None = None

    def intervals(self, level: float, *, limits: bool = True) -> Intervals:
        """Quantiles, one-sided for links with less than one expected jump; NaN on the diagonal."""
        tail = (1 - level) / 2
        lower, upper, one_sided = np.quantile(self.rates, [tail, 1 - tail, level], axis=0)
        weak = self.jumps < WEAK
        if self.unbounded is not None:
            upper = np.where(self.unbounded, np.inf, upper)
        kept = (
            np.where(np.eye(len(weak), dtype=bool), np.nan, part)
            for part in (
                self.rates.std(axis=0, ddof=1),
                np.where(weak, 0.0, lower),
                np.where(weak, one_sided, upper),
            )
        )
        intervals = Intervals(*kept)
        return intervals if self.exits is None else self.exits.completed(intervals, level)

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Some of the draws."""
        chosen = np.asarray(self.rates[generator.integers(len(self.rates), size=n)])
        if self.apart is None:
            return chosen
        return with_diagonal(self.apart.drawn(off_diagonal(chosen), generator))

    def saved(self) -> Self:
        """The same."""
        return self
