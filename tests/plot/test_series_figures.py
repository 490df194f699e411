"""Figures of forecasts of series and of their calibration: what is drawn, not how it looks."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import Forecast, IrregularSeries, plot
from trajinfer._core.errors import InputError

pytest.importorskip("matplotlib").use("agg")


@pytest.fixture
def forecast(rng):
    dates = pd.date_range("2020-01-01", periods=12, freq="D")
    values = rng.normal(size=(2, 8, 2))
    values[1, 3, 1] = np.nan
    history = IrregularSeries.from_arrays(dates[:8], values, channels=["u", "v"])
    return Forecast(rng.normal(size=(2, 50, 4, 2)), dates[8:], ("u", "v"), (0, 1), history=history)


@pytest.fixture
def ax():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_a_forecast_draws_bands_and_its_history(forecast, ax):
    forecast.plot(1, dim="v", levels=(0.5, 0.9), ax=ax)
    bands, dots = ax.collections[:2], ax.collections[2:]
    assert len(bands) == 2
    (seen,) = dots
    offsets = np.asarray(seen.get_offsets())
    assert len(offsets) == 7, "the hole is not drawn"
    # the history ends where the axis of the forecast begins
    assert offsets[:, 0].max() == -1.0
    middle = ax.lines[0].get_ydata()
    np.testing.assert_allclose(middle[1:], forecast.quantile(0.5)[1, :, 1])
    assert middle[0] == offsets[offsets[:, 0].argmax(), 1], "it starts at the last observation"
    assert (bands[0].get_paths()[0].vertices[0] == [-1.0, middle[0]]).all()
    assert ax.get_ylabel() == "v"


def test_what_came_later_has_its_own_colour(forecast, rng, ax):
    later = IrregularSeries.from_arrays(
        pd.date_range("2020-01-07", periods=5, freq="D"), rng.normal(size=(1, 5, 2))
    )
    forecast.plot(0, observed=later, cutoff=pd.Timestamp("2020-01-08"), levels=(0.8,), ax=ax)
    before, after = (len(np.asarray(dots.get_offsets())) for dots in ax.collections[1:])
    assert (before, after) == (2, 3)


def test_calibration_draws_the_table(ax):
    table = pd.DataFrame({"level": [0.5, 0.9], "coverage": [0.4, 0.85], "standard_error": 0.02})
    plot.calibration(table, ax=ax, label="model")
    diagonal, line = ax.lines[:2]
    assert diagonal.get_xdata().tolist() == diagonal.get_ydata().tolist()
    assert line.get_ydata().tolist() == [0.4, 0.85]
    assert ax.get_legend() is not None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"levels": [0.5], "coverage": [0.5]}), "did you mean 'levels'"),
        (pd.DataFrame({"level": [], "coverage": []}), "no rows"),
    ],
)
def test_a_table_that_cannot_be_drawn(table, message):
    with pytest.raises(InputError, match=message):
        plot.calibration(table)


def test_values_that_surprise_are_marked(ax):
    values = np.arange(6.0).reshape(1, 6, 1)
    values[0, 2] = np.nan
    data = IrregularSeries.from_arrays(np.arange(6.0), values, channels=["u"])
    scores = np.where(np.arange(6) == 4, 12.0, 0.5).reshape(1, 6, 1)
    plot.anomalies(data, scores, ax=ax)
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 3, 4, 5]
    assert np.asarray(ax.collections[0].get_offsets()).tolist() == [[4.0, 4.0]]


def test_a_long_record_is_its_range_and_its_mean_with_gaps_left_open(ax, rng):
    times = np.delete(np.arange(4000.0), np.s_[1000:1500])
    values = rng.normal(size=(1, len(times), 1))
    data = IrregularSeries.from_arrays(times, values)
    plot.anomalies(data, (values == values.max()) * 20.0, ax=ax)
    band, odd = ax.collections
    covered = band.get_datalim(ax.transData)
    assert (covered.ymin, covered.ymax) == (values.min(), values.max())
    (mean,) = ax.lines
    where, means = mean.get_xdata(), mean.get_ydata()
    assert np.isnan(means[(where > 1020) & (where < 1480)]).all()
    first = times < (where[0] + where[1]) / 2
    assert means[0] == pytest.approx(values[0, first, 0].mean())
    assert np.asarray(odd.get_offsets())[0, 1] == values.max()


def test_series_are_dots_where_they_were_seen_and_lines_between(ax):
    times = np.array([[0.0, 1.0, 2.0], [0.5, 1.5, 2.5]])
    values = np.arange(12.0).reshape(2, 3, 2)
    values[0, 1, 1] = np.nan
    data = IrregularSeries.from_arrays(times, values, channels=["u", "v"])
    plot.series(data, channel="v", ax=ax)
    lines = [line.get_xydata().tolist() for line in ax.lines]
    assert lines[:2] == [[[0.0, 1.0], [2.0, 5.0]]] * 2
    assert len(lines) == 4
    assert (ax.get_ylabel(), ax.get_title()) == ("v", "2 series")
    with pytest.raises(InputError, match="no coordinate 'w'"):
        plot.series(data, channel="w", ax=ax)
