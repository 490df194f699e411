"""The ways to an estimate: likelihood, prior, posterior draws, network, and the choice."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.jumps.bayes import Draws, sample_posterior
from trajinfer.jumps.fit import FitResult, GammaPrior, Parameters, fit
from trajinfer.jumps.hidden import HiddenData
from trajinfer.jumps.network import Recognition, pretrained
from trajinfer.jumps.rate_map import LogLinear
from trajinfer.jumps.rates import with_diagonal
from trajinfer.jumps.setup import Setup
from trajinfer.jumps.statistics import statistics_of

_LOG = logging.getLogger("trajinfer.jumps")
_LARGEST = 12
_ENOUGH_PATHS = 100
_NATS_SMALL, _NATS_LARGE = 0.2, 0.1
_DIVERGED = 20.0


@dataclass(frozen=True)
class Estimate:
    """What a method found.

    Attributes:
        result: parameters, likelihood, history.
        method: "em", "mle", "map", "bayes", "network", "polished" or "averaged".
        recognition: output of the network, where it was asked.
        draws: posterior draws of "bayes".
        setup: the setup that was solved; links may have been deselected.
    """

    result: FitResult
    method: str
    setup: Setup
    recognition: Recognition | None = None
    draws: Draws | None = None


@dataclass(frozen=True)
class Budget:
    """Iterations, tolerance and seed."""

    max_iter: int
    tol: float
    seed: int


def likelihood(setup: Setup, budget: Budget, *, finish: bool, select: bool) -> Estimate:
    """Maximum likelihood, by EM alone or finished by a quasi-Newton search."""
    setup = setup.without_unseen()
    result = _solve(setup, None, setup.start, budget, finish=finish)
    name = "mle" if finish else "em"
    if select:
        setup, result = select_links(setup, result, budget)
    return Estimate(result, name, setup)


def posterior_mode(setup: Setup, budget: Budget) -> Estimate:
    """Exponential prior whose mean is the typical rate of a link, 1 / (tau x links per state)."""
    setup = setup.without_unseen()
    prior = setup.scale_prior(1.0, 1.0)
    return Estimate(_solve(setup, prior, setup.start, budget), "map", setup)


def posterior_mean(setup: Setup, budget: Budget) -> Estimate:
    """Posterior mean of the rates under the same prior."""
    if (
        not isinstance(setup.problem.rate_map, LogLinear)
        or setup.problem.rate_map.design is not None
    ):
        raise InputError("method='bayes' needs free rates: leave out model= and reversible=")
    problem = setup.with_prior(setup.scale_prior(1.0, 1.0))
    found, draws = sample_posterior(problem, setup.start, budget.seed)
    emission = found.parameters.emission
    if emission.learn_error:
        emission = replace(emission, error=float(draws.error.mean()))
    mean = replace(found.parameters, rates=draws.rates.mean(axis=0), emission=emission)
    value = problem.data.log_likelihood(mean.rates, mean.initial, mean.emission)
    worst = float(np.nanmax(draws.r_hat))
    result = replace(
        found,
        parameters=mean,
        p=problem.rate_map.start(mean.rates),
        log_likelihood=value,
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
    seen, now = _recognise(setup)
    value = setup.problem.data.log_likelihood(now.rates, now.initial, now.emission)
    p = setup.problem.rate_map.start(now.rates)
    return Estimate(FitResult(now, p, value, [value], True), "network", setup, seen)


def automatic(setup: Setup, budget: Budget) -> Estimate:
    """The network, polished by the likelihood where the data speak for themselves.

    Polishing is EM with the Gamma prior of shape 1 + k and rate k / network rate: k = 1 pseudo-jump
    per link, 3 with label noise. With few paths it is taken where it gains more than 0.2 nats per
    rate, as the data are then unlike those the network was trained on. From 100 paths on (or as
    many observed changes as they bring) it is taken where it gains more than 0.1 nats per rate;
    below, the data cannot tell the two answers apart, and their mean is taken.

    What the network cannot read gets a prior of 0.1 pseudo-jumps per link at the typical rate
    instead; a `model` is fitted by its likelihood.
    """
    if beyond_network(setup):
        free = isinstance(setup.problem.rate_map, LogLinear)
        prior = setup.scale_prior(1.1, 0.1) if free else None
        return Estimate(_solve(setup, prior, setup.start, budget), "map" if free else "mle", setup)
    network = recognised(setup)
    seen, now = network.recognition, network.result.parameters
    noisy = not now.emission.noiseless
    links = setup.problem.rate_map.links
    pseudo = 3.0 if noisy else 1.0
    centre = np.maximum(now.rates, 1e-6 * setup.scale)
    ones = np.ones(links.shape)
    prior = GammaPrior((1 + pseudo) * ones, np.where(links, pseudo / centre, pseudo))
    polished = _solve(setup, prior, now, budget)
    gain = (polished.log_likelihood - network.result.log_likelihood) / links.sum()
    moved = int((setup.pairs.start != setup.pairs.end).sum())
    enough = len(setup.pairs.first) >= _ENOUGH_PATHS or moved >= 10 * links.sum()
    top = _DIVERGED * float(-np.diag(setup.start.rates).min())
    bounded = polished.parameters.rates[links].max() <= top
    _LOG.info("polish gains %.3f nats per rate; %d observed changes", gain, moved)
    if bounded and gain > (_NATS_LARGE if enough else _NATS_SMALL):
        return Estimate(polished, "polished", setup, seen)
    if not (bounded and enough):
        return network
    return Estimate(_midpoint(setup, now, polished), "averaged", setup, seen)


def _midpoint(setup: Setup, network: Parameters, polished: FitResult) -> FitResult:
    now = replace(polished.parameters, rates=(network.rates + polished.parameters.rates) / 2)
    value = setup.problem.data.log_likelihood(now.rates, now.initial, now.emission)
    p = setup.problem.rate_map.start(now.rates)
    return replace(polished, parameters=now, p=p, log_likelihood=value)


def beyond_network(setup: Setup) -> str:
    """What keeps the network from being used, in words; empty if nothing."""
    rate_map, series = setup.problem.rate_map, setup.series
    n = len(rate_map.links)
    emission = setup.start.emission
    if not isinstance(rate_map, LogLinear) or rate_map.design is not None:
        return "constraints on the rates"
    if not rate_map.links[~np.eye(n, dtype=bool)].all():
        return "a mask of links"
    if series.observation is not None and series.observation[series.mask].any():
        return "observations other than snapshots"
    if emission.gaussian is not None or emission.labels is not None:
        return "a signal or a matrix of label noise"
    return f"more than {_LARGEST} states" if n > _LARGEST else ""


def _recognise(setup: Setup) -> tuple[Recognition, Parameters]:
    n = len(setup.problem.rate_map.links)
    emission = setup.start.emission
    told = None if emission.learn_error else emission.error
    seen = pretrained().recognise(statistics_of([setup.series], n), told)
    ceiling = _DIVERGED * float(-np.diag(setup.start.rates).min())
    rates = with_diagonal(np.minimum(np.where(np.eye(n, dtype=bool), 0, seen.rates[0]), ceiling))
    if emission.learn_error:
        emission = replace(emission, error=float(np.clip(seen.label_noise[0], 1e-4, 0.5)))
    return seen, Parameters(rates, seen.initial[0], emission)


def _solve(
    setup: Setup,
    prior: GammaPrior | None,
    start: Parameters,
    budget: Budget,
    *,
    finish: bool = True,
) -> FitResult:
    emission = start.emission
    by_steps = emission.learn_labels or (emission.gaussian is not None and emission.gaussian.learn)
    return fit(
        setup.with_prior(prior),
        start,
        max_iter=budget.max_iter,
        tol=budget.tol,
        finish=finish and not by_steps,
    )


def select_links(setup: Setup, result: FitResult, budget: Budget) -> tuple[Setup, FitResult]:
    """Backward elimination of links by BIC, the weakest first.

    A link goes if that costs less than half the logarithm of the number of observations.
    """
    data = setup.problem.data
    n_seen = data.n_observations if isinstance(data, HiddenData) else len(setup.pairs.gap)
    price = 0.5 * float(np.log(max(n_seen, 2)))
    while True:
        links = setup.problem.rate_map.links
        now = result.parameters
        expected = data.expectation(now.rates, now.initial, now.emission).jumps[0]
        weak = [(i, j) for i, j in np.argwhere(links & (expected < 4 * price))]
        weak.sort(key=lambda link: float(expected[link[0], link[1]]))
        for i, j in weak:
            fewer = links.copy()
            fewer[i, j] = False
            trial = _with_links(setup, fewer, now)
            found = _try_solve(trial, budget)
            if found is not None and result.log_likelihood - found.log_likelihood < price:
                setup, result = trial, found
                break
        else:
            return setup, result


def _try_solve(setup: Setup, budget: Budget) -> FitResult | None:
    try:
        return _solve(setup, None, setup.start, budget)
    except InputError:
        return None


def _with_links(setup: Setup, links: Array, now: Parameters) -> Setup:
    rate_map: Any = LogLinear.free(links, setup.scale)
    start = replace(now, rates=with_diagonal(np.where(links, np.maximum(now.rates, 0.0), 0.0)))
    return replace(setup, problem=replace(setup.problem, rate_map=rate_map), start=start)
