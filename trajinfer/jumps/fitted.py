"""What a fitted jump process offers: its parameters, answers, draws and intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array, require_fraction
from trajinfer._core.errors import IdentifiabilityWarning, InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data.input import as_jump_series
from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.prevalence import prevalence_counts
from trajinfer.data.time_axis import TimeAxis
from trajinfer.data.written_draws import written_draws
from trajinfer.jumps.model import JumpModel
from trajinfer.jumps.rate_intervals import Intervals, Uncertainty
from trajinfer.jumps.states_of_paths import StatesOfPaths
from trajinfer.markov import rates as derived
from trajinfer.markov.emission import GaussianEmission

Quantity = Literal[
    "rates",
    "stationary_distribution",
    "relaxation_times",
    "mean_first_passage_times",
    "entropy_production",
]
_QUANTITIES: dict[str, Callable[[Array], Any]] = {
    "rates": lambda matrix: matrix,
    "stationary_distribution": derived.stationary_distribution,
    "relaxation_times": derived.relaxation_times,
    "mean_first_passage_times": derived.mean_first_passage_times,
    "entropy_production": derived.entropy_production,
}


class FittedJumpProcess(StatesOfPaths):
    """Read-only views of the fitted model and of its uncertainty.

    Attributes:
        model_: the `JumpModel`.
        uncertainty_: the source of intervals; not there where nothing was fitted.
    """

    model_: JumpModel
    uncertainty_: Uncertainty
    seed_: int
    effect_rows_: list[dict[str, Any]]
    expected_jumps_: Array
    log_likelihood_: float
    n_parameters_: int

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    @property
    def rates_(self) -> Array:
        """(S, S), rows sum to 0; at mean covariates; of phases (P, P) where there are any."""
        return self.model_.rates

    @property
    def initial_(self) -> Array:
        """(S,) law of the first observed state."""
        return self.model_.parameters.initial

    @property
    def label_noise_(self) -> Any:
        """Probability of a wrong label; a matrix only where one was given."""
        return self.model_.label_noise

    @property
    def emission_(self) -> GaussianEmission | None:
        """The fitted observation model of a signal."""
        return self.model_.emission.gaussian

    @property
    def states_(self) -> tuple[Hashable, ...]:
        """The S labels."""
        return self.model_.states

    @property
    def rate_labels_(self) -> tuple[Hashable, ...]:
        """What the rows of `rates_` are: the states, or their phases such as "ill (2)"."""
        return self.model_.rate_labels

    @property
    def aic_(self) -> float:
        """Akaike's criterion, 2 k - 2 log L with k = `n_parameters_`; smaller is better."""
        return 2.0 * self.n_parameters_ - 2.0 * self.log_likelihood_

    @property
    def axis_(self) -> TimeAxis | None:
        """The times of the data."""
        return self.model_.axis

    @property
    def effects_(self) -> pd.DataFrame:
        """Effects of covariates, one row per link and covariate, with 95 % intervals."""
        return pd.DataFrame(self.effect_rows_)

    @cached_property
    def std_errors_(self) -> Array:
        """(S, S) standard errors of the rates, computed when first asked for."""
        return self._source().intervals(0.95, limits=False).deviations

    @cached_property
    def intervals_(self) -> Array:
        """(S, S, 2) 95 % intervals of the rates, computed when first asked for."""
        ends = self.rate_intervals(0.95)
        return np.stack([ends.lower, ends.upper], axis=-1)

    def rate_table(self) -> pd.DataFrame:
        """One row per link: from, to, rate, std_error, lower, upper (95 %), expected_jumps."""
        i, j = np.nonzero(derived.off_diagonal(self.rates_) > 0)
        names = pd.Index(list(self.rate_labels_), dtype=object)
        return pd.DataFrame(
            {
                "from": names.take(i),
                "to": names.take(j),
                "rate": self.rates_[i, j],
                "std_error": self.std_errors_[i, j],
                "lower": self.intervals_[i, j, 0],
                "upper": self.intervals_[i, j, 1],
                "expected_jumps": self.expected_jumps_[i, j],
            }
        )

    def _source(self) -> Uncertainty:
        check_is_fitted(self)
        if not hasattr(self, "uncertainty_"):
            raise InputError("nothing was fitted here, so there are no standard errors; call fit")
        return self.uncertainty_

    def rate_intervals(self, level: float = 0.95) -> Intervals:
        """Intervals of the rates.

        From the curvature of the log-likelihood in the log-rates; where the likelihood at the ends
        shows that this misleads, by profile likelihood. A link with less than one expected jump
        gets 0 and its upper profile limit, a rate that the likelihood sends to infinity its lower
        one. Posterior draws ("bayes") give quantiles, one-sided for links with hardly any jump.
        After "auto" rates with fewer than 3 expected jumps, and all where the network's answer was
        taken, have the network's intervals, at the 90 % or 95 % level that it was trained on.

        Raises:
            InputError: if the level is not in (0, 1), or not 0.9 or 0.95 where the network is
                asked; if the model was not fitted.
        """
        require_fraction(level, "level")
        return self._source().intervals(level)

    def profile_interval(
        self, start: Hashable, end: Hashable, level: float = 0.95
    ) -> tuple[float, float]:
        """Profile-likelihood interval of one rate: both ends, 0 or inf where there is none.

        Raises:
            InputError: if there is no such link, or its rate is not free.
        """
        require_fraction(level, "level")
        source = self._source()
        link = (self.model_.code(start), self.model_.code(end))
        profile = getattr(source, "profile_interval", None)
        ends = (np.nan, np.nan)
        if profile is not None and source.links[link]:  # type: ignore[attr-defined]
            ends = profile(link, level)
        if np.isnan(ends).any():
            raise InputError(
                f"no free rate from {start!r} to {end!r} with a likelihood at hand; fit the data "
                "with method='mle' and allow this link"
            )
        return ends

    def log_likelihood(self, X: Any) -> float:
        """Log-likelihood of data under the fitted rates.

        Raises:
            InputError: if a label is not among the states.
        """
        check_is_fitted(self)
        return self.model_.log_likelihood(as_jump_series(X))

    def score(self, X: Any, y: Any = None) -> float:
        """Log-likelihood per observation, in nats; larger is better."""
        series = as_jump_series(X)
        return self.log_likelihood(series) / max(series.n_observations, 1)

    def sample(
        self,
        n: int,
        ts: Any,
        *,
        noisy: bool = True,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> JumpSeries | Path:
        """Draw n paths at the times `ts`, one time, (T,) or (n, T).

        Args:
            n: number of paths.
            ts: observation times, in any order.
            noisy: whether labels are wrong with the probability of the model.
            random_state: None takes the estimator's.
            out: folder to write tables to, which is then the answer; a killed call goes on.
        """
        check_is_fitted(self)
        seed, question = self._draw_seed(random_state), {"ts": ts, "noisy": noisy}
        if out is not None:
            return written_draws(out, self.model_, n, seed, question, self.sample)
        return self.model_.sample(n, **question, seed=seed)

    def _draw_seed(self, random_state: RandomState) -> int:
        return self.seed_ if random_state is None else seed_from(random_state)

    def rates(self, x: Any = None) -> Array:
        """(S, S) rates at covariates x.

        Args:
            x: a mapping by name, or numbers in the order of `model_.effects.names`; None for the
                mean covariates.

        Raises:
            InputError: if x does not fit the covariates.
        """
        check_is_fitted(self)
        return self.model_.rates_at(x)

    def transition_probabilities(self, t: Any, x: Any = None) -> Array:
        """(S, S) probabilities to be in each state after the duration t, at covariates x."""
        return self.model_.transition_probabilities(self._duration(t), x)

    def time_in_state(self, t: Any, x: Any = None) -> Array:
        """(S, S) expected times spent in j within the duration t, from a start in i."""
        return self.model_.time_in_state(self._duration(t), x)

    def expected_visits(self, t: Any, x: Any = None) -> Array:
        """(S, S) expected numbers of entries into j within the duration t, from a start in i."""
        return self.model_.expected_visits(self._duration(t), x)

    def prevalence(self, X: Any, ts: Any) -> pd.DataFrame:
        """Observed and expected numbers of paths in each state at times since their start.

        A path is in its last observed state; one that died stays counted until the study ends. The
        expected numbers are those under observation times the law at that time, averaged over the
        covariates at the start. Columns: time, state, observed, expected.

        Args:
            X: the observations.
            ts: (T,) durations since the first observation of each path.
        """
        check_is_fitted(self)
        series = as_jump_series(X).recode(self.states_)
        times = series.axis.durations(ts)
        observed = prevalence_counts(series, times)
        law = self.model_.mean_law(series, times)
        expected = observed.sum(axis=1)[:, None] * law
        place, state = np.indices(observed.shape)
        names = pd.Index(list(self.states_)).take(state.ravel())
        columns = {"time": times[place.ravel()], "state": names}
        return pd.DataFrame({**columns, "observed": observed.ravel(), "expected": expected.ravel()})

    def prevalence_times(self, X: Any, n: int = 10) -> Array:
        """(n,) even durations from 0 to the longest path, at which to ask for the prevalence."""
        series = as_jump_series(X)
        since = series.flat_times - series.flat_times[series.layout.starts][series.layout.series]
        return np.linspace(0.0, float(since.max()), n)

    def _duration(self, t: Any) -> float:
        check_is_fitted(self)
        axis = TimeAxis() if self.axis_ is None else self.axis_
        return axis.duration(t, "t")

    def stationary_distribution(self) -> Array:
        """(S,) the law that does not change; see `jumps.stationary_distribution`.

        A warning says where groups of states were never observed to mix, so that the data do not
        determine the weights of the groups; `jumps.stationary_laws` gives the law of every
        recurrent class.
        """
        check_is_fitted(self)
        groups = getattr(self, "groups_", ())
        if len(groups) > 1:
            warnings.warn(
                f"the groups of states {'; '.join(map(str, map(list, groups)))} were never "
                "observed to mix: only the law within each group is determined, and the weight of "
                "a group may be anything from 0 to 1",
                IdentifiabilityWarning,
                stacklevel=2,
            )
        return self.model_.of_states(derived.stationary_distribution(self.rates_))

    def relaxation_times(self) -> Array:
        """(S - 1,) relaxation times, slowest first; see `jumps.relaxation_times`."""
        check_is_fitted(self)
        return derived.relaxation_times(self.rates_)

    def mean_first_passage_times(self) -> Array:
        """(S, S) mean times from i to the first visit of j, inf where it may never come."""
        check_is_fitted(self)
        return derived.mean_first_passage_times(self.rates_)

    def entropy_production(self, *, links: str = "all") -> float:
        """Stationary rate of entropy production; see `jumps.entropy_production`."""
        check_is_fitted(self)
        return derived.entropy_production(self.rates_, links=links)

    def draw_rates(self, n: int = 200, *, random_state: RandomState = None) -> Array:
        """(n, S, S) rate matrices that are as plausible as the data leave them.

        Posterior draws after "bayes"; else log-normal draws with the standard errors of the rates
        and, where these come from the likelihood, its correlations between log-rates. A rate with
        hardly any jump, of which only an upper limit is known, is drawn log-uniformly below it.
        """
        generator = np.random.default_rng(self._draw_seed(random_state))
        return self._source().draw_rates(n, generator)

    def interval(
        self,
        quantity: Quantity | Callable[[Array], Any],
        *,
        level: float = 0.9,
        n: int = 200,
        random_state: RandomState = None,
    ) -> tuple[Array, Array]:
        """Lower and upper end of an interval of a quantity that follows from the rates.

        Ends are values of single draws, so that a quantity may be infinite, and the interval holds
        the value at the estimate.

        Args:
            quantity: a name such as "stationary_distribution", or a function of a rate matrix.
            level: probability of the interval.
            n: number of draws of the rates.
            random_state: None takes the estimator's.

        Raises:
            InputError: for an unknown name or level.
        """
        if isinstance(quantity, str) and quantity not in _QUANTITIES:
            raise InputError(f"unknown quantity {quantity!r}; {nearest(quantity, _QUANTITIES)}")
        require_fraction(level, "level")
        function = _QUANTITIES[quantity] if isinstance(quantity, str) else quantity
        values = [np.asarray(function(m)) for m in self.draw_rates(n, random_state=random_state)]
        tail = (1 - level) / 2
        lower = np.quantile(np.stack(values), tail, axis=0, method="lower")
        upper = np.quantile(np.stack(values), 1 - tail, axis=0, method="higher")
        there = np.asarray(function(self.rates_))
        known = ~np.isnan(there)
        lower = np.where(known, np.minimum(lower, there), lower)
        return lower, np.where(known, np.maximum(upper, there), upper)
