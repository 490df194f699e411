"""Inferred pairings and paths against known ones: data in which everybody is seen at every time.

In all functions row i of every snapshot is the same individual. The bridge never uses that; it is
what the answer is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import scipy.linalg
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from trajinfer._core.checks import Array, require_fraction
from trajinfer._core.errors import InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots, Trajectories
from trajinfer.metrics import exact_coupling, wasserstein

_DRAWS = 50
_SERIES_RADIUS, _SERIES_TERMS, _MAX_ROOTS = 0.1, 16, 40


def successor_counts(bridge: SchrodingerBridge) -> pd.DataFrame:
    r"""For how many individuals the true successor gets the largest weight, per pair of snapshots.

    Args:
        bridge: fitted to snapshots whose rows are the same individuals throughout, with a constant
            volatility.

    Returns:
        One row per pair of neighbouring snapshots, with `start`, `end`, the number of individuals
        `n`, and the counts by method: `nearest` (smallest distance), `exact_ot` (exact optimal
        transport), `bridge`, `exact_ot_learned_units` (the same in units of the fitted volatility,
        $x_d / \sigma_d$), and `bridge_top_three` (true successor among the three largest weights).

    Raises:
        InputError: if the snapshots differ in size or the volatility depends on the state.
    """
    snapshots = _same_individuals(bridge.snapshots_)
    if callable(bridge.volatility_):
        raise InputError("learned units need a constant volatility")
    labels, rows = snapshots.labels, []
    for k in range(len(snapshots) - 1):
        x, y = snapshots.points[k], snapshots.points[k + 1]
        scaled = exact_coupling(x / bridge.volatility_, y / bridge.volatility_)
        weights = _full_coupling(bridge, k)
        rows.append(
            {
                "start": labels[k],
                "end": labels[k + 1],
                "n": len(x),
                "nearest": _n_found(-cdist(x, y)),
                "exact_ot": _n_found(exact_coupling(x, y)),
                "bridge": _n_found(weights),
                "exact_ot_learned_units": _n_found(scaled),
                "bridge_top_three": _n_found(weights, top=3),
            }
        )
    return pd.DataFrame(rows)


def mistaken_pairs(bridge: SchrodingerBridge, names: Sequence[str], k: int) -> pd.DataFrame:
    """Whom the bridge takes for whom between snapshots k and k + 1, the surest mistakes first.

    Args:
        bridge: as for `successor_counts`.
        names: one per individual.
        k: index of the pair of snapshots.

    Returns:
        Columns `start`, `individual`, `taken_for`, `weight` (of the mistaken partner within the
        row) and `weight_of_truth`.

    Raises:
        InputError: if the number of names is not the number of individuals.
    """
    snapshots = _same_individuals(bridge.snapshots_)
    weights = _full_coupling(bridge, k)
    if len(names) != len(weights):
        raise InputError(f"got {len(names)} names for {len(weights)} individuals")
    rows = weights / weights.sum(axis=1, keepdims=True)
    guess = rows.argmax(axis=1)
    wrong = np.flatnonzero(guess != np.arange(len(rows)))
    table = pd.DataFrame(
        {
            "start": [snapshots.labels[k % (len(snapshots) - 1)]] * len(wrong),
            "individual": [names[i] for i in wrong.tolist()],
            "taken_for": [names[j] for j in guess[wrong].tolist()],
            "weight": rows[wrong, guess[wrong]],
            "weight_of_truth": rows[wrong, wrong],
        }
    )
    return table.sort_values("weight", ascending=False, ignore_index=True)


def individual_scores(
    bridge: SchrodingerBridge, held_out: Snapshots, *, draws: int = _DRAWS
) -> pd.DataFrame:
    r"""Errors at held-out times between the snapshots, for the cloud and for every individual.

    Every method predicts each individual from the training snapshot before the held-out time:
    `persistence` (it stays), `exact_ot_line` (straight to its partner by exact optimal transport),
    `bridge_means` (`predict`), `bridge_samples` (`draws` paths each), `true_pairs` (straight to
    where it really is next, which no method can know).

    Args:
        bridge: fitted to snapshots whose rows are the same individuals.
        held_out: the same individuals in the same order at times in between.
        draws: paths per individual.

    Returns:
        One row per method and time with `w1`, `w2` of the cloud, and `rmse`,
        $\sqrt{\frac1N \sum_i E|\hat x_i - x_i|^2}$, of the individuals.

    Raises:
        InputError: if sizes differ or a time lies outside the snapshots.
    """
    train = _same_individuals(bridge.snapshots_)
    rows = []
    for t, label, observed in _observed(train, held_out):
        k = _segment_before(train, t)
        x, y = train.points[k], train.points[k + 1]
        share = (t - train.times[k]) / (train.times[k + 1] - train.times[k])
        partner = exact_coupling(x, y).toarray().argmax(axis=1)
        predicted = {
            "persistence": x,
            "exact_ot_line": (1 - share) * x + share * y[partner],
            "bridge_means": cast(Array, bridge.predict(x, train.labels[k], [label]))[:, 0],
            "bridge_samples": _own_samples(bridge, k, label, draws),
            "true_pairs": (1 - share) * x + share * y,
        }
        rows += [_errors(name, label, cloud, observed) for name, cloud in predicted.items()]
    return pd.DataFrame(rows)


def forecast_scores(
    bridge: SchrodingerBridge, later: Snapshots, *, draws: int = _DRAWS
) -> pd.DataFrame:
    """Errors of forecasts beyond the last snapshot, beside the simplest ones.

    `persistence` (nobody moves), `exact_ot_line` (the last straight lines continued), `mean_shift`
    (everybody moves on by the last mean displacement), `bridge_means` and `bridge_samples`.

    Args:
        bridge: fitted to snapshots whose rows are the same individuals.
        later: the same individuals in the same order at times after the last snapshot.
        draws: paths per individual.

    Returns:
        As `individual_scores`.
    """
    train = _same_individuals(bridge.snapshots_)
    x, y = train.points[-2:]
    last, rows = train.labels[-1], []
    arrived = exact_coupling(x, y).toarray().argmax(axis=0)
    for t, label, observed in _observed(train, later):
        share = (t - train.times[-1]) / (train.times[-1] - train.times[-2])
        predicted = {
            "persistence": y,
            "exact_ot_line": y + share * (y - x[arrived]),
            "mean_shift": y + share * (y.mean(axis=0) - x.mean(axis=0)),
            "bridge_means": cast(Array, bridge.predict(y, last, [label]))[:, 0],
            "bridge_samples": _own_samples(bridge, len(train) - 1, label, draws),
        }
        rows += [_errors(name, label, cloud, observed) for name, cloud in predicted.items()]
    return pd.DataFrame(rows)


def interval_coverage(
    bridge: SchrodingerBridge, later: Snapshots, *, level: float = 0.9, draws: int = 200
) -> pd.DataFrame:
    """Share of individuals whose true position lies in its own central interval.

    The interval of an individual is taken from paths that start where it stood at the last training
    snapshot before.

    Args:
        bridge: fitted to snapshots whose rows are the same individuals.
        later: the same individuals in the same order, at times between or after the snapshots.
        level: probability of the interval.
        draws: paths per individual.

    Returns:
        One row per time and coordinate with columns `time`, `coordinate`, `coverage`.

    Raises:
        InputError: if `level` does not lie strictly between 0 and 1.
    """
    require_fraction(level, "level")
    train = _same_individuals(bridge.snapshots_)
    names = train.features or tuple(f"x{d}" for d in range(train.dim))
    rows = []
    for t, label, observed in _observed(train, later):
        k = int(np.searchsorted(train.times, t)) - 1
        if k < 0:
            early = train.axis.named(t)
            raise InputError(f"time {early} does not lie after the first snapshot; leave it out")
        samples = _own_samples(bridge, k, label, draws)
        tails = [(1 - level) / 2, (1 + level) / 2]
        lower, upper = np.quantile(samples, tails, axis=1, method="weibull")
        inside = ((lower <= observed) & (observed <= upper)).mean(axis=0)
        rows += [
            {"time": label, "coordinate": name, "coverage": share}
            for name, share in zip(names, inside)
        ]
    return pd.DataFrame(rows)


def true_pair_dynamics(snapshots: Snapshots) -> tuple[Array, Array, Array]:
    r"""Affine dynamics by regression of every individual on its own past, to compare with.

    With one duration $\Delta$ between all snapshots, $x_{k+1} = E x_k + o + r$ by least squares,
    $A = \log(E)/\Delta$, $c$ from $o = \int_0^\Delta e^{As} c\,ds$, and
    $\sigma_d = \operatorname{sd}(r_d)/\sqrt\Delta$.

    Args:
        snapshots: equally spaced, rows the same individuals.

    Returns:
        Matrix A (D, D), offset c (D,), volatility (D,).

    Raises:
        InputError: if the snapshots are not equally spaced or E has no real logarithm.
    """
    points = np.stack(_same_individuals(snapshots).points)
    durations = np.diff(snapshots.times)
    if not np.allclose(durations, durations[0], atol=0.0):
        raise InputError(f"equally spaced snapshots are needed, got {snapshots.times.tolist()}")
    dim, duration = points.shape[2], float(durations[0])
    past = points[:-1].reshape(-1, dim)
    design = np.column_stack([past, np.ones(len(past))])
    later = points[1:].reshape(-1, dim)
    solution = np.linalg.lstsq(design, later, rcond=None)[0]
    residual = later - design @ solution
    step = np.zeros((dim + 1, dim + 1))
    step[:dim], step[dim, dim] = solution.T, 1.0
    generator = _logarithm(step) / duration
    return generator[:dim, :dim], generator[:dim, dim], residual.std(axis=0) / np.sqrt(duration)


def _logarithm(matrix: Array) -> Array:
    """Real principal logarithm by square roots until the series of log(1 + x) converges fast.

    SciPy's `logm` draws from numpy's global generator, which is the user's.
    """
    root, n_roots = matrix, 0
    while np.abs(root - np.eye(len(matrix))).sum(axis=1).max() > _SERIES_RADIUS:
        root, n_roots = scipy.linalg.sqrtm(root), n_roots + 1
        if np.iscomplexobj(root) or not np.isfinite(root).all() or n_roots > _MAX_ROOTS:
            raise InputError("the regression matrix has no real logarithm; shorten the intervals")
    excess = root - np.eye(len(matrix))
    series, power = np.zeros_like(excess), np.eye(len(matrix))
    for order in range(1, _SERIES_TERMS):
        power = power @ excess
        series += (-1) ** (order + 1) / order * power
    return np.asarray(2.0**n_roots * series)


def _same_individuals(snapshots: Snapshots) -> Snapshots:
    if len({len(p) for p in snapshots.points}) > 1:
        sizes = [len(p) for p in snapshots.points]
        raise InputError(f"the same individuals are needed at every time, got {sizes} rows")
    return snapshots


def _observed(train: Snapshots, held_out: Snapshots) -> list[tuple[float, Any, Array]]:
    """Time on the axis of the training snapshots, label and positions of every held-out snapshot.

    Raises:
        InputError: if these are not the individuals of the training snapshots.
    """
    train.require_features(held_out.features)
    for points in held_out.points:
        if points.shape != train.points[0].shape:
            raise InputError(
                f"the same individuals are needed at every time: {train.points[0].shape} rows and "
                f"columns were learned from, {points.shape} are held out"
            )
    times = train.axis.encode(held_out.labels).tolist()
    return list(zip(times, held_out.labels, held_out.points, strict=True))


def _segment_before(train: Snapshots, t: float) -> int:
    if not train.times[0] < t < train.times[-1]:
        named = train.axis.named(t)
        raise InputError(f"time {named} does not lie between the snapshots; use forecast_scores")
    return int(np.searchsorted(train.times, t)) - 1


def _own_samples(bridge: SchrodingerBridge, k: int, label: Any, draws: int) -> Array:
    """Positions (N, draws, D) at a time, of paths from where everybody stood at snapshot k."""
    train = bridge.snapshots_
    start, grid = train.points[k], [train.labels[k], label]
    draw = bridge.forecast if k == len(train) - 1 else bridge.sample
    paths = cast(Trajectories, draw(n=draws * len(start), ts=grid))
    # Individuals that stand at the same place share their paths out among them.
    places, place_of = np.unique(start, axis=0, return_inverse=True)
    place_of = place_of.ravel()
    begun_at = cKDTree(places).query(paths.values[:, 0])[1]
    if (np.bincount(begun_at, minlength=len(places)) != draws * np.bincount(place_of)).any():
        raise InputError(
            "paths of every individual need equal weights and all points in the couplings; fit "
            "without weights and with a larger max_samples"
        )
    individuals = np.argsort(place_of, kind="stable")
    own = np.empty((len(start), draws, train.dim))
    order = np.argsort(begun_at, kind="stable")
    own[individuals] = paths.values[order, 1].reshape(own.shape)
    return own


def _errors(method: str, label: Any, predicted: Array, observed: Array) -> dict[str, Any]:
    """Scores of one prediction per individual (N, D), or several, (N, n, D)."""
    cloud = predicted.reshape(-1, observed.shape[1])
    own = predicted.reshape(len(observed), -1, observed.shape[1])
    miss = np.square(own - observed[:, None]).sum(axis=2)
    return {
        "method": method,
        "time": label,
        "w1": wasserstein(cloud, observed, p=1),
        "w2": wasserstein(cloud, observed, p=2),
        "rmse": float(np.sqrt(miss.mean())),
    }


def _full_coupling(bridge: SchrodingerBridge, k: int) -> Array:
    """Coupling (N, N) in which everybody takes part.

    Raises:
        InputError: if some individuals have no weight.
    """
    weights = _dense(bridge.coupling(k))
    n_missing = int((weights.sum(axis=1) <= 0).sum())
    if n_missing:
        raise InputError(
            f"{n_missing} of {len(weights)} individuals have no weight in the coupling; fit with "
            "positive weights"
        )
    return weights


def _n_found(weights: Any, top: int = 1) -> int:
    """Rows whose diagonal entry is among the largest ones."""
    dense = _dense(weights)
    larger = (dense > np.diagonal(dense)[:, None]).sum(axis=1)
    return int((larger < top).sum())


def _dense(weights: Any) -> Array:
    return np.asarray(weights.toarray() if hasattr(weights, "toarray") else weights)
