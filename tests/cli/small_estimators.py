"""Estimators that follow the protocol of the large ones and cost nothing."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from scipy.stats import chi2
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from trajinfer import Forecast, Trajectories
from trajinfer._core.seeding import seed_from
from trajinfer.data.filled_table import filled_table
from trajinfer.evaluation.series import persistence
from trajinfer.scores.surprise import Oddness


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
        noise = np.random.default_rng(seed_from(self.random_state)).normal(
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
        rows = np.random.default_rng(seed_from(self.random_state)).integers(
            len(self.series_), size=n
        )
        series = self.series_
        return Trajectories(series.times[0], series.values[rows], features=series.channels)

    def losses(self, X, *, random_state=None):
        return ("x: whatever is new",)

    def save(self, path):
        path.mkdir()


@dataclass(eq=False, repr=False)
class UsualValues(BaseEstimator):
    """Every channel stays near its mean: fills gaps, and is surprised by what lies far from it."""

    model: str = "mixture"
    _: KW_ONLY
    random_state: int = 0

    def fit(self, X):
        self.mean_, self.sd_ = np.nanmean(X.flat_values, 0), np.nanstd(X.flat_values, 0)
        return self

    def fill(self, X, *, level):
        middle = np.broadcast_to(self.mean_, X.flat_values.shape)
        return filled_table(X, middle, middle - self.sd_, middle + self.sd_)

    def interpolate(self, X, ts):
        noise = np.random.default_rng(seed_from(self.random_state)).normal(
            size=(5, *X.values.shape)
        )
        samples = (self.mean_ + self.sd_ * noise).transpose(1, 0, 2, 3)
        return Forecast(samples, ts, X.channels, X.ids, X.axis, X)

    def oddness(self, X):
        squares = ((X.values - self.mean_) / self.sd_) ** 2
        return Oddness(squares, chi2.sf(squares, 1))

    def save(self, path):
        path.mkdir()
