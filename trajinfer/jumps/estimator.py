"""The estimator: rates of a Markov jump process from labels seen at irregular times."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.archive import save_archive
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data.input import as_jump_series
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps import methods
from trajinfer.jumps import rates as derived
from trajinfer.jumps.archive import pack, unpack
from trajinfer.jumps.decoding import most_probable_states
from trajinfer.jumps.emission import GaussianEmission, LabelNoise
from trajinfer.jumps.hidden import HiddenData
from trajinfer.jumps.likelihood import CountData
from trajinfer.jumps.posterior import state_probabilities
from trajinfer.jumps.setup import (
    Setup,
    build,
    is_hidden,
    resolve_emission,
    resolve_links,
    resolve_states,
)
from trajinfer.jumps.simulate import simulate
from trajinfer.jumps.uncertainty import (
    IdentifiabilityWarning,
    Intervals,
    findings,
    log_normal_draws,
    profile_limit,
    wald_intervals,
)

Method = Literal["auto", "em", "mle", "map", "bayes", "amortized"]
Quantity = Literal[
    "rates",
    "stationary_distribution",
    "relaxation_times",
    "mean_first_passage_times",
    "entropy_production",
]
_METHODS = ("auto", "em", "mle", "map", "bayes", "amortized")
_QUANTITIES: dict[str, Callable[[Array], Any]] = {
    "rates": lambda matrix: matrix,
    "stationary_distribution": derived.stationary_distribution,
    "relaxation_times": derived.relaxation_times,
    "mean_first_passage_times": derived.mean_first_passage_times,
    "entropy_production": derived.entropy_production,
}
_IDENTIFIED = 3.0
_OF_ONE_FIT = ("std_errors_", "intervals_", "_spread", "theta_", "draws_", "r_hat_", "ess_")


@dataclass(eq=False, repr=False)
class MarkovJumpProcess(BaseEstimator):  # type: ignore[misc]
    r"""Rates F of a jump process: $P(X_{t+\Delta} = j \mid X_t = i) = (e^{F\Delta})_{ij}$.

    Args:
        n_states: S; None takes the labels that occur.
        method: "mle" maximises the likelihood (EM, then quasi-Newton), "em" by accelerated EM
            alone; "map" adds an exponential prior whose mean is the typical rate of the data;
            "bayes" draws from the posterior under that prior and gives its mean; "amortized" asks
            the recognition network; "auto" lets the network regularise the likelihood and never
            takes an unregularised step.
        label_noise: probability that a label is replaced by one of the S - 1 wrong ones (not:
            redrawn from all S), "learn" to estimate it, an (S, S) matrix of the probabilities of
            label o in state s, or `jumps.LabelNoise` to learn such a matrix.
        links: (S, S) bool, which jumps are possible; None for all, except out of states that are
            entered by an observed absorption; "select" drops links by BIC
            (methods "mle" and "em").
        reversible: impose detailed balance.
        model: a function of a parameter vector theta to rates (S, S), diagonal ignored; theta is
            fitted by the likelihood.
        theta0: start of theta; None takes ones of the smallest length that `model` accepts.
        emission: `jumps.GaussianEmission` of the signal of the series.
        max_iter: bound on iterations.
        tol: relative change of the likelihood at which they stop.
        random_state: seed of "bayes" and of the draws; sampling calls can override it.
        verbose: 1 logs what was done under the logger `trajinfer.jumps`.

    Attributes:
        rates_: (S, S), rows sum to 0.
        initial_: (S,) law of the first observed state.
        label_noise_: probability of a wrong label; a matrix only where one was given.
        states_: the S labels.
        log_likelihood_: of the data, without prior.
        std_errors_: (S, S) standard errors of the rates; NaN where they are not determined.
        intervals_: (S, S, 2) 95 % intervals; see `rate_intervals`.
        n_iter_, converged_, history_: of the search.
        method_: what "auto" took: "network", "polished", "averaged" (the mean of both) or "map".
        expected_jumps_: (S, S) expected numbers of jumps given the data.
        theta_: fitted parameters of `model`.
        emission_: fitted `GaussianEmission`.
        draws_, r_hat_, ess_: of method "bayes".

    Raises:
        InputError: for settings or data that cannot be used, before any work.

    References:
        Hobolth and Jensen, J. Appl. Prob. 2011 (expected statistics); Kalbfleisch and Lawless, JASA
        1985 (panel data); Berghaus et al., NeurIPS 2024 (recognition by a network).

    Example:
        >>> from trajinfer import jumps
        >>> data = jumps.simulate([[-1, 1], [2, -2]], [1, 0], 400, [0, 0.3, 0.6], random_state=1)
        >>> model = MarkovJumpProcess(2, method="mle").fit(data)
        >>> bool(abs(model.rates_[0, 1] - 1) < 4 * model.std_errors_[0, 1])
        True
    """

    n_states: int | None = None
    _: KW_ONLY
    method: Method = "auto"
    label_noise: float | Literal["learn"] | Array | LabelNoise = 0.0
    links: Array | Literal["select"] | None = None
    reversible: bool = False
    model: Callable[[Array], Any] | None = None
    theta0: Sequence[float] | None = None
    emission: GaussianEmission | None = None
    max_iter: int = 500
    tol: float = 1e-8
    random_state: RandomState = None
    verbose: int = 0

    @classmethod
    def from_rates(
        cls,
        rates: Any,
        initial: Any = None,
        label_noise: Any = 0.0,
        states: Sequence[Hashable] | None = None,
        *,
        emission: GaussianEmission | None = None,
    ) -> Self:
        """A ready model with these rates; nothing is fitted.

        Args:
            rates: (S, S) rate matrix.
            initial: (S,) law of the first state. None: the stationary law of an irreducible chain,
                else the uniform one; likelihoods of known states then condition on the first one.
            label_noise: probability of a wrong label, or a matrix (S, S).
            states: the S labels; None is 0 .. S - 1.
            emission: of a signal.

        Raises:
            InputError: if an argument is not valid.
        """
        matrix = derived.as_rates(rates)
        n = len(matrix)
        self = cls(n, label_noise=label_noise, emission=emission)
        self.states_ = tuple(range(n)) if states is None else tuple(states)
        if len(self.states_) != n or len(set(self.states_)) != n:
            raise InputError(f"states must be {n} different labels, got {self.states_}")
        self._emission = resolve_emission(label_noise, emission, n)
        self._conditional = initial is None
        if initial is None:
            whole = len(derived.recurrent_classes(matrix)[0]) == n
            law = derived.stationary_distribution(matrix) if whole else np.full(n, 1 / n)
        else:
            law = derived.as_law(initial, n, "initial")
        self._seed = seed_from(None)
        self._set(matrix, law)
        self.method_, self.converged_, self.n_iter_ = "given", True, 0
        self.history_ = []
        return self

    def fit(self, X: Any, y: Any = None) -> Self:
        """Estimate the rates.

        Args:
            X: a `JumpSeries`; also a table with columns id, time, state, a pair (times, labels), or
                labels (B, T) at unit steps.
            y: ignored.

        Raises:
            InputError: for settings or data that cannot be used.
        """
        series = as_jump_series(X)
        self._check_settings()
        states = resolve_states(series, self.n_states)
        n = len(states)
        emission = resolve_emission(self.label_noise, self.emission, n)
        links = resolve_links(self.links, n)
        setup = build(
            series.recode(states),
            n,
            emission,
            links,
            reversible=self.reversible,
            model=self.model,
            theta0=self.theta0,
        )
        self._seed = seed_from(self.random_state)
        self._estimate = self._run(setup, methods.Budget(self.max_iter, self.tol, self._seed))
        self.states_, self._conditional = states, False
        self._keep(series)
        return self

    def _check_settings(self) -> None:
        if self.method not in _METHODS:
            given = str(self.method)
            raise InputError(f"unknown method {self.method!r}; {nearest(given, _METHODS)}")
        if self.max_iter < 1 or not self.tol > 0:
            raise InputError(f"max_iter and tol must be positive: {self.max_iter}, {self.tol}")
        select = isinstance(self.links, str)
        if select and (self.method not in ("mle", "em") or self.reversible or self.model):
            raise InputError("links='select' needs method='mle' or 'em' and free rates")
        if self.model is not None and self.method in ("bayes", "amortized", "map"):
            raise InputError("a model is fitted by its likelihood: take method='mle' or 'auto'")

    def _run(self, setup: Setup, budget: methods.Budget) -> methods.Estimate:
        if self.method in ("em", "mle"):
            select = isinstance(self.links, str)
            return methods.likelihood(setup, budget, finish=self.method == "mle", select=select)
        others = {
            "map": methods.posterior_mode,
            "bayes": methods.posterior_mean,
            "auto": methods.automatic,
        }
        return (
            others[self.method](setup, budget)
            if self.method in others
            else methods.recognised(setup)
        )

    def _set(self, rates: Array, initial: Array) -> None:
        self.rates_, self.initial_ = rates, initial
        matrix = self._emission.labels
        self.label_noise_ = self._emission.error if matrix is None else matrix
        self.emission_ = self._emission.gaussian
        for name in _OF_ONE_FIT:
            self.__dict__.pop(name, None)

    def _keep(self, series: JumpSeries) -> None:
        found, setup = self._estimate.result, self._estimate.setup
        now = found.parameters
        self._emission = now.emission
        self._set(now.rates, now.initial)
        self.method_ = self._estimate.method
        self.log_likelihood_ = found.log_likelihood
        self.history_ = [{"iteration": k, "objective": v} for k, v in enumerate(found.history)]
        self.n_iter_, self.converged_ = len(found.history), found.converged
        self.n_paths_, self.n_observations_ = len(series), series.n_observations
        self.axis_ = series.axis
        expected = setup.problem.data.expectation(now.rates, now.initial, now.emission)
        self.expected_jumps_ = expected.jumps[0]
        if self.model is not None:
            self.theta_ = found.p
        if self._estimate.draws is not None:
            self.draws_ = self._estimate.draws.rates
            self.r_hat_, self.ess_ = self._estimate.draws.r_hat, self._estimate.draws.ess
        data, links = setup.problem.data, setup.problem.rate_map.links
        if isinstance(data, (CountData, HiddenData)):
            for note in findings(data, now, expected.jumps[0], links):
                warnings.warn(note, IdentifiabilityWarning, stacklevel=3)
        if not found.converged:
            warnings.warn(
                f"no convergence in {self.n_iter_} iterations; raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )

    @cached_property
    def std_errors_(self) -> Array:
        """(S, S) standard errors of the rates, computed when first asked for."""
        return self._rate_intervals(0.95, limits=False).deviations

    @cached_property
    def intervals_(self) -> Array:
        """(S, S, 2) 95 % intervals of the rates, computed when first asked for."""
        found = self.rate_intervals(0.95)
        return np.stack([found.lower, found.upper], axis=-1)

    def rate_intervals(self, level: float = 0.95) -> Intervals:
        """Intervals of the rates.

        From the curvature of the log-likelihood in the log-rates; a link with less than one
        expected jump gets 0 and its upper profile-likelihood limit. Posterior draws ("bayes") give
        quantiles, one-sided for such links. After "amortized" all, after "auto" those with fewer
        than 3 expected jumps, come from the network, at the 90 % or 95 % level it was trained on.

        Raises:
            InputError: if the level is not in (0, 1), or not 0.9 or 0.95 where the network is
                asked; if the model was not fitted.
        """
        return self._rate_intervals(level, limits=True)

    def _rate_intervals(self, level: float, *, limits: bool) -> Intervals:
        check_is_fitted(self, "rates_")
        if not 0 < level < 1:
            raise InputError(f"level must lie between 0 and 1, got {level}")
        if hasattr(self, "_spread"):
            raise InputError(
                "the data are not kept in a saved model: std_errors_, intervals_, draw_rates and "
                "interval are there; for other intervals of the rates call fit"
            )
        if not hasattr(self, "_estimate"):
            raise InputError("nothing was fitted here, so there are no standard errors; call fit")
        estimate = self._estimate
        if estimate.draws is not None:
            tail = (1 - level) / 2
            lower, upper, one_sided = np.quantile(
                estimate.draws.rates, [tail, 1 - tail, level], axis=0
            )
            weak = self.expected_jumps_ < 1.0
            deviations = estimate.draws.rates.std(axis=0, ddof=1)
            return Intervals(
                deviations, np.where(weak, 0.0, lower), np.where(weak, one_sided, upper)
            )
        seen = estimate.recognition
        if estimate.method == "network" and seen is not None:
            return _network_intervals(seen, level)
        problem, result = estimate.setup.problem, estimate.result
        found = wald_intervals(
            problem,
            result,
            self.expected_jumps_ if seen is None else np.maximum(self.expected_jumps_, 1.0),
            level,
            (lambda link: profile_limit(problem, result, link, (1 + level) / 2))
            if limits
            else None,
        )
        if seen is None:
            return found
        other = _network_intervals(seen, level)
        weak = (self.expected_jumps_ < _IDENTIFIED) | np.isnan(found.deviations)
        joint = None
        if found.covariance is not None:
            alone = weak[problem.rate_map.links]
            joint = np.where(alone[:, None] | alone[None, :], np.nan, found.covariance)
        return Intervals(
            np.where(weak, other.deviations, found.deviations),
            np.where(weak, np.minimum(other.lower, self.rates_), found.lower),
            np.where(weak, np.maximum(other.upper, self.rates_), found.upper),
            joint,
        )

    def profile_interval(
        self, start: Hashable, end: Hashable, level: float = 0.95
    ) -> tuple[float, float]:
        """Profile-likelihood interval of one rate: both ends, 0 or inf where there is none.

        Raises:
            InputError: if there is no such link, or rates are constrained.
        """
        check_is_fitted(self, "_estimate")
        link = (self._code(start), self._code(end))
        problem = self._estimate.setup.problem
        if self.model is not None or self.reversible or not problem.rate_map.links[link]:
            raise InputError(f"no free rate from {start!r} to {end!r}")
        one_sided = (1 + level) / 2
        ends = [
            profile_limit(problem, self._estimate.result, link, one_sided, upper=side)
            for side in (False, True)
        ]
        return ends[0], ends[1]

    def _code(self, label: Hashable) -> int:
        if label not in self.states_:
            raise InputError(f"no state {label!r}; the states are {self.states_}")
        return self.states_.index(label)

    def log_likelihood(self, X: Any) -> float:
        """Log-likelihood of data under the fitted rates.

        Raises:
            InputError: if a label is not among the states.
        """
        check_is_fitted(self, "rates_")
        series = as_jump_series(X).recode(self.states_)
        if is_hidden(series, self._emission):
            top = 2 * float(-np.diag(self.rates_).min())
            hidden = HiddenData(series, len(self.states_), top=top)
            return hidden.log_likelihood(self.rates_, self.initial_, self._emission)
        counts = CountData(series, len(self.states_))
        return counts.log_likelihood(self.rates_, None if self._conditional else self.initial_)

    def score(self, X: Any, y: Any = None) -> float:
        """Log-likelihood per observation; larger is better."""
        return self.log_likelihood(X) / max(as_jump_series(X).n_observations, 1)

    def predict_proba(self, X: Any, ts: Any) -> Array:
        """Probabilities of the states at the times `ts`, given all that was seen of each path.

        Args:
            X: the observations.
            ts: (T,) or (B, T), not before the first observation of a path; later than its last one
                is a forecast.

        Returns:
            (B, T, S).

        Raises:
            InputError: if a time is too early or a label unknown.
        """
        check_is_fitted(self, "rates_")
        series = as_jump_series(X).recode(self.states_)
        return state_probabilities(series, ts, self.rates_, self.initial_, self._emission)

    def most_probable_states(self, X: Any) -> JumpSeries:
        """The most probable states at the observation times, jointly along each path.

        Where `predict_proba` gives the law of each state alone, this is the one sequence of states
        with the largest probability given all that was seen of the path (Viterbi's algorithm).

        Args:
            X: the observations; an entry that is missing gets a state as well.

        Returns:
            The same paths and times with these states.

        Raises:
            InputError: if a label is unknown, or what was seen has probability 0.

        Example:
            >>> model = MarkovJumpProcess.from_rates([[-1, 1], [1, -1]], label_noise=0.1)
            >>> seen = JumpSeries.from_arrays([0, 0.1, 0.2, 0.3], [[0, 0, 1, 0]])
            >>> model.most_probable_states(seen).states.tolist()
            [[0, 0, 0, 0]]
        """
        check_is_fitted(self, "rates_")
        series = as_jump_series(X).recode(self.states_)
        return most_probable_states(series, self.rates_, self.initial_, self._emission)

    def sample(
        self, n: int, ts: Any, *, noisy: bool = True, random_state: RandomState = None
    ) -> JumpSeries:
        """Draw n paths seen at the times `ts`, (T,) or (n, T).

        Args:
            n: number of paths.
            ts: observation times.
            noisy: whether labels are wrong with the probability of the model.
            random_state: None takes the estimator's.
        """
        check_is_fitted(self, "rates_")
        seed = self._seed if random_state is None else seed_from(random_state)
        noise = self._emission.label_matrix() if noisy else 0.0
        axis = getattr(self, "axis_", None)
        times = ts if axis is None else axis.encode(np.ravel(ts)).reshape(np.shape(ts))
        out = simulate(self.rates_, self.initial_, n, times, label_noise=noise, random_state=seed)
        return replace(out, categories=self.states_, axis=axis if axis is not None else out.axis)

    def stationary_distribution(self) -> Array:
        """(S,) the law that does not change; see `jumps.stationary_distribution`."""
        check_is_fitted(self, "rates_")
        return derived.stationary_distribution(self.rates_)

    def relaxation_times(self) -> Array:
        """(S - 1,) relaxation times, slowest first; see `jumps.relaxation_times`."""
        check_is_fitted(self, "rates_")
        return derived.relaxation_times(self.rates_)

    def mean_first_passage_times(self) -> Array:
        """(S, S) mean times from i to the first visit of j, inf where it may never come."""
        check_is_fitted(self, "rates_")
        return derived.mean_first_passage_times(self.rates_)

    def entropy_production(self, *, links: str = "all") -> float:
        """Stationary rate of entropy production; see `jumps.entropy_production`."""
        check_is_fitted(self, "rates_")
        return derived.entropy_production(self.rates_, links=links)

    def draw_rates(self, n: int = 200, *, random_state: RandomState = None) -> Array:
        """(n, S, S) rate matrices that are as plausible as the data leave them.

        Posterior draws after "bayes"; else log-normal draws with the standard errors of the rates
        and, where these come from the likelihood, its correlations between log-rates. Where no
        standard error is known the rate is kept.
        """
        check_is_fitted(self, "rates_")
        seed = self._seed if random_state is None else seed_from(random_state)
        generator = np.random.default_rng(seed)
        if hasattr(self, "draws_"):
            return np.asarray(self.draws_[generator.integers(len(self.draws_), size=n)])
        links, found = self._spread_of_rates()
        return derived.with_diagonal(log_normal_draws(self.rates_, links, found, n, generator))

    def _spread_of_rates(self) -> tuple[Array, Intervals]:
        """Links (S, S), and standard errors of their rates with the correlations."""
        if hasattr(self, "_spread"):
            kept: tuple[Array, Intervals] = self._spread
            return kept
        found = self._rate_intervals(0.9, limits=False)
        return self._estimate.setup.problem.rate_map.links, found

    def interval(
        self,
        quantity: Quantity | Callable[[Array], Any],
        *,
        level: float = 0.9,
        n: int = 200,
        random_state: RandomState = None,
    ) -> tuple[Array, Array]:
        """Lower and upper end of an interval of a quantity that follows from the rates.

        Ends are values of single draws, so that a quantity may be infinite.

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
        if not 0 < level < 1:
            raise InputError(f"level must lie between 0 and 1, got {level}")
        function = _QUANTITIES[quantity] if isinstance(quantity, str) else quantity
        values = [np.asarray(function(m)) for m in self.draw_rates(n, random_state=random_state)]
        tail = (1 - level) / 2
        lower = np.quantile(np.stack(values), tail, axis=0, method="lower")
        upper = np.quantile(np.stack(values), 1 - tail, axis=0, method="higher")
        return np.asarray(lower), np.asarray(upper)

    def bootstrap(self, n: int, X: Any = None, *, random_state: RandomState = None) -> Array:
        """(n, S, S) rates refitted to paths drawn again with replacement.

        Args:
            n: number of refits.
            X: the data; None takes those of the fit.
            random_state: None takes the estimator's.

        Raises:
            InputError: if there are fewer than two paths.
        """
        check_is_fitted(self, "_estimate")
        series = self._estimate.setup.series if X is None else as_jump_series(X)
        if len(series) < 2:
            raise InputError("the bootstrap draws whole paths and needs at least two of them")
        seed = self._seed if random_state is None else seed_from(random_state)
        out = np.empty((n, *self.rates_.shape))
        worker = clone(self).set_params(n_states=None, random_state=seed)
        for k, child in enumerate(spawn(seed, n)):
            rows = np.random.default_rng(child).integers(len(series), size=len(series))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", IdentifiabilityWarning)
                warnings.simplefilter("ignore", ConvergenceWarning)
                out[k] = worker.fit(series[rows]).rates_
        return out

    def save(self, path: str | Path) -> Path:
        """Write the fitted model to a folder that `trajinfer.load` reads.

        Standard errors and correlations of the rates are written, so that `interval` works on what
        is loaded; the data are not.
        """
        check_is_fitted(self, "rates_")
        config, tensors = pack(self)
        return save_archive(path, config, tensors)

    @classmethod
    def _from_archive(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        model: Self = unpack(cls, config, tensors)
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "rates_")


def _network_intervals(seen: Any, level: float) -> Intervals:
    if level not in (0.9, 0.95):
        raise InputError(
            f"the network gives intervals at 0.9 and 0.95, not {level}; take method='bayes'"
        )
    k = 0 if level == 0.9 else 1
    lower, upper = seen.lower[0, ..., k], seen.upper[0, ..., k]
    off = ~np.eye(len(lower), dtype=bool)
    deviation = (seen.upper[0, ..., 0] - seen.lower[0, ..., 0]) / (2 * norm.ppf(0.95))
    return Intervals(
        np.where(off, deviation, np.nan), np.where(off, lower, np.nan), np.where(off, upper, np.nan)
    )
