"""From settings and data to a problem the engine can solve."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError, nearest
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.emission import EmissionModel, GaussianEmission, LabelNoise
from trajinfer.jumps.fit import (
    GammaPrior,
    Parameters,
    Problem,
    counting_rates,
)
from trajinfer.jumps.hidden import HiddenData
from trajinfer.jumps.likelihood import CountData, Transitions, transitions_of
from trajinfer.jumps.rate_map import LogLinear, RateMap, ThetaMap
from trajinfer.jumps.simulate import as_emission

_START_ERROR = 0.05


def resolve_states(series: JumpSeries, n_states: int | None) -> tuple[Hashable, ...]:
    """The labels of the S states.

    Without `n_states` those of the series; with it 0 .. n_states - 1 for whole numbers.

    Raises:
        InputError: if labels and number do not fit, or there are fewer than two states.
    """
    labels = series.categories
    if n_states is None:
        if len(labels) < 2:
            raise InputError(
                f"only {len(labels)} state occurs in the data; a jump process needs two or more, "
                "so give n_states="
            )
        return labels
    if isinstance(n_states, bool) or not isinstance(n_states, (int, np.integer)) or n_states < 2:
        raise InputError(f"n_states must be a whole number of at least 2, got {n_states!r}")
    if all(isinstance(label, int) for label in labels):
        outside = [label for label in labels if int(str(label)) >= n_states]
        if outside:
            raise InputError(
                f"label {outside[0]} lies outside the {n_states} states 0 .. {n_states - 1}; "
                "raise n_states or correct the label"
            )
        return tuple(range(n_states))
    if len(labels) != n_states:
        raise InputError(
            f"{len(labels)} labels {labels[:8]} for n_states={n_states}; name them all by "
            "categories= of the JumpSeries"
        )
    return labels


def resolve_links(links: Any, n_states: int) -> Array:
    """(S, S) bool, False on the diagonal.

    Raises:
        InputError: if `links` is not a boolean matrix, nor None, nor "select".
    """
    off = ~np.eye(n_states, dtype=bool)
    if links is None or (isinstance(links, str) and links == "select"):
        return off
    if isinstance(links, str):
        raise InputError(f"links must be a matrix, None or 'select'; {nearest(links, ['select'])}")
    matrix = np.asarray(links)
    if matrix.shape != (n_states, n_states) or not np.isin(matrix, [0, 1]).all():
        raise InputError(
            f"links must be ({n_states}, {n_states}) of True and False, got shape {matrix.shape}"
        )
    return np.asarray(matrix.astype(bool) & off)


def resolve_emission(
    label_noise: Any, emission: GaussianEmission | None, n_states: int
) -> EmissionModel:
    """What is seen of the states, from the settings.

    Raises:
        InputError: if a setting is not valid.
    """
    if emission is not None and len(emission.means) != n_states:
        raise InputError(f"emission has {len(emission.means)} means for {n_states} states")
    if isinstance(label_noise, LabelNoise):
        if len(label_noise.matrix) != n_states:
            raise InputError(f"label_noise is not ({n_states}, {n_states})")
        return EmissionModel(
            n_states, None, label_noise.matrix, emission, learn_labels=label_noise.learn
        )
    if isinstance(label_noise, str):
        if label_noise != "learn":
            raise InputError(
                f"label_noise must be a probability, a matrix or 'learn', got {label_noise!r}"
            )
        return EmissionModel(n_states, _START_ERROR, None, emission, learn_error=True)
    matrix = as_emission(label_noise, n_states)
    if np.ndim(label_noise) == 0:
        return EmissionModel(n_states, float(label_noise), None, emission)
    return EmissionModel(n_states, None, matrix, emission)


@dataclass(frozen=True)
class Setup:
    """Data in the form the engine wants, and where to start.

    Attributes:
        series: recoded to the states.
        problem: without a prior.
        start: parameters.
        scale: 1 / tau, the observed changes per time.
        pairs: consecutive known labels.
    """

    series: JumpSeries
    problem: Problem
    start: Parameters
    scale: float
    pairs: Transitions

    def with_prior(self, prior: GammaPrior | None) -> Problem:
        """The problem under a prior."""
        return replace(self.problem, prior=prior)

    def without_unseen(self) -> Setup:
        """Rates out of states never seen are held at a typical value: nothing is known of them."""
        rate_map = self.problem.rate_map
        if not isinstance(self.problem.data, CountData) or not isinstance(rate_map, LogLinear):
            return self
        seen = np.zeros(len(rate_map.links), dtype=bool)
        seen[np.concatenate([self.pairs.first, self.pairs.start, self.pairs.end])] = True
        held = rate_map.holding_unseen(seen, self.scale)
        return replace(self, problem=replace(self.problem, rate_map=held))

    def scale_prior(self, shape: float, pseudo: float) -> GammaPrior:
        """Gamma(shape, rate) with rate = pseudo jumps over the typical rate of a link."""
        links = self.problem.rate_map.links
        typical = self.scale * len(links) / max(int(links.sum()), 1)
        ones = np.ones(links.shape)
        return GammaPrior(shape * ones, pseudo / typical * ones)


def is_hidden(series: JumpSeries, emission: EmissionModel) -> bool:
    """Whether states have to be inferred rather than read off."""
    signal = emission.gaussian is not None and series.signal is not None
    return not emission.noiseless or signal or bool((series.states <= -2).any())


def build(
    series: JumpSeries,
    n_states: int,
    emission: EmissionModel,
    links: Array,
    *,
    reversible: bool,
    model: Callable[[Array], Any] | None,
    theta0: Any,
) -> Setup:
    """Everything an estimate starts from.

    Raises:
        InputError: if no path has two observations, or settings contradict each other.
    """
    if int(np.diff(np.nonzero(series.mask)[0]).size) == 0 or (series.mask.sum(axis=1) < 2).all():
        raise InputError(
            "no path has two observations, so nothing is known of the rates; give longer paths"
        )
    if model is not None and reversible:
        raise InputError("give either model= or reversible=True, not both")
    pairs = transitions_of(_provisional(series, emission))
    links = without_exits(links, pairs)
    start_rates, scale = counting_rates(pairs, n_states, links)
    rate_map: RateMap
    if model is not None:
        theta = None if theta0 is None else as_array(theta0, "theta0", ndim=1)
        rate_map = ThetaMap.of(model, theta, n_states)
    elif reversible:
        rate_map = LogLinear.reversible(links, scale)
    else:
        rate_map = LogLinear.free(links, scale)
    data: CountData | HiddenData
    first = np.bincount(pairs.first, minlength=n_states).astype(float)
    if is_hidden(series, emission):
        top = 10 * float(-np.diag(start_rates).min())
        data = HiddenData(series, n_states, top=top)
        initial = (first + 0.5) / (first + 0.5).sum()
    else:
        data = CountData(series, n_states)
        initial = first / first.sum()
    problem = Problem(data, rate_map)
    return Setup(series, problem, Parameters(start_rates, initial, emission), scale, pairs)


def without_exits(links: Array, pairs: Transitions) -> Array:
    """States entered by absorption are never left.

    Raises:
        InputError: if one of them is left in the data.
    """
    absorbing = np.unique(pairs.end[pairs.kind == 2])
    left = np.isin(pairs.start, absorbing) & (pairs.end != pairs.start)
    if left.any():
        raise InputError(
            f"state {pairs.start[left][0]} is entered by 'absorption' and left again; an "
            "absorption is the end of a path, an exactly timed jump from a known state is a 'jump'"
        )
    out = links.copy()
    out[absorbing] = False
    return out


def _provisional(series: JumpSeries, emission: EmissionModel) -> JumpSeries:
    """Labels read off a signal, for a first guess only."""
    if emission.gaussian is None or series.flat_signal is None:
        return series
    signal, states = series.flat_signal, series.flat_states.copy()
    seen = np.isfinite(signal) & (states == -1)
    states[seen] = emission.gaussian.log_density(signal[seen]).argmax(axis=1)
    return replace(series, flat_states=states)
