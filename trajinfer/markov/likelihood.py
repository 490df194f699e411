"""Exact log-likelihoods of known states, and the expected statistics of EM and gradients.

Where every state is known the paths collapse to counts per gap; where labels are noisy, partial or
replaced by a signal see `hidden`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from trajinfer._core.chebyshev import N_NODES, panels
from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.rates import off_diagonal
from trajinfer.markov.shared_gaps import SharedGaps
from trajinfer.markov.spectrum import FEW_GAPS
from trajinfer.markov.transitions import GapTable, transition_matrices

_JUMP, _ABSORPTION = 1, 2
_COLLAPSE_LIMIT = 400
_CHUNK = 100_000
_SPREAD_LIMIT = 20_000_000
_TINY = 1e-300
_IMPOSSIBLE = 1e-290


@dataclass(frozen=True)
class Expectation:
    r"""Expected statistics given the data, for R regimes of rates (R = 1 if rates are constant).

    Attributes:
        log_likelihood: of the data.
        jumps: (R, S, S) expected numbers of jumps.
        dwell: (R, S) expected times spent.
        score: (R, S, S) derivative of the log-likelihood by the off-diagonal rates,
            $G_{ab} - G_{aa}$ plus what exact jump times add.
        first: (S,) expected number of paths starting in each state.
        labels: (S, S) expected counts of (state, label); None for count data.
        moments: (3, S) expected count, sum and sum of squares of the signal.
    """

    log_likelihood: float
    jumps: Array
    dwell: Array
    score: Array
    first: Array
    labels: Array | None = None
    moments: Array | None = None


class JumpData(Protocol):
    """Data as the estimators use them."""

    n_states: int

    def quick(self) -> JumpData:
        """The same data with statistics good to about nine digits; itself where that saves nothing.

        They serve the steps of a sampler or of a search.
        """
        ...

    def expectations(self, several: Sequence[Parameters]) -> list[Expectation]:
        """Expected statistics at several points."""
        ...

    def expectation(self, parameters: Parameters) -> Expectation:
        """Expected statistics at the given parameters."""
        ...

    def log_likelihood(self, parameters: Parameters) -> float:
        """Log-likelihood at the given parameters."""
        ...


@dataclass(frozen=True)
class Transitions:
    """All pairs of consecutive known states, (n,) each, and the first states of the paths.

    Attributes:
        gap, start, end: length of the interval and the states at its ends.
        kind: as in `JumpSeries.observation`, of the observation at the end.
        weight: weight of the path.
        row: entry of the series at which the pair starts.
        first, first_weight: (K,) first known state of each path, and the weight of the path.
    """

    gap: Array
    start: Array
    end: Array
    kind: Array
    weight: Array
    row: Array
    first: Array
    first_weight: Array

    def table(self, n_states: int, rows: Any = slice(None)) -> Array:
        """(S, S) weighted numbers of pairs (start, end)."""
        key = self.start[rows] * n_states + self.end[rows]
        flat = np.bincount(key, self.weight[rows], minlength=n_states**2)
        return np.asarray(flat.reshape(n_states, n_states))

    def dwell(self, n_states: int, rows: Any = slice(None)) -> Array:
        """(S,) weighted time, half of each gap attributed to either end."""
        half = self.gap[rows] * self.weight[rows] / 2
        total = np.bincount(self.start[rows], half, minlength=n_states)
        return np.asarray(total + np.bincount(self.end[rows], half, minlength=n_states))


def transitions_of(series: JumpSeries, weights: Array | None = None) -> Transitions:
    """Pairs of consecutive known states, with missing observations skipped.

    Args:
        series: the paths.
        weights: (B,) weight of each path; None is 1.
    """
    keep = series.flat_states >= 0
    path = series.layout.series[keep]
    weight = np.ones(len(series)) if weights is None else weights
    states, times = series.flat_states[keep], series.flat_times[keep]
    kinds = np.zeros(len(states), dtype=np.int8)
    if series.flat_observation is not None:
        kinds = series.flat_observation[keep]
    inside = path[1:] == path[:-1]
    fresh = np.concatenate([[True], ~inside]) if len(path) else np.zeros(0, dtype=bool)
    return Transitions(
        (times[1:] - times[:-1])[inside],
        states[:-1][inside],
        states[1:][inside],
        kinds[1:][inside],
        weight[path[1:][inside]],
        np.flatnonzero(keep)[:-1][inside],
        states[fresh],
        weight[path[fresh]],
    )


class CountData:
    r"""Known states: the likelihood needs counts per gap only.

    $\log L = \sum_i n_i \log \pi_i + \sum_\Delta \sum_{ij} C_\Delta[i,j] \log P_\Delta[i,j]$, plus
    $-F_{..}$ terms for exact jump times and $\log \sum_{k \ne d} P_{ik} F_{kd}$ for absorptions.

    With more than 400 distinct gaps the counts are moved to Chebyshev nodes in the gap, on which
    the smooth function $\log P_\Delta[i,j]$ is summed: work per evaluation then does not depend on
    the number of observations. `exact` tells whether that was done; memory is O(24 n) in chunks.

    Args:
        series: with codes of the S states.
        n_states: S.
        compress: whether many gaps are moved to nodes.
        weights: (B,) weight of each path; None is 1.
    """

    def __init__(
        self,
        series: JumpSeries,
        n_states: int,
        *,
        compress: bool = True,
        weights: Array | None = None,
    ) -> None:
        pairs = transitions_of(series, weights)
        self.n_states = n_states
        self.pairs = pairs
        self.first = np.bincount(pairs.first, pairs.first_weight, minlength=n_states)
        jump = pairs.kind == _JUMP
        watched = (pairs.gap * pairs.weight)[jump]
        self.jump_dwell = np.bincount(pairs.start[jump], watched, minlength=n_states)
        self.jump_counts = pairs.table(n_states, jump)
        np.fill_diagonal(self.jump_counts, 0.0)
        absorbed = pairs.kind == _ABSORPTION
        plain = ~jump & ~absorbed
        unique = np.unique(pairs.gap[~jump])
        self.exact = not compress or len(unique) <= _COLLAPSE_LIMIT
        self.nodes, self.counts = self._collapse(pairs, plain)
        self.end_nodes, self.end_counts = self._collapse(pairs, absorbed)
        self._quick = False

    def quick(self) -> CountData:
        """The same data with statistics good to about nine digits; itself with few gaps."""
        if self._quick or len(self.nodes) + len(self.end_nodes) <= FEW_GAPS:
            return self
        other = copy.copy(self)
        other._quick = True
        return other

    def _collapse(self, pairs: Transitions, rows: Array) -> tuple[Array, Array]:
        n = self.n_states
        gaps = pairs.gap[rows]
        key = pairs.start[rows] * n + pairs.end[rows]
        if not len(gaps):
            return np.zeros(0), np.zeros((0, n, n))
        if self.exact or len(gaps) <= _COLLAPSE_LIMIT:
            table = GapTable.of(gaps, 0.0) if len(gaps) <= _COLLAPSE_LIMIT else _direct(gaps)
            flat = np.bincount(
                table.index * n * n + key, pairs.weight[rows], minlength=len(table.nodes) * n * n
            )
            return table.nodes, flat.reshape(-1, n, n)
        nodes, panel, weights = panels(gaps, 0.0)
        counts = np.zeros((len(nodes) // N_NODES, n * n, N_NODES))
        of_path = pairs.weight[rows]
        order = np.argsort(panel, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(panel[order])) + 1):
            for start in range(0, len(members), _CHUNK):
                part = members[start : start + _CHUNK]
                where = (key[part], np.arange(len(part)))
                once = sparse.csr_matrix((of_path[part], where), shape=(n * n, len(part)))
                counts[panel[part[0]]] += once @ weights[part]
        return nodes, counts.transpose(0, 2, 1).reshape(-1, n, n)

    def log_likelihood(self, parameters: Parameters, *, conditional: bool = False) -> float:
        """Exact value whether or not counts were compressed.

        Args:
            parameters: rates (S, S) and initial law.
            conditional: whether to condition on the first states.
        """
        rates = parameters.rates
        initial = None if conditional else parameters.initial
        value = float(self._closed_terms(rates[None], initial)[0])
        if self.exact:
            return value + float(self._node_terms(self._shared(rates[None]))[0][0])
        pairs = self.pairs
        rows = np.flatnonzero(pairs.kind != _JUMP)
        table = GapTable.of(pairs.gap[rows], float(-np.diag(rates).min()))
        matrices = transition_matrices(rates, table.nodes)
        entering = off_diagonal(rates)
        size = max(1, _SPREAD_LIMIT // self.n_states**2)
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            spread = table.spread(matrices, slice(begin, begin + size))
            start, end = pairs.start[part], pairs.end[part]
            chance = spread[np.arange(len(part)), start, end]
            absorbed = pairs.kind[part] == _ABSORPTION
            if absorbed.any():
                before = spread[absorbed, start[absorbed]]
                chance[absorbed] = (before * entering[:, end[absorbed]].T).sum(axis=1)
            with np.errstate(divide="ignore"):
                logs = np.log(np.where(chance <= _IMPOSSIBLE, 0.0, chance))
            value += float((pairs.weight[part] * logs).sum())
        return value

    def _closed_terms(self, rates: Array, initial: Array | None) -> Array:
        """(C,) what exact jumps and first states add at rates (C, S, S)."""
        dwell = np.einsum("cii,i->c", rates, self.jump_dwell)
        first = 0.0 if initial is None else sum_logs(self.first, initial)
        return np.asarray(dwell + sums_of_logs(self.jump_counts, rates) + first)

    def _shared(self, rates: Array) -> SharedGaps:
        return SharedGaps(rates, np.concatenate([self.nodes, self.end_nodes]), self._quick)

    def _node_terms(self, shared: SharedGaps) -> tuple[Array, Array, Array, Array]:
        """Values (C,), and (C, G, S, S): P, P before absorptions, what arrives there."""
        matrices, before = np.split(shared.matrices, [len(self.nodes)], axis=1)
        values = sums_of_logs(self.counts, matrices)
        arrived = before @ off_diagonal(shared.rates)[:, None]
        if len(self.end_nodes):
            values = values + sums_of_logs(self.end_counts, arrived)
        return values, matrices, before, arrived

    def expectation(self, parameters: Parameters) -> Expectation:
        """Statistics by Van Loan's integral over the (collapsed) gaps."""
        return self.expectations([parameters])[0]

    def expectations(self, several: Sequence[Parameters]) -> list[Expectation]:
        """The statistics at C points at once."""
        rates = np.stack([point.rates for point in several])
        shared = self._shared(rates)
        values, matrices, before, arrived = self._node_terms(shared)
        values = values + self._closed_terms(rates, None)
        entering = off_diagonal(rates)
        ends = quotient(self.end_counts, arrived)
        into = np.einsum("cgid,cgik->ckd", ends, before)
        back = ends @ entering.transpose(0, 2, 1)[:, None]
        kernel = shared.integrals(np.concatenate([quotient(self.counts, matrices), back], axis=1))
        direct = into + quotient(self.jump_counts, np.maximum(entering, 0.0))
        dwell = np.einsum("cii->ci", kernel) + self.jump_dwell
        score = off_diagonal(kernel + direct - dwell[:, :, None])
        jumps = off_diagonal(np.maximum(entering * (kernel + into), 0.0)) + self.jump_counts
        first = [sum_logs(self.first, point.initial) for point in several]
        return [
            Expectation(value, jumps[c][None], dwell[c][None], score[c][None], self.first)
            for c, value in enumerate((values + first).tolist())
        ]


def _direct(gaps: Array) -> GapTable:
    unique, index = np.unique(gaps, return_inverse=True)
    return GapTable(unique, index.ravel())


def sum_logs(counts: Array, values: Array) -> float:
    """Sum of counts times logarithms; -inf where something observed is impossible."""
    return float(sums_of_logs(counts, values[None])[0])


def sums_of_logs(counts: Array, values: Array) -> Array:
    """(C,) the same of several values (C, ...)."""
    used = counts != 0
    chosen = values[:, used]
    total = np.log(np.maximum(chosen, _TINY)) @ counts[used]
    return np.where((chosen <= _IMPOSSIBLE).any(axis=1), -np.inf, total)


def quotient(counts: Array, values: Array) -> Array:
    """Counts over values, 0 where nothing was counted."""
    return np.where(counts != 0, counts / np.maximum(values, _TINY), 0.0)
