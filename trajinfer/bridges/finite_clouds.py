r"""Volatility learned from finite clouds of points, and the excess that it owes to them.

The noise of the reference must reach from a finite cloud to every point of another one, so that the
static likelihood learns a volatility that is too large. The excess falls with the number n of
points; fits to halves of them show how large it is. As a factor that is squared when the points
are halved it is taken away by

$\sigma^2 = \sigma_n^4 / \overline{\sigma_{n/2}^2}.$

A difference, $2 \sigma_n^2 - \overline{\sigma_{n/2}^2}$, agrees where the excess is small, and
takes too much away where it is not.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.seeding import spawn
from trajinfer.bridges.coupling_rules import AtomRule, CouplingRule
from trajinfer.bridges.fitting import Fit
from trajinfer.processes import Process
from trajinfer.references.dynamics import Reference
from trajinfer.references.problem import Problem

logger = logging.getLogger(__name__)

CORRECTED = "corrected"
FEWEST_POINTS = 16
_SPLITS = 2


def extrapolated(learned: Array, halves: Sequence[Array]) -> Array:
    """The volatility for infinitely many points, from that of all and those of halves of them."""
    half = np.sqrt(np.mean(np.square(halves), axis=0))
    return np.asarray(np.square(learned) / half)


def fit_corrected(
    run: Callable[[Reference, CouplingRule], Fit],
    reference: Reference,
    seed: int,
    rule: CouplingRule,
) -> Fit:
    """A fit whose learned volatility is freed of its excess, and its drift refined under that.

    Halves are refined from where the whole came to rest. Mixture potentials are smooth, and fewer
    than sixteen points leave no halves to learn from: there the volatility stays as learned.

    Args:
        run: refines a reference, in place, under a rule.
        reference: with a volatility to learn; refined in place.
        seed: of the halves.
        rule: how the snapshots are coupled.
    """
    whole = run(reference, rule)
    sde = reference.sde
    if not isinstance(sde, Process) or not isinstance(rule, AtomRule):
        return whole
    if min(len(points) for points in rule.problem.points) < FEWEST_POINTS:
        logger.warning("fewer than %d points: the volatility stays as learned", FEWEST_POINTS)
        return whole
    reference.keep_values()
    learned, parts = _volatility(sde), []
    for half in _halves(rule.problem, seed):
        own = replace(reference, sde=copy.deepcopy(sde))
        run(own, replace(rule, problem=half))
        parts.append(_volatility(own.sde))
    sde.set_volatility(extrapolated(learned, parts))
    number = sde.coefficients.get_parameter("volatility").requires_grad_(False)
    try:
        end = run(reference, rule)
    finally:
        number.requires_grad_(True)
    history = [*whole.history, *_records_after(end.history, len(whole.history), learned)]
    return Fit(end.bridge, history, whole.converged and end.converged)


def _records_after(records: list[dict[str, Any]], n: int, learned: Array) -> list[dict[str, Any]]:
    """The rounds under the corrected volatility, whose objective is no longer the least."""
    kinds = {"kind": CORRECTED, "volatility_learned": learned}
    return [record | kinds | {"round": n + k} for k, record in enumerate(records)]


def _volatility(sde: Any) -> Array:
    return np.asarray(sde.volatility, dtype=float)


def _halves(problem: Problem, seed: int) -> Iterator[Problem]:
    """Both halves of the points of random splits."""
    for split in spawn(seed, _SPLITS):
        rng = np.random.default_rng(split)
        orders = [torch.as_tensor(rng.permutation(len(points))) for points in problem.points]
        yield _part(problem, [order[: len(order) // 2] for order in orders])
        yield _part(problem, [order[len(order) // 2 :] for order in orders])


def _part(problem: Problem, rows: Sequence[Tensor]) -> Problem:
    """Some of the points of every snapshot, their weights normalised."""
    return Problem(
        problem.times,
        tuple(points[own] for points, own in zip(problem.points, rows)),
        tuple(mass[own].log_softmax(0) for mass, own in zip(problem.log_mass, rows)),
        tuple(
            (starts[rows[k]], ends[rows[k + 1]])
            for k, (starts, ends) in enumerate(problem.half_gains)
        ),
    )
