"""Windows: pieces are what their definition says, and answers come back to where they belong."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import IrregularSeries
from trajinfer._core.errors import InputError
from trajinfer.data import Windows


def record(n=50, zone=None, seed=0):
    """A table of one long record with gaps between its times and cells missing."""
    rng = np.random.default_rng(seed)
    hours = np.sort(rng.choice(4 * n, n, replace=False)) + 7
    times = pd.Timestamp("2024-03-05", tz=zone) + pd.to_timedelta(hours, unit="h")
    values = rng.normal(size=(n, 2))
    values[rng.random((n, 2)) < 0.2] = np.nan
    return pd.DataFrame({"when": times, "a": values[:, 0], "b": values[:, 1]})


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
@pytest.mark.parametrize("length", ["1D", "6h"])
def test_windows_of_dates_are_those_of_pandas(length, zone):
    table = record(zone=zone)
    windows = Windows.cut(IrregularSeries.from_frame(table, id=None, time="when"), length)
    grouped = table.groupby(table["when"].dt.floor(length))
    assert windows.pieces.lengths.tolist() == grouped.size().tolist()
    for i, (start, rows) in enumerate(grouped):
        assert pd.Timestamp(windows.pieces.ids[i]) == start
        since = (rows["when"] - start) / pd.Timedelta("1D")
        assert windows.pieces.times[i, : len(rows)] == pytest.approx(since.to_numpy(), abs=1e-12)
        np.testing.assert_array_equal(
            windows.pieces.values[i, : len(rows)], rows[["a", "b"]].to_numpy()
        )


def test_edges_of_numbers_are_met_in_spite_of_rounding():
    times = np.arange(12) * 0.1
    windows = Windows.cut(IrregularSeries.from_arrays(times, times[None]), 0.3)
    assert windows.pieces.lengths.tolist() == [3, 3, 3, 3]
    assert windows.pieces.times == pytest.approx(np.tile([0.0, 0.1, 0.2], (4, 1)))
    assert (windows.pieces.times == windows.pieces.times[0]).all()


@pytest.mark.parametrize("step", ["1h", "7min", "48s"])
def test_the_same_hour_of_every_day_is_the_same_number(step):
    times = pd.date_range("2024-03-05 00:00", "2024-03-08 23:59", freq=step)
    windows = Windows.cut(IrregularSeries.from_arrays(times, np.zeros((1, len(times)))), "1D")
    hours = {tuple(row[own]) for row, own in zip(windows.pieces.times, windows.pieces.present)}
    clock = {tuple(rows.dt.time) for _, rows in times.to_series().groupby(times.date)}
    assert len(hours) == len(clock)


def test_numbers_below_zero_have_windows_too():
    series = IrregularSeries.from_arrays([-3.0, -1.0, 0.0, 1.0], [[1.0, 2, 3, 4]])
    windows = Windows.cut(series, 2)
    assert windows.pieces.lengths.tolist() == [1, 1, 2]
    assert windows.pieces.flat_times.tolist() == [1, 1, 0, 1]


def test_series_keep_their_windows_labels_and_statics_apart():
    series = IrregularSeries.from_arrays(
        [np.array([0.0, 1, 5]), np.array([1.0, 4])],
        [np.array([1.0, 2, 3]), np.array([4.0, 5])],
        labels=["u", "v"],
        statics=[[7.0], [8.0]],
        ids=["p", "q"],
    )
    pieces = Windows.cut(series, 4).pieces
    assert pieces.ids == ("p 0.0", "p 4.0", "q 0.0", "q 4.0")
    assert pieces.labels.tolist() == ["u", "u", "v", "v"]
    assert pieces.statics[:, 0].tolist() == [7, 7, 8, 8]


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_answers_come_back_to_their_entries(shape):
    tables = [record(seed=k).assign(who=f"w{k}") for k in range(3)]
    series = IrregularSeries.from_frame(pd.concat(tables), id="who", time="when")
    windows = Windows.cut(series, "1D")
    flat = np.random.default_rng(1).normal(size=(len(series.flat_times), *shape))
    joined = windows.joined(windows.pieces.layout.pad(flat, np.nan))
    np.testing.assert_array_equal(joined, series.layout.pad(flat, np.nan))
    assert windows.joined(windows.pieces.present).dtype == bool
    with pytest.raises(InputError, match="shape"):
        windows.joined(joined)


@pytest.mark.parametrize("long", [False, True], ids=["wide", "long"])
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_table_of_the_pieces_becomes_one_of_the_whole(long, many):
    table = record().dropna()
    table["who"] = np.repeat(["q", "p"], len(table) // 2 + 1)[: len(table)] if many else 3
    words = {"id": "who" if many else None, "time": "when"}
    if long:
        table = table.melt(["when", "who"], ["a", "b"], "what", "value")
        words |= {"variable": "what", "value": "value"}
    else:
        words |= {"channels": ["a", "b"]}
    series = IrregularSeries.from_frame(table, **words)
    windows = Windows.cut(series, "12h")
    cut = windows.pieces.to_frame()
    assert cut["who" if many else "window"].nunique() == len(windows.pieces)
    joined = windows.joined_table(cut)
    pd.testing.assert_frame_equal(joined, series.to_frame())
    with pytest.raises(InputError, match="not of these windows"):
        windows.joined_table(series.to_frame())
    with pytest.raises(InputError, match="not of these windows"):
        windows.joined_table(windows.pieces.to_frame().iloc[1:])


@pytest.mark.parametrize("name", [None, "who"])
def test_series_that_are_their_own_pieces_keep_their_table(name):
    table = record().assign(who="a")
    series = IrregularSeries.from_frame(table, id=name, time="when", channels=["a", "b"])
    filled = series.to_frame()
    pd.testing.assert_frame_equal(Windows(series, series).joined_table(filled), filled)


def test_windows_without_an_observation_teach_nothing_and_are_kept():
    values = np.array([[1.0, 2, np.nan, np.nan, 5, 6]])
    windows = Windows.cut(IrregularSeries.from_arrays(np.arange(6.0), values), 2)
    assert windows.pieces.ids == ("0.0", "2.0", "4.0")
    assert windows.observed.ids == ("0.0", "4.0")


@pytest.mark.parametrize(
    ("length", "says"),
    [("1h", "holds two times"), (0, "positive"), ("soon", "duration"), (np.nan, "positive")],
)
def test_a_length_that_cuts_nothing_of_use_is_refused(length, says):
    times = pd.date_range("2024", periods=5, freq="1D")
    with pytest.raises(InputError, match=says):
        Windows.cut(IrregularSeries.from_arrays(times, np.zeros((1, 5))), length)


@pytest.mark.parametrize(
    ("times", "length"),
    [
        (pd.date_range("2024-01-01", periods=24 * 30, freq="h"), "1D"),
        (pd.date_range("2024-01-01", periods=288 * 25, freq="5min"), "1D"),
        (pd.date_range("2024-01-01", periods=288 * 15, freq="5min"), "1h"),
        (pd.date_range("2020-01-01", periods=400), "7D"),
        (pd.date_range("1960-01-01", periods=500, freq="MS"), "365D"),
        (pd.to_timedelta(np.arange(3000), unit="s"), "1min"),
        (np.arange(300) * 0.5, 3.5),
        (np.arange(5000), 24.0),
    ],
)
def test_a_usual_length_cuts_a_record_into_enough_windows(times, length):
    record = IrregularSeries.from_arrays(times, np.zeros((1, len(times))))
    assert Windows.usual_length(record) == length
    pieces = Windows.cut(record, length).pieces
    assert len(pieces) >= 20
    assert pieces.lengths.mean() >= 6


@pytest.mark.parametrize(
    "times",
    [
        np.arange(119.0),
        pd.date_range("2020-01-01", periods=100),
        pd.date_range("1990-01-01", periods=130, freq="MS"),
    ],
)
def test_a_record_too_short_for_windows_is_refused(times):
    record = IrregularSeries.from_arrays(times, np.zeros((1, len(times))))
    with pytest.raises(InputError, match="from 20 series at least, or from as many windows of 6"):
        Windows.usual_length(record)
