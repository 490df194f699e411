"""A number for every irregular series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from torch import Tensor, nn

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data.input import as_series
from trajinfer.series.heads import PooledHead
from trajinfer.series.series_estimator import SeriesEstimator, compacted
from trajinfer.training import Loss


@dataclass(eq=False, repr=False)
class NeuralSDERegressor(RegressorMixin, SeriesEstimator):  # type: ignore[misc]
    r"""A number per series with times and holes of its own.

    As `NeuralSDEClassifier`, with one standardised number in the place of the logits, fitted by
    squared error and averaged over paths of the noise.

    Args:
        dynamics, parameterization, hidden, layers, interpolation, control, noise, step, n_samples,
            max_epochs, batch_size, lr, weight_decay, thinning, kl_weight, validation, patience,
            regularization, callbacks, random_state, device, verbose: as for
            `NeuralSDEClassifier`.

    Attributes:
        network_, scaling_, history_: as for `NeuralSDEClassifier`.
        target_: mean and standard deviation of the numbers in training.
    """

    def fit(self, series: Any, y: Any = None) -> Self:
        """Fit.

        Args:
            series: an `IrregularSeries`, or what `as_series` takes.
            y: (B,) numbers; None takes the labels of the series.

        Raises:
            InputError: for series, numbers or settings that cannot be used.
        """
        self._check_settings()
        data = compacted(as_series(series))
        numbers = _numbers(data.labels if y is None else y, len(data))
        self.target_ = (float(numbers.mean()), float(numbers.std()) or 1.0)
        batch = self._fit_scaling(data)
        target = torch.as_tensor((numbers - self.target_[0]) / self.target_[1]).float()
        kept, held = self._split(np.arange(len(data)))

        def objective(index: Tensor, step: int) -> Loss:
            encoding = self._encode(batch.rows(index).thinned(self.thinning), step)
            error = self.network_.head(encoding)[:, 0] - target[index]
            return self._with_penalties(error.square().mean(), encoding, step)

        rows = torch.as_tensor(held)

        def validate() -> float:
            found = self.network_.head(self._encode(batch.rows(rows)))[:, 0]
            return float((found - target[rows]).square().mean())

        self._train(objective, kept, validate if len(held) else None)
        return self

    def predict(self, series: Any, *, random_state: RandomState = None) -> Array:
        """The numbers of the series, (B,)."""
        self._check_fitted()
        data = compacted(as_series(series).on_axis(self.axis_))
        self.scaling_.require(data)
        seed = spawn(self.seed_, 5)[4] if random_state is None else seed_from(random_state)
        batch = self.scaling_.batch(data)
        found = self._scores_over_paths(self.network_.head, batch, self.n_samples, seed)
        mean, spread = self.target_
        return np.asarray(mean + spread * found[..., 0].mean(0).double().numpy())

    def score(self, series: Any, y: Any = None) -> float:
        """Coefficient of determination."""
        numbers = _numbers(as_series(series).labels if y is None else y, len(as_series(series)))
        error = numbers - self.predict(series)
        return float(1 - (error**2).sum() / ((numbers - numbers.mean()) ** 2).sum())

    def _head(self) -> nn.Module:
        return PooledHead(self.hidden, 1)

    def _learned(self) -> dict[str, Any]:
        return {"target": list(self.target_)}

    def _set_learned(self, learned: dict[str, Any]) -> None:
        self.target_ = tuple(learned["target"])
        self.n_features_in_ = self.shape_["n_channels"]


def _numbers(labels: Any, n: int) -> Array:
    if labels is None:
        raise InputError("no labels: give y, or an IrregularSeries with labels=")
    numbers = as_array(labels, "y", ndim=1)
    if len(numbers) != n:
        raise InputError(f"y must hold one number per series ({n}), got {len(numbers)}")
    require_finite(numbers, "y")
    return numbers
