r"""The coupling of all cells of two snapshots, where some of them alone were coupled.

A cell is followed along as many descendants as `_PARTNERS`, taken systematically from the law of
its end: an atom by the coupling's potentials at the cell, then a cell for which this atom stands.
The cells at the end are followed back likewise, and the mean of the two joint laws is scaled until
both marginals hold,

$\pi_{ij} = r_i s_j \tfrac12 (a_i p_{ij} + b_j q_{ji}), \qquad \sum_j \pi_{ij} = a_i, \quad
\sum_i \pi_{ij} = b_j.$

What scaling cannot place among these partners is laid along the longest axis of the cloud, so that
the marginals hold always. No cell pairs with all: work and memory are those of cells times atoms.

References:
    Altschuler, Weed, Rigollet, "Near-linear time approximation algorithms for optimal transport
    via Sinkhorn iteration", NeurIPS 2017, for the completion of a scaled matrix.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse
import torch
from scipy.spatial import cKDTree
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.data import Snapshots
from trajinfer.hidden import HiddenBridge

_TOLERANCE, _NOTABLE = 1e-7, 0.05
_MOST_SWEEPS, _LARGEST_FACTOR = 500, 1e100
_PARTNERS = 64
_CHUNK = 4096

AtomBridge = MultiMarginalBridge | HiddenBridge


@dataclass(frozen=True)
class Representatives:
    """Which cells of a snapshot every atom stands for: those that are nearest to it.

    Attributes:
        atom: (N,) position, among the atoms, of the one that stands for a cell.
        n_atoms: number of atoms.
    """

    atom: Array
    n_atoms: int

    @classmethod
    def of(cls, points: Array, atoms: Array) -> Self:
        """Those of points (N, D), in units of their deviations, with the atoms' rows."""
        if len(atoms) == len(points):
            return cls(np.arange(len(points)), len(points))
        scale = points.std(0)
        units = points / np.where(scale > 0, scale, 1.0)
        _, nearest = cKDTree(units[atoms]).query(units)
        nearest[atoms] = np.arange(len(atoms))  # also where two atoms share a place
        return cls(nearest, len(atoms))

    def sums(self, values: Array) -> Array:
        """Sums (A, S) over every atom's cells of values (N, S)."""
        return np.stack([np.bincount(self.atom, v, self.n_atoms) for v in values.T], axis=1)

    def draw(self, law: Tensor, mass: Array, levels: Tensor) -> Array:
        """Cells (n, L) at levels (n, L) of laws (n, A) of atoms, an atom's cells by their mass."""
        cumulative = law.cumsum(1)
        levels = levels * cumulative[:, -1:]
        chosen = torch.searchsorted(cumulative, levels, right=True).clamp(max=self.n_atoms - 1)
        share = law.gather(1, chosen)
        passed = levels - (cumulative.gather(1, chosen) - share)
        within = (passed / share.clamp_min(1e-300)).clamp(0.0, 1.0).numpy()
        order = np.argsort(self.atom, kind="stable")
        ladder = np.cumsum(mass[order])
        own = np.bincount(self.atom, mass, self.n_atoms)
        last = np.searchsorted(self.atom[order], np.arange(self.n_atoms), side="right") - 1
        atom = chosen.numpy()
        goal = ladder[last][atom] - (1.0 - within) * own[atom]
        return np.asarray(order[np.minimum(np.searchsorted(ladder, goal), last[atom])])


def couple_cells(
    snapshots: Snapshots, bridge: AtomBridge, atoms: Any, k: int, seed: int
) -> scipy.sparse.csr_array:
    """Joint weights (N_k, N_{k+1}) of all cells; the columns sum to the later snapshot's weights.

    Args:
        snapshots: all cells.
        bridge: couplings between atoms.
        atoms: per snapshot the rows of the atoms.
        k: the segment.
        seed: of the offsets at which descendants and ancestors are taken.

    Returns:
        About 64 (N_k + N_{k+1}) weights. Where more than a twentieth of the mass found no place
        among the partners drawn, a `ConvergenceWarning` says how much.
    """
    generator = torch.Generator().manual_seed(seed)
    growth = bridge.growth
    x, y = (torch.as_tensor(np.array(snapshots.points[i])) for i in (k, k + 1))
    a, b = snapshots.probabilities(k), snapshots.probabilities(k + 1)
    if growth is not None:
        gain = growth.of_end(k, y, 0.5).numpy()
        a, b = _shares(a, growth.of_start(k, x, 0.5).numpy()), _shares(b, -gain)
    starts, ends = (Representatives.of(snapshots.points[i], atoms[i]) for i in (k, k + 1))
    ahead = _followed(lambda part: bridge.end_weights(k, part), x, ends, b, generator)
    back = _followed(lambda part: bridge.start_weights(k, part), y, starts, a, generator)
    joint = scipy.sparse.diags_array(a) @ ahead + (scipy.sparse.diags_array(b) @ back).T
    plan = _completed(_scaled(joint.tocsr(), a, b), a, b, *_places(x, y))
    if growth is not None:
        plan = plan @ scipy.sparse.diags_array(np.exp(gain - gain.max()))
        plan = plan / plan.sum()
    return scipy.sparse.csr_array(plan)


def _shares(mass: Array, gain: Array) -> Array:
    grown = mass * np.exp(gain - gain.max())
    return np.asarray(grown / grown.sum())


def _followed(
    law: Callable[[Tensor], Tensor],
    points: Tensor,
    others: Representatives,
    mass: Array,
    generator: torch.Generator,
) -> scipy.sparse.csr_array:
    """Shares (n, M) of the partners of every point; rows sum to 1."""
    steps = torch.arange(_PARTNERS, dtype=torch.float64)
    drawn = []
    with torch.no_grad():
        for part in points.split(_CHUNK):
            offset = torch.rand(len(part), 1, generator=generator, dtype=torch.float64)
            drawn.append(others.draw(law(part), mass, (steps + offset) / _PARTNERS))
    n = len(points)
    rows = np.repeat(np.arange(n), _PARTNERS)
    values = np.full(n * _PARTNERS, 1 / _PARTNERS)
    shares = scipy.sparse.coo_array(
        (values, (rows, np.concatenate(drawn).ravel())), shape=(n, len(mass))
    )
    return shares.tocsr()


def _scaled(joint: scipy.sparse.csr_array, a: Array, b: Array) -> scipy.sparse.csr_array:
    """The joint law with factors of rows and columns for which it has these marginals."""
    across = joint.T.tocsr()
    r = np.ones(len(a))
    for _ in range(_MOST_SWEEPS):
        s = _ratio(b, across @ r)
        reached = joint @ s
        if np.abs(r * reached - a).sum() <= _TOLERANCE:
            break
        r = _ratio(a, reached)
    return scipy.sparse.diags_array(r) @ joint @ scipy.sparse.diags_array(s)


def _ratio(mass: Array, reached: Array) -> Array:
    factor = np.zeros_like(mass)
    np.divide(mass, reached, out=factor, where=reached > mass / _LARGEST_FACTOR)
    return factor


def _places(x: Tensor, y: Tensor) -> tuple[Array, Array]:
    """Where points (N, D) and (M, D) stand along the longest axis of both clouds."""
    both = torch.cat([x, y])
    both = both - both.mean(0)
    along = both @ torch.linalg.eigh(both.mT @ both)[1][:, -1]
    return along[: len(x)].numpy(), along[len(x) :].numpy()


def _completed(
    plan: scipy.sparse.csr_array, a: Array, b: Array, left: Array, right: Array
) -> scipy.sparse.csr_array:
    """The plan cut to what the marginals allow; what is missing pairs in the order of places."""
    plan = scipy.sparse.diags_array(np.minimum(1.0, _ratio(a, plan.sum(1)))) @ plan
    plan = plan @ scipy.sparse.diags_array(np.minimum(1.0, _ratio(b, plan.sum(0))))
    missing = a - plan.sum(1), b - plan.sum(0)
    if missing[0].sum() > _NOTABLE:
        warnings.warn(
            f"{missing[0].sum():.1%} of the mass found no place among the partners of cells and is "
            "laid along the longest axis of the cloud; a larger volatility or max_samples helps",
            ConvergenceWarning,
            stacklevel=4,
        )
    rows, columns = np.argsort(left), np.argsort(right)
    return plan + _in_order(missing[0].clip(0.0), rows, missing[1].clip(0.0), columns)


def _in_order(a: Array, rows: Array, b: Array, columns: Array) -> scipy.sparse.csr_array:
    """Joint weights (N, M) of masses that are paired off from the first to the last."""
    up, across = np.cumsum(a[rows]), np.cumsum(b[columns])
    steps = np.unique(np.concatenate([up, across]))
    weights = np.diff(steps, prepend=0.0)
    i = np.minimum(np.searchsorted(up, steps), len(rows) - 1)
    j = np.minimum(np.searchsorted(across, steps), len(columns) - 1)
    pairs = scipy.sparse.coo_array((weights, (rows[i], columns[j])), shape=(len(a), len(b)))
    return pairs.tocsr()
