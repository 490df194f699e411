"""What every estimator of snapshots is asked alike: times, positions, names, scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import validate_data

from trajinfer._core.checks import Array, as_array, require_finite, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.data import Snapshots, Trajectories
from trajinfer.data.input import as_snapshots, require_table
from trajinfer.data.scaling import Standardisation
from trajinfer.data.time_axis import nearest_time
from trajinfer.data.time_order import TimeOrder
from trajinfer.data.written_positions import written_positions
from trajinfer.metrics import MetricName, metric_names, score_of
from trajinfer.references.reference import snapshot_moments


class SnapshotQuestions(Estimator):
    """An estimator fitted to snapshots; reads what its verbs are asked.

    Attributes:
        remedy_outside: what to do about times outside the snapshots.
        n_particles: draws where no number is given.
        snapshots_: the data.
        seed_: of all draws.
        n_features_in_: D.
    """

    remedy_outside: ClassVar[str]

    n_particles: int
    snapshots_: Snapshots
    seed_: int
    n_features_in_: int

    @abstractmethod
    def marginal(self, t: Any, n: int | None = None, *, random_state: RandomState = None) -> Array:
        """Draw positions (n, D) of the population at time t."""

    def measurements(
        self, t: Any, n: int | None = None, *, random_state: RandomState = None
    ) -> Array:
        """Draw what would be measured (n, D) of the population at time t: here `marginal`."""
        return self.marginal(t, n, random_state=random_state)

    @abstractmethod
    def _check_fitted(self) -> None:
        """Refuse questions before `fit`."""

    @property
    @abstractmethod
    def _law(self) -> Any:
        """The fitted law of paths."""

    @abstractmethod
    def _expected(self, points: Array, start: float, times: Array) -> Array:
        """Mean positions (n, T, D) at rising times of individuals at points (n, D) at the start."""

    def _read_snapshots(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        time: str | None,
        features: Sequence[str] | None,
    ) -> Snapshots:
        """The data that `fit` is given."""
        if features is not None and y is not None:
            require_table(X, features)
            X, features = X[list(features)], None
        if not isinstance(X, Snapshots) and y is not None:
            X, y = validate_data(self, X, y, skip_check_array=True)
        return as_snapshots(X, y, sample_weight, time, features=features)

    def _keep_snapshots(self, snapshots: Snapshots) -> None:
        """Remember what was fitted, and the names of its columns."""
        self.snapshots_, self.n_features_in_ = snapshots, snapshots.dim
        if snapshots.features is not None:
            self.feature_names_in_ = np.array(snapshots.features, dtype=object)

    def score(
        self,
        X: Any,
        y: Any = None,
        *,
        scoring: MetricName = "w1",
        sample_weight: Any = None,
        time: str | None = None,
        features: Sequence[str] | None = None,
    ) -> float:
        """Minus the mean distance between drawn measurements and held-out snapshots.

        Every coordinate is measured in standard deviations of the training data.

        Args:
            X, y, sample_weight, time, features: held-out data, as for `fit`.
            scoring: "w1" or "w2" (exact Wasserstein), "mmd" (squared) or "energy".
        """
        self._check_fitted()
        metric_names(scoring)
        held_out = as_snapshots(X, y, sample_weight, time, self.snapshots_.axis, features)
        self._require_features_in(held_out.dim)
        self.snapshots_.require_features(held_out.features)
        center, deviation = snapshot_moments(self.snapshots_)
        units = Standardisation(center, np.where(deviation > 0, deviation, 1.0))
        distances = [
            score_of(
                scoring,
                (units.apply(self.measurements(label)), None),
                (units.apply(points), held_out.probabilities(k)),
            )
            for k, (label, points) in enumerate(zip(held_out.labels, held_out.points))
        ]
        return -float(np.mean(distances))

    def _predicted(
        self, X: Any, t0: Any, ts: Any, out: str | Path | None, **settings: Any
    ) -> Array | Path:
        """Mean positions (n, T, D), or the folder that they are written to.

        Args:
            X, t0, ts, out: as for `predict`.
            settings: of the estimator, that the means depend on.
        """
        self._check_fitted()
        points = self._states(X)
        if out is None:
            return self._mean_paths(points, t0, ts).values
        ids = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(points))
        asked = {"t0": t0, "ts": ts}
        return written_positions(
            out, points, ids, self._law, asked, self._mean_paths, settings=settings
        )

    def _mean_paths(self, points: Array, t0: Any, ts: Any) -> Trajectories:
        """Mean positions from points (n, D) at time t0 on, at times ts in the order asked."""
        start = self.snapshots_.times[0] if t0 is None else self._time(t0)
        order = self._ascending(self.snapshots_.labels[-1:] if ts is None else ts)
        times, rank = order.times[0], order.rank[0]
        self._require_inside(np.array([start]))
        if times[0] < start:
            early, named = self.snapshots_.axis.named(times[0]), self.snapshots_.axis.named(start)
            raise InputError(f"ts must not lie before t0 = {named}, got {early}")
        return self._trajectories(times[rank], self._expected(points, start, times)[:, rank])

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
            named = self.snapshots_.axis.named
            times = ", ".join(map(named, self.snapshots_.times))
            raise InputError(f"no snapshot at time {named(time)}; times are {times}")
        return int(index)

    def _require_inside(self, times: Array) -> None:
        first, last = self.snapshots_.times[[0, -1]]
        outside = times[(times < first) | (times > last)]
        if len(outside):
            raise InputError(
                f"time {outside[0]:g} lies outside the snapshots ({first:g} to {last:g}); "
                f"{self.remedy_outside}"
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
                f"X has {n} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )

    def _count(self, n: int | None) -> int:
        asked = self._valid_setting("n_particles") if n is None else n
        return require_integer(asked, "n", least=1)

    def _generator(self, random_state: RandomState, purpose: str) -> torch.Generator:
        """A fresh generator; without a seed of its own, one that depends on what it is for."""
        if random_state is not None:
            return torch_generator(seed_from(random_state))
        words = np.frombuffer(purpose.encode(), dtype=np.uint8)
        seed_draws = spawn(self.seed_, 3)[2]
        sequence = np.random.SeedSequence([seed_draws, *words.tolist()])
        return torch_generator(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _states(self, X: Any) -> Array:
        """States (n, D)."""
        return self._points(X)

    def _state_names(self) -> tuple[str, ...] | None:
        """Names (D,) of the coordinates of states."""
        return self.snapshots_.features

    def _trajectories(
        self, times: Array, values: Array, branches: Array | None = None
    ) -> Trajectories:
        """Paths; those of individuals that divide count by their descendants."""
        names, axis = self._state_names(), self.snapshots_.axis
        return Trajectories(times, values, branches, names, axis, branches)
