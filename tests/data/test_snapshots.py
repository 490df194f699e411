import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries, Snapshots, Trajectories


@pytest.fixture
def table(rng):
    return pd.DataFrame(
        {
            "day": np.repeat([0, 2, 5], [4, 3, 6]),
            "x": rng.standard_normal(13),
            "y": rng.standard_normal(13),
        }
    )


def round_trip(df, **options):
    pd.testing.assert_frame_equal(Snapshots.from_frame(df, **options).to_frame(), df)


TIMES = {
    "int64": np.array([0, 2, 5]),
    "int32": np.array([0, 2, 5], dtype=np.int32),
    "uint8": np.array([0, 2, 5], dtype=np.uint8),
    "float64": np.array([0.1, 0.30000000000000004, 1e9]),
    "float32": np.array([0.1, 0.3, 5.0], dtype=np.float32),
    "large int": np.array([20240101, 20240102, 20250101]),
    "negative": np.array([-3.5, 0.0, 2.0]),
    "datetime ns": pd.DatetimeIndex(
        ["2024-01-01 00:00:00.123456789", "2024-01-01 00:00:00.123456791", "2024-01-03"]
    ).as_unit("ns"),
    "datetime us": pd.DatetimeIndex(["2024-01-01 00:00:00.123456", "2024-01-02", "2031"]).as_unit(
        "us"
    ),
    "datetime ms": pd.DatetimeIndex(["1950-01-01", "1950-01-02", "2024"]).as_unit("ms"),
    "datetime s": pd.DatetimeIndex(["1850-01-01", "1950-01-02", "2024"]).as_unit("s"),
    "time zone": pd.DatetimeIndex(
        ["2024-03-30 12:00", "2024-03-31 12:00", "2024-04-01"]
    ).tz_localize("Europe/Berlin"),
    "utc": pd.DatetimeIndex(["2024-03-30", "2024-03-31", "2024-04-01"]).tz_localize("UTC"),
    "timedelta ns": pd.TimedeltaIndex(["1s", "2 days", "100 days 3h"]).as_unit("ns"),
    "timedelta s": pd.TimedeltaIndex(["1s", "2 days", "100 days 3h"]).as_unit("s"),
    "timedelta ms": pd.TimedeltaIndex(["-5ms", "0ms", "7ms"]).as_unit("ms"),
}


@pytest.mark.parametrize("kind", TIMES)
def test_a_table_comes_back_exactly(table, kind):
    table["day"] = pd.Series(TIMES[kind]).repeat([4, 3, 6]).reset_index(drop=True)
    round_trip(table, time="day")


@pytest.mark.parametrize("unit", ["D", "h", "min", "s", "ms", "us", "ns"])
def test_the_unit_of_time_is_a_choice(table, unit):
    start = pd.Timestamp("2024-01-01")
    table["day"] = start + pd.to_timedelta(table["day"], unit="h")
    snapshots = Snapshots.from_frame(table, time="day", time_unit=unit)
    hours = {"D": 1 / 24, "h": 1, "min": 60, "s": 3600, "ms": 3.6e6, "us": 3.6e9, "ns": 3.6e12}
    np.testing.assert_allclose(snapshots.times, np.array([0, 2, 5]) * hours[unit], rtol=1e-15)
    pd.testing.assert_frame_equal(snapshots.to_frame(), table)


def test_periods_count_from_their_start(table):
    periods = pd.period_range("2024-01", periods=3, freq="M")
    table["day"] = pd.Series(periods).repeat([4, 3, 6]).reset_index(drop=True)
    snapshots = Snapshots.from_frame(table, time="day")
    np.testing.assert_allclose(snapshots.times, [0, 31, 60])
    assert list(snapshots.labels) == list(periods.to_timestamp())


def test_whole_days_stay_whole(table):
    snapshots = Snapshots.from_frame(table, time="day")
    assert snapshots.labels.dtype.kind == "i"
    assert snapshots.to_frame()["day"].dtype == table["day"].dtype


def test_names_of_time_weight_and_features_come_back(table, rng):
    table = table.rename(columns={"day": "stage", "x": "PC 1"})
    table["share"] = np.concatenate([np.full(n, 1 / n) for n in (4, 3, 6)])
    snapshots = Snapshots.from_frame(table, time="stage", features=["PC 1", "y"], weight="share")
    assert snapshots.features == ("PC 1", "y")
    pd.testing.assert_frame_equal(snapshots.to_frame(), table)


def test_the_index_of_a_table_does_not_matter(table):
    shuffled = table.set_index(np.arange(13)[::-1] * 7)
    pd.testing.assert_frame_equal(Snapshots.from_frame(shuffled, time="day").to_frame(), table)


def test_rows_may_come_in_any_order_and_keep_theirs_within_a_time(table, rng):
    shuffled = table.sample(frac=1, random_state=0)
    found = Snapshots.from_frame(shuffled, time="day").to_frame()
    expected = shuffled.sort_values("day", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)


def test_equal_individuals_are_all_kept():
    df = pd.DataFrame({"t": [0, 0, 0, 1], "x": [1.0, 1.0, 1.0, 2.0]})
    snapshots = Snapshots.from_frame(df, time="t")
    assert [len(p) for p in snapshots.points] == [3, 1]


def test_features_not_named_are_the_numeric_columns_left_over(table):
    table["cell"] = "T"
    table["n"] = 3
    table["w"] = 1.0
    with pytest.warns(UserWarning, match="not numeric: cell; name features="):
        snapshots = Snapshots.from_frame(table, time="day", weight="w")
    assert snapshots.features == ("x", "y", "n")


def test_from_arrays_equals_the_constructor(table):
    X, t = table[["x", "y"]].to_numpy(), table["day"].to_numpy()
    stacked = Snapshots.from_arrays(X, t)
    listed = Snapshots([0, 2, 5], [X[t == k] for k in (0, 2, 5)])
    for a, b in zip(stacked.points, listed.points, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(stacked.times, listed.times)
    found_X, found_t = stacked.stacked()
    assert np.array_equal(found_X, X)
    assert np.array_equal(found_t, t)


def test_arrays_may_be_a_frame_and_a_series(table):
    snapshots = Snapshots.from_arrays(table[["x", "y"]], table["day"])
    assert snapshots.features == ("x", "y")
    assert np.array_equal(snapshots.times, [0, 2, 5])


def test_weights_are_normalised_within_a_time():
    X, t = np.arange(5.0)[:, None], [0, 0, 1, 1, 1]
    snapshots = Snapshots.from_arrays(X, t, weights=[1, 3, 2, 2, 4])
    assert snapshots.probabilities(0).tolist() == [0.25, 0.75]
    assert snapshots.probabilities(1).tolist() == [0.25, 0.25, 0.5]
    assert Snapshots.from_arrays(X, t).probabilities(0).tolist() == [0.5, 0.5]


def test_sizes_and_names():
    snapshots = Snapshots([0, 1], [np.zeros((3, 2)), np.zeros((5, 2))], features=["a", "b"])
    assert (len(snapshots), snapshots.dim, snapshots.n_points) == (2, 2, 8)
    assert repr(snapshots) == "Snapshots(2 times, sizes 3, 5, dim 2)"


def test_the_data_are_a_copy_and_read_only(rng):
    points = rng.standard_normal((3, 2))
    snapshots = Snapshots([0.0], [points])
    points[:] = 0
    assert snapshots.points[0].any()
    for array in (snapshots.points[0], snapshots.times):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1.0


def test_select_and_drop_split_the_times(table):
    snapshots = Snapshots.from_frame(table, time="day")
    assert snapshots.select([5, 0]).times.tolist() == [0, 5]
    assert snapshots.drop(2).times.tolist() == [0, 5]
    assert snapshots.select(2).features == ("x", "y")
    assert np.array_equal(snapshots.select(5).points[0], snapshots.points[2])
    assert snapshots.select(2).to_frame()["day"].dtype == table["day"].dtype


def test_select_takes_datetimes_and_keeps_the_origin(table):
    table["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(table["day"], unit="D")
    snapshots = Snapshots.from_frame(table, time="day")
    late = snapshots.drop(pd.Timestamp("2024-01-01"))
    assert late.times.tolist() == [2, 5]
    assert list(late.labels) == [pd.Timestamp("2024-01-03"), pd.Timestamp("2024-01-06")]
    assert len(snapshots.select([pd.Timestamp("2024-01-06")])) == 1
    assert len(snapshots.select(np.datetime64("2024-01-06"))) == 1


def test_select_keeps_weights(rng):
    snapshots = Snapshots([0, 1], [np.zeros((2, 1)), np.zeros((3, 1))], weights=[[1, 3], [1, 1, 2]])
    assert snapshots.select(1).probabilities(0).tolist() == [0.25, 0.25, 0.5]


def test_take_keeps_the_proportions_of_the_weights():
    snapshots = Snapshots([0], [np.arange(3.0)[:, None]], weights=[[1, 3, 4]])
    part = snapshots.take([np.array([0, 1])])
    assert part.points[0].ravel().tolist() == [0, 1]
    assert part.probabilities(0).tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("times", "points", "message"),
    [
        ([], [], "no snapshot|0 snapshots|empty"),
        ([0, 1], [[[1.0]]], "got 1 snapshots for 2 times"),
        ([0], [[[1.0]], [[1.0]]], "got 2 snapshots for 1 times"),
        ([1, 0], [[[1.0]], [[1.0]]], "increase strictly.*1 is followed by 0.*not in order"),
        ([1, 1], [[[1.0]], [[1.0]]], "increase strictly.*repeated"),
        ([0, np.nan], [[[1.0]], [[1.0]]], "times must be finite, found NaN"),
        ([0, np.inf], [[[1.0]], [[1.0]]], "times must be finite, found infinity"),
        ([0, 1], [[[1.0]], np.zeros((0, 1))], r"snapshot 1 \(time 1\) is empty"),
        ([0, 1], [[[1.0]], [[np.nan]]], r"snapshot 1 \(time 1\) must be finite, found NaN"),
        ([0, 1], [[[1.0]], [[np.inf]]], r"snapshot 1 \(time 1\) must be finite, found infinity"),
        ([0, 1], [[[1.0]], [[1.0, 2.0]]], "same number of columns"),
        ([0, 1], [[1.0], [1.0]], "snapshot 0 must have 2 axes"),
        ([0], [np.zeros((3, 0))], "0 feature"),
        ([0], [[["a"]]], "snapshot 0 must hold real numbers"),
        (["a"], [[[1.0]]], "times must be numbers, datetimes or durations"),
        ([[0.0, 1.0]], [[[1.0]], [[1.0]]], "times must be one row"),
        ([True, False], [[[1.0]], [[1.0]]], "times must be numbers, datetimes or durations"),
    ],
)
def test_bad_snapshots(times, points, message):
    with pytest.raises(InputError, match=message):
        Snapshots(times, points)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[1.0, 1.0]], "weights for 1 snapshots, expected 2"),
        ([[1.0], [1.0, 1.0]], r"weights of snapshot 0 must have shape \(2,\)"),
        ([[1.0, -1.0], [1.0, 1.0]], "non-negative"),
        ([[1.0, 1.0], [0.0, 0.0]], "weights of snapshot 1.*positive sum"),
        ([[1.0, 1.0], [np.nan, 0.0]], "weights of snapshot 1 must be finite"),
    ],
)
def test_bad_weights_of_snapshots(weights, message):
    with pytest.raises(InputError, match=message):
        Snapshots([0, 1], [np.zeros((2, 1)), np.zeros((2, 1))], weights=weights)


def test_names_that_would_hide_a_column_are_refused():
    with pytest.raises(InputError, match="must differ"):
        Snapshots([0], [np.zeros((3, 2))], features=["x", "x"])
    with pytest.raises(InputError, match="'time' stands for two columns"):
        Snapshots([0], [np.zeros((3, 2))], features=["time", "x"]).to_frame()
    table = pd.DataFrame({"day": [0, 1], "time": [3.0, 4.0], "weight": [5.0, 6.0]})
    again = Snapshots.from_frame(table, time="day").to_frame()
    pd.testing.assert_frame_equal(again, table)


def test_a_wrong_number_of_feature_names():
    with pytest.raises(InputError, match="1 feature names for 2 columns"):
        Snapshots([0], [np.zeros((3, 2))], features=["a"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": "dya"}, r"no column 'dya' in the table; did you mean 'day'\?"),
        ({"time": "day", "features": ["x", "yy"]}, r"no column 'yy'.*did you mean 'y'\?"),
        ({"time": "day", "weight": "wieght"}, "no column 'wieght'"),
        ({"time": "day", "features": ["label"]}, "column 'label' is not numeric"),
        ({"time": "label"}, "times must be numbers, datetimes or durations.*column.map"),
        ({"time": "day", "time_unit": "days"}, "time unit must be one of D, h"),
    ],
)
def test_bad_tables(table, options, message):
    table["label"] = "a"
    with pytest.raises(InputError, match=message):
        Snapshots.from_frame(table, **options)


@pytest.mark.parametrize("names", [["a", "b"], None], ids=["text", "nothing"])
@pytest.mark.parametrize("door", [Snapshots, IrregularSeries, Trajectories])
def test_a_table_without_coordinates(door, names):
    table = pd.DataFrame({"t": [0, 1], "id": [1, 1]}).assign(**({"name": names} if names else {}))
    words = {"time": "t"} if door is Snapshots else {"time": "t", "id": "id"}
    said = "name hold none" if names else "all others have another meaning"
    with pytest.raises(InputError, match=f"no numeric column left to take: {said}; write numbers"):
        door.from_frame(table.drop(columns="id") if door is Snapshots else table, **words)


@pytest.mark.parametrize("door", [Snapshots, Trajectories])
def test_no_feature_at_all_is_refused(door):
    table = pd.DataFrame({"t": [0, 1], "id": [1, 1], "x": [0.0, 1.0]})
    words = {} if door is Snapshots else {"id": "id"}
    with pytest.raises(InputError, match="features= names no column"):
        door.from_frame(table, time="t", features=[], **words)


def test_an_empty_table():
    with pytest.raises(InputError, match=r"empty|no rows|at least one"):
        Snapshots.from_frame(pd.DataFrame({"t": [], "x": []}, dtype=float), time="t")


def test_a_missing_value_in_a_table_names_the_snapshot(table):
    table.loc[5, "y"] = np.nan
    with pytest.raises(
        InputError, match=r"snapshot 1 \(time 2\).*NaN in column 'y' at the row with index 5 "
    ):
        Snapshots.from_frame(table, time="day")


def test_a_missing_time_is_named(table):
    table["day"] = table["day"].astype(float)
    table.loc[5, "day"] = np.nan
    with pytest.raises(InputError, match=r"column .day. has missing .* such as row 5"):
        Snapshots.from_frame(table, time="day")


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]"])
def test_a_missing_date_is_named(table, kind):
    table["day"] = (table["day"] * 86_400 * 10**9).astype(kind)
    table.loc[5, "day"] = pd.NaT
    with pytest.raises(InputError, match=r"NaT.*drop these rows"):
        Snapshots.from_frame(table, time="day")


def test_rows_and_times_must_agree():
    with pytest.raises(InputError, match="X has 3 rows and t has 2"):
        Snapshots.from_arrays(np.zeros((3, 1)), [0, 1])


def test_weights_and_rows_must_agree():
    with pytest.raises(InputError, match=r"weights must have shape \(3,\), got \(2,\)"):
        Snapshots.from_arrays(np.zeros((3, 1)), [0, 1, 1], weights=[1.0, 1.0])


def test_an_unknown_time_is_refused(table):
    snapshots = Snapshots.from_frame(table, time="day")
    with pytest.raises(InputError, match="no snapshot at time 3; times are"):
        snapshots.select([0, 3])
    with pytest.raises(InputError, match="no snapshot at time 3"):
        snapshots.drop(3)
    with pytest.raises(InputError, match="leaves no snapshot"):
        snapshots.drop([0, 2, 5])


@pytest.mark.parametrize(
    "times", [1.7e9 + np.arange(3), 1e-15 * np.arange(3)], ids=["seconds since 1970", "fs"]
)
def test_neighbouring_times_are_told_apart_at_any_scale(times):
    snapshots = Snapshots(times, [np.full((1, 1), k) for k in range(3)])
    for k, t in enumerate(times):
        assert snapshots.select([t]).points[0] == k
        assert snapshots.drop([t]).times.tolist() == np.delete(times, k).tolist()
    with pytest.raises(InputError, match="no snapshot at time"):
        snapshots.select([times[0] + 0.3 * (times[1] - times[0])])


def test_rounding_of_a_time_is_forgiven():
    snapshots = Snapshots([0.1, 0.3, 0.7], [np.full((1, 1), k) for k in range(3)])
    assert snapshots.select([0.1 + 0.2]).times.tolist() == [0.3]


def test_nanoseconds_a_century_apart_are_refused_rather_than_rounded():
    times = pd.DatetimeIndex(["1920-01-01 00:00:00.000000001", "2020-01-01 00:00:00.000000003"])
    with pytest.raises(InputError, match=r"too fine.*dt\.floor"):
        Snapshots(times, [np.zeros((1, 1)), np.zeros((1, 1))])


class TestAnnData:
    @pytest.fixture
    def adata(self, rng):
        anndata = pytest.importorskip("anndata", reason="anndata is not installed")
        obs = pd.DataFrame(
            {"day": [0, 0, 3, 3, 3], "w": [1.0, 3.0, 1.0, 1.0, 2.0]},
            index=[f"cell{i}" for i in range(5)],
        )
        cells = anndata.AnnData(X=rng.standard_normal((5, 4)), obs=obs)
        cells.obsm["X_pca"] = rng.standard_normal((5, 3))
        return cells

    def test_cells_by_their_coordinates(self, adata):
        snapshots = Snapshots.from_anndata(adata, time="day", n_dims=2, weight="w")
        assert snapshots.times.tolist() == [0, 3]
        assert np.array_equal(np.concatenate(snapshots.points), adata.obsm["X_pca"][:, :2])
        assert snapshots.features == ("pca1", "pca2")
        assert snapshots.probabilities(0).tolist() == [0.25, 0.75]

    def test_cells_by_their_expression(self, adata):
        dense = Snapshots.from_anndata(adata, time="day", use_rep="X")
        assert np.array_equal(np.concatenate(dense.points), adata.X)
        import scipy.sparse

        adata.X = scipy.sparse.csr_matrix(adata.X)
        sparse = Snapshots.from_anndata(adata, time="day", use_rep="X")
        assert np.array_equal(sparse.points[1], dense.points[1])

    def test_stages_may_be_categories(self, adata):
        adata.obs["day"] = pd.Categorical(adata.obs["day"])
        assert Snapshots.from_anndata(adata, time="day").times.tolist() == [0, 3]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"time": "dya"}, r"no column 'dya' in obs; did you mean 'day'\?"),
            ({"time": "day", "use_rep": "X_pac"}, r"no 'X_pac' in obsm; did you mean 'X_pca'\?"),
            ({"time": "day", "weight": "ww"}, r"no column 'ww' in obs; did you mean 'w'\?"),
        ],
    )
    def test_wrong_names(self, adata, options, message):
        with pytest.raises(InputError, match=message):
            Snapshots.from_anndata(adata, **options)

    def test_categories_that_are_words_are_refused(self, adata):
        adata.obs["day"] = pd.Categorical(["a", "a", "b", "b", "b"])
        with pytest.raises(InputError, match="times must be numbers"):
            Snapshots.from_anndata(adata, time="day")


def test_a_table_is_copied_twice_at_most_while_it_is_sorted(rng):
    table = pd.DataFrame(rng.normal(size=(20_000, 25)).astype(np.float32))
    table.columns = [f"x{c}" for c in table]
    table["day"] = rng.integers(3, size=len(table))
    tracemalloc.start()
    snapshots = Snapshots.from_frame(table, time="day")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 2.3 * 8 * 25 * len(table)
    assert replace(snapshots, time_name="t").points[0] is snapshots.points[0]


def test_points_that_are_given_stay_the_users():
    points = [np.zeros((3, 1)), np.ones((2, 1))]
    snapshots = Snapshots([0, 1], points)
    points[0][0] = 5.0
    assert snapshots.points[0][0] == 0
    frozen = points[1].view()
    frozen.flags.writeable = False
    seen = Snapshots([0], [frozen]).points[0]
    points[1][0] = 7.0
    assert seen[0] == 1
