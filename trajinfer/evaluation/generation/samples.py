"""The three samples of a report: what was learned from, what was held out, what was generated."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries, Trajectories
from trajinfer.data.array_layout import layout_remark
from trajinfer.data.scaling import Standardisation
from trajinfer.evaluation.generation.visits import as_paths_of_visits, share_a_grid
from trajinfer.metrics import as_paths

_NAMES = ("real_train", "real_holdout", "synthetic")
FEWEST = 20
_FEWEST_TIMES = 3
_PSEUDO_GROUPS = 12
_FAR = 100.0


@dataclass(frozen=True, eq=False)
class Samples:
    """Paths (., T, C) on one grid, with the groups that must not be cut.

    Attributes:
        train, hold_out, synthetic: the paths; channels far from zero are moved there.
        rows: the rows (T_i, C) of every series of the three samples, as they were given.
        scale: (C,) standard deviations of the channels of the training rows.
        train_groups, hold_out_groups, synthetic_groups: one whole number per path.
        grouped: whether the real series came with groups.
        irregular: whether the series have visits of their own, which the paths show.
    """

    train: Array
    hold_out: Array
    synthetic: Array
    rows: tuple[list[Array], list[Array], list[Array]]
    scale: Array
    train_groups: Array
    hold_out_groups: Array
    synthetic_groups: Array
    grouped: bool
    irregular: bool

    @classmethod
    def of(
        cls, train: Any, hold_out: Any, synthetic: Any, groups: Any, rng: np.random.Generator
    ) -> Samples:
        """Check what a user gives; generated series of grouped data get groups at random."""
        given = (train, hold_out, synthetic)
        _check_channels(*given)
        irregular = _irregular(*given)
        if irregular is None:
            values = [_values(v, name) for v, name in zip(given, _NAMES)]
            _check_grids(values, _NAMES)
            _check_times(*given)
            rows = [list(part) for part in values]
        else:
            for part, name in zip(irregular, _NAMES):
                _require_enough(len(part), name)
            values = as_paths_of_visits(irregular)
            rows = [_rows_of(part) for part in irregular]
        origin = _far_origin(values[0])
        values = [v - origin for v in values]
        n_channels = rows[0][0].shape[1]
        rows = [[part - origin[:n_channels] for part in sample] for sample in rows]
        sizes = [len(v) for v in values]
        of_real = _groups(groups, sizes)
        own = rng.integers(_PSEUDO_GROUPS, size=sizes[2])
        return cls(
            train=values[0],
            hold_out=values[1],
            synthetic=values[2],
            rows=(rows[0], rows[1], rows[2]),
            scale=Standardisation.of(np.concatenate(rows[0])).scale,
            train_groups=of_real[0],
            hold_out_groups=of_real[1],
            synthetic_groups=np.arange(sizes[2]) if groups is None else own,
            grouped=groups is not None,
            irregular=irregular is not None,
        )


def subset(paths: Array, n: int, rng: np.random.Generator) -> Array:
    """At most n of the paths, drawn without replacement and kept in order."""
    if len(paths) <= n:
        return paths
    return paths[np.sort(rng.choice(len(paths), n, replace=False))]


def _irregular(*given: Any) -> list[IrregularSeries] | None:
    """The samples as containers where they are series with times of their own, else None."""
    if not any(isinstance(part, IrregularSeries) for part in given):
        return None
    if all(isinstance(part, (IrregularSeries, Trajectories)) for part in given):
        series = [part if isinstance(part, IrregularSeries) else _series(part) for part in given]
        axis = next(part.axis for part in given if isinstance(part, IrregularSeries))
        if all(part.axis.kind == axis.kind for part in series):
            series = [part.on_axis(axis) for part in series]
        return None if share_a_grid(series) else series
    for part, name in zip(given, _NAMES):
        if isinstance(part, IrregularSeries) and not part.mask.all():
            raise InputError(
                f"{name} has missing values or times of its own, and the others are arrays; give "
                "all three as IrregularSeries"
            )
    return None


def _series(paths: Trajectories) -> IrregularSeries:
    made = IrregularSeries.from_arrays(
        np.broadcast_to(paths.ts, paths.values.shape[:2]), paths.values, channels=paths.features
    )
    return replace(made, axis=paths.axis)


def _rows_of(series: IrregularSeries) -> list[Array]:
    edges = np.cumsum(series.lengths)[:-1]
    return list(np.split(np.asarray(series.flat_values), edges))


def _require_enough(n: int, name: str) -> None:
    if n < FEWEST:
        raise InputError(
            f"{name} holds {n} series; at least {FEWEST} are needed for figures that mean anything"
        )


def _values(value: Any, name: str) -> Array:
    if isinstance(value, (Trajectories, IrregularSeries)):
        value = value.values
    elif name == _NAMES[0] and (remark := layout_remark(value)):
        warnings.warn(f"{name} is an array without times{remark}", UserWarning, stacklevel=5)
    paths = as_paths(value, name)
    _require_enough(len(paths), name)
    if paths.shape[1] < _FEWEST_TIMES:
        raise InputError(
            f"{name} has series of length {paths.shape[1]}; at least {_FEWEST_TIMES} times are "
            "needed"
        )
    return paths


def _check_grids(values: Sequence[Array], names: Sequence[str]) -> None:
    shapes = {name: v.shape[1:] for name, v in zip(names, values)}
    if len(set(shapes.values())) > 1:
        raise InputError(f"all series must agree in (T, C), got {shapes}; sample on the same times")


def _check_times(*series: Any) -> None:
    grids = [s.ts for s in series if isinstance(s, Trajectories) and s.ts.ndim == 1]
    if any(not np.allclose(grid, grids[0]) for grid in grids[1:]):
        raise InputError("the series are on different time grids; sample on the same times")


def _check_channels(*series: Any) -> None:
    """Refuse the same channels in another order; names of their own are no objection."""
    given = [
        s.channels if isinstance(s, IrregularSeries) else s.features
        for s in series
        if isinstance(s, (Trajectories, IrregularSeries))
    ]
    named = [names for names in given if names is not None]
    for names in named:
        if names != named[0] and set(names) == set(named[0]):
            raise InputError(
                f"the channels are {named[0]} here and {names} there; bring them into one order"
            )


def _far_origin(paths: Array) -> Array:
    """(C,) means of channels that vary little against them, else 0: distances lose digits there."""
    mean, spread = paths.mean(axis=(0, 1)), paths.std(axis=(0, 1))
    return np.where(np.abs(mean) > _FAR * spread, mean, 0.0)


def _groups(groups: Any, sizes: Sequence[int]) -> tuple[Array, Array]:
    if groups is None:
        return np.arange(sizes[0]), np.arange(sizes[1]) + sizes[0]
    if len(groups) != 2 or [len(g) for g in groups] != list(sizes[:2]):
        raise InputError(
            "groups must be a pair (one entry per training series, one per held-out series), "
            f"for {sizes[0]} and {sizes[1]} series"
        )
    codes = np.unique(np.concatenate([np.asarray(g) for g in groups]), return_inverse=True)[1]
    first, second = codes[: sizes[0]], codes[sizes[0] :]
    if np.intersect1d(first, second).size:
        raise InputError("a group is both in training and held out; hold out whole groups")
    if min(np.unique(first).size, np.unique(second).size) < 2:
        raise InputError("at least two groups are needed on either side, so that folds can be made")
    return first, second
