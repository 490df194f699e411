"""Which source of uncertainty belongs to an estimate."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.jumps.methods import Estimate
from trajinfer.jumps.uncertainty import (
    CurvatureUncertainty,
    DrawsUncertainty,
    Exits,
    MixedUncertainty,
    NetworkUncertainty,
    Uncertainty,
)
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
    if estimate.draws is not None:
        return DrawsUncertainty(estimate.draws.rates, jumps)
    answer = estimate.recognition
    rates = result.parameters.rates
    absorbing = setup.absorbing.by_data
    exits = Exits(absorbing[:, None] & ~np.eye(len(absorbing), dtype=bool), dwell)
    if answer is not None and estimate.method == "network":
        return NetworkUncertainty(answer, rates, setup.links, exits)
    likelihood = CurvatureUncertainty(setup.problem, result, jumps, dwell, unbounded, exits)
    if answer is None:
        return likelihood
    return MixedUncertainty(likelihood, NetworkUncertainty(answer, rates, setup.links, exits))
