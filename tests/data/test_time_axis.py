import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer._core.errors import InputError
from trajinfer.data import TimeAxis

LABELS = {
    "int": np.array([1, 5, 9]),
    "float": np.array([0.1, 0.25, 1e6]),
    "datetime": pd.DatetimeIndex(["2024-01-01 06:00", "2024-02-03"]),
    "seconds": pd.DatetimeIndex(["2024-01-01 06:00", "2024-02-03"]).as_unit("s"),
    "time zone": pd.DatetimeIndex(["2024-03-30 06:00", "2024-04-03"]).tz_localize("Asia/Tokyo"),
    "timedelta": pd.TimedeltaIndex(["3h", "4D"]),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("unit", ["D", "h", "s"])
def test_decode_inverts_encode(kind, unit):
    labels = LABELS[kind]
    axis = TimeAxis.of(labels, unit)
    decoded = axis.decode(axis.encode(labels))
    assert decoded.dtype == labels.dtype
    assert (decoded == labels).all()


@pytest.mark.parametrize("kind", LABELS)
def test_a_configuration_is_plain_data_and_comes_back(kind):
    axis = TimeAxis.of(LABELS[kind], "h")
    again = TimeAxis.from_config(axis.to_config())
    assert again == axis
    numbers = axis.encode(LABELS[kind])
    assert again.decode(numbers).dtype == LABELS[kind].dtype


def test_datetimes_count_from_the_first_one_whatever_their_order():
    labels = pd.DatetimeIndex(["2024-01-03", "2024-01-01"])
    assert TimeAxis.of(labels).encode(labels).tolist() == [2.0, 0.0]


def test_datetimes_before_the_origin_are_negative():
    axis = TimeAxis.of(pd.DatetimeIndex(["2024-01-03"]))
    assert axis.encode([pd.Timestamp("2024-01-01 12:00")]).tolist() == [-1.5]


@pytest.mark.parametrize(
    "label",
    [pd.Timestamp("2024-01-04"), np.datetime64("2024-01-04"), "2024-01-04"],
    ids=["pandas", "numpy", "text"],
)
def test_a_datetime_may_be_written_in_many_ways(label):
    axis = TimeAxis.of(pd.DatetimeIndex(["2024-01-03"]))
    assert axis.encode([label]).tolist() == [1.0]


def test_durations_may_be_written_in_many_ways():
    axis = TimeAxis.of(pd.TimedeltaIndex(["1D"]))
    assert axis.encode([np.timedelta64(36, "h")]).tolist() == [1.5]
    assert axis.encode([pd.Timedelta("36h")]).tolist() == [1.5]


def test_numbers_are_already_on_the_axis():
    axis = TimeAxis.of(pd.DatetimeIndex(["2024-01-03"]))
    assert axis.encode([0.5, 2]).tolist() == [0.5, 2.0]


def test_times_between_whole_days_are_not_rounded_to_whole_ones():
    axis = TimeAxis.of(np.array([0, 2]))
    assert axis.decode([0.0, 1.0]).dtype.kind == "i"
    assert axis.decode([0.0, 0.5]).tolist() == [0.0, 0.5]
    dates = TimeAxis.of(pd.DatetimeIndex(["2024-01-01"]).as_unit("s"))
    assert dates.decode([0.5])[0] == pd.Timestamp("2024-01-01 12:00")
    assert dates.decode([1e-6])[0] == pd.Timestamp("2024-01-01 00:00:00.0864")


def test_encoded_times_can_be_written_to_where_the_labels_cannot():
    labels = np.array([0.0, 1.5])
    labels.flags.writeable = False
    encoded = TimeAxis.of(labels).encode(labels)
    encoded[0] = 7.0
    assert labels[0] == 0.0


@pytest.mark.parametrize("dtype", ["float32", "Float32"])
def test_short_floats_that_may_be_missing_are_decimals_too(dtype):
    times = pd.Series([0.1, 0.3], dtype=dtype)
    axis = TimeAxis.of(times)
    assert axis.encode(times).tolist() == [0.1, 0.3]
    assert axis.decode([0.1, 0.3]).dtype == times.dtype


@pytest.mark.parametrize("dtype", ["int8", "uint8", "Int8", "float16", "float32", "Float32"])
def test_a_time_that_the_dtype_of_the_labels_cannot_hold_is_not_bent(dtype):
    axis = TimeAxis.of(pd.Series([0.0, 100.0]).to_numpy().astype(dtype.lower()))
    if dtype != dtype.lower():
        axis = TimeAxis.of(pd.Series([0.0, 100.0]).astype(dtype))
    # by their digits: to numpy 1 the 0.1 of single precision is not 0.1
    written = [float(str(label)) for label in axis.decode([-1.0, 0.1, 300.0, 1e9])]
    assert written == [-1.0, 0.1, 300.0, 1e9]
    assert list(axis.decode([-1.0, 300.0, 1e9])) == [-1.0, 300.0, 1e9]


@pytest.mark.parametrize("dtype", ["Int64", "Int8", "UInt16", "Float64"])
def test_nullable_numbers_come_back(dtype):
    labels = pd.Series([3, 1, 2]).astype(dtype)
    axis = TimeAxis.of(labels)
    decoded = axis.decode(axis.encode(labels))
    assert decoded.dtype == labels.dtype
    assert list(decoded) == [3, 1, 2]


def test_times_may_be_a_tensor():
    times = torch.tensor([0.5, 2.0])
    assert TimeAxis.of(times).encode(times).tolist() == [0.5, 2.0]


def test_dates_centuries_apart_are_counted():
    dates = np.array(["1500-01-01", "1990-01-01"], dtype="datetime64[s]")
    axis = TimeAxis.of(dates)
    assert axis.encode(dates).tolist() == [0.0, 178969.0]
    np.testing.assert_array_equal(axis.decode([0.0, 178969.0]).to_numpy(), dates)


def test_every_microsecond_of_half_a_century_survives():
    rng = np.random.default_rng(0)
    offsets = rng.integers(0, 50 * 365 * 86_400 * 10**6, 2000)
    start = np.datetime64("1925-03-01", "us")
    labels = pd.DatetimeIndex(start + np.concatenate([[0], offsets]).astype("m8[us]"))
    axis = TimeAxis.of(labels)
    assert (axis.decode(axis.encode(labels)) == labels).all()


@pytest.mark.parametrize("label", ["monday", "2024-01-01T00:00:00+02:00", object()])
def test_labels_of_another_kind_are_refused(label):
    axis = TimeAxis.of(pd.DatetimeIndex(["2024-01-01"]))
    with pytest.raises(InputError):
        axis.encode([label])


def test_a_datetime_on_an_axis_of_numbers_is_refused():
    axis = TimeAxis.of(np.array([0.0, 1.0]))
    with pytest.raises(InputError):
        axis.encode([pd.Timestamp("2024-01-01")])
    with pytest.raises(InputError):
        axis.encode(pd.DatetimeIndex(["2024-01-01"]))


def test_a_duration_on_an_axis_of_datetimes_is_refused():
    axis = TimeAxis.of(pd.DatetimeIndex(["2024-01-01"]))
    with pytest.raises(InputError):
        axis.encode([pd.Timedelta("1D")])
