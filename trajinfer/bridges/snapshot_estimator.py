"""What every verb about snapshots checks: times, positions, names of coordinates, seeds."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import validate_data

from trajinfer._core.checks import Array, as_array, require_finite, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.bridges.coupling_rules import AnyBridge
from trajinfer.bridges.parameter_covariance import ParameterLaw
from trajinfer.data import Snapshots, Trajectories
from trajinfer.data.time_axis import nearest_time
from trajinfer.data.time_order import TimeOrder
from trajinfer.processes import Process
from trajinfer.sde import SDELike


class SnapshotEstimator(Estimator):
    """An estimator fitted to snapshots; reads what its verbs are asked.

    Attributes:
        bridge_: the path law.
        n_particles: draws where no number is given.
        snapshots_: the data.
        seed_: of all draws.
        n_features_in_: D.
    """

    bridge_: AnyBridge
    n_particles: int
    snapshots_: Snapshots
    seed_: int
    n_features_in_: int
    n_iter_: int
    history_: list[dict[str, Any]]

    @property
    def reference_(self) -> SDELike:
        """The refined reference."""
        self._check_fitted()
        return self.bridge_.reference.sde

    @property
    def objective_history_(self) -> list[float]:
        """Objective of every round."""
        self._check_fitted()
        return [record["objective"] for record in self.history_]

    @property
    def parameters_(self) -> dict[str, float | Array]:
        """Parameters of the refined reference by name."""
        self._check_fitted()
        return self.reference_.parameters_dict() if isinstance(self.reference_, Process) else {}

    @property
    def volatility_(self) -> Any:
        """Volatility of the refined reference: (D,) numbers or a callable."""
        self._check_fitted()
        if isinstance(self.reference_, Process):
            return self.reference_.volatility
        return self.reference_.g

    def parameter_errors(self) -> dict[str, float | Array]:
        """Standard errors of `parameters_`, for points of the snapshots drawn independently.

        The delta method (`bridges.parameter_covariance`): the limit of refits to resampled
        snapshots, without refits. A volatility that was given or set, and growth, count as known.

        Raises:
            InputError: if nothing was refined, more than fifty numbers, or what the snapshots do
                not settle; or for the backend "mixture".
        """
        return self._parameter_law().errors()

    def draw_references(self, n: int, *, random_state: RandomState = None) -> list[SDELike]:
        """References as plausible as the snapshots leave them: parameters drawn n times.

        Args:
            n: number of references.
            random_state: None uses the estimator's.

        Raises:
            InputError: as `parameter_errors`.
        """
        count = require_integer(n, "n", least=1)
        law = self._parameter_law()
        seed = spawn(self.seed_ if random_state is None else seed_from(random_state), 4)[3]
        return law.draw(count, np.random.default_rng(seed))

    def _parameter_law(self) -> ParameterLaw:
        self._check_fitted()
        if self.n_iter_ == 0:
            raise InputError(
                "nothing was refined, so that answers inherit no errors of a fit; leave parameters "
                "out of the reference to learn them, with n_refinements above 0"
            )
        return ParameterLaw.of(self.bridge_)

    def _ascending(self, ts: Any) -> TimeOrder:
        return TimeOrder.of(self.snapshots_.axis.queries(ts, 1))

    def _time(self, t: Any) -> float:
        if np.ndim(t) != 0:
            raise InputError(f"one time was expected, got {np.size(t)}; call once for each")
        return float(self.snapshots_.axis.queries([t], 1, name="t")[0, 0])

    def _snapshot_at(self, t: Any) -> int:
        """Index of the snapshot at time t.

        Raises:
            InputError: if there is none.
        """
        time = self._time(t)
        (index,), (found,) = nearest_time(np.array([[time]]), self.snapshots_.times)
        if not found:
            raise InputError(
                f"no snapshot at time {time:g}; times are {self.snapshots_.times.tolist()}"
            )
        return int(index)

    def _require_inside(self, times: Array) -> None:
        first, last = self.snapshots_.times[[0, -1]]
        outside = times[(times < first) | (times > last)]
        if len(outside):
            raise InputError(
                f"time {outside[0]:g} lies outside the snapshots ({first:g} to {last:g}); use "
                "forecast for times after the last one"
            )

    def _points(self, X: Any) -> Array:
        points = as_array(X, "X", ndim=2)
        if isinstance(X, pd.DataFrame):
            self._require_columns(X)
        self._require_features_in(points.shape[1])
        require_finite(points, "X")
        return points

    def _require_columns(self, X: pd.DataFrame) -> None:
        """Refuse a table with columns of other names, in scikit-learn's words and our own."""
        ours = ""
        try:
            self.snapshots_.require_features([str(name) for name in X.columns])
        except InputError as error:
            ours = f" ({error})"
        if hasattr(self, "feature_names_in_"):
            try:
                validate_data(self, X, reset=False, skip_check_array=True)
            except ValueError as error:
                raise InputError(f"{error}{ours}") from error

    def _require_features_in(self, n: int) -> None:
        if n != self.n_features_in_:
            raise InputError(
                f"X has {n} features, but SchrodingerBridge is expecting {self.n_features_in_} "
                "features as input"
            )

    def _count(self, n: int | None) -> int:
        return require_integer(self.n_particles if n is None else n, "n", least=1)

    def _generator(self, random_state: RandomState, purpose: str) -> torch.Generator:
        """A fresh generator; without a seed of its own, one that depends on what it is for."""
        if random_state is not None:
            return torch_generator(seed_from(random_state))
        words = np.frombuffer(purpose.encode(), dtype=np.uint8)
        seed_draws = spawn(self.seed_, 3)[2]
        sequence = np.random.SeedSequence([seed_draws, *words.tolist()])
        return torch_generator(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _trajectories(
        self, times: Array, values: Array, branches: Array | None = None
    ) -> Trajectories:
        """Paths; those of individuals that divide count by their descendants."""
        names, axis = self.snapshots_.features, self.snapshots_.axis
        return Trajectories(times, values, branches, names, axis, branches)

    @abstractmethod
    def _check_fitted(self) -> None:
        """Refuse questions before `fit`."""
