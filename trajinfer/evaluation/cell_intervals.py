"""Intervals of what a bridge says of single cells: fates, growth, velocities.

Every refit sees the same cells with other weights, so that its answers stand in the same rows. The
weights are those given times independent exponential numbers: the Bayesian bootstrap.

References:
    Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checkpoint_folder import checkpointed, once
from trajinfer._core.checks import require_fraction, require_integer
from trajinfer._core.parallel import SeededTasks, fan_out
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots

Question = Callable[[SchrodingerBridge], Any]


@independent_of_global_state
def cell_intervals(
    bridge: SchrodingerBridge,
    ask: Question,
    *,
    n: int = 50,
    level: float = 0.9,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    checkpoint: str | Path | None = None,
) -> tuple[Any, Any]:
    """Lower and upper ends of the answers of refits to reweighted cells.

    They tell what other cells of the same populations would have changed. A reference that does not
    fit the data, and a volatility that is not learned, are not among it.

    Args:
        bridge: fitted; it is left as it is.
        ask: what is asked of a fitted bridge: it gives an array or a table of numbers, whose shape
            does not depend on the fit.
        n: number of refits.
        level: probability with which one more refit would lie between the ends, in every number
            apart; the least and the greatest refit where there are too few for it.
        random_state: seed of the weights.
        n_jobs: workers, as in `bootstrap`.
        checkpoint: folder in which every answer is kept as it comes.

    Returns:
        Two answers of the shape and kind of what `ask` gives.

    Raises:
        InputError: for fewer than two refits, or a level that is no share.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> data = Snapshots([0, 1], [rng.normal(t, 1.0, (40, 1)) for t in (0, 1)])
        >>> bridge = SchrodingerBridge(volatility=1.0, random_state=0).fit(data)
        >>> low, high = cell_intervals(
        ...     bridge, lambda b: b.fates({"right": data.points[1][:, 0] > 1}, t0=0, t1=1),
        ...     n=8, random_state=0)
        >>> list(low.columns), len(low), bool((low <= high).all(axis=None))
        (['right', 'other'], 40, True)
    """
    n = require_integer(n, "n", least=2)
    require_fraction(level, "level")
    first = ask(bridge)
    data = bridge.given_snapshots

    def identity() -> dict[str, Any]:
        return {"estimator": bridge._unfitted(), "data": data, "n": n, "ask": ask}

    with checkpointed(checkpoint, "cell_intervals", identity):
        seed = once("seed", seed_from, random_state)
        settled = bridge._unfitted().set_params(random_state=bridge.seed_)
        tasks = SeededTasks("refit", spawn(seed, n), (settled, data, ask))
        answers = fan_out(_refitted, tasks, n_jobs=n_jobs, quiet=(ConvergenceWarning,))
    levels = [(1 - level) / 2, (1 + level) / 2]
    # ranks of n + 1: a new answer lies between them with the level's probability
    ends = np.quantile(np.stack(answers), levels, axis=0, method="weibull")
    return _like(first, ends[0]), _like(first, ends[1])


def _refitted(bridge: SchrodingerBridge, data: Snapshots, ask: Question, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    weights = tuple(
        data.probabilities(k) * rng.exponential(size=len(points))
        for k, points in enumerate(data.points)
    )
    again = replace(data, times=data.labels, weights=weights, sizes=data.sizes)
    return np.asarray(ask(clone(bridge).fit(again)), dtype=float)


def _like(answer: Any, values: Any) -> Any:
    """Values in the form of an answer."""
    if isinstance(answer, pd.DataFrame):
        return pd.DataFrame(values, index=answer.index, columns=answer.columns)
    return values
