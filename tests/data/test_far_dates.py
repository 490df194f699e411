"""Dates and durations beyond nanoseconds, in every form in which tables and lists hold them."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries, Snapshots
from trajinfer.data import TimeAxis

CLOCK = ["1500-01-01", "1600-03-01T12:00", "1650-01-01", "1671-06-01"]
OLD = pd.DatetimeIndex(np.array(CLOCK, "M8[s]"))
PYTHON = [
    datetime(1200, 1, 1),
    datetime(1300, 1, 1, 12),
    datetime(1677, 1, 1),
    datetime(2024, 1, 1),
]
LONG = [timedelta(days=days) for days in (0, 150_000, 200_000, 300_000)]

FORMS = {
    "objects": list(OLD),
    "datetimes": PYTHON,
    "with a zone": [label.replace(tzinfo=UTC) for label in PYTHON],
    "of a zone": [label.tz_localize("UTC").tz_convert("Europe/Berlin") for label in OLD],
    "dates": [date(1200, 1, 1), date(1400, 1, 1), date(1500, 1, 1), date(1600, 1, 1)],
    "numpy": list(OLD.to_numpy()),
    "durations": LONG,
    "numpy durations": [np.timedelta64(label) for label in LONG],
    "periods": pd.period_range("1500-01", periods=4, freq="M"),
    "seconds": pd.period_range("1500-01-01 10:00", periods=4, freq="s"),
    "categories": pd.Categorical(OLD),
    "across 1678": pd.DatetimeIndex(np.array([*CLOCK[:2], "2000-01-01", "2300-01-01"], "M8[ms]")),
    "nanoseconds": pd.DatetimeIndex(["1700-01-01", "1800-01-01", "1990-01-01", "2200-01-01"]),
    "years of six digits": np.array(
        [f"-{years}000-01-01" for years in (200, 190, 180, 100)], "M8[s]"
    ),
}


def microseconds(labels):
    """Whole microseconds since 1970, or the length of durations."""
    if isinstance(labels, pd.PeriodIndex):
        return labels.asfreq("us", how="start").asi8
    if isinstance(labels, pd.Categorical):
        labels = labels.categories
    if isinstance(
        labels, pd.Index
    ):  # is not walked through: pandas 2.3 dies of old dates in a zone
        return labels.as_unit("us").asi8
    kind = "m8[us]" if isinstance(labels[0], (timedelta, np.timedelta64)) else "M8[us]"
    if isinstance(labels[0], datetime):
        labels = [pd.Timestamp(label).to_datetime64() for label in labels]
    return np.array(labels, kind).astype(np.int64)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_a_distance_in_days_and_comes_back(form):
    labels = FORMS[form]
    axis, truth = TimeAxis.of(labels), microseconds(labels)
    numbers = axis.encode(labels)
    start = 0 if axis.kind == "timedelta" else truth.min()
    np.testing.assert_allclose(numbers, (truth - start) / 86_400e6, rtol=1e-14)
    kept = TimeAxis.from_config(axis.to_config())
    assert kept == axis
    np.testing.assert_allclose(microseconds(kept.decode(numbers)), truth, rtol=0, atol=2_000)


@pytest.mark.parametrize("form", ["objects", "with a zone", "durations", "across 1678"])
def test_containers_take_single_dates_and_lists_of_them(form):
    labels = list(FORMS[form])
    table = pd.DataFrame({"t": labels * 2, "i": np.repeat([0, 1], 4), "x": np.arange(8.0)})
    series = IrregularSeries.from_frame(table, id="i", time="t", channels=["x"])
    assert series.until(labels[2]).lengths.tolist() == [3, 3]
    snapshots = Snapshots.from_frame(table[["t", "x"]], time="t")
    assert len(snapshots.select([labels[1]])) == 1
    assert len(snapshots.drop(labels[1:3])) == 2


def test_advice_for_text_of_far_dates_works():
    table = pd.DataFrame({"t": CLOCK, "x": np.arange(4.0)})
    with pytest.raises(InputError, match="convert it with ") as refused:
        Snapshots.from_frame(table, time="t")
    # pandas 3.1 reads such dates by to_datetime, those before it by a type
    remedy = str(refused.value).split("convert it with ")[1]
    table["t"] = eval(remedy, {"column": table["t"], "pandas": pd})
    assert list(Snapshots.from_frame(table, time="t").labels) == list(OLD)


def test_advice_for_dates_written_in_several_ways_works():
    table = pd.DataFrame({"t": ["2020-01-01", "2020-02-03T12:00", "2020-03-01 08:30"], "x": 1.0})
    with pytest.raises(InputError, match="convert it with ") as refused:
        Snapshots.from_frame(table, time="t")
    remedy = str(refused.value).split("convert it with ")[1]
    table["t"] = eval(remedy, {"column": table["t"], "pandas": pd})
    assert len(Snapshots.from_frame(table, time="t")) == 3


def test_spans_beyond_microseconds_are_refused():
    with pytest.raises(InputError, match=r"less than 292 000 years.*give numbers, such as years"):
        TimeAxis.of(OLD).encode(np.array(["-400000-01-01"], "M8[s]"))
