"""Known states whose rates differ by regime, such as by covariates: counts per regime and gap."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.likelihood import (
    Expectation,
    quotient,
    sum_logs,
    transitions_of,
)
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.rates import off_diagonal
from trajinfer.markov.spectrum import FEW_GAPS, quick_convolution, quick_transition_matrices
from trajinfer.markov.transitions import convolution_by_regime, regime_matrices

_JUMP, _ABSORPTION = 1, 2


class RegimeCountData:
    """As `CountData`, with rates (R, S, S); cost follows the distinct pairs of regime and gap.

    Args:
        series: with codes of the S states.
        n_states: S.
        regime: (N,) regime in force from every entry on; entries without a known state must not
            begin another one.
        n_regimes: R.
        weights: (B,) weight of each path; None is 1.
    """

    def __init__(
        self,
        series: JumpSeries,
        n_states: int,
        regime: Array,
        n_regimes: int,
        weights: Array | None = None,
    ) -> None:
        pairs = transitions_of(series, weights)
        self.n_states, self.n_regimes, self.pairs = n_states, n_regimes, pairs
        self.first = np.bincount(pairs.first, pairs.first_weight, minlength=n_states)
        own = regime[pairs.row]
        jump, absorbed = pairs.kind == _JUMP, pairs.kind == _ABSORPTION
        self.jump_dwell = np.zeros((n_regimes, n_states))
        np.add.at(self.jump_dwell, (own[jump], pairs.start[jump]), (pairs.gap * pairs.weight)[jump])
        self.jump_counts = np.zeros((n_regimes, n_states, n_states))
        ends = (own[jump], pairs.start[jump], pairs.end[jump])
        np.add.at(self.jump_counts, ends, pairs.weight[jump])
        diagonal = np.arange(n_states)
        self.jump_counts[:, diagonal, diagonal] = 0.0
        self.owner, self.nodes, self.counts = self._collapse(own, ~jump & ~absorbed)
        self.end_owner, self.end_nodes, self.end_counts = self._collapse(own, absorbed)
        self._matrices, self._integrals = regime_matrices, convolution_by_regime

    def _collapse(self, own: Array, rows: Array) -> tuple[Array, Array, Array]:
        """Regime and gap of the nodes, and counts (G, S, S) there."""
        keys = np.stack([own[rows].astype(float), self.pairs.gap[rows]], axis=1)
        distinct, index = np.unique(keys, axis=0, return_inverse=True)
        counts = np.zeros((len(distinct), self.n_states, self.n_states))
        place = (np.ravel(index), self.pairs.start[rows], self.pairs.end[rows])
        np.add.at(counts, place, self.pairs.weight[rows])
        return distinct[:, 0].astype(np.int64), distinct[:, 1].copy(), counts

    def quick(self) -> RegimeCountData:
        """The same data with statistics good to about nine digits; itself with few gaps."""
        few = len(self.nodes) + len(self.end_nodes) <= FEW_GAPS
        if few or self._matrices is quick_transition_matrices:
            return self
        other = copy.copy(self)
        other._matrices, other._integrals = quick_transition_matrices, quick_convolution
        return other

    def expectations(self, several: Sequence[Parameters]) -> list[Expectation]:
        """Expected statistics at several points."""
        return [self.expectation(point) for point in several]

    def log_likelihood(self, parameters: Parameters, *, conditional: bool = False) -> float:
        """Log-likelihood; `conditional` conditions on the first states."""
        rates = parameters.stack
        matrices, _, arrived = self._node_matrices(rates)
        value = sum_logs(self.counts, matrices) + sum_logs(self.end_counts, arrived)
        return value + self._closed_terms(rates, None if conditional else parameters.initial)

    def _node_matrices(self, rates: Array) -> tuple[Array, Array, Array]:
        """Transition matrices at the nodes, those before absorptions, and what they arrive with."""
        before = self._matrices(rates, self.end_owner, self.end_nodes)
        entering = off_diagonal(rates)[self.end_owner]
        return self._matrices(rates, self.owner, self.nodes), before, before @ entering

    def _closed_terms(self, rates: Array, initial: Array | None) -> float:
        value = float((self.jump_dwell * np.einsum("rii->ri", rates)).sum())
        value += sum_logs(self.jump_counts, rates)
        return value if initial is None else value + sum_logs(self.first, initial)

    def expectation(self, parameters: Parameters) -> Expectation:
        """Statistics by Van Loan's integral over the distinct pairs of regime and gap."""
        rates = parameters.stack
        entering = off_diagonal(rates)
        matrices, before, arrived = self._node_matrices(rates)
        value = sum_logs(self.counts, matrices) + sum_logs(self.end_counts, arrived)
        ends = quotient(self.end_counts, arrived)
        into = np.zeros_like(rates)
        np.add.at(into, self.end_owner, before.transpose(0, 2, 1) @ ends)
        back = ends @ entering[self.end_owner].transpose(0, 2, 1)
        kernel = self._integrals(
            rates,
            np.concatenate([self.owner, self.end_owner]),
            np.concatenate([self.nodes, self.end_nodes]),
            np.concatenate([quotient(self.counts, matrices), back]),
        )
        diagonal = np.arange(self.n_states)
        dwell = kernel[:, diagonal, diagonal] + self.jump_dwell
        score = kernel + into + quotient(self.jump_counts, entering) - dwell[:, :, None]
        jumps = np.maximum(entering * (kernel + into), 0.0) + self.jump_counts
        score[:, diagonal, diagonal] = 0.0
        jumps[:, diagonal, diagonal] = 0.0
        value += self._closed_terms(rates, parameters.initial)
        return Expectation(value, jumps, dwell, score, self.first)
