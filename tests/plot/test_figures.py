import sys

import numpy as np
import pandas as pd
import pytest

from trajinfer import plot
from trajinfer._core.errors import InputError, MissingExtra
from trajinfer.data import Snapshots, Trajectories

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")


@pytest.fixture(autouse=True)
def pyplot(monkeypatch):
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: pytest.fail("a figure was shown"))
    yield plt
    assert dict(matplotlib.rcParams) == before
    plt.close("all")


@pytest.fixture
def cloud():
    rng = np.random.default_rng(0)
    points = [rng.normal(size=(n, 3)) + n for n in (10, 20, 15)]
    return Snapshots([0.0, 1.0, 3.0], points, features=["a", "b", "c"])


@pytest.fixture
def paths():
    values = np.random.default_rng(1).normal(size=(450, 5, 3)).cumsum(axis=1)
    return Trajectories([0.0, 0.5, 1.0, 2.0, 3.0], values, features=["a", "b", "c"])


def _draw(ax):
    ax.figure.canvas.draw()
    return ax


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_snapshots_are_one_dot_per_row_coloured_by_time(cloud):
    ax = _draw(plot.snapshots(cloud))
    (dots,) = ax.collections
    rows, times = cloud.stacked()
    np.testing.assert_array_equal(dots.get_offsets(), rows[:, :2])
    np.testing.assert_array_equal(dots.get_array(), times)
    assert dots.get_cmap().name == "viridis"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    assert [other.get_ylabel() for other in ax.figure.axes[1:]] == ["time"]


def test_one_coordinate_is_drawn_against_time(cloud):
    ax = _draw(plot.snapshots(cloud, dims="c", time_bar=False))
    rows, times = cloud.stacked()
    np.testing.assert_array_equal(
        ax.collections[0].get_offsets(), np.column_stack([times, rows[:, 2]])
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time", "c")
    assert len(ax.figure.axes) == 1


def test_weights_scale_the_dots_and_numbers_fade_them():
    points = [np.zeros((2, 2)), np.ones((2, 2))]
    weighted = Snapshots([0, 1], points, weights=[[1, 3], [1, 1]])
    sizes = plot.snapshots(weighted, size=10).collections[0].get_sizes()
    np.testing.assert_allclose(sizes, [5, 15, 10, 10])
    few, many = (Snapshots([0], [np.zeros((n, 2))]) for n in (50, 5000))
    alphas = [plot.snapshots(s).collections[0].get_alpha() for s in (few, many)]
    assert alphas[0] == pytest.approx(0.9)
    assert 0.1 <= alphas[1] < 0.2


def test_dates_stand_on_the_axis_and_on_the_bar():
    days = pd.to_datetime(["2024-03-01", "2024-03-04"])
    ax = _draw(plot.snapshots(Snapshots(days, [np.zeros((2, 1)), np.ones((2, 1))])))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time", "x0")
    for ticks in (ax.xaxis, ax.figure.axes[1].yaxis):
        words = [text.get_text() for text in ticks.get_ticklabels()]
        assert "02" in words  # days of March, where all is within one
        assert ticks.get_offset_text().get_text() == "2024-Mar"


@pytest.mark.parametrize(("last", "whole"), [(2009.0, True), (2008.5, False)])
def test_no_tick_of_the_bar_stands_between_years(last, whole):
    data = Snapshots([2007.0, last], [np.zeros((2, 1)), np.ones((2, 1))])
    ticks = _draw(plot.snapshots(data)).figure.axes[1].yaxis.get_majorticklocs()
    assert (np.asarray(ticks) % 1 == 0).all() == whole


@pytest.mark.parametrize(
    ("times", "label", "title"),
    [
        (pd.to_datetime(["2024-03-01", "2024-03-04"]), "time", "t = 2024-03-04"),
        (pd.to_timedelta(["0h", "72h"]), "time (D)", "t = 3 D"),
        ([0.0, 3.5], "time", "t = 3.5"),
    ],
    ids=["dates", "durations", "numbers"],
)
def test_times_are_written_as_the_table_has_them(times, label, title):
    data = Snapshots(times, [np.zeros((2, 1)), np.ones((2, 1))])
    assert plot.snapshots(data, time_bar=False).get_xlabel() == label
    panels = plot.held_out(data, data.select([times[1]]))
    assert panels[0].get_title() == title


def test_at_most_200_paths_are_drawn_and_the_legend_says_so(paths):
    ax = _draw(plot.trajectories(paths))
    (lines,) = ax.collections
    segments = lines.get_segments()
    assert len(segments) == 200
    np.testing.assert_array_equal(segments[0], paths.values[0, :, :2])
    np.testing.assert_array_equal(segments[-1], paths.values[-1, :, :2])
    assert _legend(ax) == ["200 of 450 paths"]
    low, high = paths.values[..., 0].min(), paths.values[..., 0].max()
    assert ax.get_xlim()[0] <= low + 1
    assert ax.get_xlim()[1] >= high - 1


def test_few_paths_are_all_drawn_over_the_snapshots(paths, cloud):
    few = Trajectories(paths.ts, paths.values[:7], features=paths.features)
    ax = _draw(plot.trajectories(few, snapshots=cloud, dims=("c", "a"), label="bridges"))
    dots, lines = ax.collections
    assert len(dots.get_offsets()) == 45
    np.testing.assert_array_equal(lines.get_segments()[3], few.values[3][:, [2, 0]])
    assert _legend(ax) == ["7 bridges"]
    assert lines.get_zorder() < dots.get_zorder()


def test_two_sets_of_paths_share_the_axes(paths, pyplot):
    _, ax = pyplot.subplots()
    first = plot.trajectories(paths, ax=ax, max_paths=20)
    assert plot.trajectories(paths, ax=ax, max_paths=3, color="red", label="truth") is first is ax
    assert _legend(ax) == ["20 of 450 paths", "3 of 450 truth"]


def test_paths_with_their_own_times_against_time():
    ts = np.array([[0.0, 1.0], [0.0, 2.0]])
    ax = plot.trajectories(Trajectories(ts, np.arange(4.0).reshape(2, 2, 1)))
    np.testing.assert_array_equal(ax.collections[0].get_segments()[1], [[0, 2], [2, 3]])


def test_containers_have_the_shortcut(paths):
    assert len(paths.plot(max_paths=11).collections[0].get_segments()) == 11


def test_held_out_has_one_panel_per_time(paths, cloud):
    observed = cloud.select([1.0])
    panels = plot.held_out(paths, observed, train=cloud.drop([1.0]), scores=[0.1234])
    (panel,) = panels
    training, predicted, seen = panel.collections
    assert len(training.get_offsets()) == 25
    np.testing.assert_array_equal(predicted.get_offsets(), paths.at(1.0)[:, :2])
    np.testing.assert_array_equal(seen.get_offsets(), observed.points[0][:, :2])
    assert panel.get_title() == "t = 1, W2 0.123"
    assert _legend(panel) == ["training", "predicted", "observed"]
    assert len(plot.held_out(cloud, cloud)) == 3


def test_held_out_draws_into_given_axes(cloud, pyplot):
    _, axes = pyplot.subplots(1, 3)
    assert plot.held_out(cloud, cloud, ax=axes)[1] is axes[1]
    with pytest.raises(InputError, match="2 axes for 3"):
        plot.held_out(cloud, cloud, ax=axes[:2])


class _Rotation:
    def velocity(self, X, t):
        return np.column_stack([-X[:, 1], X[:, 0], np.full(len(X), t)])


def test_velocity_arrows_are_the_field_on_a_grid(cloud):
    ax = _draw(plot.velocity(_Rotation(), 1.2, cloud, n_grid=6))
    arrows, dots = ax.collections
    np.testing.assert_allclose(arrows.U, -arrows.Y)
    np.testing.assert_allclose(arrows.V, arrows.X)
    np.testing.assert_allclose(arrows.get_array(), np.hypot(arrows.X, arrows.Y))
    assert len(arrows.X) == 36
    np.testing.assert_array_equal(dots.get_offsets(), cloud.points[1][:, :2])
    assert ax.get_title() == "t = 1.2 (dots: snapshot at t = 1)"
    assert ax.figure.axes[-1].get_ylabel() == "speed"


def test_velocity_holds_the_other_coordinates_at_their_mean(cloud):
    seen = {}

    def field(X, t):
        seen["x"] = X
        return np.zeros_like(X)

    plot.velocity(field, 0.0, cloud, dims=("c", "b"), speed_bar=False)
    assert seen["x"][:, 0] == pytest.approx(cloud.stacked()[0][:, 0].mean())


def test_streamlines_of_a_field_in_a_box():
    box = ((-1.0, 1.0), (-2.0, 2.0))
    ax = _draw(plot.velocity(lambda X, t: X @ [[0, 1], [-1, 0]], 0.0, box, kind="stream"))
    assert len(ax.collections[0].get_segments()) > 50
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x0", "x1")


def test_history_takes_values_and_records():
    records = [{"objective": v, "seconds": 1.0} for v in (3.0, 1.0, 0.5)]
    ax = plot.history(records, label="first")
    plot.history([2.0, 1.0], ax=ax, label="second")
    first, second = ax.lines
    np.testing.assert_array_equal(first.get_ydata(), [3.0, 1.0, 0.5])
    np.testing.assert_array_equal(second.get_xdata(), [0, 1])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("round", "objective")
    assert _legend(ax) == ["first", "second"]


def test_forecast_is_a_fan_with_bands_and_median(paths, cloud):
    ax = _draw(plot.forecast(paths, dim="b", observed=cloud, cutoff=1.0))
    assert _legend(ax) == [
        "95%", "80%", "50%", "median", "observed", "observed later", "last time learned from"
    ]  # fmt: skip
    widest = ax.collections[0].get_paths()[0].vertices
    lower, upper = paths.interval(0.95)
    assert widest[:, 1].min() == pytest.approx(lower[:, 1].min())
    assert widest[:, 1].max() == pytest.approx(upper[:, 1].max())
    median, cut = ax.lines
    np.testing.assert_allclose(median.get_ydata(), paths.quantile(0.5)[:, 1])
    assert list(cut.get_xdata()) == [1.0, 1.0]
    before, after = ax.collections[3:]
    assert (len(before.get_offsets()), len(after.get_offsets())) == (30, 15)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda c, p: plot.snapshots(c, dims="aa"), "did you mean 'a'"),
        (lambda c, p: plot.snapshots(c, dims=3), "does not exist"),
        (lambda c, p: plot.snapshots(c, dims=(0, 1, 2)), "one coordinate"),
        (lambda c, p: plot.trajectories(p, max_paths=0), "max_paths"),
        (lambda c, p: plot.held_out(p, c.select([1.0]), scores=[1, 2]), "2 scores for 1"),
        (lambda c, p: plot.held_out(c.drop([3.0]), c), "no snapshot at time 3"),
        (lambda c, p: plot.velocity(_Rotation(), 0.0, c, kind="arrows"), "kind must be"),
        (lambda c, p: plot.velocity(_Rotation(), 0.0, c, n_grid=1), "n_grid"),
        (lambda c, p: plot.velocity(_Rotation(), 0.0, c, dims=0), "two coordinates"),
        (lambda c, p: plot.velocity(_Rotation(), 0.0, [[0, 1]]), "box"),
        (lambda c, p: plot.velocity(lambda X, t: X[:, :2], 0.0, c), "must give velocities"),
        (lambda c, p: plot.history([]), "fit first"),
        (lambda c, p: plot.history([{"objectve": 1.0}]), "did you mean 'objectve'"),
        (lambda c, p: plot.forecast(p, levels=[1.5]), "level"),
    ],
)
def test_bad_input_is_refused_before_a_figure_is_made(draw, message, cloud, paths, pyplot):
    with pytest.raises(InputError, match=message):
        draw(cloud, paths)
    assert pyplot.get_fignums() == []


def test_without_matplotlib_the_extra_is_named(cloud, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtra, match=r"trajinfer\[plot\]"):
        plot.snapshots(cloud)
