"""Columns that nobody named: numbers are taken, the rest is named or refused, at every door."""

import io
import re
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries, Snapshots
from trajinfer._core.errors import UnusedColumnsWarning


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.repeat(range(6), 8),
            "t": np.tile(np.arange(8.0), 6),
            "hr": rng.normal(70, 5, 48).round(1),
            "bp": rng.normal(120, 9, 48).round(1),
        }
    )


def series(frame):
    return IrregularSeries.from_frame(frame, id="id", time="t").channels


def snapshots(frame):
    return Snapshots.from_frame(frame.drop(columns="id"), time="t").features


def named_series(frame, names):
    return IrregularSeries.from_frame(frame, id="id", time="t", channels=names).channels


def named_snapshots(frame, names):
    return Snapshots.from_frame(frame, time="t", features=names).features


DOORS = pytest.mark.parametrize("door", [series, snapshots])


@DOORS
def test_a_table_of_numbers_is_taken_without_a_word(door, table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert door(table) == ("hr", "bp")
        assert door(table.convert_dtypes()) == ("hr", "bp")


@DOORS
@pytest.mark.parametrize(
    "column",
    [
        "someone",
        True,
        pd.Timestamp("2024-01-01"),
        pd.Timedelta("1D"),
        1j,
        None,
        pd.Categorical(["a"] * 48),
    ],
    ids=["text", "truth", "date", "duration", "complex", "nothing", "category"],
)
def test_columns_that_are_no_numbers_are_named(door, table, column):
    table["other"] = column
    with pytest.warns(UserWarning, match="columns left out, not numeric: other; name") as caught:
        assert door(table) == ("hr", "bp")
    assert caught[0].filename == __file__


@DOORS
@pytest.mark.parametrize("cell", ["-", "n/a", "<0.1", "12,5", "seventy"])
@pytest.mark.parametrize("n_cells", [1, 20])
def test_a_column_of_numbers_but_for_some_cells_is_refused(door, table, cell, n_cells):
    table["hr"] = table["hr"].astype(object)
    table.loc[4 : 3 + n_cells, "hr"] = cell
    table["hr"] = table["hr"].astype(str)
    message = f"'hr' holds numbers but for {n_cells} of 48 cells, such as '{cell}' in row 4"
    with pytest.raises(InputError, match=message):
        door(table)


@pytest.mark.parametrize("door", [named_series, named_snapshots])
def test_a_column_that_was_asked_for_and_is_no_number_names_its_first_text(door, table):
    table["hr"] = table["hr"].astype(object)
    table.loc[4, "hr"] = "-"
    with pytest.raises(InputError, match="column 'hr' is not numeric, such as '-' in row 4"):
        door(table, ["hr"])
    assert door(table, ["bp"]) == ("bp",)


@DOORS
def test_a_column_of_codes_is_text_although_some_are_numbers(door, table):
    table["code"] = ["A1", "12", "B7", "K"] * 12
    with pytest.warns(UserWarning, match="not numeric: code"):
        assert door(table) == ("hr", "bp")


@DOORS
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("part", [slice(None), slice(3, None, 2)])
def test_an_index_that_was_written_along_is_recognised(door, table, times, part):
    table = table[part]
    for _ in range(times):
        table = pd.read_csv(io.StringIO(table.to_csv()))
    with pytest.warns(UserWarning, match="an index of rows: Unnamed: 0"):
        assert door(table) == ("hr", "bp")


@DOORS
@pytest.mark.parametrize("name", ["index", "level_0", "rownames"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_of_rows_by_a_usual_name_is_recognised(door, table, name, first):
    table[name] = np.arange(first, 48 + first)
    with pytest.warns(UserWarning, match=f"an index of rows: {name}"):
        assert door(table) == ("hr", "bp")


@DOORS
def test_a_number_called_index_that_does_not_count_is_a_channel(door, table):
    table["index"] = table["hr"].round().astype(int)
    assert door(table) == ("hr", "bp", "index")


@pytest.mark.parametrize("door", [named_series, named_snapshots])
def test_an_index_that_is_asked_for_is_taken(door, table):
    table["index"] = np.arange(48)
    assert door(table, ["index"]) == ("index",)


@pytest.mark.parametrize("named", [named_series, named_snapshots])
@pytest.mark.parametrize("dtype", [object, "boolean", bool])
def test_truth_values_that_are_asked_for_are_numbers(named, table, dtype):
    table["flag"] = pd.array([True, False] * 24, dtype=dtype)
    assert named(table, ["hr", "flag"]) == ("hr", "flag")


def test_truth_values_with_gaps_are_numbers_with_gaps(table):
    table["flag"] = np.array([True, None, False, True] * 12, dtype=object)
    read = IrregularSeries.from_frame(table, id="id", time="t", channels=["flag"])
    np.testing.assert_array_equal(read.flat_values[:4, 0], [1.0, np.nan, 0.0, 1.0])


class ForeignTable:
    """A table of a library with a type that pandas does not have."""

    columns = ("id", "t", "big")
    schema: ClassVar = {"id": "Int64", "t": "Float64", "big": "Int128"}

    def __init__(self, names=columns):
        self.names = names

    def select(self, names):
        return ForeignTable(names)

    def to_pandas(self):
        if "big" in self.names:
            raise ValueError("unsupported format string")
        return pd.DataFrame({name: [0.0, 1.0] for name in self.names})


def whole_snapshots(frame):
    return Snapshots.from_frame(frame, time="t")


@pytest.mark.parametrize("door", [series, whole_snapshots])
def test_a_column_that_pandas_cannot_hold_is_named(door):
    with pytest.raises(InputError, match="for its columns 'big' of Int128"):
        door(ForeignTable())


def test_names_that_cannot_be_told_apart_are_refused(table):
    pyarrow = pytest.importorskip("pyarrow")
    lists = pd.ArrowDtype(pyarrow.list_(pyarrow.int64()))
    table["id"] = pd.array([[1], [2]] * 24, dtype=lists)
    with pytest.raises(InputError, match="'id'"):
        series(table)


WRITTEN = {
    "text": ["1.5", "2", None, "-3e2"] * 12,
    "commas": ["1,5", "2", None, "-3,25"] * 12,
    "a dash": ["1.5", "2", "-", "3"] * 12,
    "words": ["yes", "no", "yes", None] * 12,
    "dates": pd.to_datetime(["2024-01-01", "2024-01-02"] * 24),
    "durations": pd.to_timedelta([1, 2] * 24, unit="h"),
    "categories": pd.Categorical([1.5, 2.0] * 24),
    "categories of text": pd.Categorical(["1.5", "2"] * 24),
}


@pytest.mark.parametrize("kind", list(WRITTEN))
@pytest.mark.parametrize("door", [named_series, named_snapshots])
def test_the_way_to_numbers_that_is_told_leads_there(door, kind, table):
    table["x"] = WRITTEN[kind]
    with pytest.raises(InputError, match="'x' is not numeric") as refusal:
        door(table, ["x", "bp"])
    told = re.search(
        r"((pandas\.|\(?df\[).*?)(, or leave it out|; or leave it out|$)", str(refusal.value)
    )
    made = eval(told[1], {"pandas": pd, "df": table})
    if isinstance(made, pd.DataFrame):
        names = [name for name in made.columns if str(name).startswith("x_")]
        assert len(names) == 2
        table = made
    else:
        table["x"], names = made, ["x"]
    if kind == "dates":
        assert sorted(set(table["x"])) == [0, 24]
    if kind == "durations":
        assert sorted(set(table["x"])) == [1, 2]
    kept = table.dropna(subset=names)
    assert door(kept, [*names, "bp"]) == (*names, "bp")


@pytest.mark.parametrize("kind", ["text", "commas"])
@pytest.mark.parametrize("door", [series, snapshots])
def test_a_column_of_written_numbers_is_not_left_out(door, kind, table):
    table["x"] = WRITTEN[kind]
    with pytest.raises(InputError, match="'x' holds numbers as text"):
        door(table)
    table["x"] = [f"00{k}" for k in range(48)]  # names of something
    with pytest.warns(UnusedColumnsWarning, match="not numeric: x"):
        assert door(table) == ("hr", "bp")
