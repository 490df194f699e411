"""Whatever torch's global state is, whoever else computes: series estimators answer the same."""

import functools
import threading

import numpy as np
import pytest
import torch

from trajinfer import (
    IrregularSeries,
    NeuralSDEClassifier,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
)

SMALL = {"hidden": 4, "max_epochs": 1, "n_samples": 2, "step": 2.0, "random_state": 0}


def waves(n=14, n_times=7):
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, (n, n_times)), axis=1)
    values = np.sin(times) + 0.1 * rng.normal(size=times.shape)
    return IrregularSeries.from_arrays(times, values[:, :, None], labels=np.arange(n) % 2)


def classes(series):
    return NeuralSDEClassifier(experts=(), **SMALL).fit(series).predict_proba


def numbers(series):
    model = NeuralSDERegressor(experts=(), **SMALL)
    return model.fit(series, series.labels.astype(float)).predict


def fillings(series):
    model = NeuralSDEInterpolator(n_hidings=1, **SMALL).fit(series)
    return lambda asked: model.predict(asked, [0.5, 5.0, 9.0])


KINDS = pytest.mark.parametrize("fit", [classes, numbers, fillings])


@pytest.fixture(scope="module")
def fitted():
    """Each of them once."""
    return functools.cache(lambda fit: fit(waves()))


@KINDS
def test_default_dtype_and_gradient_mode_change_nothing(fit, fitted):
    series = waves()
    expected = fitted(fit)(series)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            found = fit(series)(series)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


@KINDS
def test_fits_in_threads_are_those_of_one_thread(fit, fitted):
    series, results = waves(), []
    expected = fitted(fit)(series)
    threads = [
        threading.Thread(target=lambda: results.append(fit(series)(series))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    for found in results:
        np.testing.assert_array_equal(found, expected)


@KINDS
def test_an_answer_does_not_depend_on_the_other_series(fit, fitted):
    series, answer = waves(), fitted(fit)
    whole = answer(series)
    np.testing.assert_allclose(answer(series[::-1])[::-1], whole, atol=1e-6)
    np.testing.assert_allclose(answer(series[[3]])[0], whole[3], atol=1e-6)
