"""Labels that other libraries wrap: bytes, intervals, truth values, numbers in two spellings."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries, JumpSeries, Snapshots
from trajinfer.cli.files import TableFile
from trajinfer.generation.prepared import _group_numbers
from trajinfer.series.labels import class_labels

VALUES = np.array([20.0, -20.0, 3.0, 20.0])
BINS = pd.cut(VALUES, [-100, -10, 10, 100])


def states(labels):
    table = pd.DataFrame({"id": 0, "t": range(len(labels)), "s": labels})
    return JumpSeries.from_frame(table, id="id", time="t", state="s")


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.array([b"a", b"b"]), ["a", "b"]),
        ([b"a", b"b"], ["a", "b"]),
        (BINS, [str(one) for one in BINS]),
        (pd.Series([True, False], dtype=object), [True, False]),
        (pd.array([1, 2], dtype="Int64"), [1, 2]),
        (["a", "b"], ["a", "b"]),
    ],
    ids=["bytes", "list of bytes", "intervals", "truth values", "nullable", "text"],
)
def test_classes_are_plain(given, plain):
    found = class_labels(given, len(plain))
    assert found.tolist() == plain


@pytest.mark.parametrize("read", [class_labels, _group_numbers], ids=["classes", "groups"])
@pytest.mark.parametrize("hidden", [7, "zz"])
def test_names_that_a_mask_hides_are_no_names(read, hidden):
    names = np.ma.array([hidden, hidden, hidden], mask=[False, True, False])
    with pytest.raises(InputError, match=r"NaN|index 1"):
        read(names, 3)
    assert len(set(read(np.ma.array([hidden, hidden, hidden]), 3))) == 1


@pytest.mark.parametrize("missing", [np.nan, None])
def test_a_group_without_a_name_is_no_group(missing):
    with pytest.raises(InputError, match="no name at index 1"):
        _group_numbers([1, missing, 2], 3)


@pytest.mark.parametrize("read", [states, lambda labels: class_labels(labels, 3)], ids=["s", "y"])
def test_one_number_in_two_spellings_is_refused(read):
    with pytest.raises(InputError, match=r"'1' and '1\.0' are one number") as refusal:
        read(np.array(["1", "1.0", "2"]))
    advice = str(refusal.value).split("alike: ")[-1]
    read(eval(advice, {"column": pd.Series(["1", "1.0", "2"])}).to_numpy())


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64", "Float64", "float32"])
def test_numbered_variables_are_called_by_whole_numbers_and_come_back(dtype):
    table = pd.DataFrame({"id": 0, "t": [0, 0, 1, 1], "v": [2, 10, 2, 10], "y": [0.5, 1, 2, 3]})
    table["v"] = table["v"].astype(dtype)
    series = IrregularSeries.from_frame(table, id="id", time="t", variable="v", value="y")
    assert series.channels == ("10", "2")
    back = series.to_frame().sort_values(["t", "v"], ignore_index=True)
    pd.testing.assert_frame_equal(back, table)


def test_variables_of_bytes_are_called_by_their_text():
    table = pd.DataFrame({"id": 0, "t": [0, 0], "v": [b"hr", b"bp"], "y": [1.0, 2.0]})
    series = IrregularSeries.from_frame(table, id="id", time="t", variable="v", value="y")
    assert series.channels == ("bp", "hr")


@pytest.mark.parametrize("door", [Snapshots, IrregularSeries, JumpSeries])
def test_complex_times_are_refused(door):
    times = np.array([0.0, 1.0]) + 1j
    data = np.ones((2, 1)) if door is Snapshots else np.ones((1, 2, 1))
    order = (data, times) if door is Snapshots else (times, data)
    if door is JumpSeries:
        order = (times, [[0, 1]])
    with pytest.raises(InputError, match="complex"):
        door.from_arrays(*order)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.0", "2.0"], [1, 2]),
        (["1.0", "2"], [1, 2]),
        (["1.0", ""], [1, pd.NA]),
        (["1.0", "1.5"], ["1.0", "1.5"]),
        (["01.0", "2.0"], ["01.0", "2.0"]),
        (["1.0", "mild"], ["1.0", "mild"]),
    ],
    ids=["whole", "two spellings", "a gap", "versions", "codes", "names"],
)
def test_files_give_whole_numbers_as_names(tmp_path, cells, expected):
    path = tmp_path / "table.csv"
    path.write_text("s,x\n" + "".join(f"{cell},0\n" for cell in cells))
    frame, _ = TableFile(data=path).read_table(text=["s"])
    assert frame["s"].tolist() == expected
