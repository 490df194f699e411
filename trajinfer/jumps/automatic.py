"""The choice of "auto": near the network where the data cannot tell, the likelihood otherwise."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from trajinfer.jumps.fit import FitResult, Search
from trajinfer.jumps.methods import (
    Estimate,
    beyond_network,
    maximise,
    maximum_likelihood,
    recognised,
    refuted,
)
from trajinfer.jumps.setup import Setup
from trajinfer.markov.parameters import GammaPrior, Parameters

_LOG = logging.getLogger("trajinfer.jumps")
_TOLERANCE = 0.45
_TOLERANCE_PER_RATE = 0.2
_ENOUGH_PATHS = 100
_ENOUGH_CHANGES = 10
_WEIGHTS = (1.0, 0.25, 0.06, 0.015)
_SMALL_WEIGHTS = (0.1, 0.025, 0.006)
_HALVINGS = 7


def automatic(setup: Setup, search: Search) -> Estimate:
    """Of all answers that the data cannot tell from the best one, that nearest to the network's.

    The largest likelihood comes first, from starts at every scale of the gaps and from the
    network. Rates that cost less than 0.45 nats of it in all count as equally good. With few data
    (fewer than 100 paths and than 10 observed changes per rate) 0.2 nats per rate do, as the
    maximum then fits the accidents of the data. The network's answer is taken as it is where it
    is that good. Else the likelihood is drawn towards it, by a Gamma prior of up to one
    pseudo-jump per link, so that rates which the data do not determine stay typical; where the
    network is not refuted, the rest of the allowance takes all rates some way further on a
    straight line. What the network cannot read is drawn towards the typical rate instead;
    constrained rates are fitted by their likelihood.
    """
    best = maximum_likelihood(setup, search)
    if not setup.problem.rate_map.free:
        return best
    if beyond_network(setup):
        return _drawn_to_typical(setup, search, best)
    network = recognised(setup)
    again = maximise(setup, None, [network.result.parameters], search)
    best = replace(best, result=_if_better(again, best.result))
    network = _with_law_of(best.result, network)
    bar = best.result.log_likelihood - _allowance(setup)
    if network.result.log_likelihood > bar:
        return network
    now = network.result.parameters
    centre = np.maximum(now.rates, setup.limits.low)
    for weight in _WEIGHTS:
        rate = np.where(setup.links, weight / centre, weight)
        prior = GammaPrior(np.full(rate.shape, 1 + weight), rate)
        drawn = maximise(setup, prior, [best.result.parameters], search)
        _LOG.info("%g pseudo-jumps give %.3f, bar %.3f", weight, drawn.log_likelihood, bar)
        if drawn.log_likelihood > bar:
            if not refuted(network.result, best.result, setup):
                drawn = _towards(now, drawn, setup, bar)
            return Estimate(drawn, "polished", setup, network.recognition)
    return replace(best, recognition=network.recognition, method="polished")


def _allowance(setup: Setup) -> float:
    """The fall of the log-likelihood that the data cannot tell."""
    n_rates = int(setup.links.sum())
    changes = int((setup.pairs.start != setup.pairs.end).sum())
    enough = len(setup.pairs.first) >= _ENOUGH_PATHS or changes >= _ENOUGH_CHANGES * n_rates
    return _TOLERANCE if enough else max(_TOLERANCE, _TOLERANCE_PER_RATE * n_rates)


def _towards(goal: Parameters, result: FitResult, setup: Setup, bar: float) -> FitResult:
    """The point furthest on the way from a fit to `goal` whose log-likelihood is above the bar."""

    def at(share: float) -> FitResult:
        rates = (1 - share) * result.parameters.rates + share * goal.rates
        now = replace(result.parameters, rates=rates)
        value = setup.problem.data.log_likelihood(now)
        p = setup.problem.rate_map.start(rates)
        return replace(result, parameters=now, p=p, log_likelihood=value)

    near, far, best = 0.0, 1.0, result
    for _ in range(_HALVINGS):
        there = at((near + far) / 2)
        if there.log_likelihood > bar:
            near, best = (near + far) / 2, there
        else:
            far = (near + far) / 2
    return best


def _with_law_of(best: FitResult, network: Estimate) -> Estimate:
    """The network's rates with the first law of the likelihood, which needs no regularisation."""
    now = replace(network.result.parameters, initial=best.parameters.initial)
    value = network.setup.problem.data.log_likelihood(now)
    result = replace(network.result, parameters=now, log_likelihood=value, history=[value])
    return replace(network, result=result)


def _drawn_to_typical(setup: Setup, search: Search, best: Estimate) -> Estimate:
    for weight in _SMALL_WEIGHTS:
        prior = setup.scale_prior(1 + weight, weight)
        drawn = maximise(setup, prior, [best.result.parameters], search)
        if best.result.log_likelihood - drawn.log_likelihood < _TOLERANCE:
            return Estimate(drawn, "map", setup)
    return best


def _if_better(one: FitResult, other: FitResult) -> FitResult:
    return one if one.log_likelihood > other.log_likelihood else other
