"""Figures of jump processes: what is drawn, not how it looks."""

import numpy as np
import pytest

from trajinfer import jumps, plot
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries

pytest.importorskip("matplotlib")
RATES = np.array([[-1.0, 0.7, 0.3], [0.5, -0.9, 0.4], [0.2, 0.0, -0.2]])


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_rates_are_written_into_the_map(ax):
    model = jumps.MarkovJumpProcess.from_rates(RATES, states=["a", "b", "c"])
    plot.rates(model, ax=ax)
    assert sorted(t.get_text() for t in ax.texts) == ["0.2", "0.3", "0.4", "0.5", "0.7"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize("size", [(6.4, 4.8), (5.0, 4.2), (5.0, 4.0), (3.5, 4.5)])
def test_no_label_of_the_map_is_cut_off(size):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = plot.rates(RATES[:2, :2], ax=figure.add_subplot())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    inside = figure.bbox.padded(0.5)
    for part in (axes.xaxis, axes.yaxis, *(other.yaxis for other in figure.axes)):
        label = part.label.get_window_extent(canvas.get_renderer())
        assert inside.x0 <= label.x0 <= label.x1 <= inside.x1
        assert inside.y0 <= label.y0 <= label.y1 <= inside.y1


def test_graph_has_an_arrow_per_link(ax):
    plot.transition_graph(RATES, ax=ax, law=[0.2, 0.3, 0.5])
    assert sum(t.get_text() == "" for t in ax.texts) == 5
    written = sorted(t.get_text() for t in ax.texts if t.get_bbox_patch())
    assert written == ["0.2", "0.3", "0.4", "0.5", "0.7"]


def test_a_rate_stands_on_its_own_arrow(ax):
    plot.transition_graph([[-1.0, 1.5], [2.5, -2.0]], ax=ax)  # 0 above, 1 below
    ax.figure.canvas.draw()
    arrow = next(t for t in ax.texts if not t.get_text() and t.xy[1] < 0)  # from 0 to 1
    line = ax.transData.inverted().transform(arrow.arrow_patch.get_path().vertices)
    side = np.sign(line[np.abs(line[:, 0]).argmax(), 0])  # to which the arrow is bent
    place = {t.get_text(): t.get_position()[0] for t in ax.texts}
    assert [place["1.5"], place["2.5"]] == pytest.approx([side * 0.15, -side * 0.15])


@pytest.mark.parametrize(
    ("low", "top", "words"),
    [
        (0.25, 0.35, ["0.25", "0.3", "0.35"]),
        (0.0123, 0.87, ["0.02", "0.05", "0.1", "0.2", "0.5"]),
        (0.05, 45.0, ["0.1", "1", "10"]),
        (0.5, 0.5, ["0.5"]),
        (1.23e-7, 1.27e-7, ["1.24e-07", "1.26e-07"]),
    ],
)
def test_ticks_of_rates_are_numbers_of_few_digits(ax, low, top, words):
    plot.rates([[-top, top], [low, -low]], ax=ax)
    bar = ax.figure.axes[1]
    shown = [t.get_text() for t in bar.get_yticklabels()]
    np.testing.assert_allclose(bar.get_yticks(), [float(word) for word in shown], rtol=1e-6)
    assert shown == words


def test_occupation_draws_laws_and_shares(ax):
    ts = np.linspace(0, 3, 13)
    series = jumps.simulate(RATES, [1, 0, 0], 100, ts, random_state=0)
    laws = np.full((13, 3), 1 / 3)
    plot.occupation(series, ts, laws, ax=ax)
    assert len(ax.containers) == 3
    with pytest.raises(InputError, match="laws must be"):
        plot.occupation(series, ts, laws[:, :2], ax=ax)


def test_occupation_shows_data_at_the_visits_where_these_are_few(ax):
    series = jumps.simulate(RATES, [1, 0, 0], 50, [5.0, 6.0, 8.0], random_state=0)
    plot.occupation(series, np.linspace(0, 3, 4), np.full((4, 3), 1 / 3), ax=ax)
    dots = [c.lines[0].get_xydata() for c in ax.containers]
    np.testing.assert_allclose([d[:, 0] for d in dots], [[0, 1, 3]] * 3)
    seen = series.flat_states.reshape(50, 3)
    shares = [(seen == s).mean(axis=0) for s in range(3)]
    np.testing.assert_allclose([d[:, 1] for d in dots], shares)


def test_posterior_ribbon_fills_the_unit_interval(ax):
    series = JumpSeries.from_arrays([[0.0, 1.0]], [[0, 2]], categories=[0, 1, 2])
    model = jumps.MarkovJumpProcess.from_rates(RATES)
    ts = np.linspace(0, 2, 9)
    plot.state_posterior(ts, model.predict_proba(series, ts)[0], series=series, ax=ax)
    assert len(ax.collections) == 4
    with pytest.raises(InputError, match="rows of probabilities"):
        plot.state_posterior(ts[:3], model.predict_proba(series, ts)[0], ax=ax)


def test_bad_matrix_is_named(ax):
    with pytest.raises(InputError, match="square"):
        plot.rates(np.zeros((2, 3)), ax=ax)
