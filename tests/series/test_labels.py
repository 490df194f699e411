"""Labels of series in every form, and what is refused."""

import numpy as np
import pytest
from sklearn.exceptions import DataConversionWarning

from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.data.input import as_series
from trajinfer.series.forecast_examples import default_horizon
from trajinfer.series.labels import class_labels, number_labels


@pytest.mark.parametrize("read", [class_labels, number_labels])
def test_a_column_of_labels_is_laid_flat_and_said(read):
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert read(np.array([[1.0], [2.0]]), 2).tolist() == [1, 2]


@pytest.mark.parametrize("read", [class_labels, number_labels])
def test_missing_labels_are_asked_for(read):
    with pytest.raises(InputError, match="requires y to be passed"):
        read(None, 2)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0.5, 1.25, 3.1], "continuous.*NeuralSDERegressor"),
        (np.array([1.0, np.inf, 2.0]), "infinity"),
        (["a", None, "b"], "NaN"),
    ],
)
def test_numbers_that_name_no_classes_are_refused(labels, words):
    with pytest.raises(InputError, match=words):
        class_labels(labels, 3)


def test_whole_floats_are_classes():
    assert class_labels([1.0, 2.0, 1.0], 3).tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.arange(3.0), r"shape \(3,\).*reshape\(1, -1\)"),
        (5.0, "Reshape your data"),
        (np.empty((0, 4)), "0 sample"),
        (np.empty((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\)"),
    ],
)
def test_numbers_that_are_no_series_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        as_series(values)


def test_the_default_horizon_reaches_the_next_row():
    short = IrregularSeries.from_arrays([[0.0, 4.0], [0.0, 4.0, 8.0]], [np.zeros(2), np.zeros(3)])
    long = IrregularSeries.from_arrays(np.arange(41.0), np.zeros((2, 41, 1)))
    assert default_horizon(short) == 4
    assert default_horizon(long) == 10
