"""Ridge regression of increments on the recent past: the line a forecaster has to beat."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.evaluation.series.interpolants import linear_interpolation


@dataclass(eq=False, repr=False)
class IncrementRidge(BaseEstimator):  # type: ignore[misc]
    r"""Forecast = last value + a regression of the change on the last values.

    The last `n_lags` values of each series are read off straight lines at steps of `step` back
    from its last time, as differences from the last one and standardised. The targets are
    values at fixed leads after the last time.

    Args:
        kernel: "linear" (strength by leave-one-out) or "rbf" (Gaussian kernel ridge).
        n_lags: number of values read.
        step: distance of these values in time.
        alpha: strength of the penalty of the "rbf" kernel.
        gamma: inverse squared width of the "rbf" kernel, per feature.

    Example:
        >>> line = IrregularSeries.from_arrays(np.arange(5.0), np.arange(5.0)[None] * [[1], [2]])
        >>> model = IncrementRidge(n_lags=2, step=1.0).fit(line, np.array([[[5.0]], [[10.0]]]))
        >>> model.predict(line).ravel().round(2).tolist()
        [5.0, 10.0]
    """

    kernel: Literal["linear", "rbf"] = "linear"
    _: KW_ONLY
    n_lags: int = 10
    step: float = 1.0
    alpha: float = 1e-3
    gamma: float = 0.1

    def fit(self, series: IrregularSeries, targets: Array) -> IncrementRidge:
        """Learn from series and the values (B, H, C) that came after them.

        Raises:
            InputError: if the kernel is unknown or the targets are not (B, H, C).
        """
        if self.kernel not in ("linear", "rbf"):
            raise InputError(f"kernel must be 'linear' or 'rbf', got {self.kernel!r}")
        if targets.ndim != 3 or len(targets) != len(series):
            raise InputError(f"targets must be (B, H, C) for {len(series)} series")
        features, last = self._features(series)
        self.scale_ = features.std(axis=0) + 1e-12
        change = (targets - last[:, None]).reshape(len(series), -1)
        self.target_scale_ = change.std(axis=0) + 1e-12
        self.shape_ = targets.shape[1:]
        if self.kernel == "linear":
            model = RidgeCV(np.logspace(-4, 4, 17))
        else:
            model = KernelRidge(
                alpha=self.alpha, kernel="rbf", gamma=self.gamma / features.shape[1]
            )
        self.model_ = model.fit(features / self.scale_, change / self.target_scale_)
        return self

    def predict(self, series: IrregularSeries) -> Array:
        """Values (B, H, C) at the leads that `fit` was given."""
        features, last = self._features(series)
        change = self.model_.predict(features / self.scale_).reshape(len(series), -1)
        return np.asarray(last[:, None] + (change * self.target_scale_).reshape(-1, *self.shape_))

    def _features(self, series: IrregularSeries) -> tuple[Array, Array]:
        lags = self.step * np.arange(self.n_lags)[::-1]
        values = linear_interpolation(series, series.last_times[:, None] - lags)
        last = values[:, -1]
        # the last value itself, too: the law of motion may depend on where the system is
        recent = np.concatenate([values[:, :-1] - last[:, None], last[:, None]], axis=1)
        return recent.reshape(len(series), -1), last
