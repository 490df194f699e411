"""Transition matrices of the intervals of paths whose rates differ between regimes."""

from __future__ import annotations

import numpy as np

from trajinfer._core.chebyshev import N_NODES
from trajinfer._core.checks import Array
from trajinfer.markov.shared_gaps import SharedGaps
from trajinfer.markov.spectrum import quick_convolution, quick_transition_matrices
from trajinfer.markov.transitions import GapTable, convolution_by_regime, regime_matrices

_FEW_NODES = 0.05


class RegimeTable:
    """Nodes (regime and gap) of the exponentials that n intervals need.

    Args:
        gaps: (n,) lengths of the intervals.
        regime: (n,) their regimes, 0 .. R - 1.
        n_regimes: R.
        top: a bound on exit rates, for the panels of interpolation.

    Attributes:
        quick: whether nine digits suffice.
    """

    def __init__(self, gaps: Array, regime: Array, n_regimes: int, top: float) -> None:
        self.index = np.zeros(len(gaps), dtype=np.int64)
        self.weights = np.zeros((0, N_NODES))
        self.weight_row = np.full(len(gaps), -1, dtype=np.int64)
        nodes, owners, start = [np.zeros(0)], [np.zeros(0, dtype=np.int64)], 0
        order = np.argsort(regime, kind="stable")
        ends = np.searchsorted(regime[order], np.arange(n_regimes + 1))
        for r in range(n_regimes):
            rows = order[ends[r] : ends[r + 1]]
            if not len(rows):
                continue
            table = GapTable.of(gaps[rows], top)
            if table.weights is None:
                self.index[rows] = start + table.index
            else:
                self.index[rows] = start + table.index * N_NODES
                self.weight_row[rows] = len(self.weights) + np.arange(len(rows))
                self.weights = np.concatenate([self.weights, table.weights])
            nodes.append(table.nodes)
            owners.append(np.full(len(table.nodes), r))
            start += len(table.nodes)
        self.nodes, self.owner = np.concatenate(nodes), np.concatenate(owners)
        self.quick = False

    def matrices(self, rates: Array) -> Array:
        """(M, S, S) exponentials at the nodes for rates (R, S, S)."""
        if len(rates) == 1:
            return np.asarray(SharedGaps(rates, self.nodes, self.quick).matrices[0])
        exponentials = quick_transition_matrices if self.quick else regime_matrices
        return exponentials(rates, self.owner, self.nodes)

    def spread(self, matrices: Array, rows: Array) -> Array:
        """(m, S, S) transition matrices of the intervals `rows` from those at the nodes."""
        out = np.asarray(matrices[self.index[rows]])
        where = self.weight_row[rows]
        for members in _groups(self.index[rows], where >= 0):
            node = self.index[rows[members[0]]]
            flat = matrices[node : node + N_NODES].reshape(N_NODES, -1)
            values = self.weights[where[members]] @ flat
            out[members] = np.maximum(values, 0.0).reshape(-1, *matrices.shape[1:])
        return out

    def collect(self, left: Array, right: Array) -> Array:
        """Sums of outer products of rows (n, S) x (n, S), carried to the nodes: (M, S, S)."""
        size = left.shape[1]
        out = np.zeros((len(self.nodes), size, size))
        direct = self.weight_row < 0
        if len(self.nodes) < _FEW_NODES * len(left):
            for members in _groups(self.index, direct):
                out[self.index[members[0]]] = left[members].T @ right[members]
        elif direct.any():
            rows = np.flatnonzero(direct)
            np.add.at(out, self.index[rows], left[rows, :, None] * right[rows, None, :])
        for members in _groups(self.index, ~direct):
            node = self.index[members[0]]
            weights = self.weights[self.weight_row[members]]
            for m, weight in enumerate(weights.T):
                out[node + m] = (left[members] * weight[:, None]).T @ right[members]
        return out

    def convolve(self, rates: Array, weights: Array) -> Array:
        """(R, S, S) integrals of expected statistics, see `convolution_by_regime`."""
        if len(rates) == 1:
            return SharedGaps(rates, self.nodes, self.quick).integrals(weights[None])
        integrate = quick_convolution if self.quick else convolution_by_regime
        return integrate(rates, self.owner, self.nodes, weights)


def _groups(index: Array, chosen: Array) -> list[Array]:
    """Rows that are chosen, those of one index together."""
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return []
    order = rows[np.argsort(index[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(index[order])) + 1)
