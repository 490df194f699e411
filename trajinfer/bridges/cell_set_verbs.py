"""Questions about sets of cells: where they come from, where they go."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn
from trajinfer.bridges.annotation import annotate
from trajinfer.bridges.cell_couplings import AtomBridge, couple_cells
from trajinfer.bridges.cell_flow import CellFlow
from trajinfer.bridges.snapshot_estimator import SnapshotEstimator


class CellSetVerbs(SnapshotEstimator):
    """Descendants, ancestors and fates, from couplings between some cells of every snapshot."""

    def coupling(self, k: int) -> Any:
        """Joint weights (N_k, N_{k+1}) of the points of snapshots k and k + 1.

        Columns sum to the weights of snapshot k + 1; rows to those of snapshot k, or, where mass
        changes, to the shares of the later population that descend from them. Where some points
        alone were coupled (`max_samples`, many points, or mixtures) the matrix is sparse: every
        point of either snapshot keeps at most 64 partners of its own, drawn from the law of its
        end or origin, and the weights meet both marginals (L1 error of the rows at most 1e-6).

        Raises:
            InputError: if there is no such segment.
        """
        self._check_fitted()
        n_segments = len(self.snapshots_) - 1
        if not isinstance(k, (int, np.integer)) or not -n_segments <= k < n_segments:
            raise InputError(f"k must be one of the {n_segments} segments, got {k}")
        k %= n_segments
        bridge, atoms = self._on_atoms()
        plan = bridge.plan_at(k, 1.0).numpy()
        shape = (len(self.snapshots_.points[k]), len(self.snapshots_.points[k + 1]))
        if plan.shape == shape:
            return plan
        seed = spawn(self.seed_, len(self.snapshots_))[k]
        return couple_cells(self.snapshots_, bridge, atoms, k, seed)

    def push(self, mass: Any, t0: Any, t1: Any) -> Array:
        """Where the descendants of some cells stand later.

        Args:
            mass: (N,) non-negative weights of the cells of the snapshot at t0.
            t0, t1: times of two snapshots, t0 before t1.

        Returns:
            Weights (M,) of the cells of the snapshot at t1; their sum is that of `mass`, times the
            growth on the way.

        Raises:
            InputError: if there is no snapshot at a time, or the weights do not fit.
        """
        flow, first, last = self._flow(t0, t1)
        return flow.push(flow.weights(mass, first), first, last)

    def pull(self, mass: Any, t0: Any, t1: Any) -> Array:
        """Where the ancestors of some cells stood earlier.

        Args:
            mass: (M,) non-negative weights of the cells of the snapshot at t1.
            t0, t1: times of two snapshots, t0 before t1.

        Returns:
            Weights (N,) of the cells of the snapshot at t0; their sum is that of `mass`.

        Raises:
            InputError: if there is no snapshot at a time, or the weights do not fit.
        """
        flow, first, last = self._flow(t0, t1)
        return flow.pull(flow.weights(mass, last), first, last)

    def fates(self, sets: Mapping[str, Any], *, t0: Any, t1: Any) -> pd.DataFrame:
        """Share of every cell's descendants in each of several sets of cells.

        Args:
            sets: by name, a boolean mask over the cells of the snapshot at t1, or a function
                (n, D) -> (n,) of positions; no cell may be in two of them.
            t0, t1: times of two snapshots, t0 before t1.

        Returns:
            One row per cell of the snapshot at t0, one column per set and "other"; rows sum to 1.

        Raises:
            InputError: if there is no snapshot at a time, or the sets do not fit.
        """
        flow, first, last = self._flow(t0, t1)
        return flow.fates(sets, first, last)

    def transition_table(
        self, sets: Mapping[str, Any], into: Mapping[str, Any] | None = None, *, t0: Any, t1: Any
    ) -> pd.DataFrame:
        """Share of the descendants of every set in each of the sets of a later snapshot.

        Args:
            sets: of the snapshot at t0, as for `fates`.
            into: of the snapshot at t1; None takes the same functions of positions.
            t0, t1: times of two snapshots, t0 before t1.

        Returns:
            One row per set and "other" (where not empty), columns as in `fates`; rows sum to 1.

        Raises:
            InputError: if there is no snapshot at a time, or the sets do not fit.
        """
        flow, first, last = self._flow(t0, t1)
        return flow.table(sets, sets if into is None else into, first, last)

    def annotate(
        self,
        adata: Any,
        *,
        time: str = "time",
        use_rep: str | None = None,
        sets: Mapping[str, Any] | str | None = None,
        t1: Any = None,
    ) -> None:
        """Write growth, velocity and fates of all cells into the AnnData object that was fitted.

        `obs["growth_rate"]`, `obsm["velocity_pca"]` (called like the coordinates, as scvelo does),
        `obsm["fates"]` (a table with one column per set and "other") and `uns["trajinfer"]`. Cells
        of times that were held out, and fates of cells after t1, are NaN; a cell at t1 is where it
        is.

        Args:
            adata: the object; it is changed.
            time: column of `obs` with the times.
            use_rep: key of `obsm` that was fitted, or "X"; None takes what `fit` takes.
            sets: None; or, as for `fates`, sets of the cells at t1; or a column of `obs`, whose
                labels at t1 are the sets.
            t1: time of the snapshot in which the sets lie; None takes the last.

        Raises:
            InputError: if these are not the cells of the fit, or names are not there.
        """
        self._check_fitted()
        annotate(self, adata, time, use_rep, sets, t1)

    @abstractmethod
    def velocity(self, X: Any, t: Any) -> Array:
        """Drift (n, D) of the fitted path law at positions X (n, D) and time t."""

    def growth_rate(self, X: Any, t: Any) -> Array:
        """Net rate of divisions, per unit of time, of individuals at X (n, D) at time t: (n,).

        It is 0 where `growth=None`. Before the first and after the last snapshot the nearest
        segment answers.

        Raises:
            InputError: for positions of another dimension, or more than one time.
        """
        self._check_fitted()
        time, points = self._time(t), self._points(X)
        growth = self.bridge_.growth
        if growth is None:
            return np.zeros(len(points))
        return growth(time, torch.as_tensor(points)).numpy()

    @property
    def growth_(self) -> tuple[Array, ...]:
        """Growth rate at every point of every snapshot: K arrays (N_k,)."""
        self._check_fitted()
        data = self.snapshots_
        return tuple(self.growth_rate(x, t) for x, t in zip(data.points, data.labels))

    def mass(self, ts: Any) -> Array:
        """Total mass of the population at times ts (T,), relative to the first snapshot: (T,).

        It is 1 where `growth=None`.

        Raises:
            InputError: for times before the first snapshot; also after the last one where mass
                changes.
        """
        self._check_fitted()
        order, named = self._ascending(ts), self.snapshots_.axis.named
        if order.times[0, 0] < self.snapshots_.times[0]:
            early = named(order.times[0, 0])
            raise InputError(f"time {early} lies before the first snapshot; nothing is known there")
        if self.bridge_.growth is None:
            return np.ones(order.rank.shape[1])
        last = self.snapshots_.times[-1]
        if order.times[0, -1] > last:
            raise InputError(
                f"time {named(order.times[0, -1])} lies after the last snapshot ({named(last)}); "
                "growth is known between snapshots only"
            )
        masses = np.array([self.bridge_.mass(t) for t in order.times[0].tolist()])
        return np.asarray(masses[order.rank[0]])

    def _flow(self, t0: Any, t1: Any) -> tuple[CellFlow, int, int]:
        """Flow of cells between snapshots, and the two that are asked for."""
        self._check_fitted()
        first, last = (self._snapshot_at(t) for t in (t0, t1))
        if first >= last:
            raise InputError(f"t0 must lie before t1, got {t0} and {t1}")
        return CellFlow(self.snapshots_, *self._on_atoms()), first, last

    @abstractmethod
    def _on_atoms(self) -> tuple[AtomBridge, Sequence[Array]]:
        """Couplings between some cells of every snapshot, and which cells these are."""
