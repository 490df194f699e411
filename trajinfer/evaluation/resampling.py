"""Estimators fitted again and again to resampled data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checkpoint_folder import checkpointed, once
from trajinfer._core.checks import require_integer
from trajinfer._core.errors import IdentifiabilityWarning, InputError
from trajinfer._core.parallel import SeededTasks, fan_out
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data import IrregularSeries, JumpSeries, Snapshots

Statistic = Callable[[Any], Any]
# what the fit to the data itself says; any other warning of a refit is shown
_QUIET = (ConvergenceWarning, IdentifiabilityWarning)


@independent_of_global_state
def bootstrap(
    estimator: Any,
    X: Any,
    n: int = 200,
    *,
    statistic: Statistic | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    checkpoint: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Any]:
    """Fit clones of an estimator to data drawn again with replacement.

    Whole series are drawn, and the points of every snapshot within it, with their weights.

    Args:
        estimator: unfitted or fitted; it is cloned and left as it is.
        X: `Snapshots`, `IrregularSeries` or `JumpSeries`.
        n: number of fits.
        statistic: what to keep of a fitted estimator; None keeps the estimators themselves, such
            as `fit_interval` takes after the fit to the data.
        random_state: seed of the resampling.
        n_jobs: workers, of the back end of `joblib.parallel_config`; -1 takes all cores, None
            what is configured there, else 1. The results are the same for any number.
        checkpoint: folder in which every fit is kept as it is done, so that a call that was killed
            goes on from there.
        progress: called with a line of text before a fit is handed out.

    Returns:
        n statistics.

    Raises:
        InputError: for other data, fewer than two series, fits that the estimator refuses, or a
            checkpoint of another call.
        TaskFailure: naming the first fit that failed, and its seed.

    Example:
        >>> from trajinfer import MarkovJumpProcess, jumps
        >>> data = jumps.simulate([[-1, 1], [2, -2]], [1, 0], 30, [0, 0.3, 0.6], random_state=1)
        >>> rates = bootstrap(MarkovJumpProcess(2, method="mle"), data, 3, random_state=0,
        ...                   statistic=lambda fitted: fitted.rates_)
        >>> [rate.shape for rate in rates]
        [(2, 2), (2, 2), (2, 2)]
    """
    if not isinstance(X, (Snapshots, IrregularSeries, JumpSeries)):
        raise InputError(
            "the bootstrap draws from Snapshots, IrregularSeries or JumpSeries, got "
            f"{type(X).__name__}; make one of them with from_frame or from_arrays"
        )
    if not isinstance(X, Snapshots) and len(X) < 2:
        raise InputError("the bootstrap draws whole series and needs at least two of them")
    n = require_integer(n, "n", least=1)
    if checkpoint is not None and statistic is None:
        raise InputError("a checkpoint keeps what `statistic` gives of every fit; give one")

    def identity() -> dict[str, Any]:
        return {"estimator": clone(estimator), "data": X, "n": n, "statistic": statistic}

    with checkpointed(checkpoint, "bootstrap", identity):
        seed = once("seed", seed_from, random_state)
        worker = clone(estimator)
        if "random_state" in worker.get_params():
            worker.set_params(random_state=seed)
        seeds = spawn(seed, n)
        tasks = SeededTasks("bootstrap fit", seeds, (worker, X, statistic), progress)
        return fan_out(_refitted, tasks, n_jobs=n_jobs, quiet=_QUIET)


def _refitted(estimator: Any, X: Any, statistic: Statistic | None, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    fitted = clone(estimator).fit(_resampled(X, generator))
    return fitted if statistic is None else statistic(fitted)


def _resampled(X: Any, generator: np.random.Generator) -> Any:
    if not isinstance(X, Snapshots):
        return X[generator.integers(len(X), size=len(X))]
    rows = [generator.integers(len(points), size=len(points)) for points in X.points]
    points = tuple(p[r] for p, r in zip(X.points, rows))
    if X.weights is None:
        return replace(X, times=X.labels, points=points)
    weights = tuple(w[r] for w, r in zip(X.weights, rows))
    return replace(X, times=X.labels, points=points, weights=weights)
