"""How far the data determine the rates, by source: curvature, posterior draws, network, a file."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from scipy.stats import norm

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.jumps.covariate_map import CovariateMap
from trajinfer.jumps.fit import FitResult
from trajinfer.jumps.information import information, log_rate_covariance
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.profile import Profile, wald_drops
from trajinfer.jumps.rate_draws import RateDraws
from trajinfer.markov.groups import groups_of
from trajinfer.recognition.network import LEVELS, Recognition

_WEAK = 1.0
_IDENTIFIED = 3.0
_MISLEADING = (0.5, 5.0)  # of the fall of the likelihood that a quadratic one would have
_DRAWN_LEVEL = 0.9


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


@dataclass(frozen=True, eq=False)
class Exits:
    """Links out of states that only the data call absorbing: rates of 0 with an upper limit.

    Attributes:
        links: (S, S) bool.
        dwell: (S,) expected times spent.
    """

    links: Array
    dwell: Array

    def completed(self, intervals: Intervals, level: float) -> Intervals:
        r"""The intervals with 0 and $\chi^2_{level} / 2$ jumps in the time spent as ends there."""
        with np.errstate(divide="ignore"):
            limit = float(norm.ppf((1 + level) / 2)) ** 2 / 2 / self.dwell[:, None]
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


@dataclass(eq=False)
class CurvatureUncertainty:
    """From the log-likelihood around its maximum.

    Args:
        problem: data and rate map.
        result: the fit.
        jumps: (S, S) expected numbers of jumps.
        dwell: (S,) expected times spent.
        unbounded: (S, S) bool, rates along which the likelihood rises without end.
        exits: out of states that only the data call absorbing.
    """

    problem: Problem
    result: FitResult
    jumps: Array
    dwell: Array
    unbounded: Array
    exits: Exits
    _known: dict[float, Intervals] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def links(self) -> Array:
        """(S, S) bool, the rates that may be positive."""
        return self.problem.rate_map.links

    @cached_property
    def weak(self) -> Array:
        """(S, S) bool, links with less than one expected jump."""
        held = np.zeros_like(self.links)
        held[self.links] = self.problem.rate_map.held
        return np.asarray(self.links & (self.jumps < _WEAK) & ~held)

    @cached_property
    def covariance(self) -> Array:
        """(P, P) covariance of all parameters, NaN for those at a boundary."""
        fixed = np.zeros(len(self.result.p), dtype=bool)
        at_end = (self.weak | self.unbounded)[self.links]
        if self.problem.rate_map.separable:
            fixed[: len(at_end)] = at_end
        if isinstance(self.problem.rate_map, CovariateMap):
            fixed[len(at_end) :] = self.problem.rate_map.at_bound(self.result.p)
        return information(self.problem, self.result, fixed).covariance

    @cached_property
    def log_covariance(self) -> Array:
        """(L, L) covariance of the log-rates."""
        return log_rate_covariance(self.problem, self.result.p, self.covariance)

    @cached_property
    def _profile(self) -> Profile:
        return Profile(self.problem, self.result)

    def intervals(self, level: float, *, limits: bool = True) -> Intervals:
        """Quadratic intervals of the log-rates, and profile intervals where these mislead.

        Those with profiles cost further fits and are kept: tables, figures and files ask again.
        """
        if not limits:
            return self._intervals(level, limits=False)
        if level not in self._known:
            self._known[level] = self._intervals(level, limits=True)
        return deepcopy(self._known[level])

    def _intervals(self, level: float, *, limits: bool) -> Intervals:
        rates = self.problem.rate_map.reference(self.result.p)
        log_deviation = np.full(self.links.shape, np.nan)
        log_deviation[self.links] = np.sqrt(np.maximum(np.diag(self.log_covariance), 0.0))
        z = float(norm.ppf((1 + level) / 2))
        with np.errstate(over="ignore"):
            lower = rates * np.exp(-z * log_deviation)
            upper = rates * np.exp(z * log_deviation)
        deviations = np.where(self.links, rates * log_deviation, np.nan)
        if self.problem.rate_map.separable:
            lower[self.weak], upper[self.weak] = 0.0, np.nan
            lower[self.unbounded & self.links], upper[self.unbounded & self.links] = np.nan, np.inf
            if limits:
                self._refine(lower, upper, log_deviation, level)
        return self.exits.completed(Intervals(deviations, lower, upper, self.log_covariance), level)

    def _refine(self, lower: Array, upper: Array, log_deviation: Array, level: float) -> None:
        """Put profile limits in place of quadratic ones that are missing or mislead."""
        one_sided = (1 + level) / 2
        z = float(norm.ppf(one_sided))
        for i, j in np.argwhere(self.weak):
            upper[i, j] = self._profile.end((int(i), int(j)), one_sided, upper=True)
        for i, j in np.argwhere(self.unbounded & self.links):
            lower[i, j] = self._profile.end((int(i), int(j)), one_sided, upper=False)
        if not self.problem.rate_map.free:
            return
        drops = wald_drops(self.problem, self.result, self.covariance, z) / (z**2 / 2)
        with np.errstate(invalid="ignore"):
            bad = (drops < _MISLEADING[0]) | (drops > _MISLEADING[1])
        for i, j in np.argwhere(self.links)[np.any(bad, axis=1)]:
            link, guess = (int(i), int(j)), min(z * float(log_deviation[i, j]), 3.0)
            for ends, side in ((lower, False), (upper, True)):
                ends[i, j] = self._profile.end(link, one_sided, upper=side, guess=guess)

    def profile_interval(self, link: tuple[int, int], level: float) -> tuple[float, float]:
        """Profile-likelihood interval of one rate."""
        one_sided = (1 + level) / 2
        return (
            self._profile.end(link, one_sided, upper=False),
            self._profile.end(link, one_sided, upper=True),
        )

    @cached_property
    def _draws(self) -> RateDraws:
        found = self.intervals(_DRAWN_LEVEL, limits=False)
        return RateDraws.of(
            self.problem.rate_map.reference(self.result.p),
            self.links,
            found.deviations,
            found.covariance,
            self.weak,
            self.dwell,
        )

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Log-normal rates with the correlations of the log-rates."""
        return self._draws.sample(n, generator)

    def saved(self) -> SavedUncertainty:
        """What a file keeps of it."""
        return SavedUncertainty(self.intervals(0.95), self._draws)


@packable
@dataclass(frozen=True, eq=False)
class DrawsUncertainty:
    """Posterior draws.

    Attributes:
        rates: (n, S, S).
        jumps: (S, S) expected numbers of jumps; intervals of links with less than one begin at 0.
    """

    rates: Array
    jumps: Array

    def intervals(self, level: float, *, limits: bool = True) -> Intervals:
        """Quantiles, one-sided for links with less than one expected jump."""
        tail = (1 - level) / 2
        lower, upper, one_sided = np.quantile(self.rates, [tail, 1 - tail, level], axis=0)
        weak = self.jumps < _WEAK
        return Intervals(
            self.rates.std(axis=0, ddof=1),
            np.where(weak, 0.0, lower),
            np.where(weak, one_sided, upper),
        )

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Some of the draws."""
        return np.asarray(self.rates[generator.integers(len(self.rates), size=n)])

    def saved(self) -> Self:
        """The same."""
        return self


@dataclass(eq=False)
class NetworkUncertainty:
    """Intervals of the recognition network, at the two levels it was trained on.

    Args:
        recognition: output for one data set.
        rates: (S, S) the estimate.
        links: (S, S) bool.
        exits: out of states that only the data call absorbing.
    """

    recognition: Recognition
    rates: Array
    links: Array
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
        deviations = self.intervals(_DRAWN_LEVEL).deviations
        none = np.zeros_like(self.links)
        return RateDraws.of(self.rates, self.links, deviations, None, none, np.ones(len(none)))

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

    def _weak(self, found: Intervals) -> Array:
        few = (self.likelihood.jumps < _IDENTIFIED) | np.isnan(found.deviations)
        return np.asarray(few & self.likelihood.links & ~self.likelihood.unbounded)

    @cached_property
    def _draws(self) -> RateDraws:
        found = self.intervals(_DRAWN_LEVEL, limits=False)
        mine = self.likelihood
        return RateDraws.of(
            self.network.rates,
            mine.links,
            found.deviations,
            found.covariance,
            self._apart(),
            mine.dwell,
        )

    def _apart(self) -> Array:
        """(S, S) bool, links between groups that were seen to move within, and never to mix.

        What the network says of them is its prior alone, and would settle the groups' weights.
        """
        mine = self.likelihood
        seen = mine.jumps >= _WEAK
        group = groups_of(np.where(seen, mine.jumps, 0.0))
        moves = np.isin(group, group[seen.any(axis=1)])
        across = group[:, None] != group[None, :]
        return np.asarray(mine.weak & across & moves[:, None] & moves[None, :])

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Log-normal rates, correlated where the likelihood says so."""
        return self._draws.sample(n, generator)

    def profile_interval(self, link: tuple[int, int], level: float) -> tuple[float, float]:
        """Profile-likelihood interval of one rate."""
        return self.likelihood.profile_interval(link, level)

    def saved(self) -> SavedUncertainty:
        """What a file keeps of it."""
        return SavedUncertainty(self.intervals(0.95), self._draws)


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
