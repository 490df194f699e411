"""From settings and data to a problem that a search can solve."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.absorbing import Absorbing
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.hidden import HiddenData, is_hidden
from trajinfer.jumps.likelihood import CountData, JumpData, Transitions, transitions_of
from trajinfer.jumps.parameters import GammaPrior, Parameters
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.rate_map import LogLinear, Range, RateMap, ThetaMap
from trajinfer.jumps.starts import starting_points, starting_rates, typical_rate

_TOP = 10.0


@dataclass(frozen=True, eq=False)
class Setup:
    """Data in the form the engine takes, and where to start.

    Attributes:
        series: recoded to the states.
        problem: without a prior.
        starts: parameters, the first from all gaps.
        scale: 1 / tau, the changes per time: observed, or expected where gaps or labels mislead.
        pairs: consecutive known labels.
        absorbing: states that are never left, and those that only the data say so of.
        masked: whether the user ruled out links.
        limits: range of the rates.
        weighted: whether paths have weights.
    """

    series: JumpSeries
    problem: Problem
    starts: list[Parameters]
    scale: float
    pairs: Transitions
    absorbing: Absorbing
    masked: bool
    limits: Range
    weighted: bool

    @property
    def start(self) -> Parameters:
        """The first start."""
        return self.starts[0]

    @property
    def links(self) -> Array:
        """(S, S) bool, the rates that may be positive."""
        return self.problem.rate_map.links

    def with_prior(self, prior: GammaPrior | None) -> Problem:
        """The problem under a prior."""
        return replace(self.problem, prior=prior)

    def without_unseen(self) -> Setup:
        """Rates out of states never observed are held at a typical value: nothing is known."""
        rate_map = self.problem.rate_map
        if not isinstance(self.problem.data, CountData) or not isinstance(rate_map, LogLinear):
            return self
        absent = np.ones(len(rate_map.links), dtype=bool)
        absent[np.concatenate([self.pairs.first, self.pairs.start, self.pairs.end])] = False
        held = rate_map.holding(absent, self.scale / max(len(absent) - 1, 1))
        return replace(self, problem=replace(self.problem, rate_map=held))

    def with_links(self, links: Array, now: Parameters) -> Setup:
        """Free rates of other links, searched from `now`."""
        rates = np.where(links, np.maximum(now.rates, self.limits.low), 0.0)
        rates -= np.diag(rates.sum(axis=1))
        rate_map = LogLinear.of_links(links, self.limits)
        problem = replace(self.problem, rate_map=rate_map)
        return replace(self, problem=problem, starts=[replace(now, rates=rates)])

    def scale_prior(self, shape: float, pseudo: float) -> GammaPrior:
        """Gamma(shape, rate) with rate = pseudo jumps over the typical rate of a link."""
        typical = self.scale * len(self.links) / max(int(self.links.sum()), 1)
        ones = np.ones(self.links.shape)
        return GammaPrior(shape * ones, pseudo / typical * ones)


def build(
    series: JumpSeries,
    states: tuple[Hashable, ...],
    emission: EmissionModel,
    links: Array,
    *,
    masked: bool,
    absorbing: Any,
    reversible: bool,
    model: Callable[[Array], Any] | None,
    theta0: Any,
    weights: Array | None,
) -> Setup:
    """Everything that an estimate starts from.

    Raises:
        InputError: if no path has two observations, or settings contradict each other.
    """
    n = len(states)
    observed = np.bincount(series.layout.series[series.seen], minlength=len(series))
    if (observed < 2).all():
        raise InputError(
            "no path has two observations, so nothing is known of the rates; give longer paths"
        )
    if model is not None and reversible:
        raise InputError("give either model= or reversible=True, not both")
    pairs = transitions_of(_provisional(series, emission), weights)
    hidden = is_hidden(series, emission)
    readable = not (hidden or masked or reversible or model is not None)
    ends = Absorbing.of(absorbing, states, pairs, hidden=hidden, readable=readable)
    links = ends.without_exits(links)
    gaps = gaps_of(series)
    limits = Range.of(gaps)
    rate_map: RateMap
    if model is not None:
        theta = None if theta0 is None else as_array(theta0, "theta0", ndim=1)
        rate_map = ThetaMap.of(model, theta, n)
    elif reversible:
        rate_map = LogLinear.reversible(links, limits)
    else:
        rate_map = LogLinear.of_links(links, limits)
    alike = _alike(series, emission, n)
    rates = starting_rates(pairs, n, links, gaps=gaps, alike=alike)
    first = np.bincount(pairs.first, pairs.first_weight, minlength=n)
    data: JumpData
    if hidden:
        top = _TOP * float(-np.diag(rates[0]).min())
        data = HiddenData(series, n, top=top, weights=weights)
        initial = (first + 0.5) / (first + 0.5).sum()
    else:
        data = CountData(series, n, weights=weights)
        initial = first / first.sum()
    starts = starting_points(rates, initial, emission)
    scale = typical_rate(pairs, n) if len(rates) == 1 else _scale_of(data, starts)
    problem = Problem(data, rate_map)
    weighted = weights is not None
    masked = masked or absorbing is not None
    return Setup(series, problem, starts, scale, pairs, ends, masked, limits, weighted)


def _scale_of(data: JumpData, starts: list[Parameters]) -> float:
    """1 / tau at the best start: one plus the expected number of jumps over the total time."""
    expected = max((data.expectation(s) for s in starts), key=lambda e: e.log_likelihood)
    total = float(expected.dwell.sum())
    return float(expected.jumps.sum() + 1) / total if total > 0 else 1.0


def _alike(series: JumpSeries, emission: EmissionModel, n_states: int) -> Array:
    """(S,) bool, states that no label alone stands for."""
    if emission.gaussian is not None and series.flat_signal is not None:
        return np.zeros(n_states, dtype=bool)
    if series.candidates is None:
        return np.zeros(n_states, dtype=bool)
    return ~np.isin(np.arange(n_states), series.flat_states)


def _provisional(series: JumpSeries, emission: EmissionModel) -> JumpSeries:
    """Labels read off a signal, for a first guess only."""
    if emission.gaussian is None or series.flat_signal is None:
        return series
    signal, states = series.flat_signal, series.flat_states.copy()
    measured = np.isfinite(signal) & (states == -1)
    states[measured] = emission.gaussian.log_density(signal[measured]).argmax(axis=1)
    return replace(series, flat_states=states)


def gaps_of(series: JumpSeries) -> Array:
    """Lengths of all intervals between consecutive entries of a path."""
    within = series.layout.series[1:] == series.layout.series[:-1]
    return np.asarray(np.diff(series.flat_times)[within])
