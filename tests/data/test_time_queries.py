"""One door for times and durations that a user asks for."""

import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer._core.errors import InputError
from trajinfer.data.time_axis import TimeAxis
from trajinfer.data.time_order import TimeOrder

DAYS = pd.to_datetime(["2020-01-01", "2020-01-03"])
AXES = {
    "number": (TimeAxis(), [3.0, 1.0, 3.0]),
    "datetime": (TimeAxis.of(DAYS), pd.to_datetime(["2020-01-04", "2020-01-02", "2020-01-04"])),
    "timedelta": (TimeAxis.of(DAYS - DAYS[0]), pd.to_timedelta([3, 1, 3], unit="D")),
}
every_axis = pytest.mark.parametrize("kind", AXES)


@every_axis
def test_times_are_answered_in_the_order_asked(kind):
    axis, labels = AXES[kind]
    np.testing.assert_array_equal(axis.queries(labels, 2), [[3.0, 1.0, 3.0]] * 2)
    rows = np.stack([np.asarray(labels), np.asarray(labels)[::-1]])
    np.testing.assert_array_equal(axis.queries(rows, 2), [[3.0, 1.0, 3.0], [3.0, 1.0, 3.0]])


@every_axis
def test_a_scalar_is_one_time(kind):
    axis, labels = AXES[kind]
    np.testing.assert_array_equal(axis.queries(labels[0], 3), [[3.0]] * 3)


@every_axis
@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda labels: labels[:0], "empty"),
        (lambda labels: np.zeros((2, 2, 2)), "one time, a row"),
        (lambda labels: np.tile(np.asarray(labels), (4, 1)), "row per series"),
    ],
)
def test_what_is_no_question(kind, ask, says):
    axis, labels = AXES[kind]
    with pytest.raises(InputError, match=says):
        axis.queries(ask(labels), 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_times_must_be_finite(bad):
    with pytest.raises(InputError, match="finite"):
        TimeAxis().queries([0.0, bad], 1)


@every_axis
def test_times_before_the_last_are_refused_with_their_labels(kind):
    axis, labels = AXES[kind]
    axis.queries(labels, 2, after=np.array([1.0, 0.0]))
    with pytest.raises(InputError, match=r"series 1 ends at .*until"):
        axis.queries(labels, 2, after=np.array([0.0, 2.0]))


def test_tensors_are_times():
    assert TimeAxis().queries(torch.tensor([2.0, 1.0]), 1).tolist() == [[2.0, 1.0]]


def test_durations():
    assert TimeAxis().duration(3) == 3.0
    assert AXES["datetime"][0].duration(pd.Timedelta("36h")) == 1.5
    assert AXES["timedelta"][0].duration(np.timedelta64(12, "h")) == 0.5
    assert AXES["datetime"][0].durations(pd.to_timedelta([2, 1], unit="D")).tolist() == [2.0, 1.0]
    with pytest.raises(InputError, match="numbers"):
        TimeAxis().duration(pd.Timedelta("1D"))
    for bad in (0.0, -1.0, np.nan, True):
        with pytest.raises(InputError, match="duration"):
            TimeAxis().duration(bad)
    with pytest.raises(InputError, match="the start"):
        TimeAxis().durations([-1.0])


def test_order_and_back():
    rng = np.random.default_rng(0)
    asked = rng.integers(0, 5, (4, 7)).astype(float)
    order = TimeOrder.of(asked)
    assert (np.diff(order.times, axis=1) >= 0).all()
    np.testing.assert_array_equal(order.restore(order.times, axis=1), asked)
    np.testing.assert_array_equal(order.sort(asked, axis=1), order.times)
    paths = np.repeat(order.times[:, None, :, None], 3, axis=1)
    np.testing.assert_array_equal(order.restore(paths, axis=2)[:, 1, :, 0], asked)
