"""Chains: questions as linear systems and matrix exponentials."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from scipy.sparse.csgraph import breadth_first_order

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.functionals.dynamics import Chain
from trajinfer.functionals.methods.flow import Flow
from trajinfer.questions.functional import Functional, values_at

ENDLESS = "what is collected has no finite mean from"
"""How the warning begins of values that are infinite."""


@dataclass(frozen=True, eq=False)
class Killed:
    """A chain until it stops: rates among the states that go on, and what is paid on leaving.

    One algebra serves chains and diffusions on a grid.

    Attributes:
        rates: (S, S) among the states that go on; rows sum to minus the rate of stopping.
        paid: (S, K) rate of stopping times the value paid there, for each of K questions.
        reward: (S, K) per unit of time.
        discount: (S,) rates.
    """

    rates: Any
    paid: Array
    reward: Array
    discount: Array

    def settle(self) -> Array:
        """The values without a horizon, (S, K): infinite where reward is collected forever."""
        n, k = self.paid.shape
        values = np.zeros((n, k))
        stops = np.asarray(-self.rates.sum(axis=1)).ravel()
        scale = np.abs(self.rates.diagonal()).max(initial=0.0)
        ends = (np.abs(stops) > 1e-13 * scale) | (self.discount > 0)
        lost = ~_leads_to(self.rates, ends)
        endless = lost[:, None] & (self._ever(self.reward != 0))
        forever = np.stack([_leads_to(self.rates, column) for column in endless.T], axis=1)
        values[forever] = np.where(self._sign()[None, :] >= 0, np.inf, -np.inf).repeat(n, 0)[
            forever
        ]
        live = ~lost
        if live.any():
            matrix = _block(self.rates, live)
            shift = self.discount[live]
            right = (self.paid + self.reward)[live]
            solved = _solve(matrix, shift, right)
            values[live] = np.where(forever[live], values[live], solved)
        return values

    def _sign(self) -> Array:
        return np.asarray(np.sign(self.reward.sum(axis=0)))

    def _ever(self, places: Array) -> Array:
        """States from which any of the places (S, K) is reached."""
        return np.stack([_leads_to(self.rates, column) for column in places.T], axis=1)

    def march(self, start: Array, times: Array) -> Array:
        """The values (T, S, K) with the time to go `times` (T,), from `start` (S, K) at the end."""
        source = self.paid + self.reward
        matrix = self._generator()
        moving = source.any()
        augmented = _augmented(matrix, source) if moving else matrix
        state = np.vstack([start, np.eye(source.shape[1])]) if moving else start
        return Flow(augmented).along(times, state)[:, : len(start)]

    def _generator(self) -> Any:
        if scipy.sparse.issparse(self.rates):
            return (self.rates - scipy.sparse.diags(self.discount)).tocsr()
        return self.rates - np.diag(self.discount)


def _augmented(matrix: Any, source: Array) -> Any:
    """The matrix whose exponential also integrates a source: one more column for each question."""
    n, k = source.shape
    if scipy.sparse.issparse(matrix):
        blocks = [[matrix, scipy.sparse.csr_array(source)], [None, scipy.sparse.csr_array((k, k))]]
        return scipy.sparse.csr_array(scipy.sparse.block_array(blocks))
    return np.block([[matrix, source], [np.zeros((k, n + k))]])


def _solve(matrix: Any, shift: Array, right: Array) -> Array:
    """(diag(shift) - matrix)^-1 right."""
    if scipy.sparse.issparse(matrix):
        system = scipy.sparse.csc_matrix(scipy.sparse.diags(shift) - matrix)
        return np.asarray(scipy.sparse.linalg.splu(system).solve(right))
    return np.asarray(np.linalg.solve(np.diag(shift) - matrix, right))


def _block(rates: Any, live: Array) -> Any:
    return rates[live][:, live] if scipy.sparse.issparse(rates) else rates[np.ix_(live, live)]


def _leads_to(rates: Any, targets: Array) -> Array:
    """States from which one of the targets (S,) bool can be reached; targets are among them."""
    n = len(targets)
    if not targets.any():
        return np.zeros(n, dtype=bool)
    links = scipy.sparse.coo_array(rates)
    live = links.data != 0
    rows, columns = links.coords
    ends = np.flatnonzero(targets)
    # arrows turned round, and one more node from which all targets are reached
    start = np.concatenate([columns[live], np.full(len(ends), n)])
    end = np.concatenate([rows[live], ends])
    graph = scipy.sparse.csr_matrix((np.ones(len(start)), (start, end)), shape=(n + 1, n + 1))
    order = breadth_first_order(graph, n, return_predecessors=False)
    reached = np.zeros(n + 1, dtype=bool)
    reached[order] = True
    return reached[:n]


def killed(functionals: list[Functional], chain: Chain) -> tuple[Killed, Array]:
    """A chain until it stops, for questions that share their stopping regions.

    Returns:
        The stopped chain, and which states go on (S,) bool.
    """
    labels = chain.labels
    first = functionals[0]
    inside = [region.contains(labels) for region, _ in first.stopping]
    stopped = np.any(inside, axis=0) if inside else np.zeros(len(labels), dtype=bool)
    going = ~stopped
    rates = _block(chain.rates, going)
    columns = [_paid(functional, labels, inside) for functional in functionals]
    into = chain.rates[going][:, stopped]
    paid = np.asarray(into @ np.stack(columns, axis=1)[stopped])
    reward = [values_at(f.running, 0.0, labels[going]) for f in functionals]
    discount = values_at(first.discount, 0.0, labels[going])
    return Killed(rates, paid, np.stack(reward, axis=1), discount), going


def _paid(functional: Functional, labels: Array, inside: list[Array]) -> Array:
    value = np.zeros(len(labels))
    for (_, paid), members in reversed(list(zip(functional.stopping, inside))):
        value[members] = values_at(paid, 0.0, labels[members])
    return value


@packable
@dataclass(frozen=True, eq=False)
class ChainSolution:
    """Values by state.

    Attributes:
        states: the labels.
        values: (S,) with the whole horizon to go.
    """

    states: tuple[Any, ...]
    values: Array
    residual: float = 0.0

    def value(self, t: float, x: Array) -> Array:
        """Values (n,) at the labels x."""
        return self.values[Chain(np.zeros((1, 1)), self.states).codes(x)]


def solve_chain(functionals: list[Functional], chain: Chain, horizon: float | None) -> Array:
    """Values (S, K) of questions that share regions, discount and horizon.

    Raises:
        InputError: for rewards that depend on time.
    """
    first = functionals[0]
    if any(f.depends_on_time for f in functionals):
        raise InputError("a chain is asked with parts that depend on the state alone, not on time")
    stopped, going = killed(functionals, chain)
    labels = chain.labels
    values = np.stack(
        [_paid(f, labels, [r.contains(labels) for r, _ in f.stopping]) for f in functionals], 1
    )
    if not going.any():
        return values
    if horizon is None:
        values[going] = stopped.settle()
        for power in range(2, first.power + 1):
            again = Killed(stopped.rates, stopped.paid, power * values[going], stopped.discount)
            values[going] = again.settle()
        return values
    end = np.stack([values_at(f.terminal, horizon, labels[going]) for f in functionals], 1)
    values[going] = stopped.march(end, np.array([horizon]))[-1]
    return values


def solve(functional: Functional, chain: Chain, horizon: float | None) -> ChainSolution:
    """The values of one question, by state.

    Warns:
        UserWarning: where a reward is collected for ever, with the probability that it ends.
    """
    values = solve_chain([functional], chain, horizon)[:, 0]
    if np.isinf(values).any():
        _tell_endless(functional, chain, values)
    return ChainSolution(chain.states, values)


def _tell_endless(functional: Functional, chain: Chain, values: Array) -> None:
    stops = {region: 1.0 for region, _ in functional.stopping}
    ends = solve_chain([Functional(stop=stops)], chain, None)[:, 0] if stops else np.zeros(1)
    endless = np.flatnonzero(np.isinf(values))
    state = endless[ends[endless].argmin()] if stops else endless[0]
    chance = ends[state] if stops else 0.0
    warnings.warn(
        f"{ENDLESS} {len(endless)} of {len(values)} states, such as {chain.states[state]!r}, from "
        f"which the chain stops with probability {chance:.3g} alone, so that the value there "
        "is infinite; ask hitting_probability, or give a horizon=",
        UserWarning,
        stacklevel=3,
    )
