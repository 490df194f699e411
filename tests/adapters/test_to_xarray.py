"""Labelled arrays hold the same numbers at the same labels."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import Forecast, InputError, IrregularSeries, Trajectories
from trajinfer.adapters import to_xarray

pytest.importorskip("xarray")

DAYS = pd.date_range("2020-03-01", periods=3, freq="D")
SAMPLES = np.random.default_rng(0).normal(size=(2, 5, 3, 2))


def test_a_forecast_is_found_by_its_labels():
    forecast = Forecast(SAMPLES, DAYS, ("load", "price"), ("a", "b"))
    labelled = to_xarray(forecast)["samples"]
    assert labelled.dims == ("series", "draw", "time", "channel")
    found = labelled.sel(series="b", channel="price", time="2020-03-02").mean("draw")
    assert float(found.item()) == pytest.approx(forecast.mean()[1, 1, 1], abs=1e-15)


def test_times_of_their_own_are_a_coordinate():
    ts = np.array([[0.0, 1.0, 2.0], [0.5, 1.5, 4.0]])
    labelled = to_xarray(Forecast(SAMPLES, ts))
    assert labelled["samples"].dims == ("series", "draw", "step", "channel")
    np.testing.assert_array_equal(labelled["time"], ts)


def test_trajectories_keep_their_weights():
    weights = np.array([[1.0, 3.0], [3.0, 1.0]])
    paths = Trajectories([0.0, 1.0], np.arange(8.0).reshape(2, 2, 2), weights, ("x", "y"))
    labelled = to_xarray(paths)
    mean = (labelled["values"] * labelled["weight"]).sum("path")
    np.testing.assert_allclose(mean.sel(feature="y"), paths.mean()[:, 1], rtol=1e-14)


def test_series_keep_holes_labels_and_statics():
    series = IrregularSeries.from_arrays(
        [[0.0, 1.0], [0.5, 2.0, 7.0]],
        [[1.0, np.nan], [2.0, 3.0, 4.0]],
        labels=["u", "v"],
        statics=[[10.0], [20.0]],
    )
    labelled = to_xarray(series)
    assert labelled["values"].sel(series=0, channel="x0").isnull().sum() == 2  # a hole, the padding
    assert labelled["label"].sel(series=1).item() == "v"
    assert labelled["statics"].sel(series=1, static="s0").item() == 20.0
    np.testing.assert_array_equal(labelled["time"].sel(series=1), [0.5, 2.0, 7.0])


def test_it_is_written_and_read_as_a_table():
    paths = Trajectories(DAYS, np.arange(6.0).reshape(2, 3, 1), features=("x",))
    table = to_xarray(paths)["values"].to_dataframe().reset_index()
    expected = paths.to_frame()
    assert list(table["time"]) == list(expected["time"])
    np.testing.assert_array_equal(table["values"], expected["x"])


def test_other_values_are_refused():
    with pytest.raises(InputError, match="expected a Forecast"):
        to_xarray(np.zeros(3))
