"""The value of a functional as a function of the state."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array
from trajinfer._core.devices import Device, require_cpu
from trajinfer._core.errors import InputError
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.functionals.asked import as_dynamics
from trajinfer.functionals.diagnosis import elasticities, martingale_loss, martingale_scores
from trajinfer.functionals.dynamics import (
    Chain,
    Diffusion,
    Dynamics,
    PathSource,
    as_points,
    column_names,
    horizon_of,
    names_of,
)
from trajinfer.functionals.extrapolation import told_beyond
from trajinfer.functionals.methods.grid_values import GridSolution
from trajinfer.functionals.methods.registry import solve_by
from trajinfer.questions.functional import Functional, require_functional

Method = Literal["auto", "exact", "grid", "galerkin", "lstd", "martingale"]


@dataclass(eq=False, repr=False)
class ValueFunction(Estimator):
    """What a functional is worth, as a function of the state.

    Args:
        functional: the question.
        method: "exact" (chains; diffusions of one coordinate until they stop), "grid" (at most
            three coordinates), "galerkin" (known equations in any dimension, by least squares),
            "lstd" (paths, simulated with their noise or recorded), "martingale" (realised rewards
            less the noise along the way), or "auto".
        resolution: cells along each axis of a grid; None takes 200, 100 or 28 in one, two or three
            dimensions. The answer is the limit of two grids.
        domain: (low, high) corners of the grid; None follows some paths to find them.
        features: functions whose sum is the value, for "galerkin", "lstd" and "martingale"; None
            takes 30, 200 or 300 in one, two or more dimensions, and 60 where paths are used.
        n_paths: simulated paths; None takes 2000.
        step: of the simulated paths; None takes one that resolves the drift.
        random_state: seed of what is drawn on the way.
        device: None, "cpu" or "auto": values are found in double precision on the CPU, of a process
            that stands elsewhere by a copy.

    Attributes:
        method_: what was chosen, and why.
        solution_: the values.
        residual_: what is left of the equation at points not used, or the largest error of a
            grid; 0 where the solution is exact.
        condition_: of the system that gave the coefficients; 1 where there was none.
        states_: the labels, for a chain.

    Example:
        >>> from trajinfer.functionals import ValueFunction, above, below, hitting_probability
        >>> from trajinfer.processes import Brownian
        >>> question = hitting_probability(above(1.0), before=below(-1.0))
        >>> ValueFunction(question).fit(Brownian(volatility=1.0)).predict([0.5]).round(6).tolist()
        [0.75]
    """

    functional: Functional | None = None
    _: KW_ONLY
    method: Method = "auto"
    resolution: int | None = None
    domain: Any = None
    features: int | None = None
    n_paths: int | None = None
    step: float | None = None
    random_state: RandomState = None
    device: Device = None

    def fit(self, process: Any, X: Any = None) -> Self:
        """Find the values.

        Args:
            process: a process, or a fitted estimator; see `as_dynamics`.
            X: (n, D) states where the values are to be good; None takes the last observed states
                where the process knows them, else the neighbourhood of the stopping set.

        Raises:
            InputError: for questions or settings that do not fit the process.
        """
        require_cpu(self.device, "values are found in double precision on the CPU")
        functional = require_functional(self.functional)
        dynamics = as_dynamics(process)
        question = functional.on(names_of(dynamics), getattr(dynamics, "dim", 1))
        seed = seed_from(self.random_state)
        points = _points(dynamics, X, question)
        if isinstance(dynamics, Diffusion):
            horizon = horizon_of(question, dynamics.axis)
            # two frames more than usual: fits are whole, and apart from torch's state
            dynamics = told_beyond(dynamics, points, question.regions, horizon, stacklevel=5)
        settings = self._settings()
        solution, reason = solve_by(self.method, question, dynamics, points, seed=seed, **settings)
        self.solution_, self.method_ = solution, reason
        self.residual_ = float(solution.residual)
        self.condition_ = float(getattr(solution, "condition", 1.0))
        self.n_features_in_ = getattr(dynamics, "dim", 1)
        if isinstance(dynamics, Chain):
            self.states_ = dynamics.states
        names = names_of(dynamics) or column_names(X)
        if names is not None:
            self.feature_names_in_ = np.array([str(name) for name in names], dtype=object)
        self._dynamics, self._points = dynamics, points
        self._conclude(seed=seed, n_iter=1, converged=True, history=[{"seed": seed}])
        return self

    def predict(self, X: Any, t: Any = 0.0) -> Array:
        """Values (n,) at X (n, D), or at labels of a chain.

        Args:
            X: states.
            t: time since the start, with the rest of the horizon to go.

        Raises:
            InputError: for states that do not fit, or a time beyond the horizon.
        """
        check_is_fitted(self, "solution_")
        x = self._states(X)
        if np.ndim(t) == 0 and isinstance(t, (int, float)) and t == 0:
            return np.asarray(self.solution_.value(0.0, x))
        return np.asarray(self._later(t).value(0.0, x))

    def gradient(self, X: Any) -> Array:
        """Derivatives (n, D) of the values at X (n, D)."""
        check_is_fitted(self, "solution_")
        if hasattr(self, "states_"):
            raise InputError("a chain has no gradient: its states have no distance")
        return np.asarray(self.solution_.gradient(0.0, self._states(X)))

    def std_error(self, X: Any) -> Array:
        """What is known of the error (n,) at X (n, D).

        The difference of two draws of the features; the change from cells twice as wide and from
        a wider domain, the largest near X; zero where the values are exact.
        """
        check_is_fitted(self, "solution_")
        x = self._states(X)
        spread = getattr(self.solution_, "std_error", None)
        return np.full(len(x), self.residual_) if spread is None else np.asarray(spread(x))

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the martingale loss of paths X (`Trajectories`), in squared units of the value.

        The mean square of what was realised from each time on, less the value there. The best score
        is that of the true value; it is below 0 by the noise of what is to come.
        """
        check_is_fitted(self, "solution_")
        return -martingale_loss(self.solution_, _recorded(X))

    def check(self, X: Any) -> pd.DataFrame:
        """Whether the value is a martingale along paths X (`Trajectories`) that it has not seen.

        Returns:
            One row per test function: its name, the z-score of its sum over the increments, and
            whether the score is beyond 4.
        """
        check_is_fitted(self, "solution_")
        return martingale_scores(self.solution_, _recorded(X), self.seed_)

    @property
    def elasticities_(self) -> pd.DataFrame:
        """Derivatives of the logarithm of the value by those of the parameters, mean over X.

        Central differences of one per cent in each parameter of the process that was asked. A fit
        that is one per cent off in a parameter is off by so many per cent in the answer.

        Raises:
            InputError: if the parameters of the process are not known.
        """
        check_is_fitted(self, "solution_")
        if "_dynamics" not in vars(self):
            raise InputError("elasticities_ are computed before the value function is saved")

        def values(process: Any) -> Array:
            other = self._unfitted().set_params(random_state=self.seed_)
            return np.asarray(other.fit(process, self._points).predict(self._points))

        return elasticities(self._dynamics, values)

    def _settings(self) -> dict[str, Any]:
        words = ("resolution", "domain", "features", "n_paths", "step")
        settings = self._valid_settings()
        return {name: settings[name] for name in words}

    def _states(self, X: Any) -> Array:
        if hasattr(self, "states_"):
            several = isinstance(X, (list, tuple, np.ndarray))
            column = np.empty(len(X) if several else 1, dtype=object)
            column[:] = list(np.ravel(np.asarray(X, dtype=object))) if several else [X]
            return column
        names, dim = getattr(self, "feature_names_in_", None), self.n_features_in_
        named = names is not None and column_names(X) is not None
        if np.ndim(X) == 2 and not named and np.shape(X)[1] != dim:
            raise InputError(
                f"X has {np.shape(X)[1]} features, but {type(self).__name__} is expecting {dim} "
                "features as input"
            )
        x = as_points(X, dim, "X", names)
        if isinstance(self.solution_, GridSolution) and (far := self.solution_.outside(x)).any():
            raise InputError(
                f"{int(far.sum())} of the states lie outside the grid, such as "
                f"{x[far][0].tolist()}; fit with them in X, or a wider domain="
            )
        return x

    def _later(self, t: Any) -> Any:
        """The solution with less time to go."""
        functional = self._valid_setting("functional")
        if functional is None or functional.horizon is None or "_dynamics" not in vars(self):
            raise InputError(
                "t= is for questions with a horizon, before the value function is saved; leave t "
                "at 0"
            )
        axis = self._dynamics.axis
        left = axis.duration(functional.horizon) - axis.duration(t, "t")
        if left <= 0:
            raise InputError(
                f"t = {t} is not before the horizon {functional.horizon}; give an earlier time"
            )
        names, dim = names_of(self._dynamics), getattr(self._dynamics, "dim", 1)
        question = replace(functional.on(names, dim), horizon=left)
        method, settings = self._valid_setting("method"), self._settings()
        return solve_by(
            method, question, self._dynamics, self._points, seed=self.seed_, **settings
        )[0]


def _recorded(X: Any) -> Dynamics:
    """Recorded paths; an array, which as a process would be rates, is refused as such."""
    if isinstance(X, (np.ndarray, list, pd.DataFrame)):
        raise InputError(
            f"the value is tested along recorded paths, got {type(X).__name__}; give Trajectories("
            "ts, values) with values (B, T, D)"
        )
    return as_dynamics(X)


def _points(dynamics: Dynamics, X: Any, functional: Functional) -> Array | None:
    """Where the values are to be good, (n, D)."""
    if isinstance(dynamics, PathSource) and X is not None:
        return as_points(X, dynamics.dim, "X", dynamics.features)
    if not isinstance(dynamics, Diffusion):
        return None
    if X is not None:
        return dynamics.points(X, "X")
    if dynamics.last is not None:
        return dynamics.last
    ends = _wall_points(functional) if dynamics.dim == 1 else np.zeros((0, 1))
    if not len(ends):
        raise InputError(
            "X is needed: the states (n, D) at which the values are to be good, such as the starts"
        )
    return ends


def _wall_points(functional: Functional) -> Array:
    """States of the line between and beside the walls."""
    ends = []
    for region, _ in functional.stopping:
        parts = region.intervals()
        if parts is not None:
            ends += [end for pair in parts.pairs for end in pair if np.isfinite(end)]
    walls = np.unique(ends)
    if not len(walls):
        return np.zeros((0, 1))
    width = np.ptp(walls) or 1.0
    between = (walls[1:] + walls[:-1]) / 2
    return np.concatenate([[walls[0] - width], between, [walls[-1] + width]])[:, None]
