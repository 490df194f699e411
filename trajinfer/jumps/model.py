"""A Markov jump process with given parameters: it answers, draws, scores and packs itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.time_axis import TimeAxis
from trajinfer.data.time_order import TimeOrder
from trajinfer.jumps.covariates import CovariateEffects
from trajinfer.jumps.phases import Phases
from trajinfer.jumps.settings import resolve_emission
from trajinfer.markov import rates as derived
from trajinfer.markov.decoding import most_probable_states
from trajinfer.markov.emission import EmissionModel, GaussianEmission
from trajinfer.markov.hidden import HiddenData, is_hidden
from trajinfer.markov.likelihood import CountData
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.posterior import state_probabilities
from trajinfer.markov.prediction import predicted_laws
from trajinfer.markov.regime_counts import RegimeCountData
from trajinfer.markov.replicate import replicate
from trajinfer.markov.simulate import draw_rows, skeleton
from trajinfer.markov.transitions import transition_matrices

_ABSORPTION = 2


@packable
@dataclass(frozen=True, eq=False)
class JumpModel:
    """A jump process, its observation model and its labels.

    Attributes:
        parameters: rates, law of the first state, observation model.
        states: the S labels.
        axis: the times.
        conditional: whether likelihoods of known states condition on the first one.
        effects: of covariates on the rates; None for none.
        phases: of which the states are made; the rates are those of the P phases.
    """

    parameters: Parameters
    states: tuple[Hashable, ...]
    axis: TimeAxis | None = field(default=None, repr=False)
    conditional: bool = False
    effects: CovariateEffects | None = None
    phases: Phases | None = None

    @classmethod
    def from_rates(
        cls,
        rates: Any,
        initial: Any = None,
        label_noise: Any = 0.0,
        states: Sequence[Hashable] | None = None,
        emission: GaussianEmission | None = None,
    ) -> Self:
        """The model with these rates, see `MarkovJumpProcess.from_rates`."""
        matrix = derived.as_rates(rates)
        n = len(matrix)
        plain = range(n) if states is None else states
        labels = tuple(s.item() if isinstance(s, np.generic) else s for s in plain)
        if len(labels) != n or len(set(labels)) != n:
            raise InputError(f"states must be {n} different labels, got {labels}")
        if initial is None:
            whole = len(derived.recurrent_classes(matrix)[0]) == n
            law = derived.stationary_distribution(matrix) if whole else np.full(n, 1 / n)
        else:
            law = derived.as_law(initial, n, "initial")
        observed = resolve_emission(label_noise, emission, n)
        return cls(Parameters(matrix, law, observed), labels, None, initial is None)

    def to_state(self) -> dict[str, Any]:
        """The fields that a file holds."""
        return {
            "rates": self.parameters.rates,
            "initial": self.parameters.initial,
            "emission": self.parameters.emission,
            "states": self.states,
            "axis": self.axis,
            "conditional": self.conditional,
            "effects": self.effects,
            "phases": self.phases,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The model that `to_state` described."""
        names = ("rates", "initial", "emission")
        parameters = Parameters(*(state[name] for name in names))
        return cls(parameters, **{k: v for k, v in state.items() if k not in names})

    @property
    def rates(self) -> Array:
        """(S, S) rate matrix."""
        return self.parameters.rates

    @property
    def rate_labels(self) -> tuple[Hashable, ...]:
        """What the rows of the rates are: the states, or phases of states."""
        return self.states if self.phases is None else self.phases.names

    def read(self, series: JumpSeries) -> JumpSeries:
        """The series with codes of the rows of the rates."""
        series = series.recode(self.states)
        if self.phases is None:
            return series
        return self.phases.expanded(series, certain=self.emission.noiseless)

    def of_states(self, laws: Array) -> Array:
        """Laws (..., S) of the states from those over the rows of the rates."""
        return laws if self.phases is None else self.phases.of_states(laws)

    def _of_entries(self, values: Array) -> Array:
        """(S, S) from (P, P): from a fresh entry into each state, summed over phases."""
        return values if self.phases is None else self.of_states(values[self.phases.first])

    @property
    def emission(self) -> EmissionModel:
        """The observation model."""
        return self.parameters.emission

    @property
    def label_noise(self) -> Any:
        """Probability of a wrong label; a matrix (S, S) only where one was given."""
        matrix = self.emission.labels
        return self.emission.error if matrix is None else matrix

    def code(self, label: Hashable) -> int:
        """The place of a label among the rows of the rates.

        Raises:
            InputError: if there is no such label.
        """
        if label not in self.rate_labels:
            raise InputError(f"no state {label!r}; the states are {self.rate_labels}")
        return self.rate_labels.index(label)

    def log_likelihood(self, series: JumpSeries) -> float:
        """Log-likelihood of data.

        Raises:
            InputError: if a label is not among the states.
        """
        series = self.read(series)
        n = len(self.rates)
        here, regime = self.in_regimes(series)
        top, n_regimes = 2 * here.fastest, len(here.stack)
        if is_hidden(series, self.emission) or (
            regime is not None and (series.flat_states < 0).any()
        ):
            data = HiddenData(series, n, top=top, regimes=regime, n_regimes=n_regimes)
            return data.log_likelihood(here)
        if regime is None:
            return CountData(series, n).log_likelihood(here, conditional=self.conditional)
        counts = RegimeCountData(series, n, regime, n_regimes)
        return counts.log_likelihood(here, conditional=self.conditional)

    def in_regimes(self, series: JumpSeries) -> tuple[Parameters, Array | None]:
        """Parameters with the rates of all covariates that occur, and which each entry (N,) has."""
        if self.effects is None:
            return self.parameters, None
        x, regime = self.effects.regimes(series)
        return replace(self.parameters, rates=self.effects.rates(self.rates, x)), regime

    def rates_at(self, x: Any = None) -> Array:
        """(S, S) rates at covariates x; None for the mean ones.

        Raises:
            InputError: if x does not fit the covariates of the model.
        """
        if x is None:
            return self.rates
        if self.effects is None:
            raise InputError("the rates of this model depend on no covariates; leave out x=")
        return np.asarray(self.effects.rates(self.rates, self.effects.values(x)[None])[0])

    def predict_proba(self, series: JumpSeries, ts: Any) -> Array:
        """(B, T, S) probabilities of the states at the times, given all observations.

        Raises:
            InputError: if a time is too early or a label unknown.
        """
        series = self.read(series)
        return self.of_states(state_probabilities(series, ts, *self.in_regimes(series)))

    def label_laws(self, series: JumpSeries) -> Array:
        """(N, S) law of the label at every entry, given the observations of its path before it.

        Args:
            series: paths with codes of the states, seen at visits.
        """
        series = self.read(series)
        laws = self.of_states(predicted_laws(series, *self.in_regimes(series)))
        return laws if self.emission.noiseless else laws @ self.emission.label_table()

    def replicate(
        self, visits: JumpSeries, series: JumpSeries, generator: np.random.Generator
    ) -> JumpSeries:
        """Paths of this model that are seen at the visits of others.

        Args:
            visits: paths with codes of the states, absorptions moved to visits.
            series: the same with absorptions, which say whose times of entry are known.
            generator: of the draws.
        """
        visits, series = self.read(visits), self.read(series)
        exact = np.zeros(len(self.rates), dtype=bool)
        kinds = series.flat_observation
        if kinds is not None:
            exact[series.flat_states[kinds == _ABSORPTION]] = True
        here, regime = self.in_regimes(visits)
        drawn = replicate(visits, exact, here, regime, generator)
        return drawn if self.phases is None else self.phases.merged(drawn)

    def most_probable_states(self, series: JumpSeries) -> JumpSeries:
        """The most probable states at the observation times, jointly along each path.

        Raises:
            InputError: if a label is unknown, or the observations have probability 0.
        """
        series = self.read(series)
        best = most_probable_states(series, *self.in_regimes(series))
        return best if self.phases is None else self.phases.merged(best)

    def sample(self, n: int, ts: Any, *, noisy: bool, seed: int) -> JumpSeries:
        """N paths at times (T,) or (n, T), in any order, which may repeat.

        Raises:
            InputError: if the times are empty or not of the axis of the data.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise InputError(f"n must be a whole number of at least 1, got {n!r}")
        axis = TimeAxis() if self.axis is None else self.axis
        order = TimeOrder.of(axis.queries(ts, int(n)))
        generator = np.random.default_rng(seed)
        here = self.parameters
        states = skeleton(here.rates, here.initial, order.times, generator)
        if noisy and not self.emission.noiseless:
            states = draw_rows(self.emission.label_matrix()[states], generator)
        if self.phases is not None:
            states = self.phases.owner[states]
        return JumpSeries(
            order.restore(order.times, axis=1).ravel(),
            order.restore(states, axis=1).ravel(),
            np.full(len(states), states.shape[1]),
            self.states,
            axis=axis,
        )

    def transition_probabilities(self, t: float, x: Any = None) -> Array:
        r"""(S, S) $P(t) = e^{F(x) t}$: probabilities to be in each state after the duration t."""
        matrix = transition_matrices(self.rates_at(x), np.array([float(t)]))[0]
        return np.asarray(self._of_entries(matrix))

    def mean_law(self, series: JumpSeries, times: Array) -> Array:
        """(T, S) laws after durations, averaged over the covariates at the start of each path."""
        here, regime = self.in_regimes(series)
        starts = np.zeros(1, int) if regime is None else regime[series.layout.starts]
        share = np.bincount(starts, minlength=len(here.stack)) / len(starts)
        several = [here.initial @ transition_matrices(rates, times) for rates in here.stack]
        return self.of_states(np.tensordot(share, np.stack(several), 1))

    def time_in_state(self, t: float, x: Any = None) -> Array:
        r"""(S, S) $\int_0^t P(s)\, ds$: expected times spent in j within t, from a start in i."""
        return np.asarray(self._of_entries(self._times(t, x)))

    def _times(self, t: float, x: Any) -> Array:
        rates = self.rates_at(x)
        n = len(rates)
        block = np.zeros((2 * n, 2 * n))
        block[:n, :n], block[:n, n:] = rates * t, np.eye(n)
        return np.asarray(transition_matrices(block, np.ones(1))[0][:n, n:] * t)

    def expected_visits(self, t: float, x: Any = None) -> Array:
        r"""(S, S) $\sum_k \int_0^t P_{ik}(s) F_{kj}\, ds$: expected entries into j within t."""
        entries = derived.off_diagonal(self.rates_at(x))
        if self.phases is not None:
            owner = self.phases.owner
            entries = np.where(owner[:, None] == owner, 0.0, entries)
        return np.asarray(self._of_entries(self._times(t, x) @ entries))
