"""Quarters, weeks and months as text are the dates on which they begin, at every door."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries, JumpSeries, Snapshots
from trajinfer.data.calendar import period_starts


def test_quarters_and_months_begin_where_pandas_says():
    quarters = pd.period_range("1999Q3", periods=9, freq="Q")
    text = [f"{period.year} Q{period.quarter}" for period in quarters]
    assert (period_starts(text) == quarters.to_timestamp()).all()
    months = pd.period_range("1999-11", periods=14, freq="M")
    assert (period_starts(months.strftime("%Y %b")) == months.to_timestamp()).all()
    assert (period_starts(months.strftime("%Y-%B")) == months.to_timestamp()).all()


def test_weeks_are_those_of_iso_8601():
    mondays = pd.date_range("2003-12-29", periods=120, freq="7D")
    calendar = mondays.isocalendar()
    text = [f"{year} W{week:02d}" for year, week in zip(calendar.year, calendar.week)]
    assert (period_starts(text) == mondays).all()


@pytest.mark.parametrize(
    "labels", [["1999 Q5"], ["2003 W54"], ["1999 Foo"], ["c4000BC"], ["1999 Q1", "x"], [1, 2], []]
)
def test_other_labels_are_left_alone(labels):
    assert period_starts(labels) is None


def test_what_is_missing_stays_missing():
    starts = period_starts(["1999 Q2", None])
    assert starts[0] == pd.Timestamp("1999-04-01")
    assert pd.isna(starts[1])


def test_every_container_reads_quarters():
    table = pd.DataFrame({"quarter": ["1999 Q1", "1999 Q2", "1999 Q4"], "x": [1.0, 2.0, 3.0]})
    starts = pd.to_datetime(["1999-01-01", "1999-04-01", "1999-10-01"])
    series = IrregularSeries.from_frame(table, id=None, time="quarter")
    assert (series.axis.decode(series.times[0]) == starts).all()
    path = JumpSeries.from_frame(table, id=None, time="quarter", state="x")
    assert (path.axis.decode(path.times[0]) == starts).all()
    assert (Snapshots.from_frame(table, time="quarter").labels == starts).all()
    assert series.until("1999 Q2").lengths.tolist() == [2]


def test_missing_quarters_are_refused():
    table = pd.DataFrame({"quarter": ["1999 Q1", None], "x": [1.0, 2.0]})
    with pytest.raises(InputError, match="missing times"):
        IrregularSeries.from_frame(table, id=None, time="quarter")


def test_a_table_without_names_is_one_series_and_comes_back():
    table = pd.DataFrame({"day": [0, 2, 5], "x": [1.0, np.nan, 3.0], "y": [4.0, 5.0, 6.0]})
    series = IrregularSeries.from_frame(table, id=None, time="day")
    assert len(series) == 1
    pd.testing.assert_frame_equal(series.to_frame(), table)


def test_a_covariate_of_the_only_path_is_named_without_a_path():
    table = pd.DataFrame({"day": [0, 1], "state": ["a", "b"], "dose": [1.0, np.nan]})
    with pytest.raises(InputError, match="no number in row 1; carry"):
        JumpSeries.from_frame(table, id=None, time="day", state="state", covariates=["dose"])
