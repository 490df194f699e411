"""Series of darts become series with their times, components and static covariates."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError
from trajinfer.adapters import from_darts

DAYS = pd.date_range("2020-03-01", periods=3, freq="D")


@dataclass
class TimeSeries:
    """What is read of a series of darts, where that is not installed."""

    time_index: object = field(default_factory=DAYS.copy)
    table: object = ((1.0, 4.0), (np.nan, 5.0), (3.0, 6.0))
    components: object = ("load", "price")
    static_covariates: object = None
    n_samples: int = 1

    def values(self):
        return np.array(self.table)


def test_times_values_and_names():
    series = from_darts(TimeSeries())
    assert series.channels == ("load", "price")
    assert list(series.to_frame()["time"]) == list(DAYS)
    np.testing.assert_array_equal(series.values[0], TimeSeries().values())


def test_a_list_of_series_has_statics_of_its_own():
    known = [pd.DataFrame({"size": [k]}, index=["global_components"]) for k in (1.0, 2.0)]
    short = TimeSeries(pd.RangeIndex(5, 7), ((1.0, 2.0), (3.0, 4.0)), static_covariates=known[1])
    long = TimeSeries(pd.RangeIndex(3), static_covariates=known[0])
    series = from_darts([long, short])
    assert series.lengths.tolist() == [3, 2]
    assert series.times[1, :2].tolist() == [5.0, 6.0]
    assert series.static_names == ("size",)
    assert series.statics.ravel().tolist() == [1.0, 2.0]


def test_statics_of_single_components_have_names_of_their_own():
    known = pd.DataFrame({"size": [1.0, 2.0]}, index=["load", "price"])
    series = from_darts(TimeSeries(static_covariates=known))
    assert dict(zip(series.static_names, series.statics[0])) == {"size_load": 1, "size_price": 2}


def test_what_is_no_series_of_darts_is_refused():
    whole = TimeSeries()
    known = pd.DataFrame({"size": [1.0]})
    for given, says in (
        ([], "no series"),
        (pd.DataFrame({"x": [1.0]}), "from_frame"),
        (replace(whole, n_samples=3), "3 sample paths"),
        ([whole, replace(whole, components=("a", "b"))], "the same components"),
        ([whole, replace(whole, static_covariates=known)], "give them to all"),
    ):
        with pytest.raises(InputError, match=says):
            from_darts(given)


def test_series_of_darts_itself():
    darts = pytest.importorskip("darts")
    table = pd.DataFrame({"load": [1.0, np.nan, 3.0], "price": [4.0, 5.0, 6.0]}, index=DAYS)
    known = pd.DataFrame({"size": [2.0]})
    series = from_darts(darts.TimeSeries.from_dataframe(table, static_covariates=known))
    assert series.channels == ("load", "price")
    np.testing.assert_array_equal(series.values[0], table.to_numpy())
    assert series.static_names == ("size",)
