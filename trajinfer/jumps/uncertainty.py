"""How far the likelihood around its maximum determines the rates."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from trajinfer._core.checks import Array
from trajinfer.jumps.covariate_map import CovariateMap
from trajinfer.jumps.fit import FitResult
from trajinfer.jumps.information import information, log_rate_covariance
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.profile import Profile, wald_drops
from trajinfer.jumps.rate_draws import WEAK, FastLinks, RateDraws
from trajinfer.jumps.rate_intervals import DRAWN_LEVEL, Exits, Intervals
from trajinfer.jumps.saved_uncertainty import SavedUncertainty
from trajinfer.markov.rates import with_diagonal

_MISLEADING = (0.5, 5.0)  # of the fall of the likelihood that a quadratic one would have
_FASTEST = float(np.log(1e3))
_SLOWEST = -3.0


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
        return np.asarray(self.links & (self.jumps < WEAK) & ~held)

    @cached_property
    def covariance(self) -> Array:
        """(P, P) covariance of all parameters, NaN for those at a boundary."""
        fixed = np.zeros(len(self.result.p), dtype=bool)
        flat = np.zeros(len(self.result.p), dtype=bool)
        at_end, fast = self.weak[self.links], self.unbounded[self.links]
        if self.problem.rate_map.separable:
            fixed[: len(at_end)], flat[: len(at_end)] = at_end, fast & ~at_end
        if isinstance(self.problem.rate_map, CovariateMap):
            fixed[len(at_end) :] = self.problem.rate_map.at_bound(self.result.p)
        return information(self.problem, self.result, fixed, flat).covariance

    @cached_property
    def log_covariance(self) -> Array:
        """(L, L) covariance of the log-rates."""
        return log_rate_covariance(self.problem, self.result.p, self.covariance)

    @cached_property
    def fast(self) -> FastLinks | None:
        """Rates that may go to infinity together, from where the likelihood has fallen with them.

        It is as low as at the end of a 95 % interval there.
        """
        fast = self.unbounded & self.links
        if not fast.any() or not self.problem.rate_map.separable:
            return None
        plain, now = replace(self.problem, prior=None), self.result.parameters
        rates, drop = plain.rate_map.rates(self.result.p), float(chi2.ppf(0.95, 1)) / 2

        def excess(factor: float) -> float:
            moved = with_diagonal(np.where(fast, rates * np.exp(factor), rates))
            value = plain.data.log_likelihood(replace(now, rates=moved))
            return float(self.result.log_likelihood - value - drop)

        low = brentq(excess, _SLOWEST, 0.0, xtol=1e-2) if excess(_SLOWEST) > 0 else _SLOWEST
        return FastLinks(fast, float(low), _FASTEST)

    def with_ratios(self, deviations: Array) -> Array:
        """Standard errors (S, S), completed by those of fast rates at a given common factor."""
        spread = np.full(self.links.shape, np.nan)
        spread[self.links] = np.sqrt(np.maximum(np.diag(self.log_covariance), 0.0))
        rates = self.problem.rate_map.reference(self.result.p)
        return np.where(self.unbounded, rates * spread, deviations)

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
        known = self.links & ~self.unbounded
        deviations = np.where(known, rates * log_deviation, np.nan)
        if self.problem.rate_map.separable:
            lower[self.weak], upper[self.weak] = 0.0, np.nan
            lower[self.unbounded & self.links], upper[self.unbounded & self.links] = np.nan, np.inf
            if limits:
                self._refine(lower, upper, log_deviation, level)
        # a prior may draw the estimate out of the interval of the likelihood
        lower, upper = np.minimum(lower, rates), np.maximum(upper, rates)
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
        bad[self.unbounded[self.links]] = False
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
        found = self.intervals(DRAWN_LEVEL, limits=False)
        return RateDraws.of(
            self.problem.rate_map.reference(self.result.p),
            self.links,
            self.with_ratios(found.deviations),
            found.covariance,
            self.weak,
            self.dwell,
            self.fast,
        )

    def draw_rates(self, n: int, generator: np.random.Generator) -> Array:
        """Log-normal rates with the correlations of the log-rates."""
        return self._draws.sample(n, generator)

    def saved(self) -> SavedUncertainty:
        """What a file keeps of it."""
        return SavedUncertainty(self.intervals(0.95), self._draws)
