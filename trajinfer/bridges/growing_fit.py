"""Fitting a bridge when mass changes: growth first, then couplings and refinements under it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from trajinfer._core.checkpoint_folder import once
from trajinfer.bridges.coupling_rules import CouplingRule, accurate
from trajinfer.bridges.fitting import Fit
from trajinfer.bridges.growth import GivenRate, Growth, GrowthSetting, UniformRate
from trajinfer.bridges.growth_search import learn_rate
from trajinfer.bridges.smooth_rate import SmoothRate
from trajinfer.data import Snapshots
from trajinfer.references.dynamics import Reference
from trajinfer.references.parameter_vector import ParameterVector

_ACCURACY = 1e-3


def fit_growing(
    growth: GrowthSetting,
    fit: Callable[[CouplingRule], Fit],
    rule: CouplingRule,
    reference: Reference,
    snapshots: Snapshots,
    seed: int,
) -> Fit:
    """The fit of a rule that knows how mass changes.

    Growth that is learned is learned under the reference as it stands; one that can be refined is
    refined without growth before, and once more with it.

    Args:
        growth: None, "counts", "learn" or a known rate.
        fit: refines the reference under a rule.
        rule: without growth.
        reference: refined in place.
        snapshots: the data, whose sizes are those of the population.
        seed: of the points that stand for the snapshots while growth is learned.
    """
    if growth is None:
        return fit(rule)
    if isinstance(growth, str) and growth == "learn":
        if len(ParameterVector(reference.sde)):
            fit(rule)
        found = Growth.with_masses(
            once("growth", _learn, rule, reference, snapshots, seed), rule.problem, snapshots.sizes
        )
    elif callable(growth):
        found = Growth.given(GivenRate(growth), rule.problem)
    else:
        found = Growth.with_masses(UniformRate(), rule.problem, snapshots.sizes)
    return fit(rule.growing(found))


def _learn(rule: CouplingRule, reference: Reference, snapshots: Snapshots, seed: int) -> SmoothRate:
    with torch.no_grad():
        transitions = accurate(rule, reference.frozen_dynamics, None, _ACCURACY)
        return learn_rate(rule.problem, transitions, snapshots.sizes, seed)
