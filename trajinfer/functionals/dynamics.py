"""The three kinds of process that can be asked: diffusions, chains, sources of paths."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError
from trajinfer.data import TimeAxis

Field = Callable[[float, Array], Array]


@dataclass(frozen=True, eq=False)
class Diffusion:
    """An Ito diffusion whose drift and noise are known.

    Attributes:
        drift: (t, x (n, D)) -> (n, D).
        noise: (t, x (n, D)) -> (n, D) where noise i drives coordinate i, else (n, D, M).
        dim: D.
        diagonal: whether noise i drives coordinate i.
        features: names of the coordinates.
        axis: the times.
        affine: matrix (D, D), offset (D,), noise (D,) where the drift is affine and noise constant.
        exact: (step, x (n, D), normals (n, D)) -> states after it, where its law is known.
        last: (n, D) the last observed states, for questions from there.
        observed: (N, D) states that it was fitted to; None where there are none.
        duration: of these data, on the axis.
        notes: what was assumed, in words.
        sde: the process itself, whose parameters can be moved.
        draw_fits: n -> n diffusions as plausible as the data leave them; None where not known.
    """

    drift: Field
    noise: Field
    dim: int
    diagonal: bool
    features: tuple[str, ...] | None = None
    axis: TimeAxis = field(default_factory=TimeAxis)
    affine: tuple[Array, Array, Array] | None = None
    exact: Callable[[float, Array, Array], Array] | None = None
    last: Array | None = None
    observed: Array | None = None
    duration: float | None = None
    notes: tuple[str, ...] = ()
    sde: Any = None
    draw_fits: Callable[[int, Any], list[Diffusion]] | None = None

    def covariance(self, t: float, x: Array) -> Array:
        """The rate of the noise g g^T, (n, D, D)."""
        g = self.noise(t, x)
        if self.diagonal:
            return np.asarray(np.einsum("nd,de->nde", g**2, np.eye(self.dim)))
        return np.asarray(np.einsum("ndm,nem->nde", g, g))

    @property
    def constant_noise(self) -> bool:
        """Whether the noise is known not to depend on the state."""
        return self.affine is not None or getattr(self.sde, "noise_type", "") == "additive"

    def depends_on_time(self, x: Array) -> bool:
        """Whether drift or noise differ between a few times at the states x."""
        points = np.array(x[:16])
        times = (0.0, 0.7311, 3.1907)
        drifts = [self.drift(t, points) for t in times]
        noises = [self.noise(t, points) for t in times]
        return any(not np.array_equal(v[0], w) for v in (drifts, noises) for w in v[1:])

    def require_steady(self, x: Array) -> None:
        """Refuse what is asked as if it were the same at all times, at the states x.

        Raises:
            InputError: where drift or noise depend on time.
        """
        if self.depends_on_time(x):
            raise InputError(
                "the drift or the noise of this process depends on time, which only a simulation "
                "follows; take estimate, or method='simulate' of fates and passages"
            )

    def points(self, x: Any, name: str = "x0") -> Array:
        """States (n, D) from what a user gives: (D,), (n, D), or numbers where D is 1.

        Columns of a table are taken by the names of the coordinates, where those are known.

        Raises:
            InputError: for the wrong number of coordinates, NaN or infinities.
        """
        return as_points(x, self.dim, name, self.features)


@dataclass(frozen=True, eq=False)
class Chain:
    """A Markov chain in continuous time whose rates are known.

    Attributes:
        rates: (S, S), rows sum to 0; dense or sparse.
        states: the S labels.
        axis: the times.
        draw_rates: n -> (n, S, S) rates as plausible as the data leave them; None where not known.
        last: codes (n,) of the last observed states.
        notes: what was assumed, in words.
    """

    rates: Any
    states: tuple[Hashable, ...]
    axis: TimeAxis = field(default_factory=TimeAxis)
    draw_rates: Callable[[int, Any], Array] | None = None
    last: Array | None = None
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> Array:
        """The labels (S,) as an array."""
        column = np.empty(len(self.states), dtype=object)
        column[:] = self.states
        return column

    @property
    def sparse(self) -> bool:
        """Whether the rates are a sparse matrix."""
        return bool(scipy.sparse.issparse(self.rates))

    def codes(self, x: Any, name: str = "x0") -> Array:
        """Places (n,) of labels among the states.

        Raises:
            InputError: for a label that is not among them.
        """
        several = isinstance(x, (list, np.ndarray)) and np.ndim(x) > 0
        items = np.ravel(np.asarray(x, dtype=object)).tolist() if several else [x]
        place = {label: k for k, label in enumerate(self.states)}
        unknown = [item for item in items if item not in place]
        if unknown:
            raise InputError(f"{name} holds {unknown[0]!r}, the states are {self._shown()}")
        return np.array([place[item] for item in items])

    def _shown(self) -> str:
        shown = ", ".join(map(repr, self.states[:10]))
        return shown + (", ..." if len(self.states) > 10 else "")


@dataclass(frozen=True, eq=False)
class PathSource:
    """A process of which paths can be drawn, or were recorded, and nothing more is known.

    Attributes:
        draw: (starts, durations (T,) from 0 on, n, seed) -> paths (B, n, T, D) that begin at the
            starts; None where paths were recorded.
        name: of what was asked.
        dim: D.
        features: names of the coordinates.
        axis: the times.
        coherent: whether paths are right as paths, not only at each time.
        goes_on: whether paths can go on from series given as starts.
        anew: whether paths can be drawn without any.
        recorded: `Trajectories`, where they were recorded.
        times: (R,) durations from 0 on, at which alone paths can be drawn; None for any.
        last: what the paths go on from, where nothing is given.
        notes: what was assumed, in words.
    """

    draw: Callable[[Any, Array, int, int], Array] | None
    name: str
    dim: int
    features: tuple[str, ...] | None = None
    axis: TimeAxis = field(default_factory=TimeAxis)
    coherent: bool = True
    goes_on: bool = False
    anew: bool = True
    recorded: Any = None
    times: Array | None = None
    last: Any = None
    notes: tuple[str, ...] = ()


Dynamics = Diffusion | Chain | PathSource


def as_points(x: Any, dim: int, name: str, features: Sequence[str] | None = None) -> Array:
    """States (n, D) from (D,), (n, D), or numbers where D is 1.

    Args:
        x: the states, or a table of them.
        dim: D.
        name: of what the states are called, for errors.
        features: names of the coordinates, by which the columns of a table are taken; None takes
            them in their order.

    Raises:
        InputError: for the wrong number of coordinates, other columns, NaN or infinities.
    """
    table = x if features is None else _in_order(x, features, name)
    array = as_array(getattr(table, "to_numpy", lambda: table)(), name)
    if array.ndim == 0:
        array = array.reshape(1, 1)
    elif array.ndim == 1:
        array = array[:, None] if dim == 1 else array[None, :]
    if array.ndim == 2 and not array.shape[1]:
        raise InputError(
            f"0 feature(s) (shape={array.shape}) while a minimum of {dim} is required: {name} must "
            f"be states (n, {dim})"
        )
    if array.ndim != 2 or array.shape[1] != dim or not len(array):
        raise InputError(
            f"{name} must be states (n, {dim}), got shape {np.shape(x)}; the process has {dim} "
            f"coordinate{'s' if dim > 1 else ''}"
        )
    require_finite(array, name)
    return array


def column_names(x: Any) -> tuple[str, ...] | None:
    """The names of the columns of a table; None for what has none."""
    columns = tuple(getattr(x, "columns", ()))
    named = columns and all(isinstance(column, str) for column in columns)
    return columns if named else None


def _in_order(x: Any, features: Sequence[str], name: str) -> Any:
    """The columns of a table that are named as the coordinates, in their order."""
    columns = column_names(x)
    if columns is None:
        return x
    missing = [feature for feature in features if feature not in columns]
    if missing:
        raise InputError(
            f"{name} has no column {missing[0]!r}, a coordinate of the process; its columns are "
            f"{', '.join(map(repr, columns[:10]))}: rename them, or give an array"
        )
    return x[list(features)]


def horizon_of(functional: Any, axis: TimeAxis) -> float | None:
    """The horizon of a functional as a number on the time axis of a process."""
    return None if functional.horizon is None else axis.duration(functional.horizon)


def names_of(dynamics: Dynamics) -> Sequence[Hashable] | None:
    """Names that channels, or states, go by."""
    return dynamics.states if isinstance(dynamics, Chain) else dynamics.features
