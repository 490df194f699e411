"""Which source of uncertainty belongs to an estimate."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.jumps.methods import Estimate
from trajinfer.jumps.network_uncertainty import MixedUncertainty, NetworkUncertainty
from trajinfer.jumps.posterior_uncertainty import DrawsUncertainty
from trajinfer.jumps.rate_draws import WEAK, OpenLinks, between_groups
from trajinfer.jumps.rate_intervals import Exits, Uncertainty
from trajinfer.jumps.uncertainty import CurvatureUncertainty
from trajinfer.markov.groups import groups_of
from trajinfer.markov.likelihood import Expectation


def uncertainty_of(estimate: Estimate, expected: Expectation, unbounded: Array) -> Uncertainty:
    """The source of intervals.

    Args:
        estimate: the fit.
        expected: statistics there.
        unbounded: (S, S) bool, rates along which the likelihood rises without end.
    """
    setup, result = estimate.setup, estimate.result
    jumps, dwell = expected.jumps.sum(axis=0), expected.dwell.sum(axis=0)
    absorbing = setup.absorbing.by_data
    outward = absorbing[:, None] & ~np.eye(len(absorbing), dtype=bool)
    exits = Exits(outward, setup.absorbing.watched)
    if estimate.draws is not None:
        apart = between_groups(setup.links, jumps)
        group = groups_of(np.where(jumps >= WEAK, jumps, 0.0))
        open_links = OpenLinks.of(apart, dwell, group)
        return DrawsUncertainty(estimate.draws.rates, jumps, exits, unbounded, open_links)
    answer = estimate.recognition
    likelihood = CurvatureUncertainty(setup.problem, result, jumps, dwell, unbounded, exits)
    if answer is None:
        return likelihood
    rates = result.parameters.rates
    network = NetworkUncertainty(answer, rates, setup.links, jumps, dwell, exits)
    return network if estimate.method == "network" else MixedUncertainty(likelihood, network)
