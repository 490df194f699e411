"""A number for every irregular series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.words import renamed, renamed_settings
from trajinfer.data import IrregularSeries
from trajinfer.data.input import as_series, series_to_learn
from trajinfer.data.scaling import Standardisation
from trajinfer.data.written_predictions import require_no_times, written_predictions
from trajinfer.series.format_1 import series_estimator_of
from trajinfer.series.labelled_estimator import LabelledEstimator
from trajinfer.series.labelled_task import LabelledTask
from trajinfer.series.labels import number_labels, series_weights
from trajinfer.series.mixture_model import SeriesMixture, alone
from trajinfer.series.objective import TrainingPass
from trajinfer.series.series_model import SeriesModel, compacted
from trajinfer.series.series_rows import SeriesRows


@packable
@dataclass(frozen=True, eq=False)
class NumberModel:
    """A fitted regressor.

    Attributes:
        mixture: of networks and other experts.
        target: from numbers to the unit of the mixture.
    """

    mixture: SeriesMixture
    target: Standardisation

    @property
    def series(self) -> SeriesModel:
        """The first network and its inputs."""
        return self.mixture.members[0]


@dataclass(frozen=True)
class Regression(LabelledTask):
    """Squared error of the standardised numbers of series."""

    def losses(self, law: Any, target: Tensor) -> Tensor:
        """Squares of mean minus number."""
        error: Tensor = law.mean - target.to(law.mean)
        return error.square()

    def answer(self, law: Any) -> Tensor:
        """The means, as a column."""
        column: Tensor = law.mean.detach()[:, None]
        return column


@renamed_settings(noise="stochastic")
@dataclass(eq=False, repr=False)
class NeuralSDERegressor(RegressorMixin, LabelledEstimator):  # type: ignore[misc]
    r"""A number per series with times and holes of its own.

    As `NeuralSDEClassifier`, with one standardised number in the place of the logits, fitted by
    squared error and averaged over paths of the noise.

    Args:
        dynamics, parameterization, hidden, layers, interpolation, control, stochastic, step,
            n_samples, experts, max_epochs, batch_size, lr, weight_decay, thinning, kl_weight,
            validation, patience, regularization, callbacks, checkpoint, random_state, device,
            verbose: as for `NeuralSDEClassifier`.

    Attributes:
        shares_: share of every expert in the answer.
        model_, n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as for
            `NeuralSDEClassifier`.
    """

    @renamed(series="X")
    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Fit.

        Args:
            X: an `IrregularSeries`, or what `as_series` takes.
            y: (B,) numbers; None takes the labels of the series.
            sample_weight: (B,) weights of the series in the loss.

        Raises:
            InputError: for series, numbers or settings that cannot be used.
        """
        self._check_settings()
        data = compacted(series_to_learn(X))
        numbers = number_labels(data.labels if y is None else y, len(data))
        weights = series_weights(sample_weight, len(data))
        target = Standardisation.of(numbers[:, None], weights)
        values = target.apply(numbers[:, None])[:, 0]

        def task(passes: TrainingPass, rows: SeriesRows, held: Tensor) -> Regression:
            standardised = torch.as_tensor(values).float()
            return Regression(passes, rows, standardised, torch.as_tensor(weights), held)

        mixture, report, seed = self._fit_mixture(data, values, weights, 0, task)
        self.model_ = NumberModel(mixture, target)
        self._keep_features(data)
        self._conclude_training(report, seed)
        return self

    def _mixture(self) -> SeriesMixture:
        return self.model_.mixture

    @renamed(series="X")
    def predict(self, X: Any, ts: Any = None, *, out: str | Path | None = None) -> Array | Path:
        """The numbers of the series.

        Args:
            X: B series.
            ts: times, one row for all series or one each; None: after the last observation.
            out: folder to write tables to (id and predicted, in parquet), some series at a time
                as the memory of an open table allows; a call that was killed goes on. It takes no
                ts.

        Returns:
            (B,), or (B, T) of what was known at the times: nothing that comes later counts, and
            before the first observation stands the mean of training. The mixture was fitted to
            whole series. The folder where there is an `out`.
        """
        check_is_fitted(self)
        if out is not None:
            require_no_times(ts)
            return written_predictions(out, X, self.model_, {"ts": None}, self._table)
        return self._numbers(X, ts)

    def _numbers(self, X: Any, ts: Any = None) -> Array:
        data = self.model_.series.series(X)
        return self.model_.target.invert(self._answers(data, ts, np.zeros(1)))[..., 0]

    def _table(self, series: IrregularSeries, ts: None) -> pd.DataFrame:
        return pd.DataFrame({"id": list(series.ids), "predicted": self._numbers(series)})

    @renamed(series="X")
    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Coefficient of determination, at most 1; 0 is the mean of the numbers."""
        from sklearn.metrics import r2_score  # here, since fits do without it

        check_is_fitted(self)
        predicted = self._numbers(X)
        numbers = number_labels(as_series(X).labels if y is None else y, len(predicted))
        weights = series_weights(sample_weight, len(predicted))
        return float(r2_score(numbers, predicted, sample_weight=weights))

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The regressor that version 0.1 wrote."""
        estimator, series = series_estimator_of(cls, config, tensors, "number")
        center, scale = np.array(config["learned"]["target"])[:, None]
        estimator.model_ = NumberModel(alone(series, 0), Standardisation(center, scale))
        return estimator
