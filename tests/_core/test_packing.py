"""What is packed comes back the same, of every kind; what cannot be written is named."""

import json
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer._core.errors import InputError
from trajinfer._core.packing import pack, packable, unpack


@packable
@dataclass(frozen=True)
class PackedPoint:
    where: np.ndarray
    label: str = "a"


def there_and_back(value):
    tensors = {}
    document = json.dumps(pack(value, tensors, "root"), allow_nan=False)
    return unpack(json.loads(document), tensors)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        float("inf"),
        -float("inf"),
        "text",
        [1, [2.0, None]],
        (1, (2, "b")),
        (),
        {"a": (1, 2), "b": {"c": [None]}},
        {("none", "mild"): ["sex"], 3: 4.0},
        {"kind": "a key that packing uses itself"},
        {1, 2},
        timedelta(days=1, microseconds=3),
        pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert("Europe/Berlin"),
        pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert("Europe/Berlin"),
        pd.Timestamp("1999-01-01"),
        b"\x00a\xff",
        pd.Interval(0, 1.5, closed="left"),
        pd.Interval(pd.Timestamp("1999-01-01"), pd.Timestamp("2000-01-01")),
        pd.Period("2020-03", freq="M"),
    ],
    ids=repr,
)
def test_plain_values(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value) or isinstance(back, pd.Timedelta)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.zeros((0, 3)),
        np.array([True, False]),
        np.array([0.1, np.nan], dtype=np.float32),
        np.array(["a", None, 3], dtype=object),
        np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[ns]"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(2.0),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays(array):
    back = there_and_back({"x": array})["x"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    if array.dtype == object:
        assert back.tolist() == array.tolist()
    else:
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("scalar", [np.int64(3), np.float32(0.5), np.bool_(True), np.str_("a")])
def test_numpy_scalars_become_the_python_values_they_are(scalar):
    assert there_and_back(scalar) == scalar.item()
    assert type(there_and_back(scalar)) is type(scalar.item())


def test_objects_of_registered_classes():
    back = there_and_back([PackedPoint(np.arange(2.0), "b")])[0]
    assert type(back) is PackedPoint
    assert back.label == "b"
    np.testing.assert_array_equal(back.where, [0.0, 1.0])


@pytest.mark.parametrize("source", [np.random.default_rng(3), torch.Generator().manual_seed(3)])
def test_generators_go_on_where_they_were(source):
    def draw(generator):
        if isinstance(generator, torch.Generator):
            return torch.rand(4, generator=generator).tolist()
        return generator.random(4).tolist()

    draw(source)
    assert draw(there_and_back(source)) == draw(source)


def test_the_old_numpy_generator():
    source = np.random.RandomState(3)
    source.normal(size=3)
    assert there_and_back(source).normal() == source.normal()


@pytest.mark.parametrize("value", [len, object(), {"deep": [lambda: 1]}])
def test_code_is_refused_with_its_place(value):
    with pytest.raises(InputError, match="root"):
        there_and_back(value)


def test_two_classes_of_one_name_are_refused():
    twin = dataclass(type("PackedPoint", (), {"__module__": "elsewhere"}))
    with pytest.raises(TypeError, match="two classes"):
        packable(twin)


def test_unknown_classes_and_missing_arrays_are_told():
    with pytest.raises(InputError, match="Newer"):
        unpack({"kind": "object", "class": "Newer", "state": {}}, {})
    with pytest.raises(InputError, match="missing"):
        unpack({"kind": "array", "at": "gone"}, {})
    with pytest.raises(InputError, match="unknown"):
        unpack({"kind": "hologram"}, {})
