"""What a bridge knows of every cell, in the rows and under the names of an AnnData object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer.data import Snapshots
from trajinfer.data.cells import read_cells

_CHUNK = 4096


class FittedBridge(Protocol):
    """The questions that are asked of a bridge."""

    snapshots_: Snapshots

    @property
    def given_snapshots(self) -> Snapshots:
        """The data as they were given."""

    @property
    def growth_(self) -> tuple[Array, ...]:
        """Growth rate at every point of every snapshot."""

    def velocity(self, X: Any, t: Any) -> Array:
        """Drift at positions."""

    def fates(self, sets: Mapping[str, Any], *, t0: Any, t1: Any) -> pd.DataFrame:
        """Shares of the descendants of every cell in sets."""


@dataclass(frozen=True)
class CellAnswers:
    """What is known of N cells in the order of a table; NaN for cells of other times.

    Attributes:
        growth: (N,) net rate of divisions.
        velocity: (N, D) drift of the path law.
        fates: one column per set and "other"; None where no sets were given.
    """

    growth: Array
    velocity: Array
    fates: pd.DataFrame | None

    @classmethod
    def of(cls, bridge: FittedBridge, rows: list[Array], n: int, sets: Any, t1: Any) -> CellAnswers:
        """Answers for the rows of every snapshot among n of a table.

        Args:
            bridge: fitted.
            rows: per snapshot the rows of the table that are its points, in their order.
            n: number of rows of the table.
            sets: None, sets of the cells at t1 by name, or an array (n,) of labels of all rows.
            t1: time of the snapshot in which the sets lie; None takes the last.
        """
        data = bridge.snapshots_
        growth, velocity = np.full(n, np.nan), np.full((n, data.dim), np.nan)
        for own, points, label, rate in zip(rows, data.points, data.labels, bridge.growth_):
            growth[own] = rate
            for part in range(0, len(own), _CHUNK):
                chunk = slice(part, part + _CHUNK)
                velocity[own[chunk]] = bridge.velocity(points[chunk], label)
        fates = None if sets is None else _fates(bridge, rows, n, sets, t1)
        return cls(growth, velocity, fates)

    def to_frame(self, names: tuple[str, ...]) -> pd.DataFrame:
        """One row per cell: `growth_rate`, `velocity_<coordinate>` and `to_<set>`."""
        columns = {"growth_rate": self.growth}
        columns |= {f"velocity_{name}": v for name, v in zip(names, self.velocity.T)}
        if self.fates is not None:
            columns |= {f"to_{name}": share.to_numpy() for name, share in self.fates.items()}
        return pd.DataFrame(columns)


def annotate(
    bridge: FittedBridge, adata: Any, time: str, use_rep: str | None, sets: Any, t1: Any
) -> None:
    """Write what a bridge knows of every cell into `obs`, `obsm` and `uns`.

    Raises:
        InputError: if these are not the cells of the fit, or names are not there.
    """
    rep = use_rep or ("X_pca" if "X_pca" in adata.obsm else "X")
    cells = read_cells(adata, time=time, use_rep=rep, n_dims=bridge.snapshots_.dim, weight=None)
    rows = rows_of(bridge.given_snapshots, cells.times, cells.points)
    if isinstance(sets, str):
        sets = labels_of(adata.obs, sets)
    write(CellAnswers.of(bridge, rows, adata.shape[0], sets, t1), adata, time, rep)


def write(answers: CellAnswers, adata: Any, time: str, rep: str) -> None:
    """Put answers into `obs`, `obsm` and `uns` of the object whose rows they are."""
    adata.obs["growth_rate"] = answers.growth
    adata.obsm[f"velocity_{rep.removeprefix('X_')}"] = answers.velocity
    about: dict[str, Any] = {"time": time, "use_rep": rep}
    if answers.fates is not None:
        adata.obsm["fates"] = answers.fates.set_axis(adata.obs_names)
        about["fates"] = [str(name) for name in answers.fates.columns]
    adata.uns["trajinfer"] = about


def labels_of(table: pd.DataFrame, column: str) -> Array:
    """Labels (N,) of the rows of a table.

    Raises:
        InputError: if the column is not there.
    """
    if column not in table.columns:
        raise InputError(f"no column '{column}' of labels; {nearest(column, table.columns)}")
    return np.asarray(table[column].to_numpy(dtype=object))


def rows_of(snapshots: Snapshots, times: Any, points: Array) -> list[Array]:
    """Per snapshot the rows of a table that are its points.

    Args:
        snapshots: of a fit.
        times: (N,) of the rows, as they were given to the fit.
        points: (N, D) of the rows.

    Raises:
        InputError: if a snapshot is not there as it was.
    """
    when = snapshots.axis.encode(times)
    rows = [np.flatnonzero(np.isclose(when, t, rtol=0, atol=1e-9)) for t in snapshots.times]
    for own, seen, label in zip(rows, snapshots.points, snapshots.labels):
        if len(own) != len(seen) or not np.allclose(points[own], seen):
            raise InputError(
                f"the cells at time {label} are not those of the fit ({len(own)} here, {len(seen)} "
                "there); hand over the table that was fitted, with its coordinates"
            )
    return rows


def _fates(bridge: FittedBridge, rows: list[Array], n: int, sets: Any, t1: Any) -> pd.DataFrame:
    """Fates (n rows) of the cells of all snapshots before t1, and where those at t1 are."""
    labels = list(bridge.snapshots_.labels)
    last = len(labels) - 1 if t1 is None else _position(labels, t1)
    if not isinstance(sets, Mapping):
        sets = _by_label(np.asarray(sets, dtype=object)[rows[last]])
    found: pd.DataFrame | None = None
    for k in range(last):
        shares = bridge.fates(sets, t0=labels[k], t1=labels[last])
        if found is None:
            found = pd.DataFrame(np.nan, index=range(n), columns=shares.columns)
        found.iloc[rows[k]] = shares.to_numpy()
    if found is None:
        raise InputError(f"no snapshot lies before t1 = {t1}, so that no cell has a fate there")
    points = bridge.snapshots_.points[last]
    masks = [np.asarray(s(points.copy()) if callable(s) else s) for s in sets.values()]
    inside = np.stack(masks, axis=1).astype(float)
    found.iloc[rows[last]] = np.column_stack([inside, 1 - inside.sum(1)])
    return found


def _position(labels: list[Any], t1: Any) -> int:
    if t1 not in labels:
        raise InputError(f"no snapshot at time {t1}; times are {labels}")
    return labels.index(t1)


def _by_label(labels: Array) -> dict[str, Array]:
    """A set for every label; cells without one are in none."""
    known = ~pd.isna(labels)
    names = sorted({str(name) for name in labels[known]})
    words = np.array([str(name) for name in labels], dtype=object)
    return {name: known & (words == name) for name in names}
