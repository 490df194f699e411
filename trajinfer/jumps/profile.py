"""Profile likelihood of one rate: intervals that need no quadratic likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from trajinfer._core.checks import Array
from trajinfer.jumps.fit import FitResult, Search
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.rate_map import LogLinear

_SEARCH = Search(max_iter=60, tol=1e-7)
_STRIDE = 0.7
_MOST_STRIDES = 60
_DEEP = 1e3  # a fall beyond which nothing is asked


@dataclass(eq=False)
class Profile:
    r"""$2(\ell_{max} - \max_{others} \ell)$ as a function of one log-rate.

    Args:
        problem: its prior is left out.
        result: a fit; the maximum is searched again from there.
    """

    problem: Problem
    result: FitResult

    @cached_property
    def plain(self) -> Problem:
        """The problem without its prior; a thousandth of a nat is near enough here."""
        return replace(self.problem, prior=None).quick()

    @cached_property
    def top(self) -> FitResult:
        """The maximum of the likelihood."""
        return replace(_SEARCH, max_iter=100).maximise(
            self.plain, self.result.parameters, self.result.p
        )

    def end(self, link: tuple[int, int], level: float, *, upper: bool, guess: float = 0.7) -> float:
        """One end of the interval of a rate.

        Args:
            link: a free link.
            level: probability of the interval with this end alone, such as 0.975.
            upper: which end.
            guess: distance of that end from the maximum in the log-rate, roughly.

        Returns:
            The rate; inf, or 0 for the lower end, where the likelihood does not fall that far; NaN
            where rates are constrained.
        """
        rate_map = self.problem.rate_map
        if not isinstance(rate_map, LogLinear) or not rate_map.free:
            return float("nan")
        place = int(np.flatnonzero((np.argwhere(rate_map.links) == link).all(axis=1))[0])
        drop = float(chi2.ppf(2 * level - 1, 1)) / 2
        excess = self._excess(rate_map, place, drop)
        sign = 1.0 if upper else -1.0
        low, high = float(rate_map.low[place]), float(rate_map.high[place])
        start = float(np.clip(self.top.p[place], low, high))
        limit = high if upper else low
        near, far = start, start
        for k in range(_MOST_STRIDES):
            near, far = far, far + sign * (guess if k == 0 else max(_STRIDE, guess / 2))
            if (far - limit) * sign > 0:
                break
            if excess(far) > 0:
                if k == 0 and excess(near) > 0:
                    return float(np.exp(near))
                return float(np.exp(brentq(excess, near, far, xtol=1e-3)))
        return float("inf") if upper else 0.0

    def _excess(self, rate_map: LogLinear, place: int, drop: float) -> Callable[[float], float]:
        """How much further than `drop` the profile falls at a log-rate."""
        nearest = [self.top]
        values: dict[float, float] = {}

        def excess(log_rate: float) -> float:
            if log_rate not in values:
                held = replace(self.plain, rate_map=rate_map.pinned(place, float(np.exp(log_rate))))
                begin = min(nearest, key=lambda fit: abs(float(fit.p[place]) - log_rate))
                there = _SEARCH.maximise(held, begin.parameters)
                nearest.append(there)
                fall = self.top.log_likelihood - there.log_likelihood
                values[log_rate] = min(fall, _DEEP) - drop
            return values[log_rate]

        return excess


def wald_drops(problem: Problem, result: FitResult, covariance: Array, z: float) -> Array:
    """(L, 2) falls of the log-likelihood at the ends of the quadratic intervals of free log-rates.

    The other parameters go along as the quadratic approximation says. Where it holds, every value
    is z^2 / 2. NaN where the covariance is not known.
    """
    plain = replace(problem, prior=None)
    drops = np.full((len(covariance), 2), np.nan)
    for k, variance in enumerate(np.diag(covariance)):
        if not (np.isfinite(variance) and variance > 0):
            continue
        direction = np.nan_to_num(covariance[:, k]) / np.sqrt(variance)
        for side, sign in enumerate((-1.0, 1.0)):
            rates = plain.rate_map.rates(result.p + sign * z * direction)
            value = plain.data.log_likelihood(replace(result.parameters, rates=rates))
            drops[k, side] = result.log_likelihood - value
    return drops
