"""Estimators as sktime's own: they take its data, and stand in its pipelines and evaluations.

Importing this file needs the extra `sktime`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import clone

from trajinfer._core.checks import Array
from trajinfer._core.extras import missing_extra
from trajinfer.data import IrregularSeries
from trajinfer.series import NeuralSDEClassifier, NeuralSDEForecaster, NeuralSDERegressor

try:
    from sktime.classification.base import BaseClassifier
    from sktime.forecasting.base import BaseForecaster
    from sktime.regression.base import BaseRegressor
except ModuleNotFoundError as error:
    raise missing_extra("sktime", "sktime") from error

__all__ = ["SktimeClassifier", "SktimeForecaster", "SktimeRegressor"]

_PACKAGING = {
    "authors": "trajinfer contributors",
    "maintainers": "trajinfer contributors",
    "python_dependencies": "trajinfer",
}


class _Holder:
    """An estimator of sktime that holds one of ours."""

    kind: ClassVar[type]
    quick: ClassVar[dict[str, Any]] = {"hidden": 2, "layers": 1, "max_epochs": 1}
    estimator: Any
    estimator_: Any

    def _own(self) -> Any:
        return self.kind() if self.estimator is None else clone(self.estimator)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:  # noqa: ARG003
        """Two sets of settings for sktime's own checks, whatever is asked for."""
        return [{"estimator": cls.kind(**cls.quick, random_state=seed)} for seed in (0, 1)]


class SktimeForecaster(_Holder, BaseForecaster):  # type: ignore[misc]
    """`NeuralSDEForecaster` as a forecaster of sktime.

    A panel is learned as a whole: its series share one fit. Times are those of the index, dates or
    numbers, holes and unequal steps included; periods count from their beginnings. Values before
    the end of the data are not forecast.

    Args:
        estimator: a `NeuralSDEForecaster` with its settings, which is not changed; None takes one
            with defaults. Where its `horizon` is None, the longest of `fh` in `fit` is taken.

    Attributes:
        estimator_: the fitted forecaster.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from trajinfer.adapters.sktime import SktimeForecaster
        >>> y = pd.Series(np.sin(np.arange(60.0)))
        >>> SktimeForecaster().fit(y, fh=[1, 2, 3]).predict().shape
        (3,)
    """

    kind = NeuralSDEForecaster
    _tags = _PACKAGING | {
        "y_inner_mtype": ["pd.DataFrame", "pd-multiindex"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex"],
        "capability:multivariate": True,
        "capability:exogenous": False,
        "capability:insample": False,
        "capability:missing_values": True,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:update": True,
        "requires-fh-in-fit": False,
    }
    # the data are kept here, as what they continue is forecast
    _config = {"remember_data": False}  # noqa: RUF012 (sktime's own way to set it)

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator
        super().__init__()
        self._y = self._X = None  # which sktime leaves out where it keeps no data

    def _fit(self, y: pd.DataFrame, X: Any, fh: Any) -> Self:
        self._seen = y
        estimator, series = self._own(), _as_series(y)
        if estimator.horizon is None and fh is not None:
            estimator.set_params(horizon=self._longest(series, fh))
        self.estimator_ = estimator.fit(series)
        return self

    def _update(self, y: pd.DataFrame, X: Any = None, update_params: bool = True) -> Self:
        both = pd.concat([self._seen, y])
        seen = both[~both.index.duplicated(keep="last")].sort_index()
        if update_params:
            return self._fit(seen, X, self._fh)
        self._seen = seen
        return self

    def _predict(self, fh: Any, X: Any) -> pd.DataFrame:
        series, index, times = self._asked(fh)
        means = self.estimator_.predict(series, times)
        return pd.DataFrame(means.reshape(len(index), -1), index, self._seen.columns)

    def _predict_quantiles(self, fh: Any, X: Any, alpha: list[float]) -> pd.DataFrame:
        series, index, times = self._asked(fh)
        forecast = self.estimator_.forecast(series, times, n=1000)
        names = self._get_varnames()
        columns = pd.MultiIndex.from_product([names, alpha])
        values = np.moveaxis(forecast.quantile(alpha), 0, -1)  # (B, T, C, Q)
        return pd.DataFrame(values.reshape(len(index), -1), index, columns)

    def _asked(self, fh: Any) -> tuple[IrregularSeries, pd.Index, Array]:
        """The series, the index of an answer (B T,), and its times (B, T)."""
        series = _as_series(self._seen)
        steps = fh.to_relative(self.cutoff)
        parts = _parts(self._seen).values()
        labels = [steps.to_absolute_index(self._last(part)) for part in parts]
        times = np.stack([np.asarray(_starts(own)) for own in labels])
        if self._seen.index.nlevels == 1:
            return series, labels[0], times
        pairs = [(name, t) for name, own in zip(series.ids, labels) for t in own]
        return series, pd.MultiIndex.from_tuples(pairs, names=self._seen.index.names), times

    def _last(self, part: pd.DataFrame) -> pd.Index:
        """The last time of a series, as sktime counts on from it."""
        last = part.index.get_level_values(-1)[-1:]
        step = getattr(self.cutoff, "freq", None)
        return pd.DatetimeIndex(last, freq=step) if isinstance(last, pd.DatetimeIndex) else last

    def _longest(self, series: IrregularSeries, fh: Any) -> float | None:
        """Duration from the end of a series to the last of the horizon; None where it is not ahead.

        In the unit of the times.
        """
        steps = fh.to_relative(self.cutoff)
        first = next(iter(_parts(self._seen).values()))
        ahead = _starts(steps.to_absolute_index(self._last(first)))
        longest = float(np.max(series.axis.encode(ahead)) - series.last_times[0])
        return longest if longest > 0 else None


class _Labelled(_Holder):
    """What the classifier and the regressor share: series in the rows of a panel."""

    def _fit(self, X: pd.DataFrame, y: Array) -> Self:
        self.estimator_ = self._own().fit(_as_series(X), y)
        return self

    def _predict(self, X: pd.DataFrame) -> Array:
        return np.asarray(self.estimator_.predict(_as_series(X)))


_QUICK_PANELS = _Holder.quick | {"experts": ("linear",), "n_samples": 1}
_OF_PANELS = _PACKAGING | {
    "X_inner_mtype": "pd-multiindex",
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": True,
}


class SktimeClassifier(_Labelled, BaseClassifier):  # type: ignore[misc]
    """`NeuralSDEClassifier` as a classifier of sktime.

    Args:
        estimator: a `NeuralSDEClassifier` with its settings, which is not changed; None takes one
            with defaults.

    Attributes:
        estimator_: the fitted classifier.

    Example:
        >>> import numpy as np
        >>> from trajinfer import NeuralSDEClassifier
        >>> from trajinfer.adapters.sktime import SktimeClassifier
        >>> X, y = np.random.default_rng(0).normal(size=(20, 2, 6)), np.arange(20) % 2
        >>> ridge = NeuralSDEClassifier(experts=("linear",), max_epochs=1, random_state=0)
        >>> SktimeClassifier(ridge).fit(X, y).predict(X).shape
        (20,)
    """

    kind = NeuralSDEClassifier
    quick = _QUICK_PANELS
    _tags = _OF_PANELS | {"capability:predict_proba": True}

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator
        super().__init__()

    def _predict_proba(self, X: pd.DataFrame) -> Array:
        return np.asarray(self.estimator_.predict_proba(_as_series(X)))


class SktimeRegressor(_Labelled, BaseRegressor):  # type: ignore[misc]
    """`NeuralSDERegressor` as a regressor of sktime.

    Args:
        estimator: a `NeuralSDERegressor` with its settings, which is not changed; None takes one
            with defaults.

    Attributes:
        estimator_: the fitted regressor.

    Example:
        >>> import numpy as np
        >>> from trajinfer import NeuralSDERegressor
        >>> from trajinfer.adapters.sktime import SktimeRegressor
        >>> X, y = np.random.default_rng(0).normal(size=(20, 2, 6)), np.arange(20.0)
        >>> ridge = NeuralSDERegressor(experts=("linear",), max_epochs=1, random_state=0)
        >>> SktimeRegressor(ridge).fit(X, y).predict(X).shape
        (20,)
    """

    kind = NeuralSDERegressor
    quick = _QUICK_PANELS
    _tags = _OF_PANELS

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator
        super().__init__()


def _as_series(table: pd.DataFrame) -> IrregularSeries:
    """Series of one table or of a panel, in its order."""
    parts = _parts(table)
    return IrregularSeries.from_arrays(
        [_starts(part.index.get_level_values(-1)) for part in parts.values()],
        [part.to_numpy(dtype=np.float64) for part in parts.values()],
        channels=[f"{k}:{name}" for k, name in enumerate(table.columns)],
        ids=list(parts),
    )


def _parts(table: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    """The rows of every series by its name."""
    if table.index.nlevels == 1:
        return {0: table}
    return dict(iter(table.groupby(level=0, sort=False)))


def _starts(index: pd.Index) -> pd.Index:
    """Times of an index; those of periods are their beginnings."""
    return index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
