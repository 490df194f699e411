"""Times ahead follow the rhythm of those observed; dates are told from the calendar itself."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import IrregularSeries
from trajinfer.forecasting import times_ahead


def series_at(times, n=1):
    return IrregularSeries.from_arrays(times, np.ones((n, len(times))))


def ahead(times, horizon):
    series = series_at(times)
    return pd.Index(series.axis.decode(times_ahead(series, horizon)[0]))


WEEKDAYS = pd.bdate_range("2023-01-02", "2023-06-30")


def without(index, *places):
    return index.delete(list(places))


@pytest.mark.parametrize(
    ("times", "horizon", "expected"),
    [
        (WEEKDAYS, "14D", pd.bdate_range("2023-07-03", "2023-07-14")),
        # holidays are left out, and one Saturday was worked
        (
            without(WEEKDAYS, 4, 70, 71).union([pd.Timestamp("2023-03-04")]),
            "7D",
            pd.bdate_range("2023-07-03", "2023-07-07"),
        ),
        (
            pd.date_range("2023-01-01", periods=40),
            "3D",
            pd.date_range("2023-02-10", periods=3),
        ),
        (
            pd.date_range("2020-01-01", periods=30, freq="MS"),
            "100D",
            ["2022-07-01", "2022-08-01", "2022-09-01"],
        ),
        (pd.date_range("2020-01-31", periods=24, freq="ME"), "70D", ["2022-01-31", "2022-02-28"]),
        (pd.date_range("2015-01-01", periods=20, freq="QS"), "200D", ["2020-01-01", "2020-04-01"]),
        (pd.date_range("2001-01-01", periods=12, freq="YS"), "800D", ["2013-01-01", "2014-01-01"]),
        (pd.date_range("2020-01-06", periods=30, freq="7D"), "14D", ["2020-08-03", "2020-08-10"]),
        (np.arange(1990, 2010), 3, [2010, 2011, 2012]),
        # runs on some days, and counts at some whole hours
        (
            pd.Timestamp("2024-03-01") + pd.to_timedelta([0, 1, 4, 6, 7, 11, 18, 20], unit="D"),
            "3D",
            ["2024-03-22", "2024-03-23", "2024-03-24"],
        ),
        (np.array([0.0, 2.5, 3.0, 5.5, 9.0, 10.0, 14.5]), 1.2, [15.0, 15.5]),
        (np.arange(10) * 0.1, 0.2, [1.0, 1.1]),
        (
            pd.to_timedelta(np.arange(9) * 5, unit="min"),
            "10min",
            pd.to_timedelta([45, 50], unit="min"),
        ),
    ],
)
def test_times_ahead_are_those_of_the_calendar(times, horizon, expected):
    found = ahead(times, horizon)
    kind = type(found)
    if kind is pd.Index:
        np.testing.assert_allclose(found, expected)
    else:
        assert list(found) == list(kind(expected))


def hours_of_trade(start, weeks, zone):
    days = pd.bdate_range(start, periods=5 * weeks, tz=zone)
    return pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in days for h in range(10, 15)])


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_hours_of_weekdays_are_those_of_the_clock(zone):
    """Also over the end of summer time, on 29 October 2023."""
    times = hours_of_trade("2023-09-04", 8, zone)
    found = ahead(times, "169h")
    assert list(found) == list(hours_of_trade("2023-10-30", 1, zone))


@pytest.mark.parametrize(
    "times",
    [
        np.array([0.0, 1.0, 1.3, 4.0, 9.0, 11.0, 11.5]),
        pd.to_datetime("2023-01-01") + pd.to_timedelta([0, 3, 4, 11, 30.2, 31, 47], unit="D"),
        np.array([0.0, 1.0]),
    ],
)
def test_where_there_is_no_rhythm_the_horizon_is_cut_into_20(times):
    series = series_at(times)
    steps = np.diff([series.last_times[0], *times_ahead(series, 10.0)[0]])
    np.testing.assert_allclose(steps, np.full(20, 0.5))


def test_long_horizons_leave_times_out_and_keep_the_last():
    found = ahead(pd.bdate_range("2020-01-06", periods=300), "365D")
    assert len(found) <= 60
    assert set(found.dayofweek) <= set(range(5))
    assert pd.Timestamp("2021-02-26") + pd.Timedelta("362D") <= found[-1]
    assert len(set(np.diff(found.to_series().rank()))) == 1


def test_a_horizon_before_the_next_time_is_cut_into_20():
    assert len(ahead(WEEKDAYS, "2D")) == 20  # from Friday


def test_every_series_goes_on_from_its_own_end():
    table = pd.DataFrame({"id": [0] * 5 + [1] * 9, "t": [*range(5), *range(9)], "x": 1.0})
    series = IrregularSeries.from_frame(table, id="id", time="t")
    assert times_ahead(series, 2.0).tolist() == [[5.0, 6.0], [9.0, 10.0]]


def test_weekdays_of_many_years_are_found_at_once():
    times = pd.bdate_range("1980-01-01", "2020-12-31")
    found = ahead(times, "30D")
    assert list(found) == list(pd.bdate_range("2021-01-01", periods=len(found)))
    assert len(found) == 21
