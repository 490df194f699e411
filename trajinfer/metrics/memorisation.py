"""Memorisation: copies of training paths among synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from trajinfer._core.checks import Array
from trajinfer.metrics.paths import as_paths
from trajinfer.metrics.samples import row_blocks


@dataclass(frozen=True, eq=False)
class Memorisation:
    """Distances to the nearest path, in units of the spread of the training paths.

    Attributes:
        synthetic: (n,) from each synthetic path to the nearest training path.
        hold_out: (m,) from each held-out path to the nearest training path.
        back_train: (k,) from each training path to the nearest synthetic path.
        back_hold_out: (m,) from each held-out path to the nearest synthetic path.
    """

    synthetic: Array
    hold_out: Array
    back_train: Array
    back_hold_out: Array

    @classmethod
    def of(cls, train: Any, hold_out: Any, synthetic: Any) -> Memorisation:
        """Measure three samples of paths (., T, C) on one grid."""
        real, held, fake = (as_paths(p, "paths") for p in (train, hold_out, synthetic))
        scale = real.std(axis=0).ravel()
        scale = np.where(scale > 0, scale, 1.0)
        real, held, fake = (
            (paths.reshape(len(paths), -1) / scale).astype(np.float32)
            for paths in (real, held, fake)
        )
        return cls(
            _nearest(fake, real), _nearest(held, real), _nearest(real, fake), _nearest(held, fake)
        )

    @property
    def ratio(self) -> float:
        """Median distance of synthetic paths over that of held-out ones; 1 is ideal, 0 a copy."""
        return float(np.median(self.synthetic) / max(np.median(self.hold_out), 1e-300))

    @property
    def copy_share(self) -> float:
        """Share of synthetic paths nearer to training than all but 1 % of held-out ones."""
        return float((self.synthetic < np.quantile(self.hold_out, 0.01)).mean())

    @property
    def membership_auc(self) -> float:
        """Chance that a training path is nearer to the synthetic ones than a held-out path is."""
        both = rankdata(np.concatenate([self.back_train, self.back_hold_out]))
        n, m = len(self.back_train), len(self.back_hold_out)
        return float(1 - (both[:n].sum() - n * (n + 1) / 2) / (n * m))


def _nearest(x: Array, y: Array) -> Array:
    """Distance (n,) from every row of x to the nearest row of y."""
    size = (y**2).sum(axis=1)
    distances = np.empty(len(x))
    for rows in row_blocks(len(x), len(y)):
        nearest = (size - 2 * x[rows] @ y.T).argmin(axis=1)
        # The expansion of the square loses digits near zero, where a copy is.
        distances[rows] = np.linalg.norm(x[rows] - y[nearest], axis=1)
    return distances
