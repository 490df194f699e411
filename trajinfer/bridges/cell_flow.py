"""Descendants and ancestors of the individuals of snapshots: all of them, not only atoms.

Two expectations answer everything. Given a later position, where was the individual before; given
an earlier one, where will it be. From any position both have the closed form of the coupling's
potentials, and a quantity known of all cells of a snapshot enters through its mean over the cells
nearest to every atom. Between snapshots the law is carried from atoms to atoms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from trajinfer._core.checks import Array, as_array, require_weights
from trajinfer._core.errors import InputError
from trajinfer.bridges.cell_couplings import AtomBridge, Representatives
from trajinfer.data import Snapshots

_OTHER = "other"
_CHUNK = 4096


@dataclass(frozen=True)
class CellFlow:
    """The flow of cells through snapshots.

    Attributes:
        snapshots: all cells.
        bridge: couplings between atoms.
        atoms: per snapshot the cells that are atoms.
    """

    snapshots: Snapshots
    bridge: AtomBridge
    atoms: Sequence[Array]

    def weights(self, mass: Any, k: int) -> Array:
        """Weights (N_k,) of the cells of snapshot k, checked.

        Raises:
            InputError: if they are of another number, negative or all zero.
        """
        weights = np.asarray(as_array(mass, "mass", ndim=1), dtype=np.float64)
        require_weights(weights, len(self.snapshots.points[k]), "mass")
        return weights

    def push(self, mass: Array, first: int, last: int) -> Array:
        """Weights (N_last,) of the descendants of cells with weights (N_first,)."""
        mine = self.snapshots.probabilities(first)
        ratio = np.divide(mass, mine, out=np.zeros_like(mass), where=mine > 0)
        values = self._to_atoms(ratio[:, None], first)
        for k in range(first, last - 1):
            plan = self.bridge.plan(k)
            values = plan.mT @ values / plan.sum(0).clamp_min(1e-300).unsqueeze(1)
        later = self._at_cells(last, lambda y: self.bridge.start_weights(last - 1, y) @ values)
        pushed = self.snapshots.probabilities(last) * later[:, 0]
        if self.bridge.growth is None:
            return np.asarray(pushed * (mass.sum() / pushed.sum()))
        masses = self.bridge.growth.masses
        return np.asarray(pushed * float(masses[last] / masses[first]))

    def pull(self, mass: Array, first: int, last: int) -> Array:
        """Weights (N_first,) of the ancestors of cells with weights (N_last,)."""
        theirs = self.snapshots.probabilities(last)
        ratio = np.divide(mass, theirs, out=np.zeros_like(mass), where=theirs > 0)
        pulled = (
            self.snapshots.probabilities(first) * self._ahead(ratio[:, None], first, last)[:, 0]
        )
        return np.asarray(pulled * (mass.sum() / pulled.sum()))

    def fates(self, sets: Mapping[str, Any], first: int, last: int) -> pd.DataFrame:
        """Shares of the descendants of every cell in sets of later cells."""
        names, masks = self._masks(sets, last)
        shares = self._ahead(masks, first, last).clip(0.0, None)
        return pd.DataFrame(shares / shares.sum(1, keepdims=True), columns=names)

    def table(
        self, sets: Mapping[str, Any], into: Mapping[str, Any], first: int, last: int
    ) -> pd.DataFrame:
        """Shares of the descendants of every set in sets of later cells."""
        names, masks = self._masks(sets, first)
        shares = self.fates(into, first, last)
        alive = self.snapshots.probabilities(first) * self.descendants(first, last)
        weights = masks * alive[:, None]
        total = weights.sum(0)
        rows = weights.T @ shares.to_numpy() / np.where(total > 0, total, 1.0)[:, None]
        some = total > 0
        return pd.DataFrame(
            rows[some], columns=shares.columns, index=[n for n, s in zip(names, some) if s]
        )

    def descendants(self, first: int, last: int) -> Array:
        """Expected number (N_first,) of descendants of every cell; 1 where mass is constant."""
        if self.bridge.growth is None:
            return np.ones(len(self.snapshots.points[first]))
        ones = np.ones((len(self.snapshots.points[last]), 1))
        return self._ahead(ones, first, last)[:, 0]

    def _ahead(self, values: Array, first: int, last: int) -> Array:
        """Sum (N_first, S), given every cell, over its descendants of their values (N_last, S)."""
        carried = self._to_atoms(values, last)
        for k in range(last - 1, first, -1):
            ends = self.bridge.onward(k) @ self._grown_to_end(k, carried)
            carried = self._grown_from_start(k, self.bridge.problem.points[k], ends)
        carried = self._grown_to_end(first, carried)

        def answer(x: torch.Tensor) -> torch.Tensor:
            ends = self.bridge.end_weights(first, x) @ carried
            return self._grown_from_start(first, x, ends)

        return self._at_cells(first, answer)

    def _grown_to_end(self, k: int, values: torch.Tensor) -> torch.Tensor:
        """Values (M, S) of the ends of segment k times growth over its second half."""
        growth = self.bridge.growth
        if growth is None:
            return values
        return growth.of_end(k, self.bridge.problem.points[k + 1], 0.5).exp().unsqueeze(1) * values

    def _grown_from_start(self, k: int, x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Values (n, S) of those at x (n, D) times growth over the first half of segment k."""
        growth = self.bridge.growth
        return values if growth is None else growth.of_start(k, x, 0.5).exp().unsqueeze(1) * values

    def _at_cells(self, k: int, answer: Any) -> Array:
        """An answer that depends on the position, for all cells of snapshot k."""
        points = torch.as_tensor(np.array(self.snapshots.points[k]))
        with torch.no_grad():
            return np.asarray(torch.cat([answer(part) for part in points.split(_CHUNK)]).numpy())

    def _to_atoms(self, values: Array, k: int) -> torch.Tensor:
        """Means (N_atoms, S) of values (N_k, S) over the cells nearest to every atom."""
        points, atoms = self.snapshots.points[k], self.atoms[k]
        if len(atoms) == len(points):
            return torch.as_tensor(values)
        mass = self.snapshots.probabilities(k)
        cells = Representatives.of(points, atoms)
        total, sums = cells.sums(mass[:, None]), cells.sums(mass[:, None] * values)
        known = total > 0
        means = np.where(known, sums / np.where(known, total, 1.0), values[atoms])
        return torch.as_tensor(means)

    def _masks(self, sets: Mapping[str, Any], k: int) -> tuple[list[str], Array]:
        """Names and indicators (N_k, S + 1) of sets of cells and of the rest.

        Raises:
            InputError: if a set does not fit the snapshot, or two have cells in common.
        """
        if not sets:
            raise InputError("sets must name at least one set of cells, got none")
        if _OTHER in sets:
            raise InputError(f"'{_OTHER}' is the name of the rest; call this set differently")
        points = self.snapshots.points[k]
        columns = []
        for name, chosen in sets.items():
            mask = np.asarray(chosen(points.copy()) if callable(chosen) else chosen)
            if mask.shape != (len(points),) or mask.dtype != bool:
                time = self.snapshots.axis.named(self.snapshots.times[k])
                raise InputError(
                    f"set '{name}' must be a boolean mask over the {len(points)} cells at time "
                    f"{time}, or a function of positions that gives one; got {mask.dtype} of shape "
                    f"{mask.shape}"
                )
            columns.append(mask)
        inside = np.stack(columns, axis=1)
        if (inside.sum(1) > 1).any():
            row = int(np.argmax(inside.sum(1) > 1))
            names = [name for name, both in zip(sets, inside[row]) if both]
            raise InputError(
                f"cell {row} is in two sets, {' and '.join(names)}; make them disjoint"
            )
        rest = ~inside.any(1, keepdims=True)
        return [*map(str, sets), _OTHER], np.concatenate([inside, rest], axis=1).astype(np.float64)
