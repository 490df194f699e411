"""The nearest training series, by Euclidean distance or dynamic time warping."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.series.experts.resampling import resampled


@dataclass(eq=False, repr=False)
class NearestNeighbour(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Label of the closest training series, after linear filling onto a common grid.

    Args:
        distance: "euclidean", or "dtw" with squared differences.
        window: half-width of the warping band as a share of the length (Sakoe and Chiba).
        n_points: points of the grid; None takes the longest training series.

    References:
        Sakoe and Chiba, Dynamic programming algorithm optimization for spoken word recognition,
        IEEE TASSP 26 (1978).
    """

    distance: Literal["euclidean", "dtw"] = "euclidean"
    _: KW_ONLY
    window: float = 0.1
    n_points: int | None = None

    def fit(self, series: IrregularSeries, y: Any) -> NearestNeighbour:
        """Keep the training series.

        Raises:
            InputError: if the distance is unknown.
        """
        if self.distance not in ("euclidean", "dtw"):
            raise InputError(f"distance must be 'euclidean' or 'dtw', got {self.distance!r}")
        self.classes_, self.codes_ = np.unique(np.asarray(y), return_inverse=True)
        self.grid_ = self.n_points or int(series.lengths.max())
        values = resampled(series, self.grid_)
        self.mean_, self.scale_ = values.mean((0, 1)), values.std((0, 1)) + 1e-12
        self.train_ = (values - self.mean_) / self.scale_
        return self

    def predict(self, series: IrregularSeries) -> Array:
        """(B,) labels."""
        values = (resampled(series, self.grid_) - self.mean_) / self.scale_
        band = int(np.ceil(self.window * self.grid_)) if self.distance == "dtw" else 0
        chunks = np.array_split(values, -(-len(values) // 64))
        nearest = [_warped(chunk, self.train_, band).argmin(axis=1) for chunk in chunks]
        return np.asarray(self.classes_[self.codes_[np.concatenate(nearest)]])


def _warped(x: Array, y: Array, band: int) -> Array:
    """(N, M) costs of the best alignment within the band; a band of 0 is the squared distance."""
    length = x.shape[1]
    row = np.full((length + 1, len(x), len(y)), np.inf)
    row[0] = 0.0
    for i in range(length):
        fresh = np.full_like(row, np.inf)
        for j in range(max(0, i - band), min(length, i + band + 1)):
            cost = ((x[:, None, i] - y[None, :, j]) ** 2).sum(axis=-1)
            fresh[j + 1] = cost + np.minimum(np.minimum(row[j], row[j + 1]), fresh[j])
        row = fresh
    return np.asarray(row[length])
