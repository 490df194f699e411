"""Estimators of sktime give the answers of the estimators that they hold, at sktime's times."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

from trajinfer import (
    IrregularSeries,
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDERegressor,
)
from trajinfer.adapters.sktime import SktimeClassifier, SktimeForecaster, SktimeRegressor

QUICK = {"hidden": 2, "layers": 1, "max_epochs": 1, "random_state": 0}


def walk(index):
    values = np.random.default_rng(0).normal(size=len(index)).cumsum()
    return pd.Series(values, index, name="level")


def test_forecasts_are_those_of_the_forecaster():
    y = walk(pd.date_range("2020-01-01", periods=60, freq="D"))
    adapter = SktimeForecaster(NeuralSDEForecaster(**QUICK)).fit(y, fh=[1, 2, 5])
    later = y.index[-1] + pd.to_timedelta([1, 2, 5], unit="D")
    series = IrregularSeries.from_arrays([y.index], [y.to_numpy()], channels=["level"])
    own = NeuralSDEForecaster(horizon=5.0, **QUICK).fit(series)
    predicted = adapter.predict()
    assert list(predicted.index) == list(later)
    np.testing.assert_allclose(predicted, own.predict(series, later)[0, :, 0], rtol=1e-12)
    interval = adapter.predict_interval(coverage=0.9)
    inside = (interval.iloc[:, 0] < predicted) & (predicted < interval.iloc[:, 1])
    assert inside.all()


@pytest.mark.parametrize(
    "index",
    [pd.RangeIndex(40), pd.period_range("2000-01", periods=40, freq="M")],
    ids=["numbers", "periods"],
)
def test_the_index_goes_on_as_it_was(index):
    y = walk(index)
    predicted = SktimeForecaster(NeuralSDEForecaster(**QUICK)).fit(y).predict(fh=[1, 3])
    assert list(predicted.index) == [index[-1] + 1, index[-1] + 3]


def test_new_data_move_the_origin_without_a_new_fit():
    y = walk(pd.RangeIndex(60))
    adapter = SktimeForecaster(NeuralSDEForecaster(**QUICK)).fit(y[:50], fh=[1])
    before = adapter.estimator_
    adapter.update(y[50:], update_params=False)
    assert adapter.estimator_ is before
    assert list(adapter.predict().index) == [60]
    adapter.update(y[50:], update_params=True)
    assert adapter.estimator_ is not before


def test_a_panel_is_one_fit_and_its_series_end_where_they_end():
    index = [(name, t) for name, n in (("a", 20), ("b", 30)) for t in range(n)]
    index = pd.MultiIndex.from_tuples(index, names=["who", "t"])
    y = pd.DataFrame({"x": np.arange(50.0)}, index)
    adapter = SktimeForecaster(NeuralSDEForecaster(**QUICK)).fit(y)
    assert isinstance(adapter.estimator_, NeuralSDEForecaster)
    predicted = adapter.predict(fh=[1, 2])
    assert list(predicted.index) == [("a", 20), ("a", 21), ("b", 30), ("b", 31)]
    assert predicted.index.names == ["who", "t"]


def panel():
    rng = np.random.default_rng(0)
    return rng.normal(size=(24, 2, 7)).cumsum(axis=2)  # (n, channels, times), as sktime has it


@pytest.mark.parametrize(
    ("adapter", "estimator"),
    [(SktimeClassifier, NeuralSDEClassifier), (SktimeRegressor, NeuralSDERegressor)],
    ids=["classifier", "regressor"],
)
def test_answers_for_panels_are_those_of_the_estimator(adapter, estimator):
    X, y = panel(), np.arange(24) % 2
    inner = estimator(experts=("linear",), n_samples=1, **QUICK)
    held = adapter(inner).fit(X, y)
    times = np.arange(7.0)
    series = IrregularSeries.from_arrays(times, X.transpose(0, 2, 1), channels=["0:a", "1:b"])
    own = estimator(experts=("linear",), n_samples=1, **QUICK).fit(series, y)
    np.testing.assert_allclose(held.predict(X), own.predict(series), rtol=1e-12)
    assert not hasattr(inner, "model_")
    if adapter is SktimeClassifier:
        np.testing.assert_allclose(held.predict_proba(X), own.predict_proba(series), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([SktimeForecaster, SktimeClassifier, SktimeRegressor])
def test_the_checks_of_sktime(obj, test_name):
    state = np.random.get_state()  # noqa: NPY002 (sktime draws its data from it)
    try:
        found = check_estimator(obj, tests_to_run=test_name, verbose=False, raise_exceptions=True)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    assert found
