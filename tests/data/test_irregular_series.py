"""Series with times and holes of their own: tables in and out, indexing, dropping, checks."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, cross_val_score, train_test_split

from trajinfer import IrregularSeries, JumpSeries, Snapshots
from trajinfer._core.errors import InputError
from trajinfer.data import as_series
from trajinfer.data.names import fits_columns


@pytest.fixture
def wide():
    """Two patients with their own times, one hole, a static and a label."""
    return pd.DataFrame(
        {
            "who": ["a", "a", "a", "b", "b"],
            "when": pd.to_datetime(
                ["2020-01-01", "2020-01-03", "2020-01-05", "2020-01-02", "2020-01-04"]
            ),
            "beats": [60, 65, 70, 80, 85],
            "temp": [36.5, np.nan, 37.0, np.nan, 38.5],
            "age": [50, 50, 50, 61, 61],
            "ill": ["no", "no", "no", "yes", "yes"],
        }
    )


def read(df, **options):
    names = {"id": "who", "time": "when", "statics": ["age"], "labels": "ill"}
    return IrregularSeries.from_frame(df, **(names | options))


@pytest.fixture
def many(rng):
    values = rng.normal(size=(20, 30, 3))
    values[rng.random(values.shape) < 0.2] = np.nan
    return IrregularSeries.from_arrays(
        np.sort(rng.random((20, 30)), axis=1), values, labels=np.arange(20) % 2
    )


def test_wide_table(wide):
    series = read(wide)
    assert series.shape == (2, 3, 2)
    assert series.channels == ("beats", "temp")
    assert series.lengths.tolist() == [3, 2]
    assert series.times.tolist() == [[0, 2, 4], [1, 3, 3]], "padding repeats the last time"
    np.testing.assert_array_equal(series.values[1, :, 0], [80, 85, np.nan])
    assert series.mask.sum() == series.n_observations == 8
    assert series.labels.tolist() == ["no", "yes"]
    assert series.statics.tolist() == [[50.0], [61.0]]
    assert series.ids == ("a", "b")


@pytest.mark.parametrize("time", ["datetime", "zone", "duration", "int", "float", "period"])
def test_wide_round_trip_is_exact(wide, time):
    times = {
        "datetime": wide["when"],
        "zone": wide["when"].dt.tz_localize("Europe/Paris"),
        "duration": wide["when"] - wide["when"].min(),
        "int": pd.Series([0, 3, 9, 1, 4]),
        "float": pd.Series([0.1, 0.3, 0.7, 0.2, 0.9]),
        "period": wide["when"].dt.to_period("D"),
    }
    df = wide.assign(when=times[time])
    back = read(df).to_frame()
    if time == "period":
        df = df.assign(when=df["when"].dt.to_timestamp())
    pd.testing.assert_frame_equal(back[list(df.columns)], df)


@pytest.mark.parametrize("dtype", ["Int64", "int16", "float32", "Float64"])
def test_types_of_columns_come_back(wide, dtype):
    df = wide.assign(beats=wide["beats"].astype(dtype), ill=wide["ill"].astype("category"))
    if dtype[0] in "IF":
        df.loc[1, "beats"] = pd.NA
    pd.testing.assert_frame_equal(read(df).to_frame()[list(df.columns)], df)


def test_long_round_trip_is_exact(wide):
    long = wide.melt(["who", "when"], ["beats", "temp"], "what", "reading").dropna()
    long = long.sort_values(["who", "when", "what"]).reset_index(drop=True)
    names = {"id": "who", "time": "when", "variable": "what", "value": "reading"}
    series = IrregularSeries.from_frame(long, **names)
    np.testing.assert_array_equal(series.values, read(wide).values)
    # variable after variable, as `melt` leaves them, is no disorder
    stacked = IrregularSeries.from_frame(long.sort_values(["what", "who", "when"]), **names)
    np.testing.assert_array_equal(stacked.values, series.values)
    pd.testing.assert_frame_equal(series.to_frame(), long)
    one = IrregularSeries.from_frame(long, **names, channels=["temp"])
    np.testing.assert_array_equal(one.values[:, :, 0], read(wide).values[:, :, 1])


def test_the_order_of_rows_does_not_matter(wide, rng):
    expected = read(wide)
    with pytest.warns(UserWarning, match="not in order"):
        shuffled = read(wide.iloc[[4, 0, 3, 2, 1]])
    np.testing.assert_array_equal(shuffled.values, expected.values)
    np.testing.assert_array_equal(shuffled.times, expected.times)
    read(wide.sort_values("when"))  # mixed series alone are no disorder and give no warning


def test_series_may_be_named_by_the_index(wide):
    series = read(wide.set_index(["who", "when"]))
    np.testing.assert_array_equal(series.values, read(wide).values)


def test_repeated_times(wide):
    df = pd.concat([wide, wide.iloc[[2]].assign(beats=80, temp=np.nan)], ignore_index=True)
    with pytest.raises(InputError, match=r"1 rows repeat the time .* row 5 .*duplicates="):
        read(df)
    assert read(df, duplicates="mean").values[0, 2].tolist() == [75.0, 37.0]
    assert read(df, duplicates="last").values[0, 2].tolist() == [80.0, 37.0]
    with pytest.raises(InputError, match="'raise', 'mean' or 'last'"):
        read(df, duplicates="first")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"temp": np.inf}, {}, "infinite number"),
        ({"age": [50, 50, 51, 61, 61]}, {}, "'age' must be constant .* row 2"),
        ({"ill": ["no", "yes", "no", "yes", "yes"]}, {}, "'ill' must be constant"),
        ({"who": ["a", None, "a", "b", "b"]}, {}, "'who' has missing entries"),
        ({"when": pd.NaT}, {}, "missing times"),
        (
            {"temp": "warm"},
            {"channels": ["temp"]},
            "'temp' is not numeric, such as 'warm' in row 0",
        ),
        ({}, {"time": "wen"}, "did you mean 'when'"),
        ({}, {"channels": ["beat"]}, "did you mean 'beats'"),
        ({}, {"variable": "temp"}, "both variable= and value="),
    ],
)
def test_tables_that_cannot_be_read(wide, change, options, message):
    with pytest.raises(InputError, match=message):
        read(wide.assign(**change), **options)


def test_the_plan_of_a_table_is_carried_out_first(wide):
    class LazyFrame:
        def collect(self):
            return wide

    with pytest.raises(InputError, match=r"got LazyFrame, a plan of one.*\.collect\(\)"):
        read(LazyFrame())


def test_a_table_must_be_a_table(wide):
    with pytest.raises(InputError, match="a table was expected"):
        read([1, 2])
    with pytest.raises(InputError, match="no rows"):
        read(wide.iloc[:0])


def test_arrow_tables_are_tables(wide):
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_pandas(wide)
    np.testing.assert_array_equal(read(table).values, read(wide).values)


def test_arrays_shared_and_own_times():
    values = np.arange(12.0).reshape(2, 3, 2)
    shared = IrregularSeries.from_arrays([0.0, 1.0, 5.0], values)
    own = IrregularSeries.from_arrays(np.tile([0.0, 1.0, 5.0], (2, 1)), torch.tensor(values))
    np.testing.assert_array_equal(shared.times, own.times)
    np.testing.assert_array_equal(shared.values, own.values)
    assert IrregularSeries.from_arrays([0.0, 1.0, 5.0], values[:, :, 0]).shape == (2, 3, 1)


def test_lists_of_unequal_length_equal_padded_arrays():
    lists = IrregularSeries.from_arrays(
        [[0.0, 1.0], [0.0, 2.0, 3.0]], [[[1.0], [2.0]], [[3.0], [4.0], [5.0]]]
    )
    assert lists.lengths.tolist() == [2, 3]
    assert lists.times[0].tolist() == [0, 1, 1]
    for times in ([[0.0, 1.0, 1.0], [0.0, 2.0, 3.0]], [[0.0, 1.0, np.nan], [0.0, 2.0, 3.0]]):
        padded = IrregularSeries.from_arrays(np.array(times), lists.values)
        assert padded.lengths.tolist() == [2, 3]
        np.testing.assert_array_equal(padded.times, lists.times)
        np.testing.assert_array_equal(padded.values, lists.values)


def test_a_time_with_nothing_observed_is_kept_unless_it_repeats():
    values = np.array([[[1.0], [np.nan], [np.nan]]])
    assert IrregularSeries.from_arrays([0.0, 1.0, 2.0], values).lengths.tolist() == [3]
    assert IrregularSeries.from_arrays([[0.0, 1.0, 1.0]], values).lengths.tolist() == [2]


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([0.0, 0.0], np.ones((1, 2, 1)), "repeated"),
        ([1.0, 0.0], np.ones((1, 2, 1)), "out of order"),
        ([0.0, np.inf], np.ones((1, 2, 1)), "not finite"),
        ([0.0, 1.0], np.ones((1, 3, 1)), r"times must be \(T,\) or \(B, T\)"),
        ([0.0, 1.0], np.full((1, 2, 1), np.inf), "infinite number"),
        ([0.0], np.ones((1, 1, 1, 1)), r"\(B, T, C\)"),
        ([[0.0], [0.0]], [[[1.0]], [[1.0, 2.0]]], "differ in their number of channels"),
        ([[0.0], []], [[[1.0]], np.empty((0, 1))], "no observation times"),
        ([[0.0], [0.0, 1.0]], [[[1.0]], [[1.0]]], "differ in their number"),
    ],
)
def test_arrays_that_cannot_be_read(times, values, message):
    with pytest.raises(InputError, match=message):
        IrregularSeries.from_arrays(times, values)


def test_one_entry_per_series_is_needed():
    values = np.ones((2, 2, 1))
    for name, value in {"labels": [1], "ids": ["a"], "statics": np.ones((3, 1))}.items():
        with pytest.raises(InputError, match=f"{name} for 2 series"):
            IrregularSeries.from_arrays([0.0, 1.0], values, **{name: value})
    with pytest.raises(InputError, match="channel names"):
        IrregularSeries.from_arrays([0.0, 1.0], values, channels=["a", "b"])


@pytest.mark.parametrize("index", [3, -1, slice(2, 9, 3), [1, 4, 4], np.arange(20) < 5])
def test_indexing_follows_numpy(many, index):
    rows = np.atleast_1d(np.arange(20)[index])
    part = many[index]
    np.testing.assert_array_equal(part.values, many.values[rows])
    assert part.ids == tuple(rows)
    np.testing.assert_array_equal(part.labels, many.labels[rows])


def test_an_index_must_take_something(many):
    with pytest.raises(InputError, match="takes no series"):
        many[:0]


class ReadsSeries(BaseEstimator):
    """Scores by the number of series it was given, which checks what scikit-learn hands over."""

    def fit(self, series, y):
        assert isinstance(series, IrregularSeries)
        assert np.array_equal(series.labels, y)
        return self

    def score(self, series, y):
        return float(len(series)) if np.array_equal(series.labels, y) else np.nan


def test_splitters_of_scikit_learn_work(many):
    scores = cross_val_score(ReadsSeries(), many, many.labels, cv=KFold(4))
    assert scores.tolist() == [5.0] * 4
    train, test = train_test_split(many, test_size=0.25, random_state=0)
    assert (len(train), len(test)) == (15, 5)


def test_until_and_after_part_a_series(many):
    early, late = many.until(0.5), many.after(0.5)
    assert early.times.max() <= 0.5 < late.times.min()
    assert early.n_observations + late.n_observations == many.n_observations
    assert (early.lengths + late.lengths == many.lengths).all()
    own = many.until(many.times[:, 9])
    assert own.lengths.tolist() == [10] * 20, "a time at the cutoff was known"
    assert many.after(many.times[:, 9]).lengths.tolist() == [20] * 20
    with pytest.raises(InputError, match="20 series have no time up to the cutoff"):
        many.until(-1.0)
    with pytest.raises(InputError, match="one per series"):
        many.until([0.1, 0.2])


def test_a_cutoff_may_be_a_date(wide):
    assert read(wide).until(pd.Timestamp("2020-01-03")).lengths.tolist() == [2, 1]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.99])
def test_dropping_hides_a_share_and_leaves_two(many, rate, together):
    dropped = many.drop_observations(rate, 7, together=together)
    seen = many.mask.any(axis=2, keepdims=True) if together else many.mask
    left = dropped.mask.any(axis=2, keepdims=True) if together else dropped.mask
    before, after = seen.sum(axis=1), left.sum(axis=1)
    np.testing.assert_array_equal(
        after, np.maximum(before - (rate * before + 1e-9).astype(int), np.minimum(before, 2))
    )
    assert not (dropped.mask & ~many.mask).any()
    kept = dropped.mask
    np.testing.assert_array_equal(dropped.values[kept], many.values[kept])
    again = many.drop_observations(rate, 7, together=together)
    np.testing.assert_array_equal(again.values, dropped.values)
    if together:
        rows = left.any(axis=2)
        np.testing.assert_array_equal(dropped.mask[rows], many.mask[rows])


def test_dropping_is_fair():
    full = IrregularSeries.from_arrays(np.arange(10.0), np.zeros((4000, 10, 1)))
    share = full.drop_observations(0.3, 1).mask.mean(axis=0)
    assert (np.abs(share - 0.7) < 5 * np.sqrt(0.21 / 4000)).all()


def test_a_rate_is_a_share(many):
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        many.drop_observations(1.0)


def test_compact_removes_empty_times(many):
    dropped = many.drop_observations(0.5, 3, together=True)
    compact = dropped.compact()
    assert compact.lengths.max() < dropped.shape[1]
    assert compact.n_observations == dropped.n_observations
    assert compact.mask.any(axis=2)[compact.present].all()
    frame = dropped.to_frame().dropna(subset=list(dropped.channels), how="all")
    pd.testing.assert_frame_equal(compact.to_frame(), frame.reset_index(drop=True))


def test_parts_join_to_the_whole(many):
    joined = IrregularSeries.concatenate([many[:5].until(0.8), many[5:]])
    assert joined.ids == many.ids
    assert joined.shape == many.shape
    np.testing.assert_array_equal(joined.values[5:], many.values[5:])
    with pytest.raises(InputError, match="at least one"):
        IrregularSeries.concatenate([])
    other = IrregularSeries.from_arrays([0.0], np.ones((1, 1, 1)))
    with pytest.raises(InputError, match="do not match"):
        IrregularSeries.concatenate([many, other])


def test_times_can_be_counted_from_another_origin(wide):
    series, later = read(wide), read(wide.iloc[3:])
    assert later.times[0, 0] == 0.0
    np.testing.assert_array_equal(later.on_axis(series.axis).times[0], [1.0, 3.0])
    numbers = IrregularSeries.from_arrays([0.0], np.ones((1, 1, 1)))
    with pytest.raises(InputError, match="datetimes were expected"):
        numbers.on_axis(series.axis)


def test_arrays_cannot_be_changed_by_accident(many):
    for name in ("times", "values", "lengths", "labels"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(many, name)[0] = 0


def test_input_of_the_user_is_left_alone():
    values = np.ones((1, 2, 1))
    times = np.array([0.0, 1.0])
    labels = np.array([1])
    IrregularSeries.from_arrays(times, values, labels=labels)
    values[0], times[0], labels[0] = 2.0, -1.0, 3


def test_what_estimators_may_be_given(many):
    assert as_series(many) is many
    with pytest.warns(UserWarning, match="taken to be observed at 0, 1, 2"):
        plain = as_series(many.values)
    assert plain.times[0].tolist() == list(range(30))
    with pytest.warns(UserWarning, match="no times"):
        ragged = as_series([np.ones((3, 2)), np.ones((5, 2))])
    assert ragged.lengths.tolist() == [3, 5]
    pairs = as_series([([0.0, 2.0], np.ones((2, 2))), ([1.0], np.ones((1, 2)))])
    assert pairs.times.tolist() == [[0.0, 2.0], [1.0, 1.0]]
    with pytest.raises(InputError, match="from_frame"):
        as_series(many.to_frame())
    with pytest.raises(InputError, match="real numbers"):
        as_series("nonsense")


def test_times_without_a_value_are_refused():
    with pytest.raises(InputError, match="series 1 has 3 values but more times"):
        IrregularSeries.from_arrays([np.arange(5.0), np.arange(5.0)], [np.ones(5), np.ones(3)])
    padded = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 1.0]])
    series = IrregularSeries.from_arrays(padded, [np.ones(3), np.ones(2)])
    assert series.lengths.tolist() == [3, 2]


def test_masked_entries_are_not_observed_and_dates_are_no_values():
    hidden = np.ma.masked_array([[1.0, 9e9, 3.0]], mask=[[False, True, False]])
    series = IrregularSeries.from_arrays([0, 1, 2], hidden)
    np.testing.assert_array_equal(series.values[0, :, 0], [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(
        IrregularSeries.from_arrays([[0, 1, 2]], [hidden[0]]).values, series.values
    )
    dates = np.array([["2020-01-01", "2020-01-02", "2020-01-03"]], dtype="M8[ns]")
    with pytest.raises(InputError, match="must hold real numbers"):
        IrregularSeries.from_arrays([0, 1, 2], dates)


def test_labels_known_at_some_rows_only_change_along_the_series(wide):
    wide["ill"] = pd.array([1, 1, None, 0, 0], dtype="Int64")
    with pytest.raises(InputError, match="column 'ill' must be constant along a series"):
        IrregularSeries.from_frame(wide, id="who", time="when", labels="ill")
    wide["ill"] = pd.array([1, 1, 1, None, None], dtype="Int64")
    series = IrregularSeries.from_frame(wide, id="who", time="when", labels="ill")
    assert series.labels[0] == 1
    assert pd.isna(series.labels[1])


def test_columns_of_one_name_are_refused_and_index_levels_that_are_columns_too_are_read(wide):
    twice = pd.concat([wide, wide[["who"]]], axis=1)
    with pytest.raises(InputError, match="several columns 'who'"):
        IrregularSeries.from_frame(twice, id="who", time="when")
    columns = {"id": "who", "time": "when", "channels": ["beats", "temp"]}
    expected = IrregularSeries.from_frame(wide, **columns)
    for keys in ("who", ["who", "when"]):
        both = wide.set_index(keys, drop=False)
        found = IrregularSeries.from_frame(both, **columns)
        np.testing.assert_array_equal(found.values, expected.values)
    mixed = wide.set_index("who", drop=False).set_index("when", append=True)
    found = IrregularSeries.from_frame(mixed, **columns)
    np.testing.assert_array_equal(found.values, expected.values)


def test_columns_that_were_never_named_fit_any():
    assert fits_columns(["a", "b"], ["a", "b"])
    assert fits_columns(["x0", "x1"], ["a", "b"])
    assert fits_columns(["a", "b"], ["x0", "x1"])
    assert not fits_columns(["b", "a"], ["a", "b"])
    assert not fits_columns(["x1", "x0"], ["x0", "x1"])


def test_arrays_of_channels_by_times_are_told_apart():
    values = np.random.default_rng(0).normal(size=(6, 1, 40))
    for given in (values, list(values), [row[:, :k] for row, k in zip(values, range(20, 26))]):
        with pytest.raises(InputError, match=r"channels by times.*transpose"):
            as_series(given)
    with pytest.warns(UserWarning, match=r"3 times of 40 channels.*transpose\(0, 2, 1\)"):
        as_series(np.zeros((6, 3, 40)))
    with pytest.warns(UserWarning, match="real times$"):
        as_series(values.transpose(0, 2, 1))


def test_arrays_of_channels_by_times_are_told_apart_by_their_times():
    values = np.random.default_rng(0).normal(size=(6, 3, 40))
    ts = np.arange(40.0)
    own = [row[:, :k] for row, k in zip(values, range(20, 26))]
    pairs = [(ts[: row.shape[1]], row) for row in own]
    for times, given in [
        (ts, values),
        (list(ts), values),
        (np.tile(ts, (6, 1)), values),
        ([ts] * 6, list(values)),
        ([t for t, _ in pairs], own),
        (np.datetime64("2020-01-01") + np.arange(40), values),
    ]:
        with pytest.raises(InputError, match=r"channels by times.*transpose"):
            IrregularSeries.from_arrays(times, given)
        turned = [row.T for row in given]
        assert IrregularSeries.from_arrays(times, turned).values.shape[2] == 3
    with pytest.raises(InputError, match="channels by times"):
        as_series(pairs)


def test_tables_of_sktime_are_read(many):
    part = many[:4]
    nested = pd.DataFrame(
        {
            name: [pd.Series(part.values[i, :, c], index=part.times[i]) for i in range(4)]
            for c, name in enumerate("abc")
        },
        index=["w", "x", "y", "z"],
    )
    series = as_series(nested)
    np.testing.assert_array_equal(series.values, part.values)
    np.testing.assert_array_equal(series.times, part.times)
    assert series.ids == ("w", "x", "y", "z")
    assert series.channels == ("a", "b", "c")
    indexed = part.to_frame().drop(columns="label").set_index(["id", "time"])
    again = as_series(indexed.rename_axis([None, None]))
    np.testing.assert_array_equal(again.values, part.values)
    np.testing.assert_array_equal(again.times, part.times)


def test_memory_follows_the_number_of_entries():
    """One series of 50 000 times beside 2000 of 50 would be 800 MB when padded."""
    import tracemalloc

    n = 2000
    ids = np.r_[np.repeat(np.arange(n), 50), np.full(50_000, n)]
    times = np.r_[np.tile(np.arange(50.0), n), np.arange(5e4)]
    table = pd.DataFrame({"id": ids, "t": times, "v": np.sin(times)})
    size = table.memory_usage(index=False).sum()
    tracemalloc.start()
    series = IrregularSeries.from_frame(table, id="id", time="t")
    paths = JumpSeries.from_frame(table.assign(s=ids % 2), id="id", time="t", state="s")
    early, kept = series.until(40.0), series.drop_observations(0.1, 0).compact()
    joined = IrregularSeries.concatenate([early[::2], kept[5:]])
    assert len(joined.to_frame()) == len(joined.flat_times)
    assert len(paths[[3, n]].to_frame()) == 50_050
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * size
    assert not {"times", "values"} & vars(series).keys(), "nothing padded was made"


@pytest.mark.parametrize(
    ("container", "columns"),
    [
        (IrregularSeries, {"id": "id", "channels": ["x"]}),
        (JumpSeries, {"id": "id", "state": "s"}),
        (Snapshots, {"features": ["x"]}),
    ],
)
def test_missing_times_are_counted_and_placed(container, columns):
    table = pd.DataFrame({"t": [0, 1, np.nan, 0], "x": 1.0, "id": [1, 1, 1, 2], "s": list("abab")})
    with pytest.raises(InputError, match=r"column 't' has missing .* 1 of 4 rows, such as row 2"):
        container.from_frame(table, time="t", **columns)


def test_a_repeated_date_is_called_by_its_date():
    days = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-01"])
    table = pd.DataFrame({"id": 0, "time": days, "x": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match=r"row 2 .* at time 2024-02-01; merge"):
        IrregularSeries.from_frame(table, id="id", time="time")
