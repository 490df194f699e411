r"""Transition matrices $P_\Delta = e^{F \Delta}$ for many gaps at once, and their integrals.

Where there are many distinct gaps, panels whose ends differ by a factor of 2 hold 24 Chebyshev
nodes each, and P at a gap is interpolated between the exponentials at the nodes. P is an entire
function of the gap, so that the error is at rounding level, and the number of exponentials no
longer grows with the number of gaps. The same weights, transposed, carry derivatives back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.chebyshev import N_NODES, panels
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.matrix_exponential import matrix_exponential

_DIRECT_LIMIT = 400
_CHUNK = 100_000


def transition_matrices(rates: Array, gaps: Array) -> Array:
    r"""$e^{F \Delta}$ for gaps (G,): an array (G, S, S).

    Args:
        rates: (S, S), or (G, S, S) where every gap has rates of its own.
        gaps: (G,).

    Memory is O(G S^2); the work is done in chunks.
    """
    shape = rates.shape[-2:]
    out = np.empty((len(gaps), *shape))
    if not len(gaps):
        return out
    size = max(1, _CHUNK * 36 // (shape[0] * shape[1]))
    for start in range(0, len(gaps), size):
        own = rates if rates.ndim == 2 else rates[start : start + size]
        block = own * gaps[start : start + size, None, None]
        out[start : start + size] = matrix_exponential(block)
    return np.maximum(out, 0.0, out=out)


def regime_matrices(rates: Array, owner: Array, gaps: Array) -> Array:
    """(G, S, S) exponentials of the gaps (G,) under the rates (R, S, S) of their owners (G,)."""
    return transition_matrices(rates[0] if len(rates) == 1 else rates[owner], gaps)


def uniformised_transition_matrices(rates: Array, gaps: Array) -> Array:
    r"""The same by $P_\Delta = \sum_k \mathrm{Pois}(k; \mu\Delta)\, (I + F/\mu)^k$.

    Sums of positive terms only, hence a check on the exponentials that shares nothing with them.

    Raises:
        InputError: if the largest exit rate times the largest gap exceeds 1000.
    """
    top = max(float(-np.diag(rates).min()), 1e-300)
    mean = top * np.asarray(gaps)
    if mean.max() > 1e3:
        raise InputError(f"{mean.max():.3g} jumps per gap are too many; use transition_matrices")
    n_terms = int(mean.max() + 8 * np.sqrt(mean.max()) + 20)
    step = np.eye(len(rates)) + rates / top
    power = np.eye(len(rates))
    weight = np.exp(-mean)
    out = weight[:, None, None] * power
    for k in range(1, n_terms + 1):
        power = power @ step
        weight = weight * mean / k
        out += weight[:, None, None] * power
    return np.asarray(out)


def convolution(rates: Array, gaps: Array, weights: Array) -> Array:
    r"""$\sum_\Delta \int_0^\Delta e^{F^T s}\, W_\Delta\, e^{F^T(\Delta - s)}\, ds$ by Van Loan.

    Args:
        rates: (S, S).
        gaps: (G,).
        weights: (G, S, S), any sign.

    Returns:
        (S, S); entry (a, b) times F[a, b] is the expected number of jumps a -> b, entry (a, a) the
        expected time in a, where W is counts over probabilities.

    References:
        Van Loan, Computing integrals involving the matrix exponential, IEEE TAC 1978; Hobolth and
        Jensen, Summary statistics for endpoint-conditioned chains, J. Appl. Prob. 2011.
    """
    regime = np.zeros(len(gaps), dtype=np.int64)
    return np.asarray(convolution_by_regime(rates[None], regime, gaps, weights)[0])


def convolution_by_regime(rates: Array, regime: Array, gaps: Array, weights: Array) -> Array:
    """The same sums for every regime, (R, S, S), of rates (R, S, S) and gaps in `regime` (G,)."""
    n = rates.shape[1]
    scale = np.abs(weights).max(axis=(1, 2), initial=0.0)
    used = np.flatnonzero(scale)
    total = np.zeros_like(rates)
    size = max(1, _CHUNK * 9 // (n * n))
    for start in range(0, len(used), size):
        rows = used[start : start + size]
        block = np.zeros((len(rows), 2 * n, 2 * n))
        own = rates[regime[rows]].transpose(0, 2, 1) * gaps[rows, None, None]
        block[:, :n, :n] = block[:, n:, n:] = own
        # W without its gap: whatever the unit of time, no block outweighs the others.
        block[:, :n, n:] = weights[rows] / scale[rows, None, None]
        power = matrix_exponential(block)
        integrals = (scale[rows] * gaps[rows])[:, None, None] * power[:, :n, n:]
        if len(rates) == 1:
            total[0] += integrals.sum(axis=0)
        else:
            np.add.at(total, regime[rows], integrals)
    return total


def distinct_gaps(gaps: Array) -> tuple[Array, Array]:
    """Distinct gaps, equal up to 1e-12 of the largest one, and the index of each gap in them."""
    unique, inverse = np.unique(gaps, return_inverse=True)
    if not len(unique):
        return unique, inverse.ravel()
    fresh = np.concatenate([[True], np.diff(unique) > 1e-12 * unique[-1]])
    return unique[fresh], (np.cumsum(fresh) - 1)[inverse.ravel()]


@dataclass(frozen=True)
class GapTable:
    """Where transition matrices are needed, and how those of n intervals follow from them.

    Attributes:
        nodes: (M,) the gaps at which exponentials are taken.
        index: (n,) node of each interval, or its panel where `weights` is given.
        weights: (n, 24) weights of the nodes of the panel; None where nodes are the gaps.
    """

    nodes: Array
    index: Array
    weights: Array | None = None

    @classmethod
    def of(cls, gaps: Array, top: float) -> GapTable:
        """The table for the gaps (n,), where `top` bounds the exit rates; at most 24 n weights."""
        unique, index = distinct_gaps(gaps)
        if len(unique) <= _DIRECT_LIMIT:
            return cls(unique, index)
        nodes, panel, weights = panels(gaps, top)
        return cls(nodes, panel, weights)

    def spread(self, matrices: Array, rows: slice) -> Array:
        """Matrices (M, S, S) at the nodes to those of the intervals `rows`, (len, S, S)."""
        index = self.index[rows]
        if self.weights is None:
            return np.asarray(matrices[index])
        size = matrices.shape[1]
        flat = matrices.reshape(-1, N_NODES, size * size)
        out = np.empty((len(index), size * size))
        order, cuts = _grouped(index)
        part = self.weights[rows]
        for members in np.split(order, cuts):
            out[members] = part[members] @ flat[index[members[0]]]
        return np.maximum(out, 0.0, out=out).reshape(-1, size, size)


def _grouped(index: Array) -> tuple[Array, Array]:
    order = np.argsort(index, kind="stable")
    return order, np.flatnonzero(np.diff(index[order])) + 1
