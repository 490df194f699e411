"""Which of several regions is reached first, from each of many states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.dynamics import Chain, Diffusion, PathSource, horizon_of, names_of
from trajinfer.functionals.extrapolation import told_beyond
from trajinfer.functionals.methods import chain as chains
from trajinfer.functionals.methods import scale_measure
from trajinfer.functionals.methods.domain import domain_of, natural_duration
from trajinfer.functionals.methods.grid_limit import solve_on
from trajinfer.functionals.methods.grid_values import stopping_set
from trajinfer.functionals.methods.registry import choose_or_simulate, solve_by
from trajinfer.functionals.monte_carlo import estimate, paths_each, shares
from trajinfer.questions.functional import Functional
from trajinfer.questions.region import Region, overlap, require_region

FateMethod = Literal["auto", "exact", "grid", "galerkin", "simulate"]
_METHODS = ("auto", "exact", "grid", "galerkin", "simulate")
_NONE = "none"
_DRAWS = 400


@dataclass(frozen=True, eq=False)
class FateTable:
    """Probabilities of fates, one row per state, rows sum to 1.

    Attributes:
        probabilities: (n, K + 1); the last column is "none": no region was reached.
        names: of the columns.
        std_errors: (n, K + 1) of the simulation, or of features or a grid, as `ValueFunction` has
            it; 0 where the answer is exact.
        method: what was chosen, and why.
        index: names of the rows.
    """

    probabilities: Array
    names: tuple[str, ...]
    std_errors: Array
    method: str
    index: Any = None

    def to_frame(self) -> pd.DataFrame:
        """One row per state, one column per fate."""
        return pd.DataFrame(self.probabilities, index=self.index, columns=list(self.names))

    def entropy(self) -> Array:
        """(n,) entropy of each row in nats: 0 where the fate is certain."""
        p = self.probabilities
        return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1))

    def most_likely(self) -> Array:
        """(n,) name of the likeliest fate of each row."""
        names = np.array(self.names, dtype=object)
        return np.asarray(names[self.probabilities.argmax(axis=1)])


@independent_of_global_state
def fate_probabilities(
    process: Any,
    X: Any,
    targets: Mapping[str, Region],
    *,
    horizon: Any = None,
    method: FateMethod = "auto",
    resolution: int | None = None,
    domain: Any = None,
    n: int | None = None,
    key: str | None = None,
    random_state: RandomState = None,
) -> FateTable:
    """Probabilities to reach each of several regions first.

    Args:
        process: a process, or a fitted estimator; see `as_dynamics`.
        X: (n, D) states, a DataFrame, labels of a chain, or an AnnData of cells, of which
            `obsm[use]` is taken that has as many columns as the process (X_pca first).
        targets: regions by name, which must not overlap.
        horizon: a duration after which the fate is "none"; None waits for ever.
        method: "exact" (chains, one coordinate), "grid" (at most three), "galerkin" (more, without
            a horizon, where walls are smooth), "simulate", or "auto".
        resolution: cells along each axis of a grid.
        domain: (low, high) corners of a grid.
        n: paths per state, where they are simulated; None takes 400, or fewer where states are
            many, so that there are about 400 000 in all, but 20 at least.
        key: where X is an AnnData, the name in `obsm` under which the table is kept there.
        random_state: seed of what is drawn.

    Raises:
        InputError: for regions that overlap, or a method that does not fit the process.
    """
    dynamics = as_dynamics(process)
    names = _checked_names(targets)
    regions = [
        region.on(names_of(dynamics), getattr(dynamics, "dim", 1)) for region in targets.values()
    ]
    states, index = _states(dynamics, X)
    _refuse_overlap(regions, names, states)
    seed = seed_from(random_state)
    if isinstance(dynamics, Diffusion):
        length = None if horizon is None else dynamics.axis.duration(horizon)
        dynamics = told_beyond(dynamics, states, regions, length)
    questions = [
        Functional(stop={r: float(r is mine) for r in regions}, horizon=horizon) for mine in regions
    ]
    if method not in _METHODS:
        raise InputError(f"unknown method {method!r}; {nearest(str(method), _METHODS)}")
    automatic = choose_or_simulate(questions[0], dynamics, features=True)
    chosen, reason = automatic if method == "auto" else (method, "as asked")
    settings = {"resolution": resolution, "domain": domain}
    reached, errors = (
        _counted(questions, dynamics, states, n, seed)
        if chosen == "simulate"
        else _solved(chosen, questions, dynamics, states, settings, seed)
    )
    table = _with_none(reached, errors, names, f"{chosen}: {reason}", index)
    if key is not None:
        X.obsm[key] = table.to_frame()
    return table


def _checked_names(targets: Mapping[str, Region]) -> tuple[str, ...]:
    if not isinstance(targets, Mapping) or not targets:
        raise InputError("targets must be a mapping from names to regions, with at least one entry")
    names = tuple(map(str, targets))
    if _NONE in names:
        raise InputError("'none' is the fate of those that reach no target; choose another name")
    for name, region in targets.items():
        require_region(region, f"the target {name!r}")
    return names


def _states(dynamics: Any, X: Any) -> tuple[Any, Any]:
    index = getattr(X, "obs_names", None)
    if index is None and isinstance(X, (pd.DataFrame, pd.Series)):
        index = X.index
    if isinstance(dynamics, Chain):
        return dynamics.codes(list(np.ravel(np.asarray(X, dtype=object)))), index
    if isinstance(dynamics, PathSource):
        return X, None
    if hasattr(X, "obsm"):
        return dynamics.points(_embedding(X, dynamics.dim), "X"), index
    return dynamics.points(X, "X"), index


def _embedding(X: Any, dim: int) -> Any:
    """The coordinates of cells: the first entry of obsm with as many columns as the process."""
    for name in sorted(X.obsm, key=lambda name: (name != "X_pca", name)):
        if np.ndim(X.obsm[name]) == 2 and np.shape(X.obsm[name])[1] == dim:
            return np.asarray(X.obsm[name])
    if np.shape(X.X)[1] == dim:
        return np.asarray(X.X)
    raise InputError(f"no entry of obsm has {dim} columns, as many as the process; give an array")


def _refuse_overlap(regions: list[Region], names: tuple[str, ...], states: Any) -> None:
    for i, first in enumerate(regions):
        for j, other in enumerate(regions[:i]):
            both = overlap(other, first)
            if both or (both is None and _common(other, first, states)):
                raise InputError(
                    f"the targets {names[j]!r} and {names[i]!r} overlap, so that it is not clear "
                    "which is reached; make them disjoint"
                )


def _common(one: Region, other: Region, states: Any) -> bool:
    """Whether one of the states lies in both."""
    if not isinstance(states, np.ndarray) or states.ndim != 2:
        return False
    return bool((one.contains(states) & other.contains(states)).any())


def _counted(
    questions: list[Functional], dynamics: Any, states: Any, n: int | None, seed: int
) -> tuple[Array, Array]:
    """Shares of paths and standard errors, (n, K) each: one simulation serves all fates."""
    many = len(states) if hasattr(states, "__len__") else 1
    paths = n or min(_DRAWS, paths_each(many))
    if not isinstance(dynamics, Diffusion):
        draws = [estimate(q, dynamics, states, n=paths, random_state=seed) for q in questions]
        return np.stack([d.value for d in draws], 1), np.stack([d.std_error for d in draws], 1)
    values = shares(questions, dynamics, states, paths, seed)
    return values, np.sqrt(values * (1 - values) / paths)


def _solved(
    chosen: str,
    questions: list[Functional],
    dynamics: Any,
    states: Any,
    settings: Mapping[str, Any],
    seed: int,
) -> tuple[Array, Array]:
    """Probabilities and what is known of their errors, (n, K) each."""
    horizon = horizon_of(questions[0], dynamics.axis)
    if isinstance(dynamics, Chain):
        values = chains.solve_chain(questions, dynamics, horizon)[states]
    elif not isinstance(dynamics, Diffusion):
        raise InputError(f"only paths of a {dynamics.name} are known; take method='simulate'")
    elif chosen == "galerkin":
        found = [
            solve_by(chosen, q, dynamics, states, seed=seed, domain=settings["domain"])[0]
            for q in questions
        ]
        errors = np.stack([values.std_error(states) for values in found], axis=1)
        solved = np.stack([values.value(0.0, states) for values in found], axis=1)
        inside = np.any([r.contains(states) for r, _ in questions[0].stopping], axis=0)
        return np.clip(solved, 0.0, 1.0), np.where(inside[:, None], 0.0, errors)
    elif chosen == "exact":
        if not scale_measure.applies(questions[0], dynamics):
            raise InputError(
                "method='exact' is for chains and for one coordinate without a horizon; take 'grid'"
            )
        exact = [scale_measure.solve(q, dynamics, states).value(0.0, states) for q in questions]
        values = np.stack(exact, axis=1)
    else:
        stop = stopping_set(questions[0])
        duration = horizon or natural_duration(dynamics, states)
        low, high = domain_of(dynamics, states, duration, stop, settings["domain"], seed)
        cells = settings["resolution"]
        grids = solve_on(questions, dynamics, low, high, cells, horizon, states)
        values = np.stack([grid.value(0.0, states) for grid in grids], axis=1)
        errors = np.stack([grid.std_error(states) for grid in grids], axis=1)
        return np.clip(values, 0.0, 1.0), errors
    return np.clip(values, 0.0, 1.0), np.zeros_like(values)


def _with_none(
    reached: Array, errors: Array, names: tuple[str, ...], chosen: str, index: Any
) -> FateTable:
    total = reached.sum(axis=1, keepdims=True)
    reached = np.where(total > 1, reached / np.maximum(total, 1e-300), reached)
    none = 1 - reached.sum(axis=1, keepdims=True)
    rest = np.sqrt((errors**2).sum(axis=1, keepdims=True))
    return FateTable(
        np.hstack([reached, np.maximum(none, 0.0)]),
        (*names, _NONE),
        np.hstack([errors, rest]),
        chosen,
        index,
    )
