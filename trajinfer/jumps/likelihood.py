"""Exact log-likelihoods of known states, and the expected statistics of EM and gradients.

Where every state is known the paths collapse to counts per gap; where labels are noisy, partial or
replaced by a signal see `hidden`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from trajinfer._core.chebyshev import N_NODES, panels
from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.rates import off_diagonal
from trajinfer.jumps.transitions import GapTable, convolution, transition_matrices

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
    """What the estimators need of data."""

    n_states: int

    def expectation(self, rates: Array, initial: Array, emission: EmissionModel) -> Expectation:
        """Statistics at the given parameters; rates (S, S)."""
        ...

    def log_likelihood(self, rates: Array, initial: Array, emission: EmissionModel) -> float:
        """Log-likelihood at the given parameters."""
        ...


@dataclass(frozen=True)
class Transitions:
    """All pairs of consecutive known states, (n,) each; `kind` as in `JumpSeries.observation`."""

    gap: Array
    start: Array
    end: Array
    kind: Array
    first: Array
    path: Array


def transitions_of(series: JumpSeries) -> Transitions:
    """Pairs of consecutive known states, with missing observations skipped."""
    keep = series.states >= 0
    path = np.nonzero(keep)[0]
    states, times = series.states[keep], series.times[keep]
    kinds = np.zeros(len(states), dtype=np.int8)
    if series.observation is not None:
        kinds = series.observation[keep]
    inside = path[1:] == path[:-1]
    fresh = np.concatenate([[True], ~inside]) if len(path) else np.zeros(0, dtype=bool)
    return Transitions(
        (times[1:] - times[:-1])[inside],
        states[:-1][inside],
        states[1:][inside],
        kinds[1:][inside],
        states[fresh],
        path[1:][inside],
    )


class CountData:
    r"""Known states: the likelihood needs counts per gap only.

    $\log L = \sum_i n_i \log \pi_i + \sum_\Delta \sum_{ij} C_\Delta[i,j] \log P_\Delta[i,j]$, plus
    $-F_{..}$ terms for exact jump times and $\log \sum_{k \ne d} P_{ik} F_{kd}$ for absorptions.

    With more than 400 distinct gaps the counts are moved to Chebyshev nodes in the gap, on which
    the smooth function $\log P_\Delta[i,j]$ is summed: work per evaluation then does not depend on
    the number of observations. `exact` tells whether that was done; memory is O(24 n) in chunks.
    """

    def __init__(self, series: JumpSeries, n_states: int, *, compress: bool = True) -> None:
        pairs = transitions_of(series)
        self.n_states = n_states
        self.pairs = pairs
        self.first = np.bincount(pairs.first, minlength=n_states).astype(float)
        self.n_paths = len(pairs.first)
        jump = pairs.kind == _JUMP
        self.jump_dwell = np.bincount(pairs.start[jump], pairs.gap[jump], minlength=n_states)
        self.jump_counts = self._square(pairs.start[jump], pairs.end[jump])
        np.fill_diagonal(self.jump_counts, 0.0)
        absorbed = pairs.kind == _ABSORPTION
        plain = ~jump & ~absorbed
        unique = np.unique(pairs.gap[~jump])
        self.exact = not compress or len(unique) <= _COLLAPSE_LIMIT
        self.nodes, self.counts = self._collapse(pairs, plain)
        self.end_nodes, self.end_counts = self._collapse(pairs, absorbed)

    def _square(self, start: Array, end: Array) -> Array:
        n = self.n_states
        return np.bincount(start * n + end, minlength=n * n).astype(float).reshape(n, n)

    def _collapse(self, pairs: Transitions, rows: Array) -> tuple[Array, Array]:
        n = self.n_states
        gaps = pairs.gap[rows]
        key = pairs.start[rows] * n + pairs.end[rows]
        if not len(gaps):
            return np.zeros(0), np.zeros((0, n, n))
        if self.exact or len(gaps) <= _COLLAPSE_LIMIT:
            table = GapTable.of(gaps, 0.0) if len(gaps) <= _COLLAPSE_LIMIT else _direct(gaps)
            flat = np.bincount(
                table.index * n * n + key, minlength=len(table.nodes) * n * n
            ).astype(float)
            return table.nodes, flat.reshape(-1, n, n)
        nodes, panel, weights = panels(gaps, 0.0)
        counts = np.zeros((len(nodes) // N_NODES, n * n, N_NODES))
        order = np.argsort(panel, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(panel[order])) + 1):
            for start in range(0, len(members), _CHUNK):
                part = members[start : start + _CHUNK]
                where = (key[part], np.arange(len(part)))
                once = sparse.csr_matrix((np.ones(len(part)), where), shape=(n * n, len(part)))
                counts[panel[part[0]]] += once @ weights[part]
        return nodes, counts.transpose(0, 2, 1).reshape(-1, n, n)

    def log_likelihood(
        self, rates: Array, initial: Array | None, emission: EmissionModel | None = None
    ) -> float:
        """Exact value whether or not counts were compressed; None conditions on first states."""
        value = self._closed_terms(rates, initial)
        if self.exact:
            return value + self._node_terms(rates)[0]
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
            seen = spread[np.arange(len(part)), start, end]
            absorbed = pairs.kind[part] == _ABSORPTION
            if absorbed.any():
                before = spread[absorbed, start[absorbed]]
                seen[absorbed] = (before * entering[:, end[absorbed]].T).sum(axis=1)
            with np.errstate(divide="ignore"):
                value += float(np.log(np.where(seen <= _IMPOSSIBLE, 0.0, seen)).sum())
        return value

    def _closed_terms(self, rates: Array, initial: Array | None) -> float:
        value = -float(self.jump_dwell @ -np.diag(rates))
        value += _sum_logs(self.jump_counts, rates)
        if initial is not None:
            value += _sum_logs(self.first, initial)
        return value

    def _node_terms(self, rates: Array) -> tuple[float, Array, Array, Array, Array]:
        matrices = transition_matrices(rates, self.nodes)
        value = _sum_logs(self.counts, matrices)
        before = transition_matrices(rates, self.end_nodes)
        arrived = before @ off_diagonal(rates)
        value += _sum_logs(self.end_counts, arrived)
        return value, matrices, before, arrived, off_diagonal(rates)

    def expectation(self, rates: Array, initial: Array, emission: EmissionModel) -> Expectation:
        """Statistics by Van Loan's integral over the (collapsed) gaps."""
        value, matrices, before, arrived, entering = self._node_terms(rates)
        weights = _quotient(self.counts, matrices)
        ends = _quotient(self.end_counts, arrived)
        into = np.einsum("gid,gik->kd", ends, before)
        gaps = np.concatenate([self.nodes, self.end_nodes])
        stacked = np.concatenate([weights, ends @ entering.T])
        kernel = convolution(rates, gaps, stacked) if len(gaps) else np.zeros_like(rates)
        direct = into + _quotient(self.jump_counts, np.maximum(entering, 0.0))
        dwell = np.diag(kernel) + self.jump_dwell
        score = kernel + direct - dwell[:, None]
        jumps = entering * (kernel + into) + self.jump_counts
        np.fill_diagonal(score, 0.0)
        np.fill_diagonal(jumps, 0.0)
        total = value + self._closed_terms(rates, initial)
        return Expectation(
            total, np.maximum(jumps, 0.0)[None], dwell[None], score[None], self.first
        )


def _direct(gaps: Array) -> GapTable:
    unique, index = np.unique(gaps, return_inverse=True)
    return GapTable(unique, index.ravel())


def _sum_logs(counts: Array, values: Array) -> float:
    used = counts != 0
    if (values[used] <= _IMPOSSIBLE).any():
        return -np.inf
    return float((counts[used] * np.log(np.maximum(values[used], _TINY))).sum())


def _quotient(counts: Array, values: Array) -> Array:
    return np.where(counts != 0, counts / np.maximum(values, _TINY), 0.0)
