"""Ridge classifier on convolution features: fast and hard to beat on small sets."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trajinfer._core.checks import Array
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import IrregularSeries
from trajinfer.series.experts.convolutions import Convolutions


@dataclass(eq=False, repr=False)
class MiniRocket(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge classifier on shares of positive values of 84 dilated convolutions.

    Series are filled by straight lines onto a grid of the longest training length.

    Args:
        n_features: about how many features.
        random_state: of the series that set the biases and of the channels combined.

    References:
        Dempster, Schmidt and Webb, MiniRocket, KDD 2021.
    """

    _: KW_ONLY
    n_features: int = 9996
    random_state: RandomState = None

    def fit(self, series: IrregularSeries, y: Any) -> MiniRocket:
        """Set the biases from the training series and fit the classifier."""
        self.features_ = Convolutions.of(series, self.n_features, seed_from(self.random_state))
        classifier = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
        self.model_ = make_pipeline(StandardScaler(), classifier)
        self.model_.fit(self.features_(series), np.asarray(y))
        self.classes_ = self.model_.classes_
        return self

    def predict(self, series: IrregularSeries) -> Array:
        """(B,) labels."""
        return np.asarray(self.model_.predict(self.features_(series)))
