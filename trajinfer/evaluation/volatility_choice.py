r"""Which volatility a bridge should have: by what explains snapshots, and what predicts them.

*Likelihood*: the static likelihood learns it with the reference, too large where points are few;
the excess is taken away by fits to halves of them (`bridges.finite_clouds`).

*Left out*: every interior snapshot is predicted by fits to the others with several fixed
volatilities. What predicts best need not be the noise of the process: it also smooths the clouds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checkpoint_folder import checkpointed, once
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.parallel import Task, fan_out
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.bridges import SchrodingerBridge
from trajinfer.bridges.finite_clouds import extrapolated
from trajinfer.data import Snapshots
from trajinfer.metrics import MetricName, metric_names, score_of
from trajinfer.processes import Process
from trajinfer.references.reference import LIKELIHOOD, prepare_reference
from trajinfer.sde import SDELike

FACTORS = (0.5, 0.71, 1.0, 1.41, 2.0, 2.83, 4.0)
_FEWEST = 8
_SETTLED, _FLAT, _DRAWS = 0.5, 0.02, 200


@dataclass(frozen=True)
class VolatilityChoice:
    """Volatility by two criteria.

    Attributes:
        likelihood: one row per coordinate: `learned`, `corrected` for the number of points, the
            `error` of what was learned (one standard error; NaN where the snapshots do not settle
            it), and whether they do: `settled`, an error below half of the value.
        left_out: one row per factor: `volatility` (the mean over coordinates), mean distance of
            the predicted from the left-out snapshots, and whether it is `as_good` as the best up
            to 2 %. All rows alike say that prediction tells nothing about the volatility.
        start: (D,) volatility that the factors multiply: the reference's own, or the one set from
            the spread.
    """

    likelihood: pd.DataFrame
    left_out: pd.DataFrame
    start: Array

    @property
    def corrected(self) -> Array:
        """(D,) learned volatility, corrected for the number of points."""
        return np.asarray(self.likelihood["corrected"])

    @property
    def predictive(self) -> Array:
        """(D,) volatility that predicts left-out snapshots best."""
        best = self.left_out["distance"].to_numpy().argmin()
        return np.asarray(self.start * self.left_out["factor"].iloc[best])


@independent_of_global_state
def choose_volatility(
    estimator: SchrodingerBridge,
    snapshots: Snapshots,
    *,
    factors: Sequence[float] = FACTORS,
    n_splits: int = 2,
    scoring: MetricName = "w2",
    random_state: RandomState = None,
    n_jobs: int | None = None,
    checkpoint: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> VolatilityChoice:
    """Volatility by the static likelihood and by leaving interior snapshots out.

    Args:
        estimator: cloned and left as it is; its own `volatility` is overridden.
        snapshots: at least three, of eight points or more.
        factors: by which the starting volatility is multiplied to be tried on left-out snapshots.
        n_splits: random splits into halves, each with two fits.
        scoring: distance to left-out snapshots.
        random_state: seed of the splits.
        n_jobs: workers, as in `bootstrap`.
        checkpoint: folder in which every fit is kept as it is done, so that a call that was killed
            goes on from there.
        progress: called with a line of text before every fit.

    Raises:
        InputError: for fewer than three snapshots, too few points, factors that are not positive,
            or a reference whose volatility cannot be learned.

    Example:
        >>> from trajinfer.processes import Brownian
        >>> rng = np.random.default_rng(0)
        >>> data = Snapshots([0, 1, 2], [rng.normal(0, 1 + t, (60, 1)) for t in (0, 0.5, 1)])
        >>> choice = choose_volatility(SchrodingerBridge(), data, factors=[1, 3], random_state=0)
        >>> bool(choice.likelihood["settled"].all()), choice.left_out["factor"].tolist()
        (True, [1.0, 3.0])
    """
    metric_names(scoring)
    tried = _checked(factors)
    _require_enough(snapshots)
    start = _start(estimator, snapshots)
    learning = clone(estimator).set_params(volatility=LIKELIHOOD)
    n_splits = require_integer(n_splits, "n_splits", least=1)

    def identity() -> dict[str, Any]:
        asked = {"factors": tried, "n_splits": n_splits, "scoring": scoring}
        return {"estimator": clone(estimator), "snapshots": snapshots, **asked}

    def wholes() -> Iterator[Task]:
        yield _told(Task("volatility learned", (learning, snapshots)), progress)

    def halves() -> Iterator[Task]:
        for k, split in enumerate(splits):
            for half in _halves(snapshots, split):
                name = f"volatility learned from half the points, split {k + 1} of {n_splits}"
                yield _told(Task(name, (learning, half)), progress)

    def predictions() -> Iterator[Task]:
        for factor in tried:
            fixed = clone(estimator).set_params(volatility=factor * start)
            for label in snapshots.labels[1:-1]:
                name = f"volatility x {factor:g}, leaving out time {label}"
                yield _told(Task(name, (fixed, snapshots, label, scoring)), progress)

    quiet = (ConvergenceWarning,)
    with checkpointed(checkpoint, "choose_volatility", identity):
        splits = spawn(once("seed", seed_from, random_state), n_splits)
        ((learned, error),) = fan_out(_learned_with_error, wholes(), n_jobs=n_jobs, quiet=quiet)
        parts = fan_out(_learned, halves(), n_jobs=n_jobs, quiet=quiet)
        scores = fan_out(_distance, predictions(), n_jobs=n_jobs, quiet=quiet)
    distances = np.reshape(scores, (len(tried), -1)).mean(1)
    left_out = pd.DataFrame(
        {
            "factor": tried,
            "volatility": tried * start.mean(),
            "distance": distances,
            "as_good": distances <= (1 + _FLAT) * distances.min(),
        }
    )
    return VolatilityChoice(_likelihood(learned, error, parts, snapshots), left_out, start)


def _likelihood(
    learned: Array, error: Array, halves: Sequence[Array], snapshots: Snapshots
) -> pd.DataFrame:
    names = snapshots.features or [str(i) for i in range(snapshots.dim)]
    columns = {
        "learned": learned,
        "corrected": extrapolated(learned, halves),
        "error": error,
        "settled": error < _SETTLED * learned,
    }
    return pd.DataFrame(columns, index=list(names))


def _learned(estimator: SchrodingerBridge, data: Snapshots) -> Array:
    """Volatility (D,) of a fit."""
    return np.array(np.broadcast_to(clone(estimator).fit(data).volatility_, (data.dim,)))


def _learned_with_error(estimator: SchrodingerBridge, data: Snapshots) -> Array:
    """Volatility and its standard errors (2, D), which are NaN where they are not known."""
    fitted = clone(estimator).fit(data)
    learned = np.broadcast_to(fitted.volatility_, (data.dim,))
    try:
        likely = fitted.draw_references(_DRAWS, random_state=0)
    except InputError:  # the snapshots do not settle it, or there are no atoms
        return np.stack([learned, np.full(data.dim, np.nan)])
    drawn = [np.broadcast_to(_numbers(sde), (data.dim,)) for sde in likely]
    return np.stack([learned, np.std(drawn, axis=0)])


def _numbers(sde: SDELike) -> Array:
    """The volatility of a process, where it is no function of the state."""
    volatility = sde.volatility if isinstance(sde, Process) else None
    if volatility is None or callable(volatility):
        raise InputError(
            "the volatility of this reference is a function of its own, so there are no numbers to "
            "choose; take a process of trajinfer without a volatility"
        )
    return np.asarray(volatility, dtype=float)


def _distance(
    estimator: SchrodingerBridge, data: Snapshots, label: Any, scoring: MetricName
) -> float:
    fitted = clone(estimator).fit(data.drop([label]))
    seen = data.select([label])
    return score_of(
        scoring, (fitted.measurements(label), None), (seen.points[0], seen.probabilities(0))
    )


def _halves(snapshots: Snapshots, seed: int) -> tuple[Snapshots, Snapshots]:
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(points)) for points in snapshots.points]
    first = snapshots.take([order[: len(order) // 2] for order in orders])
    return first, snapshots.take([order[len(order) // 2 :] for order in orders])


def _start(estimator: SchrodingerBridge, snapshots: Snapshots) -> Array:
    sde = prepare_reference(estimator.reference, None, snapshots)
    return np.array(np.broadcast_to(_numbers(sde), (snapshots.dim,)))


def _checked(factors: Sequence[float]) -> Array:
    tried = np.asarray(factors, dtype=float)
    if tried.ndim != 1 or len(tried) == 0 or not (np.isfinite(tried) & (tried > 0)).all():
        raise InputError(f"factors must be positive numbers, such as {FACTORS}, got {factors!r}")
    return tried


def _require_enough(snapshots: Snapshots) -> None:
    fewest = min(len(points) for points in snapshots.points)
    if len(snapshots) < 3 or fewest < _FEWEST:
        raise InputError(
            f"the volatility is chosen on at least three snapshots of {_FEWEST} points, got "
            f"{len(snapshots)} with {fewest} in the smallest; give volatility= a number"
        )


def _told(task: Task, progress: Callable[[str], None] | None) -> Task:
    if progress is not None:
        progress(task.name)
    return task
