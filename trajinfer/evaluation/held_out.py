"""Scores at snapshots that were not learned from, beside the anchors that make them readable."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checkpoint_folder import checkpointed
from trajinfer._core.checks import Array
from trajinfer._core.errors import ExtrapolationWarning, InputError
from trajinfer._core.parallel import Task, fan_out
from trajinfer.bridges.thinning import thin
from trajinfer.data import Snapshots
from trajinfer.evaluation.baselines import exact_line, nearest_snapshot, sampling_floor
from trajinfer.metrics import metric_names, score_of

MAX_SAMPLES = 2000
_SEED = 0
_QUIET = (ConvergenceWarning, ExtrapolationWarning)  # the tables say both, row by row
ANCHORS = ("exact_ot_line", "persistence", "sampling_floor")


class SnapshotEstimator(Protocol):
    """Anything that learns from snapshots and can then draw the population at a time."""

    def fit(self, X: Any, /) -> Self:
        """Learn from `Snapshots`."""
        ...

    def marginal(self, t: Any, /) -> Array:
        """Draw positions (n, D) at time t."""
        ...


@independent_of_global_state
def leave_one_snapshot_out(
    estimator: SnapshotEstimator,
    snapshots: Snapshots,
    *,
    scoring: str | Sequence[str] = "w1",
    max_samples: int = MAX_SAMPLES,
    progress: Callable[[str], None] | None = None,
    n_jobs: int | None = None,
    checkpoint: str | Path | None = None,
) -> pd.DataFrame:
    """Hold out each snapshot in turn, fit a clone to the others, and score what it draws there.

    Leaving out the first or the last snapshot asks for extrapolation, a harder question than
    interpolation: these rows are marked and `mean_scores` keeps them apart.

    Args:
        estimator: unfitted or fitted; it is cloned and left as it is.
        snapshots: at least three.
        scoring: one or several names of distances: "w1", "w2", "mmd" (squared), "energy".
        max_samples: as in `held_out_table`.
        progress: called with a line of text before every fit.
        n_jobs: workers, of the back end of `joblib.parallel_config`; -1 takes all cores, None
            what is configured there, else 1. The scores are the same for any number.
        checkpoint: folder in which every fit is kept as it is done, so that a call that was killed
            goes on from there.

    Returns:
        One row per held-out time and metric with columns `time`, `metric`, `estimator`,
        `exact_ot_line`, `persistence` (the previous snapshot), `sampling_floor` (random halves of
        the held-out snapshot), `extrapolation`, `converged`, `seconds`. Distances: smaller is
        better.

    Raises:
        InputError: for fewer than three snapshots or an unknown scoring.

    Example:
        >>> import numpy as np
        >>> from trajinfer import SchrodingerBridge
        >>> rng = np.random.default_rng(0)
        >>> data = Snapshots([0, 1, 2], [rng.normal(t, 1.0, (20, 2)) for t in (0, 1, 2)])
        >>> bridge = SchrodingerBridge(volatility=1.0, random_state=0)
        >>> leave_one_snapshot_out(bridge, data)["extrapolation"].tolist()
        [True, False, True]
    """
    metric_names(scoring)
    if len(snapshots) < 3:
        raise InputError(
            f"leaving one of {len(snapshots)} snapshots out leaves fewer than two; give at least "
            "three"
        )

    def tasks() -> Iterator[Task]:
        for k, label in enumerate(snapshots.labels):
            name = f"leaving out time {label} ({k + 1} of {len(snapshots)})"
            if progress is not None:
                progress(name)
            yield Task(name, (clone(estimator), snapshots, label, scoring, max_samples))

    def identity() -> dict[str, Any]:
        return {
            "estimator": clone(estimator),
            "snapshots": snapshots,
            "scoring": scoring,
            "max_samples": max_samples,
        }

    with checkpointed(checkpoint, "leave_one_snapshot_out", identity):
        tables = fan_out(_fit_and_score, tasks(), n_jobs=n_jobs, quiet=_QUIET)
    table = pd.concat(tables, ignore_index=True)
    _warn_of_unconverged(table)
    return table


@independent_of_global_state
def held_out_table(
    fitted: SnapshotEstimator,
    train: Snapshots,
    held_out: Snapshots,
    *,
    scoring: str | Sequence[str] = "w1",
    max_samples: int = MAX_SAMPLES,
) -> pd.DataFrame:
    """Scores of a fitted estimator at a fixed set of held-out snapshots.

    Args:
        fitted: fitted to `train`.
        train: what it learned from.
        held_out: snapshots at other times.
        scoring: as in `leave_one_snapshot_out`.
        max_samples: bound on the points of a snapshot that enter the distances and the exact-OT
            line, whose cost grows faster than the product of the sizes; a smaller `max_samples` of
            the estimator holds here too. Larger snapshots are represented by a random part.

    Returns:
        As in `leave_one_snapshot_out`, without `converged` and `seconds`.

    Raises:
        InputError: if the dimensions or the names of the coordinates differ, or a scoring is
            unknown.
    """
    names = metric_names(scoring)
    if train.dim != held_out.dim:
        raise InputError(f"train has {train.dim} coordinates, held_out has {held_out.dim}")
    train.require_features(held_out.features)
    most = min(max_samples, getattr(fitted, "max_samples", None) or max_samples)
    train, _ = thin(train, most, _SEED)
    held_out, _ = thin(held_out, most, _SEED)
    rows = []
    times = train.axis.encode(held_out.labels)
    for k, (t, label) in enumerate(zip(times, held_out.labels)):
        observed = held_out.points[k], held_out.probabilities(k)
        with _expecting_extrapolation():
            drawn = getattr(fitted, "measurements", fitted.marginal)(label)[:most], None
        line, before = exact_line(train, t), nearest_snapshot(train, t)
        outside = not train.times[0] < t < train.times[-1]
        rows += [
            {
                "time": label,
                "metric": name,
                "estimator": score_of(name, drawn, observed),
                "exact_ot_line": score_of(name, line, observed),
                "persistence": score_of(name, before, observed),
                "sampling_floor": sampling_floor(*observed, metric=name),
                "extrapolation": outside,
            }
            for name in names
        ]
    return pd.DataFrame(rows)


def mean_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the times of a table, interpolated and extrapolated ones apart.

    Args:
        table: from `leave_one_snapshot_out` or `held_out_table`.

    Returns:
        One row per metric and kind ("interpolation" or "extrapolation"), with the number of times.

    Example:
        >>> rows = [("w1", False, 1.0), ("w1", False, 3.0), ("w1", True, 9.0)]
        >>> table = pd.DataFrame(rows, columns=["metric", "extrapolation", "estimator"])
        >>> mean_scores(table)
          metric           kind  n_times  estimator
        0     w1  extrapolation        1        9.0
        1     w1  interpolation        2        2.0
    """
    kind = table["extrapolation"].map({True: "extrapolation", False: "interpolation"})
    columns = [name for name in ("estimator", *ANCHORS) if name in table]
    grouped = table.assign(kind=kind).groupby(["metric", "kind"])
    means = grouped[columns].mean()
    means.insert(0, "n_times", grouped.size())
    return means.reset_index()


def _fit_and_score(
    estimator: SnapshotEstimator,
    snapshots: Snapshots,
    label: Any,
    scoring: str | Sequence[str],
    max_samples: int,
) -> pd.DataFrame:
    train, held_out = snapshots.drop([label]), snapshots.select([label])
    started = time.perf_counter()
    estimator.fit(train)
    seconds = time.perf_counter() - started
    table = held_out_table(estimator, train, held_out, scoring=scoring, max_samples=max_samples)
    return table.assign(converged=getattr(estimator, "converged_", True), seconds=seconds)


def _warn_of_unconverged(table: pd.DataFrame) -> None:
    missed = table.loc[~table["converged"], "time"].unique()
    if len(missed):
        warnings.warn(
            f"{len(missed)} of {table['time'].nunique()} fits did not converge (left-out times "
            f"{', '.join(map(str, missed))}); allow more refinements",
            ConvergenceWarning,
            stacklevel=4,
        )


@contextmanager
def _expecting_extrapolation() -> Iterator[None]:
    """The tables say themselves which rows are extrapolated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        yield
