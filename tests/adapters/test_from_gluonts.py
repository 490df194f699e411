"""Entries of GluonTS become series with their times, holes, names and features."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError
from trajinfer.adapters import from_gluonts


def entry(**fields):
    return {"start": pd.Period("2020-01", "M"), "target": [1.0, np.nan, 3.0]} | fields


def test_times_values_and_holes_are_those_of_the_entry():
    series = from_gluonts([entry(item_id="a"), entry(item_id="b", target=[5.0, 6.0])])
    table = series.to_frame()
    assert list(table.columns) == ["id", "time", "x0"]
    assert list(table["id"]) == ["a"] * 3 + ["b"] * 2
    assert list(table["time"].iloc[:3]) == list(pd.date_range("2020-01", periods=3, freq="MS"))
    np.testing.assert_array_equal(table["x0"], [1.0, np.nan, 3.0, 5.0, 6.0])


def test_targets_of_several_channels_and_features():
    series = from_gluonts(
        [
            entry(
                target=[[1.0, 2.0], [3.0, 4.0]],
                feat_dynamic_real=[[7.0, 8.0, 9.0]],  # goes on beyond the target
                feat_static_cat=[2],
                feat_static_real=[0.5],
            )
        ],
        channels=["load", "price"],
    )
    assert series.channels == ("load", "price", "feat_dynamic_real0")
    np.testing.assert_array_equal(series.values[0], [[1.0, 3.0, 7.0], [2.0, 4.0, 8.0]])
    assert dict(zip(series.static_names, series.statics[0])) == {
        "feat_static_real0": 0.5,
        "feat_static_cat0": 2,
    }


def test_dates_need_a_step():
    dated = entry(start=pd.Timestamp("2020-01-05"))
    with pytest.raises(InputError, match="freq="):
        from_gluonts([dated])
    times = from_gluonts([dated], freq="D").to_frame()["time"]
    assert list(times) == list(pd.date_range("2020-01-05", periods=3, freq="D"))


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "no entries"),
        ([{"target": [1.0]}], "no 'start'"),
        ([["target"]], "give mappings"),
        ([entry(target="much")], "must hold numbers"),
        ([entry(target=[])], r"\(T,\) or \(C, T\)"),
        ([entry(), entry(target=[[1.0], [2.0]])], "as many channels"),
        ([entry(feat_dynamic_real=[[1.0]])], "has 1 times, its target 3"),
        ([entry(feat_static_real=[1.0]), entry()], "one length"),
    ],
    ids=["empty", "start", "kind", "text", "no values", "channels", "short", "statics"],
)
def test_other_entries_are_refused(entries, says):
    with pytest.raises(InputError, match=says):
        from_gluonts(entries)
