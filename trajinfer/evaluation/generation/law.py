"""Measures of two samples of paths that are cheap enough to be repeated on many real pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from trajinfer._core.checks import Array
from trajinfer.evaluation.generation.features import evenly_thinned
from trajinfer.metrics import (
    autocorrelation_error,
    channel_correlation_error,
    crossing_counts,
    crossing_intervals,
    marginal_ks,
    time_above,
)

_MODE_TIMES = 12
_MOST_FITTED = 2000


@dataclass(frozen=True, eq=False)
class LawMeasures:
    """Levels and modes taken from the training paths, so that all pairs are measured alike.

    Attributes:
        level: (C,) medians of the training paths.
        centre, scale: (T', C) of thinned training paths.
        modes: centres of two clusters of them.
    """

    level: Array
    centre: Array
    scale: Array
    modes: Array

    @classmethod
    def of(cls, train: Array, seed: int) -> LawMeasures:
        """Find level and modes; a clustering of what has one mode halves it, and says as much."""
        thin = train[:, evenly_thinned(train.shape[1], _MODE_TIMES)]
        centre, scale = thin.mean(axis=0), thin.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        points = ((thin - centre) / scale).reshape(len(thin), -1)[:_MOST_FITTED]
        clusters = KMeans(2, n_init=3, random_state=seed % 2**32).fit(points)
        level = np.median(train, axis=(0, 1))
        return cls(level, centre, scale, np.asarray(clusters.cluster_centers_))

    def between(self, x: Array, y: Array) -> dict[str, float]:
        """All measures of a sample (n, T, C) against another (m, T, C)."""
        ks = marginal_ks(x, y)
        found = {
            "ks_mean": float(ks.mean()),
            "ks_max": float(ks.max()),
            "acf": autocorrelation_error(x, y),
            "acf_absolute": autocorrelation_error(x, y, absolute=True),
            "modes": abs(self.mode_share(x) - self.mode_share(y)),
            "time_above": _largest_ks(*(time_above(p, self.level) for p in (x, y))),
            "crossings": _largest_ks(*(crossing_counts(p, self.level) for p in (x, y))),
            "crossing_intervals": _ks_of_intervals(x, y, self.level),
        }
        if x.shape[2] > 1:
            found["correlation"] = channel_correlation_error(x, y)
        return found

    def mode_share(self, paths: Array) -> float:
        """Share of the paths that are nearer to the first mode."""
        thin = paths[:, evenly_thinned(paths.shape[1], _MODE_TIMES)]
        points = ((thin - self.centre) / self.scale).reshape(len(paths), -1)
        gaps = [((points - mode) ** 2).sum(axis=1) for mode in self.modes]
        return float((gaps[0] < gaps[1]).mean())


def real_pairs(
    groups: Array, n: int, m: int, n_draws: int, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Indices of disjoint pairs of real samples made of whole groups, of about n and m paths.

    Where there are fewer than n + m paths, both sizes shrink in proportion, so the floor errs on
    the high side.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    share = min(1.0, len(groups) / (n + m))
    first, second = int(share * n), int(share * m)
    for _ in range(n_draws):
        order = np.argsort(rng.permutation(codes.max() + 1)[codes], kind="stable")
        # A group at the cut goes to one side.
        cut = first
        while 0 < cut < len(order) and codes[order[cut]] == codes[order[cut - 1]]:
            cut += 1
        yield order[:cut], order[cut : cut + second] if cut < len(order) else order[:cut]


def _largest_ks(x: Array, y: Array) -> float:
    return float(marginal_ks(x, y).max())


def _ks_of_intervals(x: Array, y: Array, level: Array) -> float:
    """0 where neither sample crosses twice, 1 where only one of them does."""
    first, second = (crossing_intervals(p, level) for p in (x, y))
    if not len(first) or not len(second):
        return float(bool(len(first)) != bool(len(second)))
    return float(marginal_ks(first[:, None], second[:, None]).max())
