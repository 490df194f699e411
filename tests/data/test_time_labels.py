"""Times as people have them: taken where their meaning is plain, else refused with advice."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer import IrregularSeries, JumpSeries, Snapshots
from trajinfer._core.errors import InputError
from trajinfer._core.packing import pack, unpack
from trajinfer.data import TimeAxis

pytest.importorskip("pyarrow", reason="some of the columns are pyarrow's")

DAYS = np.repeat([0.0, 3.0, 7.0], 2)
DATES = pd.to_datetime(["2024-01-01", "2024-01-04", "2024-01-08"]).repeat(2)


class Column:
    """A column of another library, such as polars."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def to_pandas(self):
        return pd.Series(self.values)


def snapshots_of(times):
    return Snapshots.from_arrays(np.arange(6.0)[:, None], times).times


def snapshots_of_a_table(times):
    return Snapshots.from_frame(pd.DataFrame({"t": times, "x": np.arange(6.0)}), time="t").times


def series_of(times):
    table = pd.DataFrame({"i": [0, 1] * 3, "t": times, "x": np.arange(6.0)})
    return IrregularSeries.from_frame(table, id="i", time="t").times[0]


def paths_of(times):
    table = pd.DataFrame({"i": [0, 1] * 3, "t": times, "s": [0, 1] * 3})
    return JumpSeries.from_frame(table, id="i", time="t", state="s").times[0]


DOORS = [snapshots_of, snapshots_of_a_table, series_of, paths_of]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "times",
    [
        pd.Categorical(DAYS.astype(int)),
        pd.Categorical(DAYS, categories=[7.0, 3.0, 0.0]),
        pd.Categorical(DAYS.astype(int).astype(str)),
        DAYS.astype(int).astype(str),
        pd.Series(DAYS.astype(str), dtype="string"),
        pd.Series(DAYS, dtype="Float64"),
        pd.Series(DAYS.astype(int), dtype=object),
        pd.Series(DAYS, dtype="double[pyarrow]"),
        DATES,
        pd.Series(DATES, dtype=object),
        pd.Series(DATES).astype("category"),
        pd.Series(DATES).astype("timestamp[ns][pyarrow]"),
        pd.Series(DATES.tz_localize("Europe/Paris")).astype("timestamp[us, Europe/Paris][pyarrow]"),
        pd.Series(DATES - DATES[0]).astype("duration[ns][pyarrow]"),
        DATES.to_period("D"),
    ],
    ids=lambda times: f"{type(times).__name__} {times.dtype}",
)
def test_kinds_of_columns_that_are_times(door, times):
    np.testing.assert_array_equal(door(times), [0.0, 3.0, 7.0])


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("dtype", ["object", "date32[pyarrow]"])
@pytest.mark.parametrize("years", [0, 900, -900])
def test_dates_of_a_data_base_are_days(door, dtype, years):
    dates = [day.date().replace(year=day.year + years) for day in DATES]
    column = pd.Series(dates, dtype=dtype)
    np.testing.assert_allclose(np.unique(door(column)), np.unique(DAYS) - DAYS[0])
    with pytest.raises(InputError, match="row 2"):
        door(pd.Series([*dates[:2], None, *dates[3:]], dtype=dtype))


def test_columns_of_other_libraries_and_tensors():
    for times in (Column(DAYS), torch.tensor(DAYS), torch.tensor(DAYS, dtype=torch.float32)):
        np.testing.assert_array_equal(snapshots_of(times), [0.0, 3.0, 7.0])


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_short_floats_are_the_decimals_they_are_written_as(door, dtype):
    times = np.repeat(np.array([0.1, 0.3, 0.7], dtype=dtype), 2)
    if dtype == np.float16:
        times = pd.Series(times.astype(np.float32)) if door is not snapshots_of else times
    found = door(times)
    if dtype == np.float32 or door is snapshots_of:
        np.testing.assert_array_equal(found, [0.1, 0.3, 0.7])
    axis = TimeAxis.of(np.float32([0.1, 0.3]))
    labels = axis.decode(axis.encode(np.float32([0.1, 0.3])))
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, np.float32([0.1, 0.3]))


def advice(message, column):
    """What the last expression about `column` in a message gives, when it is followed."""
    (expression,) = re.findall(r"(?:pandas\.\w+\(column\)|column\..*)$", message)
    names = {"column": column, "pandas": pd, "float": float}
    return eval(expression, {"__builtins__": {}}, names)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([f"day {day:.0f}" for day in DAYS], [0.0, 3.0, 7.0]),
        (DATES.strftime("%Y-%m-%d"), [0.0, 3.0, 7.0]),
        (DATES.strftime("%d %B %Y"), [0.0, 3.0, 7.0]),
    ],
)
def test_advice_that_is_followed_works(door, times, expected):
    column = pd.Series(times)
    with pytest.raises(InputError, match=re.escape(f"such as {column[0]!r} in row 0")) as refusal:
        door(column)
    np.testing.assert_array_equal(door(advice(str(refusal.value), column)), expected)


def test_names_of_stages_are_to_be_mapped():
    stages = pd.Series(["early", "early", "late", "late", "last", "last"])
    with pytest.raises(InputError, match=r"column.map\(\{'early': 0.0, ...\}\)"):
        snapshots_of(stages)
    mapped = stages.map({"early": 0.0, "late": 1.0, "last": 2.0})
    np.testing.assert_array_equal(snapshots_of(mapped), [0.0, 1.0, 2.0])


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "times",
    [
        pd.Categorical(["a", None, "b", "b", "c", "c"]),
        pd.Series(["x", None, "y", "y", "z", "z"]),
        pd.Series([*DATES[:1], pd.NaT, *DATES[2:]]),
    ],
)
def test_rows_without_a_time_are_named(door, times):
    with pytest.raises(InputError, match=r"1 of 6 rows, the first of them row 1 .*drop these rows"):
        door(times)


FAR = [
    np.array(["1500-01-01", "1600-01-01", "1650-01-01"], dtype="M8[s]"),
    np.array(["2300-01-01T00:00:00.5", "2301-01-01", "2400-03-01"], dtype="M8[ms]"),
    np.array(["0900-01-01", "1500-06-01", "2290-01-01"], dtype="M8[us]"),
]


@pytest.mark.parametrize("times", FAR)
def test_dates_beyond_nanoseconds_come_back(times):
    axis = TimeAxis.of(times)
    numbers = axis.encode(times)
    np.testing.assert_array_equal(axis.decode(numbers).to_numpy(), times)
    days = (times - times[0]) / np.timedelta64(1, "D")
    np.testing.assert_allclose(numbers, days, rtol=1e-14)
    between = axis.decode([numbers.mean()])
    assert times[0] < between.to_numpy()[0] < times[-1]
    kept = TimeAxis.from_config(axis.to_config())
    assert kept == axis
    np.testing.assert_array_equal(kept.decode(numbers).to_numpy(), times)
    np.testing.assert_array_equal(axis.queries(times, 1)[0], numbers)


@pytest.mark.parametrize("times", FAR)
def test_containers_of_far_dates_write_their_table(times):
    table = pd.DataFrame({"i": 0, "t": times, "x": [1.0, 2.0, 3.0], "s": [0, 1, 0]})
    snapshots = Snapshots.from_frame(table, time="t", features=["x"])
    np.testing.assert_array_equal(snapshots.to_frame()["t"].to_numpy(), times)
    series = IrregularSeries.from_frame(table, id="i", time="t", channels=["x"])
    np.testing.assert_array_equal(series.to_frame()["t"].to_numpy(), times)
    assert series.until(times[1]).lengths.tolist() == [2]
    paths = JumpSeries.from_frame(table, id="i", time="t", state="s")
    np.testing.assert_array_equal(paths.to_frame()["time"].to_numpy(), times)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("first", range(48))
def test_an_origin_in_an_hour_that_comes_twice_is_kept(zone, first):
    """Every half hour around the end of summer time."""
    ends = {
        "Europe/Berlin": "2024-10-26 14:00",
        "America/New_York": "2024-11-02 20:00",
        "Australia/Lord_Howe": "2024-04-06 04:00",
    }
    start = pd.Timestamp(ends[zone], tz="UTC") + first * pd.Timedelta("30min")
    times = pd.date_range(start, periods=3, freq="h").tz_convert(zone)
    axis = TimeAxis.of(times, "h")
    for kept in (
        TimeAxis.from_config(axis.to_config()),
        unpack(pack(axis, tensors := {}, "axis"), tensors),
    ):
        assert kept.origin == axis.origin
        assert (kept.decode([0.0, 1.0, 2.0]) == times).all()


def test_axes_of_version_0_1_are_read():
    config = {
        "kind": "datetime",
        "unit": "D",
        "origin": "2024-05-01T02:00:00",
        "integral": False,
        "dtype": "datetime64[ns, Europe/Berlin]",
    }
    assert TimeAxis.from_config(config).origin == pd.Timestamp(
        "2024-05-01 02:00", tz="Europe/Berlin"
    )
