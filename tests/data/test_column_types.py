"""Types of columns on the way back: kept where they can hold the values, never at their cost."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import IrregularSeries
from trajinfer.data.filled_table import filled_table

TYPES = ("int64", "uint8", "Int64", "UInt8", "bool", "boolean", "int64[pyarrow]", "bool[pyarrow]")


def series_of(dtype):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"id": [1, 1, 2, 2], "t": [0.0, 1.0, 0.0, 1.0], "x": [0, 1, 1, 0]})
    return IrregularSeries.from_frame(frame.astype({"x": dtype}), id="id", time="t", channels=["x"])


def changed(series, *values):
    return series.with_values(np.reshape(values, series.values.shape)).to_frame()["x"]


@pytest.mark.parametrize("dtype", TYPES)
def test_a_type_comes_back_with_what_it_can_hold(dtype):
    series = series_of(dtype)
    assert series.to_frame()["x"].dtype == dtype
    assert changed(series, 1.0, 0.0, 1.0, 1.0).dtype == dtype


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("values", [(0.5, 1.0, 1.0, 0.0), (1e20, 1.0, 1.0, 0.0)], ids=str)
def test_a_type_gives_way_to_what_it_cannot_hold(dtype, values):
    column = changed(series_of(dtype), *values)
    assert column.dtype == np.float64
    np.testing.assert_array_equal(column, values)


def test_negative_numbers_do_not_wrap():
    assert changed(series_of("uint8"), -1.0, 1.0, 1.0, 0.0).tolist() == [-1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("dtype", ["Int64", "int64[pyarrow]"])
def test_a_gap_stays_one_in_types_that_have_it(dtype):
    column = changed(series_of(dtype), np.nan, 1.0, 1.0, 0.0)
    assert column.dtype == dtype
    assert column.isna().tolist() == [True, False, False, False]
    assert changed(series_of("int64"), np.nan, 1.0, 1.0, 0.0).dtype == np.float64


def test_a_long_table_has_a_row_for_every_filled_value():
    frame = pd.DataFrame(
        {"id": [1, 1, 2, 2], "t": [0, 1, 0, 1], "name": ["a", "b", "a", "b"], "x": [1, 2, 3, 4]}
    )
    series = IrregularSeries.from_frame(frame, id="id", time="t", variable="name", value="x")
    answers = np.full(series.flat_values.shape, 2.5)
    table = filled_table(series, answers, answers - 1, answers + 1)
    assert table["x"].tolist() == [1, 2.5, 2.5, 2, 3, 2.5, 2.5, 4]
    assert table["x_filled"].tolist() == [False, True, True, False] * 2
    assert table["name"].tolist() == ["a", "b"] * 4
    whole = filled_table(series, np.round(answers), np.floor(answers), np.ceil(answers))
    assert [str(whole[name].dtype) for name in ("x", "x_low", "x_high")] == ["int64"] * 3
