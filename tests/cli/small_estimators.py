"""Estimators that follow the protocol of the large ones and cost nothing."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from trajinfer import Forecast, Trajectories
from trajinfer.evaluation.series import persistence


@dataclass(eq=False, repr=False)
class LastValue(BaseEstimator):
    """The last value of each channel, with noise of a fixed size."""

    _: KW_ONLY
    spread: float = 0.5
    horizon: float | None = None
    random_state: int = 0

    def fit(self, X):
        return self

    def forecast(self, X, ts, *, n=100):
        noise = np.random.default_rng(self.random_state).normal(
            size=(len(X), n, np.shape(ts)[1], X.shape[2])
        )
        samples = persistence(X, ts)[:, None] + self.spread * noise
        return Forecast(samples, ts, X.channels, X.ids, X.axis, X)

    def save(self, path):
        path.mkdir()


@dataclass(eq=False, repr=False)
class ByMean(BaseEstimator):
    """Logistic regression on the mean of each channel."""

    _: KW_ONLY
    strength: float = 1.0
    random_state: int = 0

    def fit(self, X, y):
        self.model_ = LogisticRegression(C=self.strength).fit(np.nanmean(X.values, axis=1), y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(np.nanmean(X.values, axis=1))

    def save(self, path):
        path.mkdir()


@dataclass(eq=False, repr=False)
class Resample(BaseEstimator):
    """Series drawn again from those given."""

    _: KW_ONLY
    transform: str = "standard"
    random_state: int = 0

    def fit(self, X):
        self.series_ = X
        return self

    def sample(self, n):
        rows = np.random.default_rng(self.random_state).integers(len(self.series_), size=n)
        series = self.series_
        return Trajectories(series.times[0], series.values[rows], features=series.channels)

    def losses(self, X, *, random_state=None):
        return ("x: whatever is new",)

    def save(self, path):
        path.mkdir()
