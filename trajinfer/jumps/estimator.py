"""The estimator: rates of a Markov jump process from labels at irregular times."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from trajinfer._core.accepted_data import SERIES
from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.devices import Device
from trajinfer._core.errors import IdentifiabilityWarning
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data.input import paths_to_learn
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps import methods
from trajinfer.jumps.automatic import automatic
from trajinfer.jumps.covariate_map import CovariateMap
from trajinfer.jumps.effects import effect_rows, unidentified
from trajinfer.jumps.findings import findings
from trajinfer.jumps.fit import Search
from trajinfer.jumps.format_1 import fitted_of, settings_of
from trajinfer.jumps.model import JumpModel
from trajinfer.jumps.phases import Phases, phased_setup
from trajinfer.jumps.refits import RefittedJumpProcess
from trajinfer.jumps.settings import (
    check_settings,
    resolve_emission,
    resolve_links,
    resolve_states,
    resolve_weights,
)
from trajinfer.jumps.setup import RateStructure, Setup, build
from trajinfer.jumps.sources import uncertainty_of
from trajinfer.markov import rates as derived
from trajinfer.markov.emission import GaussianEmission, LabelNoise

Method = Literal["auto", "em", "mle", "map", "bayes", "amortized"]
_USER = 5  # frames up to the call of fit: two here, two of the wrappers of fit


@dataclass(eq=False, repr=False)
class MarkovJumpProcess(RefittedJumpProcess):
    r"""Rates F of a jump process: $P(X_{t+\Delta} = j \mid X_t = i) = (e^{F\Delta})_{ij}$.

    Args:
        n_states: S; None takes the labels that occur.
        method: "mle" maximises the likelihood (EM, then quasi-Newton), "em" by accelerated EM
            alone; "map" adds an exponential prior whose mean is the typical rate of the data;
            "bayes" draws from the posterior under that prior and gives its mean; "amortized" asks
            the recognition network; "auto" takes, of all rates that cost less than half a nat of
            the largest likelihood, those nearest to the network's.
        label_noise: probability that a label is replaced by one of the S - 1 wrong ones (not:
            redrawn from all S), "learn" to estimate it, an (S, S) matrix of the probabilities of
            label o in state s, or `jumps.LabelNoise` to learn such a matrix.
        links: (S, S) bool, which jumps are possible; None for all, except out of absorbing states;
            "select" drops links by BIC (methods "mle" and "em").
        absorbing: label or labels of states that are never left. None takes those entered by an
            observed absorption, and those that nobody was observed to leave: watched for three
            times the typical sojourn, or entered by three paths or more that all end there. A
            warning names them; `absorbing=()` allows exits.
        reversible: impose detailed balance.
        model: a function of a parameter vector theta to rates (S, S), diagonal ignored; theta is
            fitted by the likelihood.
        theta0: start of theta; None takes ones of the smallest length that `model` accepts.
        emission: `jumps.GaussianEmission` of the signal of the series.
        covariates: what the rates depend on, log F_ij(x) = log F_ij + beta_ij (x - mean): "all",
            names of covariates of the series for all links, or a mapping from links (pairs of
            labels) to names.
        equal_effects: lists of links on which a covariate has one effect in common.
        phases: number of phases of every state that is left, or a mapping from labels to numbers;
            the rate of leaving a state then depends on the time spent there. Noise and signals
            are those of the state, effects of covariates act alike from all its phases. None is 1.
        max_iter: bound on iterations.
        tol: relative change of the likelihood at which they stop.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed of "bayes" and of the draws; sampling calls can override it.
        device: None, "cpu" or "auto": its likelihoods in double precision run on the CPU.
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
        absorbing_: labels of the states that are never left.
        groups_: groups of labels between which no jump was observed.
        model_: the frozen `JumpModel`; uncertainty_: the source of intervals.
        method_: the method; for "auto" what it took: "network", "polished", "map" or "mle".
        expected_jumps_: (S, S) expected numbers of jumps given the data.
        theta_: fitted parameters of `model`.
        effects_: frame of the effects of covariates: from, to, covariate, log_ratio, std_error,
            hazard_ratio, lower, upper (95 %), identified.
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

    accepts = replace(SERIES, container="JumpSeries", statics=True, weights=True)

    n_states: int | None = None
    _: KW_ONLY
    method: Method = "auto"
    label_noise: float | Literal["learn"] | Array | LabelNoise = 0.0
    links: Array | Literal["select"] | None = None
    absorbing: Hashable | Sequence[Hashable] | None = None
    reversible: bool = False
    model: Callable[[Array], Any] | None = None
    theta0: Sequence[float] | None = None
    emission: GaussianEmission | None = None
    covariates: Any = None
    equal_effects: Any = None
    phases: int | Mapping[Hashable, int] | None = None
    max_iter: int = 500
    tol: float = 1e-8
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
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
        self = cls(len(derived.as_rates(rates)), label_noise=label_noise, emission=emission)
        self.model_ = JumpModel.from_rates(rates, initial, label_noise, states, emission)
        self.seed_ = seed_from(None)
        self.method_, self.converged_, self.n_iter_ = "given", True, 0
        self.history_ = []
        return self

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Estimate the rates.

        Args:
            X: a `JumpSeries`; also a table with columns id, time, state, a pair (times, labels), or
                labels (B, T) at unit steps.
            y: ignored.
            sample_weight: (B,) weight of every path; 2 counts it twice.

        Raises:
            InputError: for settings or data that cannot be used.
        """
        series = paths_to_learn(X)
        check_settings(self.get_params(deep=False))
        states = resolve_states(series, self.n_states)
        structure = RateStructure(
            resolve_links(self.links, len(states)),
            self.links is not None and not isinstance(self.links, str),
            self.absorbing,
            self.reversible,
            self.model,
            self.theta0,
            self.covariates,
            self.equal_effects,
        )
        emission = resolve_emission(self.label_noise, self.emission, len(states))
        weights = resolve_weights(sample_weight, len(series))
        setup = build(series.recode(states), states, emission, structure, weights)
        seed = once("seed", seed_from, self.random_state)
        self._series = series
        phases = None
        if self.phases is not None:
            phases = Phases.of(self.phases, states, setup.absorbing.states)
            plain = methods.maximum_likelihood(setup, self._search()).result
            setup = phased_setup(setup, plain, phases, weights)
        self._keep(self._run(setup, seed), series, states, seed, phases)
        return self

    def _search(self) -> Search:
        return Search(self.max_iter, self.tol, polish=self.method != "em")

    def _run(self, setup: Setup, seed: int) -> methods.Estimate:
        search = self._search()
        if self.method in ("em", "mle") or self.phases is not None:
            return methods.maximum_likelihood(setup, search, select=isinstance(self.links, str))
        if self.method == "map":
            return methods.posterior_mode(setup, search)
        if self.method == "bayes":
            return methods.posterior_mean(setup, seed)
        if self.method == "amortized":
            return methods.recognised(setup)
        return automatic(setup, search)

    def _keep(
        self,
        estimate: methods.Estimate,
        series: JumpSeries,
        states: tuple[Hashable, ...],
        seed: int,
        phases: Phases | None,
    ) -> None:
        result, setup = estimate.result, estimate.setup
        rate_map, parameters, effects = setup.problem.rate_map, result.parameters, None
        if isinstance(rate_map, CovariateMap):
            effects = rate_map.effects(result.p)
            parameters = replace(parameters, rates=rate_map.reference(result.p))
        self.model_ = JumpModel(parameters, states, series.axis, effects=effects, phases=phases)
        labels = self.model_.rate_labels
        self.method_ = estimate.method
        self.log_likelihood_ = result.log_likelihood
        self.n_paths_, self.n_observations_ = len(series), series.n_observations
        self.n_parameters_ = setup.problem.n_parameters(result.parameters)
        self.n_features_in_ = len(states)
        self.feature_names_in_ = np.empty(len(states), dtype=object)
        self.feature_names_in_[:] = states
        expected = setup.problem.data.expectation(result.parameters)
        self.expected_jumps_ = expected.jumps.sum(axis=0)
        limits = findings(setup, result, expected, labels)
        self.groups_ = limits.labelled_groups(labels)
        self.absorbing_ = tuple(labels[k] for k in np.flatnonzero(setup.absorbing.states))
        self.uncertainty_ = uncertainty_of(estimate, expected, limits.unbounded)
        if isinstance(rate_map, CovariateMap):
            owner = np.arange(len(states)) if phases is None else phases.owner
            self.effect_rows_ = effect_rows(setup.problem, result, states, owner)
            limits.notes.extend(unidentified(self.effect_rows_))
        if self.method == "amortized":
            limits.notes.extend(methods.contradiction(estimate))
        if self.model is not None:
            self.theta_ = result.p
        if estimate.draws is not None:
            self.draws_ = estimate.draws.rates
            self.r_hat_, self.ess_ = estimate.draws.r_hat, estimate.draws.ess
        for note in limits.notes:
            warnings.warn(note, IdentifiabilityWarning, stacklevel=_USER)
        history = [{"iteration": k, "objective": v} for k, v in enumerate(result.history)]
        self._conclude(seed=seed, n_iter=len(history), converged=result.converged, history=history)

    def _settings_to_save(self) -> dict[str, Any]:
        """Without `model`, which is code; its rates are kept."""
        return super()._settings_to_save() | {"model": None}

    def save(self, path: str | Path) -> Path:
        """Write the fitted model to a folder that `trajinfer.load` reads.

        Intervals at 95 %, standard errors and correlations of the rates are written, so that
        `interval` works on what is loaded; the data are not.

        Raises:
            InputError: if labels or settings cannot be written as plain data.
        """
        check_is_fitted(self)
        written = copy.copy(self)
        if hasattr(self, "uncertainty_"):
            written.uncertainty_ = self.uncertainty_.saved()
        return super(MarkovJumpProcess, written).save(path)

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        estimator = cls(**settings_of(config, tensors))
        for name, value in fitted_of(config, tensors).items():
            setattr(estimator, name, value)
        return estimator
