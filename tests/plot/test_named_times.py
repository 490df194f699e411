"""Figures call times by the name of their column, and leave forecasts and data their room."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import IrregularSeries, JumpSeries, Snapshots, Trajectories
from trajinfer.data import Forecast, TimeAxis

pytest.importorskip("matplotlib").use("Agg")

from trajinfer import plot  # noqa: E402
from trajinfer.plot.anomalies import anomalies  # noqa: E402


@pytest.fixture
def series():
    days = pd.date_range("2020-01-01", periods=200)
    table = pd.DataFrame({"day": days, "load": np.sin(np.arange(200.0))})
    return IrregularSeries.from_frame(table, id=None, time="day")


@pytest.fixture
def forecast(series):
    ts = np.arange(200.0, 210.0)
    samples = np.random.default_rng(0).normal(size=(1, 50, 10, 1))
    return Forecast(samples, ts, series.channels, series.ids, series.axis, series)


def _words(axis):
    axis.figure.canvas.draw()
    return [tick.get_text() for tick in axis.get_xticklabels()]


def test_the_name_of_the_column_survives_a_file():
    axis = TimeAxis.of(pd.Series([0.0, 1.0], name="year"))
    assert TimeAxis.from_config(axis.to_config()).name == "year"
    assert axis.since_start().name == "year"
    assert axis == TimeAxis.of(pd.Series([0.0, 1.0], name="when"))


def test_series_and_surprises_stand_on_dates_called_as_their_column(series):
    axes = plot.series(series)
    assert axes.get_xlabel() == "day"
    shown = anomalies(series, np.zeros(series.values.shape))
    assert shown.get_xlabel() == "day"
    assert _words(shown) == _words(axes)


def test_snapshots_and_held_out_panels_are_called_as_their_column():
    table = pd.DataFrame({"year": [0, 0, 1, 1, 2, 2], "x": np.arange(6.0), "y": np.ones(6)})
    data = Snapshots.from_frame(table, time="year")
    panels = plot.held_out(data, data.select([1]), train=data)
    assert panels[0].get_title() == "year = 1"
    field = plot.velocity(lambda x, t: x, 1.0, data)
    assert field.get_title() == "year = 1 (dots: snapshot at year = 1)"
    assert plot.snapshots(data, dims=0).get_xlabel() == "year"


def test_paths_of_states_count_their_column_from_the_first_observation():
    table = pd.DataFrame({"id": [1, 1, 2, 2], "week": [0, 1, 0, 2], "state": list("abba")})
    data = JumpSeries.from_frame(table, id="id", time="week", state="state")
    axes = plot.occupation(data, [0.0, 2.0], np.full((2, 2), 0.5))
    assert axes.get_xlabel() == "week since the first observation"
    ribbon = plot.state_posterior([0.0, 1.0], np.full((2, 2), 0.5), series=data)
    assert ribbon.get_xlabel() == "week"


def test_a_long_past_leaves_the_forecast_its_room(forecast):
    axes = forecast.plot()
    low, high = axes.get_xlim()
    assert high - low < 9.0 / 0.15  # the fan, which is nine days long
    dots = axes.collections[-1].get_offsets()
    assert len(dots) == 36  # four times nine days
    assert dots[:, 0].min() == 164


def test_at_least_thirty_values_are_shown_before_one_time(series):
    one = Forecast(np.zeros((1, 5, 1, 1)), [200.0], ("load",), (0,), series.axis, series)
    assert len(one.plot().collections[-1].get_offsets()) == 30


def test_what_was_given_with_a_cutoff_is_drawn_whole(forecast, series):
    axes = plot.forecast(forecast, observed=series, cutoff=series.axis.decode([199.0])[0])
    assert len(axes.collections[-1].get_offsets()) == 200


def test_one_of_several_forecasts_says_whose_it_is(forecast):
    both = Forecast(np.repeat(forecast.samples, 2, 0), forecast.ts, ("load",), ("Kiel", "Bern"))
    assert both.plot(1).get_legend().get_title().get_text() == "Bern"
    assert forecast.plot().get_legend().get_title().get_text() == ""


def test_no_legend_covers_data(series):
    table = pd.DataFrame({"id": [1, 1], "week": [0, 1], "state": ["a", "b"]})
    paths = JumpSeries.from_frame(table, id="id", time="week", state="state")
    data = Snapshots.from_frame(pd.DataFrame({"t": [0, 1], "x": [0.0, 1], "y": [1.0, 0]}), time="t")
    walk = np.cumsum(np.random.default_rng(0).normal(size=300))
    drawn = [
        plot.state_posterior([0.0, 1.0], np.full((2, 2), 0.5), series=paths),
        plot.held_out(data, data.select([1]))[0],
        plot.variogram(walk),
        plot.trajectories(Trajectories([0.0, 1.0], np.zeros((3, 2, 2)))),
        anomalies(series, np.zeros(series.values.shape)),
        plot.passage([1.0, 2.0], [0.5, 0.2], names=["here"]),
    ]
    for axes in drawn:
        axes.figure.canvas.draw()
        box = axes.get_legend().get_window_extent()
        assert box.y0 >= axes.get_window_extent().y1 - 1, axes
