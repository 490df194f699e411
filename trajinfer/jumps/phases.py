"""States made of phases: sojourns that are not exponential, from a Markov chain of phases."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.packing import packable
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.absorbing import Absorbing
from trajinfer.jumps.covariate_map import CovariateMap
from trajinfer.jumps.fit import FitResult
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.rate_map import LogLinear, RateMap
from trajinfer.jumps.setup import Setup
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.rates import with_diagonal

_TOP = 10.0
_FIRST = 0.7
# exit rates of the first and of the later phases, and rate to the next one, in plain exit rates
_SHAPES = ((1.0, 1.0, 1.0), (0.3, 1.7, 2.0), (1.7, 0.3, 0.7))


@packable
@dataclass(frozen=True, eq=False)
class Phases:
    r"""S states with phases $1 \to 2 \to \dots$, P in all; a state is entered in its first phase.

    Every phase may be left for other states at its own rates, so that the sojourn has a Coxian
    law: with two phases the rate of leaving may rise or fall with the time spent.

    Attributes:
        labels: of the S states.
        counts: (S,) number of phases of each.

    References:
        Titman and Sharples, Semi-Markov models with phase-type sojourn distributions, Biometrics
        2010.
    """

    labels: tuple[Hashable, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, wanted: Any, labels: tuple[Hashable, ...], absorbing: Array) -> Phases:
        """The phases of a setting.

        Args:
            wanted: a number for all states that are left, or a mapping from labels to numbers.
            labels: of the S states.
            absorbing: (S,) bool, states that are never left.

        Raises:
            InputError: for an unknown label, a number below 1, or phases of an absorbing state.
        """
        if not isinstance(wanted, Mapping):
            wanted = {label: wanted for label, ends in zip(labels, absorbing) if not ends}
        for label, number in wanted.items():
            if label not in labels:
                raise InputError(
                    f"phases= names {label!r}; {nearest(str(label), [str(s) for s in labels])}"
                )
            whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
            if not whole or number < 1:
                raise InputError(f"phases of {label!r} must be a number from 1, got {number!r}")
            if number > 1 and absorbing[labels.index(label)]:
                raise InputError(
                    f"state {label!r} is never left, so that its sojourn has no law; give it no "
                    "phases, or absorbing=() to allow exits"
                )
        return cls(labels, tuple(int(wanted.get(label, 1)) for label in labels))

    @property
    def owner(self) -> Array:
        """(P,) the state of each phase."""
        return np.repeat(np.arange(len(self.labels)), self.counts)

    @property
    def first(self) -> Array:
        """(S,) the first phase of each state."""
        return np.asarray(np.cumsum([0, *self.counts[:-1]]))

    @property
    def names(self) -> tuple[Hashable, ...]:
        """(P,) names of the phases: the label, or "label (number)" where there are several."""
        return tuple(
            label if count == 1 else f"{label} ({k + 1})"
            for label, count in zip(self.labels, self.counts)
            for k in range(count)
        )

    def links(self, links: Array) -> Array:
        """(P, P) bool: to the next phase, and from every phase to the first one of a state."""
        owner, first = self.owner, self.first
        out = np.zeros((len(owner), len(owner)), dtype=bool)
        out[:, first] = links[owner]
        next_one = np.flatnonzero(owner[1:] == owner[:-1])
        out[next_one, next_one + 1] = True
        return out

    def expanded(self, series: JumpSeries, *, certain: bool) -> JumpSeries:
        """The series with codes of phases.

        Args:
            series: with codes of states.
            certain: whether labels are right: of a state with several phases they are then a set,
                else the code of its first phase, as in `EmissionModel`.

        Raises:
            InputError: if times of jumps are exact.
        """
        if series.flat_observation is not None and (series.flat_observation == 1).any():
            raise InputError(
                "phases= need states at some times, not exact times of 'jump'; leave out the "
                "column of observation kinds"
            )
        owner, several = self.owner, np.array(self.counts) > 1
        old = series.candidates
        sets = np.zeros((0, len(self.labels)), bool) if old is None else old
        candidates = np.concatenate(
            [sets[:, owner], np.eye(len(self.labels), dtype=bool)[:, owner]]
        )
        known = np.maximum(series.flat_states, 0)
        as_set = several[known] & certain
        codes = np.where(as_set, -2 - len(sets) - known, self.first[known])
        return replace(
            series,
            flat_states=np.where(series.flat_states >= 0, codes, series.flat_states),
            categories=self.names,
            candidates=candidates,
        )

    def merged(self, series: JumpSeries) -> JumpSeries:
        """The series with codes of states in place of phases."""
        codes = self.owner[np.maximum(series.flat_states, 0)]
        states = np.where(series.flat_states >= 0, codes, series.flat_states)
        return replace(series, flat_states=states, categories=self.labels)

    def of_states(self, laws: Array) -> Array:
        """Probabilities (..., S) of the states from those of phases (..., P)."""
        return np.add.reduceat(laws, self.first, axis=-1)

    def starts(self, rates: Array, plain: Parameters, n_regimes: int) -> list[Parameters]:
        """Starts from plain rates (S, S): the plain model itself, rising and falling exit rates.

        Args:
            rates: at mean covariates.
            plain: the fit without phases.
            n_regimes: number of distinct covariates.
        """
        initial = plain.initial
        owner, first = self.owner, self.first
        is_first = np.isin(np.arange(len(owner)), first)
        own, alone = np.array(self.counts)[owner], -np.diag(rates)[owner]
        law = initial[owner] * np.where(is_first, _FIRST, (1 - _FIRST) / np.maximum(own - 1, 1))
        law = np.where(own == 1, initial[owner], law)
        emission = replace(plain.emission, n_states=len(owner), owner=owner)
        next_one = np.flatnonzero(owner[1:] == owner[:-1])
        out = []
        for early, late, onward in _SHAPES:
            factor = np.where(own == 1, 1.0, np.where(is_first, early, late))
            matrix = np.zeros((len(owner), len(owner)))
            matrix[:, first] = (
                factor[:, None] * np.where(np.eye(len(rates), dtype=bool), 0.0, rates)[owner]
            )
            matrix[next_one, next_one + 1] = onward * alone[next_one]
            several = np.repeat(with_diagonal(matrix)[None], n_regimes, axis=0)
            out.append(Parameters(several if n_regimes > 1 else several[0], law, emission))
        return out


def phased_setup(plain: Setup, best: FitResult, phases: Phases, weights: Array | None) -> Setup:
    """The setup of the model with phases, which starts at the fit of the one without."""
    owner, links = phases.owner, phases.links(plain.links)
    series = phases.expanded(plain.series, certain=best.parameters.emission.noiseless)
    rate_map: RateMap = LogLinear.of_links(links, plain.limits)
    fitted, regime, n_regimes = best.parameters.rates, None, 1
    if isinstance(plain.problem.rate_map, CovariateMap):
        fitted = plain.problem.rate_map.reference(best.p)
        design = plain.problem.rate_map.design.of_phases(owner, plain.links, links)
        rate_map = CovariateMap(LogLinear.of_links(links, plain.limits), design)
        regime, n_regimes = design.regime, len(design.z)
    rates = with_diagonal(np.where(plain.links, np.maximum(fitted, plain.limits.low), 0.0))
    data = HiddenData(
        series,
        len(owner),
        top=_TOP * float(-np.diag(rates).min()),
        weights=weights,
        regimes=regime,
        n_regimes=n_regimes,
    )
    absorbing = plain.absorbing
    return replace(
        plain,
        series=series,
        problem=Problem(data, rate_map),
        starts=phases.starts(rates, best.parameters, n_regimes),
        absorbing=Absorbing(
            absorbing.states[owner], absorbing.by_data[owner], absorbing.watched[owner]
        ),
        masked=True,
    )
