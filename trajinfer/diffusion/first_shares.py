"""Where expectation and maximisation of a mixture begin."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from trajinfer._core.checks import Array


def first_shares(points: Array, k: int, seed: int, weights: Array | None = None) -> Array:
    """Shares (n, K) of parts in points, each point wholly in one of K groups found by k-means.

    Args:
        points: (n, D).
        k: number of parts.
        seed: of the groups.
        weights: (n,) of the points; None counts all alike.
    """
    from sklearn.cluster import KMeans  # here, since workers start without it

    with threadpool_limits(1):
        groups = KMeans(k, n_init=3, random_state=seed % 2**32).fit(points, sample_weight=weights)
    return np.asarray(np.eye(k)[groups.labels_])
