"""What a file keeps of the uncertainty of the rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.jumps.rate_draws import RateDraws
from trajinfer.jumps.rate_intervals import Intervals


@packable
@dataclass(frozen=True, eq=False)
class SavedUncertainty:
    """The 95 % intervals and the law of the rates, read from a file without the data."""

    at_95: Intervals
    draws: RateDraws

    def intervals(self, level: float, *, limits: bool = True) -> Intervals:
        """Those at 95 %.

        Raises:
            InputError: at another level, for which the data are needed.
        """
        if level != 0.95:
            raise InputError(
                "the data are not kept in a saved model: std_errors_, intervals_, draw_rates and "
                "interval are there; for other intervals of the rates call fit"
            )
        return self.at_95

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Log-normal rates as at the fit."""
        return self.draws.sample(n, generator)

    def saved(self) -> Self:
        """The same."""
        return self
