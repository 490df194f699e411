"""Rates fitted again and again to resampled paths."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning

from trajinfer._core.checks import Array
from trajinfer._core.errors import IdentifiabilityWarning
from trajinfer._core.parallel import SeededTasks, fan_out
from trajinfer._core.seeding import spawn
from trajinfer.data.jump_series import JumpSeries

QUIET = (IdentifiabilityWarning, ConvergenceWarning)


def resampled_rates(
    estimator: BaseEstimator, series: JumpSeries, n: int, seed: int, n_jobs: int | None
) -> list[Array]:
    """Rates (S, S) of n fits, each fitted by a clone to paths drawn again with replacement."""
    tasks = SeededTasks("bootstrap fit", spawn(seed, n), (estimator, series))
    return fan_out(_rates, tasks, n_jobs=n_jobs, quiet=QUIET)


def _rates(estimator: BaseEstimator, series: JumpSeries, seed: int) -> Array:
    rows = np.random.default_rng(seed).integers(len(series), size=len(series))
    rates: Array = clone(estimator).fit(series[rows]).model_.rates
    return rates
