"""Bridges between snapshots of some coordinates of their reference."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import IdentifiabilityWarning, InputError
from trajinfer._core.threads import torch_threads
from trajinfer.bridges.kept_rounds import n_refinements_in
from trajinfer.bridges.snapshot_estimator import SnapshotEstimator
from trajinfer.bridges.thinning import thin
from trajinfer.data import Snapshots
from trajinfer.hidden import Coordinates, HiddenBridge, HiddenFit, fit_hidden
from trajinfer.references.dynamics import Reference
from trajinfer.references.problem import Problem
from trajinfer.references.reference import LEARN, prepare_reference, snapshot_moments
from trajinfer.references.stratified import draw_atoms

_USER = 4


class HiddenCoordinates(SnapshotEstimator):
    """What an estimator of snapshots does where they show part of the state.

    Attributes:
        observed: which part; None for all.
        n_jobs: threads used while fitting.
        atoms_: per snapshot the rows that enter the couplings.
        left_open_: names of parameters that the snapshots do not settle.
    """

    observed: Any
    n_refinements: int
    n_jobs: int | None
    atoms_: list[Array]
    left_open_: list[str]
    backend_: str

    @property
    def hidden_(self) -> tuple[int, ...]:
        """Places of the coordinates of the reference that were not measured but inferred."""
        self._check_fitted()
        return self.bridge_.coordinates.hidden if isinstance(self.bridge_, HiddenBridge) else ()

    def _state_names(self) -> tuple[str, ...] | None:
        """Names (D,) of the coordinates of states."""
        if not isinstance(self.bridge_, HiddenBridge):
            return super()._state_names()
        return self.bridge_.coordinates.names(self.snapshots_.features)

    def _states(self, X: Any) -> Array:
        """States (n, D), hidden coordinates included."""
        if not isinstance(self.bridge_, HiddenBridge):
            return super()._states(X)
        names = self.bridge_.coordinates.names(self.snapshots_.features)
        states = as_array(X, "X", ndim=2)
        if states.shape[1] != len(names):
            raise InputError(
                f"X has {states.shape[1]} columns, a state has {len(names)} coordinates, of which "
                f"some are hidden: {', '.join(names)}; give all, such as draws of marginal"
            )
        require_finite(states, "X")
        return states

    def _fit_observed(
        self, measured: Snapshots, snapshots: Snapshots, seed: int, seeds: tuple[int, int]
    ) -> Self:
        coordinates = hidden_coordinates(self, snapshots)
        with torch_threads(self.n_jobs):
            found, self.atoms_ = fit_observed(self, coordinates, snapshots, seeds)
        self.bridge_, self.left_open_, self.backend_ = found.bridge, found.left_open, "hidden"
        self._keep_snapshots(snapshots)
        self.measured_ = None if snapshots is measured else measured
        found.history[0] |= {"seed": seed, "backend": "hidden", "reason": "observed= names part"}
        self._conclude(
            seed=seed,
            n_iter=n_refinements_in(found.history) if self.n_refinements else 0,
            converged=found.converged,
            history=found.history,
            reason=self._what_is_open(),
        )
        return self

    def _last_states(self, n: int, generator: torch.Generator) -> Tensor:
        if isinstance(self.bridge_, HiddenBridge):
            return self.bridge_.draw_last(n, generator)
        problem = self.bridge_.problem
        return problem.points[-1][draw_atoms(problem.log_mass[-1].exp(), n, generator)]


def hidden_coordinates(estimator: Any, snapshots: Snapshots) -> Coordinates:
    """The coordinates that `observed=` names, checked with the settings that cannot go with it.

    Raises:
        InputError: for settings that need all coordinates, or places that are not there.
    """
    refused = {
        "growth": estimator.growth is not None,
        "backend": estimator.backend in ("mixture", "matching", "ipf"),
        "volatility": isinstance(estimator.volatility, str) and estimator.volatility == LEARN,
    }
    remedies = {
        "growth": "leave growth=None",
        "backend": "leave backend='auto'",
        "volatility": "give a number, or 'likelihood', which corrects nothing",
    }
    for name, given in refused.items():
        if given:
            raise InputError(
                f"{name}={getattr(estimator, name)!r} is not known where coordinates are hidden "
                f"(observed=); {remedies[name]}"
            )
    dim = getattr(estimator.reference, "dim", None)
    if dim is None:
        raise InputError(
            "observed= needs a reference that says how many coordinates it has (`dim`), such as "
            f"a process of trajinfer, got {type(estimator.reference).__name__}"
        )
    return Coordinates.of(estimator.observed, snapshots, dim)


def fit_observed(
    estimator: Any, coordinates: Coordinates, snapshots: Snapshots, seeds: tuple[int, int]
) -> tuple[HiddenFit, list[Array]]:
    """The fit, and the rows of every snapshot that enter the couplings.

    Hidden coordinates have no units of their own. They are taken to be of the size of the measured
    ones where the reference's neutral starts, or a volatility that is not given, ask for one.
    """
    seed_thin, seed_search = seeds
    sde = prepare_reference(
        estimator.reference, estimator.volatility, _of_like_size(snapshots, coordinates)
    )
    thinned, rows = thin(snapshots, estimator.max_samples, seed_thin)
    center, scale = snapshot_moments(snapshots)
    with tqdm(total=None, disable=not estimator.verbose or None) as bar:

        def on_round(record: dict[str, Any]) -> None:
            bar.set_postfix(objective=f"{record['objective']:.5g}")
            bar.update()

        found = fit_hidden(
            Reference(sde, linear_noise=estimator.backend == "linear_noise"),
            coordinates,
            Problem.of(thinned),
            size=float(np.sqrt(np.mean(center**2 + scale**2))) or 1.0,
            tol=estimator.tol,
            n_refinements=estimator.n_refinements,
            seed=seed_search,
            on_round=on_round,
        )
    if found.left_open:
        warnings.warn(
            f"the snapshots leave open: {', '.join(found.left_open)}. What is not measured has no "
            "units of its own, so a reference that may stretch it fits at every size; give one of "
            "these parameters a value",
            IdentifiabilityWarning,
            stacklevel=_USER,
        )
    return found, rows


def _of_like_size(snapshots: Snapshots, coordinates: Coordinates) -> Snapshots:
    """Snapshots of all coordinates, the hidden ones copied from measured ones in turn."""
    d = len(coordinates.observed)
    columns = np.empty(coordinates.dim, dtype=int)
    columns[list(coordinates.observed)] = np.arange(d)
    columns[list(coordinates.hidden)] = np.arange(len(coordinates.hidden)) % d
    return Snapshots(
        snapshots.times,
        tuple(p[:, columns] for p in snapshots.points),
        tuple(snapshots.probabilities(k) for k in range(len(snapshots))),
    )
