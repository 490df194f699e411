"""The container of discrete paths: what goes in comes out, and bad input is named."""

import numpy as np
import pandas as pd
import pytest

from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries


def test_frame_round_trip_with_all_kinds():
    df = pd.DataFrame(
        {
            "id": ["a", "a", "a", "b", "b"],
            "time": pd.to_datetime(
                ["2020-01-01", "2020-01-03", "2020-02-01", "2020-01-01", "2020-01-02"]
            ),
            "state": ["well", ["ill", "well"], "dead", "well", None],
            "observation": ["snapshot", "censored", "absorption", "snapshot", "snapshot"],
        }
    )
    series = JumpSeries.from_frame(
        df, id="id", time="time", state="state", observation="observation"
    )
    out = series.to_frame()
    assert series.categories == ("dead", "ill", "well")
    assert list(out["time"]) == list(df["time"])
    assert set(out["state"][1]) == {"ill", "well"}
    assert list(out["observation"]) == list(df["observation"])
    assert out["state"][4] is None
    assert series.n_observations == 4


def test_rows_are_put_in_order_and_padded():
    df = pd.DataFrame({"id": [2, 1, 2], "t": [5.0, 1.0, 3.0], "s": [1, 0, 0]})
    series = JumpSeries.from_frame(df, id="id", time="t", state="s")
    assert series.ids == (2, 1)
    assert series.times.tolist() == [[3.0, 5.0], [1.0, 1.0]]
    assert series.states.tolist() == [[0, 1], [0, -1]]
    assert series.lengths.tolist() == [2, 1]


def test_indexing_keeps_paths_whole():
    series = JumpSeries.from_arrays([[0, 1, 2], [0, 3]], [[0, 1, 0], [1, 1]])
    assert series[1].times.tolist() == [[0.0, 3.0]]
    assert len(series[np.array([0, 0, 1])]) == 3
    assert series[:1].states.tolist() == [[0, 1, 0]]


def test_lists_arrays_and_tensors_agree():
    torch = pytest.importorskip("torch")
    states = np.array([[0, 1, 1], [2, 0, 1]])
    one = JumpSeries.from_arrays([0.0, 1.0, 2.0], states)
    two = JumpSeries.from_arrays([[0, 1, 2], [0, 1, 2]], states.tolist())
    three = JumpSeries.from_arrays(torch.arange(3.0), torch.as_tensor(states))
    for other in (two, three):
        assert np.array_equal(one.states, other.states)
        assert np.array_equal(one.times, other.times)


def test_missing_labels_as_none_or_nan():
    for missing in (None, np.nan):
        series = JumpSeries.from_arrays([0.0, 1.0, 2.0], [[0, missing, 1]])
        assert series.states.tolist() == [[0, -1, 1]]


def test_categories_of_a_categorical_column_are_kept():
    column = pd.Categorical(["x", "z"], categories=["z", "y", "x"])
    df = pd.DataFrame({"id": [0, 0], "t": [0, 1], "s": column})
    series = JumpSeries.from_frame(df, id="id", time="t", state="s")
    assert series.categories == ("z", "y", "x")
    assert series.states.tolist() == [[2, 0]]


@pytest.mark.parametrize(
    ("times", "states", "options", "message"),
    [
        ([0.0, 2.0, 1.0], [[0, 1, 0]], {}, "increase strictly"),
        ([0.0, 1.0, 1.0], [[0, 1, 0]], {}, "repeated"),
        ([0.0, 1.0], [[0, -1]], {}, "negative"),
        ([0.0, 1.0], [[0, 0.5]], {}, "whole number"),
        ([0.0, np.nan], [[0, 1]], {}, "finite"),
        ([0.0, 1.0, 2.0], [[0, 1]], {}, "disagree"),
        ([0.0, 1.0], [[0, 1]], {"observation": [["snapshot", "jmp"]]}, "did you mean 'jump'"),
        ([0.0, 1.0], [[0, 1]], {"observation": [["snapshot", "censored"]]}, "list of labels"),
        ([0.0, 1.0], [[0, 3]], {"categories": [0, 1]}, "not in categories"),
        ([0.0, 1.0], [[0, "a"]], {}, "mix"),
        ([[0.0], []], [[0], []], {}, "no observation"),
    ],
)
def test_bad_input_is_named(times, states, options, message):
    with pytest.raises(InputError, match=message):
        JumpSeries.from_arrays(times, states, **options)


def test_unknown_column_names_the_nearest():
    df = pd.DataFrame({"id": [0], "time": [0.0], "state": [1]})
    with pytest.raises(InputError, match="did you mean 'state'"):
        JumpSeries.from_frame(df, id="id", time="time", state="stat")


def test_parts_are_joined():
    series = JumpSeries.from_arrays([[0, 1, 2], [0, 3]], [["a", "b", "a"], ["b", None]])
    again = JumpSeries.concatenate([series[1], series[0]])
    assert again.to_frame().equals(series[[1, 0]].to_frame())
    assert again.lengths.tolist() == [2, 3]
    with pytest.raises(InputError, match="different labels"):
        JumpSeries.concatenate([series, JumpSeries.from_arrays([0.0, 1.0], [["a", "c"]])])


@pytest.mark.parametrize(
    "labels",
    [
        [b"a", b"b", b"a"],
        [pd.Interval(0, 1), pd.Interval(1, 2), pd.Interval(0, 1)],
        ["a", "b", "a"],
        [True, False, True],
    ],
)
def test_plain_labels_of_any_kind(labels):
    """As a list, an array, a column and a category."""
    table = pd.DataFrame({"i": 0, "t": [0, 1, 2], "s": pd.Series(labels, dtype=object)})
    column = pd.Series(labels, dtype=object).astype("category")
    for series in (
        JumpSeries.from_arrays([0, 1, 2], [labels]),
        JumpSeries.from_arrays([0, 1, 2], labels),
        JumpSeries.from_arrays([0, 1, 2], np.array(labels)[None]),
        JumpSeries.from_frame(table, id="i", time="t", state="s"),
        JumpSeries.from_frame(table.assign(s=column), id="i", time="t", state="s"),
    ):
        assert series.categories == tuple(sorted(set(labels)))
        assert list(series.to_frame()["state"]) == labels


DATE, DURATION = pd.Timestamp("2024-01-01"), pd.Timedelta("1D")


@pytest.mark.parametrize(
    "labels",
    [
        [DATE, DATE],
        [DATE.to_pydatetime(), None],
        [DURATION, DURATION],
        np.array(["2024-01-01", "2024-01-02"], "M8[s]"),
        np.array([1, 2], "m8[ns]"),
        [[DATE, DATE], DATE],
    ],
)
def test_dates_are_no_states(labels):
    with pytest.raises(InputError, match="date or a duration; states are"):
        JumpSeries.from_arrays([0, 1], [labels])
    table = pd.DataFrame({"i": 0, "t": [0, 1], "s": pd.Series(list(labels))})
    with pytest.raises(InputError, match="date or a duration; states are"):
        JumpSeries.from_frame(table, id="i", time="t", state="s")


def test_categories_that_repeat_are_refused():
    for categories in (["a", "b", "a"], [0, 1.0, 1]):
        with pytest.raises(InputError, match="twice; name each state once"):
            JumpSeries.from_arrays([0, 1], [[0, 1]], categories=categories)
