"""How far the recognition network determines the rates, alone or beside the likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import norm

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.jumps.rate_draws import RateDraws, between_groups
from trajinfer.jumps.rate_intervals import DRAWN_LEVEL, Exits, Intervals
from trajinfer.jumps.saved_uncertainty import SavedUncertainty
from trajinfer.jumps.uncertainty import CurvatureUncertainty
from trajinfer.recognition.network import LEVELS, Recognition

_IDENTIFIED = 3.0


@dataclass(eq=False)
class NetworkUncertainty:
    """Intervals of the recognition network, at the two levels it was trained on.

    Args:
        recognition: output for one data set.
        rates: (S, S) the estimate.
        links: (S, S) bool.
        jumps: (S, S) expected numbers of jumps.
        dwell: (S,) expected times spent.
        exits: out of states that only the data call absorbing.
    """

    recognition: Recognition
    rates: Array
    links: Array
    jumps: Array
    dwell: Array
    exits: Exits

    def intervals(self, level: float, *, limits: bool = True) -> Intervals:
        """Those of the network.

        Raises:
            InputError: for another level than 0.9 or 0.95.
        """
        if level not in LEVELS:
            raise InputError(
                f"the network gives intervals at 0.9 and 0.95, not {level}; take method='bayes'"
            )
        k = LEVELS.index(level)
        answer = self.recognition
        deviation = (answer.upper[0, ..., 0] - answer.lower[0, ..., 0]) / (2 * norm.ppf(0.95))
        intervals = Intervals(
            np.where(self.links, deviation, np.nan),
            np.where(self.links, answer.lower[0, ..., k], np.nan),
            np.where(self.links, answer.upper[0, ..., k], np.nan),
        )
        return self.exits.completed(intervals, level)

    @cached_property
    def _draws(self) -> RateDraws:
        deviations = self.intervals(DRAWN_LEVEL).deviations
        apart = between_groups(self.links, self.jumps)
        return RateDraws.of(self.rates, self.links, deviations, None, apart, self.dwell)

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Independent log-normal rates."""
        return self._draws.sample(n, generator)

    def saved(self) -> SavedUncertainty:
        """What a file keeps of it."""
        return SavedUncertainty(self.intervals(0.95), self._draws)


@dataclass(eq=False)
class MixedUncertainty:
    """The likelihood's intervals for rates with 3 expected jumps or more, else the network's."""

    likelihood: CurvatureUncertainty
    network: NetworkUncertainty

    def intervals(self, level: float, *, limits: bool = True) -> Intervals:
        """Intervals of both."""
        mine, other = self.likelihood, self.network
        found = mine.intervals(level, limits=limits)
        if not (mine.links & self._weak(found)).any():
            return found
        guess = other.intervals(level)
        weak = self._weak(found)
        joint = None
        if found.covariance is not None:
            alone = weak[mine.links]
            joint = np.where(alone[:, None] | alone[None, :], np.nan, found.covariance)
        return Intervals(
            np.where(weak, guess.deviations, found.deviations),
            np.where(weak, np.minimum(guess.lower, other.rates), found.lower),
            np.where(weak, np.maximum(guess.upper, other.rates), found.upper),
            joint,
        )

    @property
    def links(self) -> Array:
        """(S, S) bool, the rates that may be positive."""
        return self.likelihood.links

    def _weak(self, found: Intervals) -> Array:
        few = (self.likelihood.jumps < _IDENTIFIED) | np.isnan(found.deviations)
        return np.asarray(few & self.likelihood.links & ~self.likelihood.unbounded)

    @cached_property
    def _draws(self) -> RateDraws:
        found = self.intervals(DRAWN_LEVEL, limits=False)
        mine = self.likelihood
        return RateDraws.of(
            self.network.rates,
            mine.links,
            mine.with_ratios(found.deviations),
            found.covariance,
            between_groups(mine.weak, mine.jumps),
            mine.dwell,
            mine.fast,
        )

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Log-normal rates, correlated where the likelihood says so."""
        return self._draws.sample(n, generator)

    def profile_interval(self, link: tuple[int, int], level: float) -> tuple[float, float]:
        """Profile-likelihood interval of one rate."""
        return self.likelihood.profile_interval(link, level)

    def saved(self) -> SavedUncertainty:
        """What a file keeps of it."""
        return SavedUncertainty(self.intervals(0.95), self._draws)
