"""The ways to an estimate: likelihood, prior, posterior draws, and the network alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.jumps.bayes import Draws, sample_posterior
from trajinfer.jumps.fit import FitResult, Search
from trajinfer.jumps.setup import Setup
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.parameters import GammaPrior, Parameters
from trajinfer.markov.rates import with_diagonal
from trajinfer.recognition.network import Recognition, pretrained
from trajinfer.recognition.statistics import statistics_of

_LARGEST = 12
_DIVERGED = 20.0
_TRIAL_STEPS = 5
_WRONG = 0.25


@dataclass(frozen=True, eq=False)
class Estimate:
    """The estimate of a method.

    Attributes:
        result: parameters, likelihood, history.
        method: "em", "mle", "map", "bayes", "network" or "polished".
        setup: the setup that was solved; links may have been deselected.
        recognition: output of the network, where it was asked.
        draws: posterior draws of "bayes".
    """

    result: FitResult
    method: str
    setup: Setup
    recognition: Recognition | None = None
    draws: Draws | None = None


def maximum_likelihood(setup: Setup, search: Search, *, select: bool = False) -> Estimate:
    """Maximum likelihood; with `select`, links are dropped by BIC."""
    setup = setup.without_unseen()
    result = maximise(setup, None, setup.starts, search)
    if select:
        setup, result = select_links(setup, result, search)
    return Estimate(result, "mle" if search.polish else "em", setup)


def posterior_mode(setup: Setup, search: Search) -> Estimate:
    """Exponential prior whose mean is the typical rate of a link, 1 / (tau x links per state)."""
    setup = setup.without_unseen()
    return Estimate(
        maximise(setup, setup.scale_prior(1.0, 1.0), setup.starts, search), "map", setup
    )


def posterior_mean(setup: Setup, seed: int) -> Estimate:
    """Posterior mean of the rates under the same prior.

    Raises:
        InputError: if the rates are constrained.
    """
    if not setup.problem.rate_map.free:
        raise InputError(
            "method='bayes' needs free rates: leave out model=, covariates= and reversible="
        )
    problem = setup.with_prior(setup.scale_prior(1.0, 1.0))
    mode, draws = sample_posterior(problem, setup.starts, seed)
    emission = mode.parameters.emission
    if emission.learn_error:
        emission = replace(emission, error=float(draws.error.mean()))
    mean = replace(mode.parameters, rates=draws.rates.mean(axis=0), emission=emission)
    worst = float(np.nanmax(draws.r_hat, initial=1.0))
    result = replace(
        mode,
        parameters=mean,
        p=problem.rate_map.start(mean.rates),
        log_likelihood=problem.data.log_likelihood(mean),
        converged=worst < 1.1,
    )
    return Estimate(result, "bayes", setup, draws=draws)


def recognised(setup: Setup) -> Estimate:
    """The network alone.

    Raises:
        InputError: if the settings or the observations are beyond what the network reads.
    """
    reason = beyond_network(setup)
    if reason:
        raise InputError(f"method='amortized' cannot use {reason}; take method='map'")
    n = len(setup.links)
    emission = setup.start.emission
    error = None if emission.learn_error else emission.error
    answer = pretrained().recognise(statistics_of([setup.series], n), error)
    ceiling = _DIVERGED * float(-np.diag(setup.start.rates).min())
    rates = with_diagonal(np.where(setup.links, np.minimum(answer.rates[0], ceiling), 0.0))
    if emission.learn_error:
        emission = replace(emission, error=float(np.clip(answer.label_noise[0], 1e-4, 0.5)))
    now = Parameters(rates, answer.initial[0], emission)
    value = setup.problem.data.log_likelihood(now)
    p = setup.problem.rate_map.start(now.rates)
    result = FitResult(now, p, value, value, [value], converged=True)
    return Estimate(result, "network", setup, answer)


def refuted(result: FitResult, best: FitResult, setup: Setup) -> bool:
    """Whether the data rule out these rates, by a likelihood-ratio test at level 0.001."""
    fall = best.log_likelihood - result.log_likelihood
    return bool(2 * fall > chi2.ppf(0.999, int(setup.links.sum())))


def contradiction(estimate: Estimate) -> list[str]:
    """A note where a few steps from other starts rule out the rates of the network.

    Rates that are wrong by a share d cost about d^2 / 2 nats a jump. With many data the network
    is refuted for small errors, too: only those of about a factor of two are told.
    """
    setup, result = estimate.setup, estimate.result
    starts = [result.parameters, *setup.starts]
    better = maximise(setup, None, starts, Search(_TRIAL_STEPS, polish=False))
    fall = better.log_likelihood - result.log_likelihood
    changes = int((setup.pairs.start != setup.pairs.end).sum())
    if not refuted(result, better, setup) or fall < _WRONG * changes:
        return []
    return [
        f"the data rule out the rates of the network: log-likelihood {fall:.1f} below that of "
        "others, as happens beyond what it was trained on, such as gaps of very different "
        "lengths. Its intervals mislead, too: take method='auto'"
    ]


def beyond_network(setup: Setup) -> str:
    """What keeps the network from being used, in words; empty if nothing."""
    series, emission = setup.series, setup.start.emission
    n = len(setup.links)
    if not setup.problem.rate_map.free:
        return "constraints on the rates"
    if setup.masked:
        return "a mask of links or absorbing states"
    kinds = series.flat_observation
    if kinds is not None and kinds[series.seen].any():
        return "observations other than snapshots"
    if emission.gaussian is not None or emission.labels is not None:
        return "a signal or a matrix of label noise"
    if setup.weighted:
        return "weights of paths"
    return f"more than {_LARGEST} states" if n > _LARGEST else ""


def maximise(
    setup: Setup, prior: GammaPrior | None, starts: list[Parameters], search: Search
) -> FitResult:
    """The best maximum from several starts; learned matrices and signals go by EM alone."""
    emission = starts[0].emission
    by_steps = emission.learn_labels or (emission.gaussian is not None and emission.gaussian.learn)
    search = replace(search, polish=search.polish and not by_steps)
    return search.best_of(setup.with_prior(prior), starts)


def select_links(setup: Setup, result: FitResult, search: Search) -> tuple[Setup, FitResult]:
    """Backward elimination of links by BIC, the weakest first.

    A link goes if that costs less than half the logarithm of the number of observations.
    """
    data = setup.problem.data
    n_seen = data.n_observations if isinstance(data, HiddenData) else len(setup.pairs.gap)
    price = 0.5 * float(np.log(max(n_seen, 2)))
    while True:
        links = setup.links
        now = result.parameters
        expected = data.expectation(now).jumps[0]
        weak = [(i, j) for i, j in np.argwhere(links & (expected < 4 * price))]
        weak.sort(key=lambda link: float(expected[link[0], link[1]]))
        for i, j in weak:
            fewer: Array = links.copy()
            fewer[i, j] = False
            trial = setup.with_links(fewer, now)
            reduced = _if_possible(trial, search)
            if reduced is not None and result.log_likelihood - reduced.log_likelihood < price:
                setup, result = trial, reduced
                break
        else:
            return setup, result


def _if_possible(setup: Setup, search: Search) -> FitResult | None:
    try:
        return maximise(setup, None, setup.starts, search)
    except InputError:
        return None
