"""What every score is to be read beside: a straight line, no motion at all, and the floor."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import Snapshots
from trajinfer.metrics import Cloud, exact_coupling, score_of


def exact_line(snapshots: Snapshots, t: float) -> Cloud:
    r"""Straight lines along the exact optimal coupling of the two snapshots next to t.

    .. math:: \sum_{ij} \pi_{ij}\, \delta_{(1-s) x_i + s\, y_j},
        \qquad s = \frac{t - t_0}{t_1 - t_0}

    Beyond the snapshots the lines of the first or last pair are continued.

    Args:
        snapshots: at least two.
        t: time, on the numeric axis of the snapshots.

    Returns:
        Points (n, D) and their weights (n,).

    Raises:
        InputError: if there are fewer than two snapshots.

    References:
        McCann, "A convexity principle for interacting gases", Adv. Math. 128 (1997).

    Example:
        >>> pair = Snapshots([0, 1], [np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])])
        >>> exact_line(pair, 0.5)[0].ravel().tolist()
        [1.0, 2.0]
    """
    if len(snapshots) < 2:
        raise InputError("a line needs two snapshots; one is given")
    times = snapshots.times
    k = int(np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2))
    x, y = snapshots.points[k], snapshots.points[k + 1]
    plan = exact_coupling(x, y, snapshots.probabilities(k), snapshots.probabilities(k + 1)).tocoo()
    share = (t - times[k]) / (times[k + 1] - times[k])
    return (1 - share) * x[plan.row] + share * y[plan.col], plan.data / plan.data.sum()


def nearest_snapshot(snapshots: Snapshots, t: float) -> Cloud:
    """Persistence: the last snapshot before t, or the first one where there is none before.

    Returns:
        Points (n, D) and their weights (n,).
    """
    k = max(int(np.searchsorted(snapshots.times, t)) - 1, 0)
    return snapshots.points[k], snapshots.probabilities(k)


def sampling_floor(
    points: Array,
    weights: Array | None = None,
    *,
    metric: str = "w1",
    n_splits: int = 5,
    random_state: RandomState = 0,
) -> float:
    """Mean distance between random halves of one snapshot: what chance alone produces.

    The halves are smaller than the snapshot, so a score against the whole of it may lie a little
    below. NaN for fewer than two points, and where a half has no weight or, for the metric "mmd",
    sets no bandwidth.

    Args:
        points: (n, D).
        weights: (n,), or None for equal ones.
        metric: a name in `METRICS`.
        n_splits: number of random halvings.
        random_state: seed of the halvings.
    """
    generator = np.random.default_rng(seed_from(random_state))
    half = len(points) // 2
    least = 2 if metric == "mmd" else 1
    mass = np.full(len(points), 1 / len(points)) if weights is None else weights
    values = []
    for _ in range(n_splits):
        order = generator.permutation(len(points))
        parts = order[:half], order[half : 2 * half]
        if half < least or min(mass[part].sum() for part in parts) <= 0:
            return float("nan")
        first, second = ((points[p], mass[p] / mass[p].sum()) for p in parts)
        values.append(score_of(metric, first, second))
    return float(np.mean(values))
