"""From settings and data to a problem that a search can solve."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.absorbing import Absorbing, followed
from trajinfer.jumps.covariate_map import CovariateMap
from trajinfer.jumps.covariates import CovariateDesign
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.rate_map import LogLinear, Range, RateMap, ThetaMap
from trajinfer.jumps.starts import starting_points, starting_rates, typical_rate
from trajinfer.markov.emission import EmissionModel
from trajinfer.markov.hidden import HiddenData, is_hidden
from trajinfer.markov.likelihood import CountData, JumpData, Transitions, transitions_of
from trajinfer.markov.parameters import GammaPrior, Parameters
from trajinfer.markov.regime_counts import RegimeCountData

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


@dataclass(frozen=True, eq=False)
class RateStructure:
    """What the rates may be, as the user says it.

    Attributes:
        links: (S, S) bool, possible jumps.
        masked: whether the user ruled out links.
        absorbing: labels of states that are never left; None goes by the data.
        reversible: whether detailed balance holds.
        model: function of theta to rates.
        theta0: start of theta.
        covariates, equal_effects: see `CovariateDesign`.
    """

    links: Array
    masked: bool = False
    absorbing: Any = None
    reversible: bool = False
    model: Callable[[Array], Any] | None = None
    theta0: Any = None
    covariates: Any = None
    equal_effects: Any = None

    def __post_init__(self) -> None:
        if self.model is not None and self.reversible:
            raise InputError("give either model= or reversible=True, not both")
        if self.covariates is not None and (self.model is not None or self.reversible):
            raise InputError("covariates= act on free rates: leave out model= and reversible=")
        if self.equal_effects is not None and self.covariates is None:
            raise InputError("equal_effects= are those of covariates=; give both")

    def rate_map(self, links: Array, limits: Range) -> RateMap:
        """Rates as a function of parameters, without covariates."""
        if self.model is not None:
            theta = None if self.theta0 is None else as_array(self.theta0, "theta0", ndim=1)
            return ThetaMap.of(self.model, theta, len(links))
        if self.reversible:
            return LogLinear.reversible(links, limits)
        return LogLinear.of_links(links, limits)


def build(
    series: JumpSeries,
    states: tuple[Hashable, ...],
    emission: EmissionModel,
    structure: RateStructure,
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
    pairs = transitions_of(_provisional(series, emission), weights)
    hidden = is_hidden(series, emission)
    plain = not (structure.masked or structure.reversible or structure.model is not None)
    absorbing = Absorbing.of(
        structure.absorbing,
        states,
        pairs,
        followed(series, n),
        hidden=hidden,
        readable=plain and emission.gaussian is None,
    )
    links = absorbing.without_exits(structure.links)
    gaps = gaps_of(series)
    limits = Range.of(gaps)
    rate_map = structure.rate_map(links, limits)
    design = None
    if structure.covariates is not None and isinstance(rate_map, LogLinear):
        wanted = (structure.covariates, structure.equal_effects)
        design = CovariateDesign.of(series, _begins(series), states, links, *wanted)
        rate_map = CovariateMap(rate_map, design)
    alike = _alike(series, emission, n)
    rates = starting_rates(pairs, n, links, gaps=gaps, alike=alike)
    data, initial = _data_of(series, pairs, rates[0], hidden, design, weights)
    if design is not None:
        rates = [np.repeat(matrix[None], len(design.z), axis=0) for matrix in rates]
    starts = starting_points(rates, initial, emission)
    scale = typical_rate(pairs, n) if len(rates) == 1 else _scale_of(data, starts)
    masked = structure.masked or structure.absorbing is not None
    problem, weighted = Problem(data, rate_map), weights is not None
    return Setup(series, problem, starts, scale, pairs, absorbing, masked, limits, weighted)


def _data_of(
    series: JumpSeries,
    pairs: Transitions,
    rates: Array,
    hidden: bool,
    design: CovariateDesign | None,
    weights: Array | None,
) -> tuple[JumpData, Array]:
    """The data in the form that fits them, and a first law (S,) of the first state."""
    n = len(rates)
    first = np.bincount(pairs.first, pairs.first_weight, minlength=n)
    regime = None if design is None else design.regime
    n_regimes = 1 if design is None else len(design.z)
    if hidden or (regime is not None and _changes_unseen(series, regime)):
        top = _TOP * float(-np.diag(rates).min())
        law = (first + 0.5) / (first + 0.5).sum()
        hidden_data = HiddenData(
            series, n, top=top, weights=weights, regimes=regime, n_regimes=n_regimes
        )
        return hidden_data, law
    law = first / first.sum()
    if regime is None:
        return CountData(series, n, weights=weights), law
    return RegimeCountData(series, n, regime, n_regimes, weights), law


def _begins(series: JumpSeries) -> Array:
    """Entries at which an interval begins: all but the last of each path."""
    within = series.layout.series[1:] == series.layout.series[:-1]
    return np.flatnonzero(within)


def _changes_unseen(series: JumpSeries, regime: Array) -> bool:
    """Whether covariates change at an entry without a known state."""
    within = series.layout.series[1:] == series.layout.series[:-1]
    changed = (regime[1:] != regime[:-1]) & within
    return bool((changed & (series.flat_states[1:] < 0)).any())


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
